"""Which tracks form the parts train, validation and test.

A track is in one part for all targets, and so are all tracks of a unit: a group such as an artist,
or an original with its copies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError, UsageError
from mertools.labels.aggregate import TargetLabels
from mertools.labels.groups import Relatives
from mertools.labels.ratings import Ratings
from mertools.labels.records import read_records

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
N_STRATA = 5
"""The quantiles of a number by which a random split is stratified."""


@dataclass(frozen=True)
class SplitRule:
    """How tracks are split.

    min_annotators, test_fraction, file: three ways to choose the test part, of which one may be
    given. validation_fraction: the share of the validation part, which a file has already.

    Raises UsageError where they exclude each other.
    """

    min_annotators: int | None
    test_fraction: float | None
    validation_fraction: float | None
    file: str | None

    def __post_init__(self) -> None:
        ways = (self.min_annotators, self.test_fraction, self.file)
        if sum(way is not None for way in ways) > 1:
            raise UsageError(
                "--test-min-annotators, --test-fraction and --split-file",
                "are three ways to split",
                "choose one",
            )
        if self.validation_fraction is None:
            return
        if self.file is not None:
            raise UsageError(
                "--validation-fraction and --split-file",
                "are two ways to split",
                "mark tracks with validation in the file",
            )
        if (self.test_fraction or 0) + self.validation_fraction > 1:
            raise UsageError(
                "--test-fraction and --validation-fraction",
                "are more than all tracks together",
                "give shares that sum to 1 at most",
            )

    def apply(
        self, ratings: Ratings, labels: Sequence[TargetLabels], relatives: Relatives, seed: int
    ) -> NDArray[np.str_] | None:
        """Name each track's part; None where no split was asked for."""
        if self.file is not None:
            return split_by_file(self.file, ratings.track_ids, relatives)
        test: float | NDArray[np.bool_]
        if self.min_annotators is not None:
            test = find_well_rated(ratings, self.min_annotators)
        elif self.test_fraction is None and self.validation_fraction is None:
            return None
        else:
            test = self.test_fraction or 0.0
        units = relatives.find_units(ratings.track_ids)
        return split_at_random(labels, units, test, self.validation_fraction or 0.0, seed)


def find_well_rated(ratings: Ratings, minimum: int) -> NDArray[np.bool_]:
    """Find the tracks that at least `minimum` annotators rated, for whichever target."""
    # An annotator counts once a track, also with ratings for several targets.
    pairs = np.unique(np.stack([ratings.track, ratings.annotator]), axis=1)
    return np.bincount(pairs[0], minlength=len(ratings.track_ids)) >= minimum


def split_at_random(
    labels: Sequence[TargetLabels],
    units: NDArray[np.int64],
    test: float | NDArray[np.bool_],
    validation: float,
    seed: int,
) -> NDArray[np.str_]:
    """Name each track's part, drawn at random, stratified by the classes of all targets.

    units: (n_tracks,), each track's unit. test: the share to draw for the test part, or (n_tracks,)
    the tracks that are in it; the rest of their units follows. validation: the share of all units
    to draw from the remaining ones. Returns (n_tracks,).

    Units are sorted by their classes for the first target, within these for the second and so on (0
    where a unit is not kept for a target), shuffled where these are equal, and drawn at an even
    step from a random start: systematic sampling. Every combination of classes thus gives its share
    to within one unit, however many targets there are, as does every class of the first target.
    """
    n_units = int(units.max()) + 1
    strata = [_most_frequent(units, _stratify(target, len(units)), n_units) for target in labels]
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n_units)
    sizes = np.bincount(units)
    # Larger units within a stratum are drawn as often as small ones, so that tracks have their
    # share, too.
    order = shuffled[np.lexsort([column[shuffled] for column in (sizes, *strata[::-1])])]
    parts = np.full(n_units, TRAIN, f"<U{max(map(len, PARTS))}")
    # A test part that is given grows to whole units: one of their tracks is enough.
    parts[units[test] if isinstance(test, np.ndarray) else _draw(order, test, rng)] = TEST
    # Drawn after the test part and from the same generator, so that it leaves that as it was.
    rest = order[parts[order] == TRAIN]
    if validation and len(rest):
        parts[_draw(rest, min(1.0, validation * n_units / len(rest)), rng)] = VALIDATION
    return parts[units]


def _draw(order: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a share of what is in order, at an even step from a random start."""
    drawn_before = np.floor(np.arange(len(order) + 1) * fraction + rng.random())
    return order[np.diff(drawn_before) > 0]


def _stratify(target: TargetLabels, n_tracks: int) -> NDArray[np.int64]:
    """Give each track's stratum, from 1: its class, or the quantile of its number; 0 without."""
    track = target.track[target.kept]
    if target.rule.classes:
        return _most_frequent(track, target.label[target.kept], n_tracks)
    strata = np.zeros(n_tracks, np.int64)
    if len(track):
        n = np.bincount(track, minlength=n_tracks)
        is_kept = n > 0
        sums = np.bincount(track, target.mean[target.kept], n_tracks)
        means = sums[is_kept] / n[is_kept]
        cuts = np.quantile(means, np.arange(1, N_STRATA) / N_STRATA)
        strata[is_kept] = 1 + np.searchsorted(cuts, means, side="right")
    return strata


def _most_frequent(
    owner: NDArray[np.int64], code: NDArray[np.int64], n_owners: int
) -> NDArray[np.int64]:
    """Give the most frequent code above 0 of each owner, the lowest of several; 0 without."""
    n_codes = int(code.max(initial=0)) + 1
    counts = np.bincount(owner * n_codes + code, minlength=n_owners * n_codes)
    counts = counts.reshape(n_owners, n_codes)
    # Code 0 is no class, however frequent it is.
    counts[:, 0] = 0
    most: NDArray[np.int64] = counts.argmax(axis=1)
    return most


def split_by_file(source: str, track_ids: Sequence[str], relatives: Relatives) -> NDArray[np.str_]:
    """Read each track's part from the columns track_id and split of a table, such as labels.csv.

    A copy that the table does not have follows its original. Returns (n_tracks,). Raises UsageError
    where it cannot be read, SchemaError where it is not such a table, puts a track or a unit into
    two parts, or leaves one of `track_ids` out.
    """
    name = "standard input" if source == STANDARD_STREAM else source
    splits = _read_splits(source, name)
    parts = [splits.get(track, splits.get(relatives.find_original(track))) for track in track_ids]
    absent = [track for track, part in zip(track_ids, parts, strict=True) if part is None]
    if absent:
        raise SchemaError(
            name,
            f"has no split for {len(absent)} of {len(track_ids)} rated tracks, such as {absent[0]}",
            "give a part for each",
        )
    by_unit: dict[int, dict[str | None, str]] = defaultdict(dict)
    units = relatives.find_units(track_ids).tolist()
    for unit, part, track_id in zip(units, parts, track_ids, strict=True):
        by_unit[unit].setdefault(part, track_id)
    for of_unit in by_unit.values():
        if len(of_unit) > 1:
            (part, track), (other_part, other_track) = list(of_unit.items())[:2]
            raise SchemaError(
                name,
                f"puts track {track} into {part} and track {other_track} into {other_part}, "
                "although they belong together",
                f"put tracks of one {relatives.column or 'original'} into one part",
            )
    return np.array(parts, str)


def _read_splits(source: str, name: str) -> dict[str, str]:
    splits: dict[str, str] = {}
    with open_table(source) as stream:
        for line, record in read_records(stream, name):
            missing = {"track_id", "split"} - record.keys()
            if missing:
                raise SchemaError(
                    name,
                    f"has no column {' and no column '.join(sorted(missing))}",
                    "give a table with the columns track_id and split",
                )
            track_id, split = record["track_id"], record["split"]
            if not split:
                continue
            if split not in PARTS:
                problem = f"line {line}, column split is {split!r}, not one of {', '.join(PARTS)}"
                raise SchemaError(name, problem, "correct it")
            if splits.setdefault(track_id, split) != split:
                problem = f"line {line} puts track {track_id} into {split} as well"
                raise SchemaError(name, problem, "a track is in one part for all targets")
    return splits

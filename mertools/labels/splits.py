"""Which tracks form the test part: by number of annotators, at random, or as a file says.

A track is in one part for all targets. Each function gives an array (n_tracks,) of true for test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError
from mertools.labels.aggregate import Ratings, TargetLabels
from mertools.labels.records import read_records


def split_by_annotators(ratings: Ratings, minimum: int) -> NDArray[np.bool_]:
    """Put tracks to the test that at least `minimum` annotators rated, for whichever target."""
    pairs = np.unique(np.stack([ratings.track, ratings.annotator]), axis=1)
    return np.bincount(pairs[0], minlength=len(ratings.track_ids)) >= minimum


def split_at_random(
    labels: Sequence[TargetLabels], n_tracks: int, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Put a random `fraction` of tracks to the test, stratified by the classes of all targets.

    Tracks are sorted by their classes for the first target, within these for the second and so on
    (0 where a track is not kept for a target), shuffled where these are equal, and drawn at an even
    step from a random start: systematic sampling. Every combination of classes thus gives its share
    to within one track, however many targets there are, as does every class of the first target.
    """
    classes = np.zeros((len(labels), n_tracks), np.int64)
    for row, target in zip(classes, labels, strict=True):
        row[target.track[target.kept]] = target.label[target.kept]
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n_tracks)
    order = shuffled[np.lexsort(classes[::-1, shuffled])]
    drawn_before = np.floor(np.arange(n_tracks + 1) * fraction + rng.random())
    test = np.zeros(n_tracks, bool)
    test[order] = np.diff(drawn_before) > 0
    return test


def split_by_file(source: str, track_ids: Sequence[str]) -> NDArray[np.bool_]:
    """Read the columns track_id and split (train or test) of a CSV table, such as labels.csv.

    Raises UsageError where it cannot be read, SchemaError where it is not such a table, puts a
    track into both parts, or leaves one of `track_ids` out.
    """
    name = "standard input" if source == STANDARD_STREAM else source
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
            if split not in ("train", "test"):
                problem = f"line {line}, column split is {split!r}, not train or test"
                raise SchemaError(name, problem, "correct it")
            if splits.setdefault(track_id, split) != split:
                problem = f"line {line} puts track {track_id} into {split} as well"
                raise SchemaError(name, problem, "a track is in one part for all targets")
    absent = [track_id for track_id in track_ids if track_id not in splits]
    if absent:
        raise SchemaError(
            name,
            f"has no split for {len(absent)} of {len(track_ids)} rated tracks, such as {absent[0]}",
            "say train or test for each",
        )
    return np.array([splits[track_id] == "test" for track_id in track_ids], bool)

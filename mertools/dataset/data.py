"""Joining features with labels by key: what a model learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import FeaturesFile, open_features, read_places
from mertools.artifacts.files import DIGEST_BYTES
from mertools.artifacts.rows import Label
from mertools.artifacts.tables import read_table
from mertools.errors import SchemaError, UsageError
from mertools.targets.pooling import duration_weighted_means
from mertools.targets.scale import class_names

Unit = Literal["track", "segment"]
TEST = "test"


@dataclass(frozen=True)
class TrainingSet:
    """Vectors with their classes; a row is a track or a segment.

    X: (n_rows, n_columns) float32; y: (n_rows,), the class from 0 up; groups: (n_rows,), the place
    in `track_ids` of each row's track; durations: (n_rows,) in seconds. Rows are in the order of
    their ids, whatever that of the files.
    """

    target: str
    classes: tuple[str, ...]
    unit: Unit
    columns: tuple[str, ...]
    row_ids: tuple[str, ...]
    track_ids: tuple[str, ...]
    X: NDArray[np.float32]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]
    starts: NDArray[np.float64]
    durations: NDArray[np.float64]

    def digest(self) -> str:
        """Digest of all that is learnt from (BLAKE2b, 128 bit, hexadecimal)."""
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for text in (self.target, *self.classes, *self.columns, *self.row_ids, *self.track_ids):
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
        for values in (self.X, self.y, self.groups, self.durations):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


D = TypeVar("D")


@dataclass(frozen=True)
class Joined(Generic[D]):
    """A training set with what a model's card says of it.

    `length_s`, `hop_s` and `last` are how the tracks were cut, as far as the rows tell. The counts
    are of tracks: learnt from, kept apart for testing, dropped by the annotators' disagreement, and
    labelled but without features.
    """

    training_set: D
    kinds: tuple[KindDescription, ...]
    length_s: float
    hop_s: float
    last: str
    n_train: int
    n_test: int
    n_dropped: int
    n_without_features: int


def join(
    features: Sequence[Path],
    labels: str,
    target: str,
    kinds: Sequence[str],
    unit: Unit,
    *,
    with_test: bool = False,
) -> Joined[TrainingSet]:
    """Join features with the labels of a target: kept rows that are not marked test, or all kept.

    Several files may hold different kinds, or different segments. Raises UsageError where nothing
    is left to learn from or a kind is missing, SchemaError where files contradict each other.
    """
    rows = read_labels(labels, target)
    wanted = {row.track_id: row for row in rows if row.kept and (with_test or row.split != TEST)}
    with gather_features(features, labels, kinds, wanted) as gathered:
        X = np.concatenate([part.read(gathered.ids) for part in gathered.parts], axis=1)
        training_set = _assemble(target, gathered, X, wanted, unit)
        return describe_joined(training_set, gathered, rows, wanted)


def read_labels(labels: str, target: str) -> list[Label]:
    """Read the labels of a target. Raises UsageError where there are none."""
    rows = [row for row in read_table(labels, Label) if row.target == target]
    if not rows:
        raise UsageError(labels, f"holds no label for {target}", "choose another --target")
    return rows


@dataclass(frozen=True)
class Gathered:
    """The segments of wanted tracks that have all kinds of features, in the order of their ids."""

    ids: list[str]
    segments: list[FeatureRow]
    parts: list[Part]

    @property
    def track_ids(self) -> tuple[str, ...]:
        """The tracks that the segments are of, in order."""
        return tuple(sorted({row.track_id for row in self.segments}))

    def groups(self) -> NDArray[np.int64]:
        """Give each segment's place in `track_ids`."""
        place = {track_id: i for i, track_id in enumerate(self.track_ids)}
        return np.array([place[row.track_id] for row in self.segments], np.int64)


@contextmanager
def gather_features(
    features: Sequence[Path], labels: str, kinds: Sequence[str], tracks: Collection[str]
) -> Iterator[Gathered]:
    """Find the features of some tracks, which `labels` names, in files that are open in the block.

    Raises as `join` does.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_features(path)) for path in features]
        parts = [Part.gather(files, kind, tracks) for kind in kinds]
        ids = sorted(set.intersection(*(set(part.rows) for part in parts)))
        if not ids:
            raise UsageError(
                labels, f"shares no track with {features[0]}", "check the track_id of both"
            )
        yield Gathered(ids, [parts[0].rows[name] for name in ids], parts)


def describe_joined(
    training_set: D, gathered: Gathered, rows: Sequence[Label], wanted: Collection[str]
) -> Joined[D]:
    """Say of a training set what a model's card says of it."""
    length_s, hop_s, last = _infer_cutting(gathered.segments)
    n_train = len(gathered.track_ids)
    return Joined(
        training_set,
        tuple(part.description for part in gathered.parts),
        length_s,
        hop_s,
        last,
        n_train=n_train,
        n_test=sum(row.kept and row.split == TEST for row in rows),
        n_dropped=sum(not row.kept and row.track_id not in wanted for row in rows),
        n_without_features=len(wanted) - n_train,
    )


@dataclass(frozen=True)
class Part:
    """One kind of feature over all files: each segment's row and where its features lie."""

    description: KindDescription
    rows: dict[str, FeatureRow]
    places: dict[str, tuple[FeaturesFile, int]]

    @classmethod
    def gather(cls, files: Sequence[FeaturesFile], kind: str, tracks: Collection[str]) -> Part:
        """Find one kind of feature of some tracks. Raises as `join` does."""
        holders = [file for file in files if kind in file.kinds]
        if not holders:
            raise UsageError(
                files[0].path,
                f"holds no {kind} features (found: {', '.join(files[0].kinds) or 'none'})",
                f"make them with mer featurize --kind {kind}",
            )
        description = holders[0].kinds[kind]
        rows: dict[str, FeatureRow] = {}
        places: dict[str, tuple[FeaturesFile, int]] = {}
        for file in holders:
            if file.kinds[kind].params_digest != description.params_digest:
                raise SchemaError(
                    file.path,
                    f"holds {kind} features made otherwise than those in {holders[0].path}",
                    "make both with the same parameters",
                )
            for place, row in enumerate(file.rows):
                if row.segment_id in rows and row.track_id in tracks:
                    raise SchemaError(
                        file.path,
                        f"holds {kind} of the segment {row.segment_id} again",
                        "give each segment once",
                    )
                if row.track_id in tracks:
                    rows[row.segment_id] = row
                    places[row.segment_id] = (file, place)
        return cls(description, rows, places)

    def read(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Read the features of some segments: (n_segments, n_columns)."""
        X = read_places(self.description.name, [self.places[name] for name in ids])
        return X.reshape(len(ids), -1).astype(np.float32)


def _assemble(
    target: str,
    gathered: Gathered,
    X: NDArray[np.float32],
    wanted: Mapping[str, Label],
    unit: Unit,
) -> TrainingSet:
    track_ids, groups = gathered.track_ids, gathered.groups()
    starts = np.array([row.start for row in gathered.segments])
    durations = np.array([row.duration for row in gathered.segments])
    y_of_track = np.array([wanted[track_id].label - 1 for track_id in track_ids], np.int64)
    row_ids = tuple(gathered.ids)
    y = y_of_track[groups]
    if unit == "track":
        X = duration_weighted_means(X, groups, durations)
        durations = np.bincount(groups, durations)
        starts = np.zeros(len(track_ids))
        groups, row_ids, y = np.arange(len(track_ids)), track_ids, y_of_track
    columns = tuple(name for part in gathered.parts for name in part.description.columns)
    classes = name_classes(target, list(wanted.values()))
    return TrainingSet(
        target, classes, unit, columns, row_ids, track_ids, X, y, groups, starts, durations
    )


def name_classes(target: str, rows: Sequence[Label]) -> tuple[str, ...]:
    """Name the classes; those that no track has take their names from the target's usual ones."""
    n_classes = len(rows[0].distribution)
    names = list(class_names(target, n_classes))
    for row in rows:
        names[row.label - 1] = row.class_name
    return tuple(names)


def _infer_cutting(segments: Sequence[FeatureRow]) -> tuple[float, float, str]:
    """Tell from the rows how their tracks were cut: length and hop in seconds, and the rest."""
    length_s = max(row.duration for row in segments)
    starts: dict[str, list[float]] = {}
    for row in segments:
        starts.setdefault(row.track_id, []).append(row.start)
    hops = [hop for of_track in starts.values() for hop in np.diff(sorted(of_track)) if hop > 0]
    last = "keep" if any(row.duration < length_s for row in segments) else "auto"
    return length_s, float(min(hops, default=length_s)), last

"""What networks learn from: segments, with their features kept in memory or read in batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.features_file import open_features, read_places
from mertools.artifacts.files import DIGEST_BYTES
from mertools.artifacts.rows import Label
from mertools.dataset.data import (
    TEST,
    Gathered,
    Joined,
    describe_joined,
    gather_features,
    name_classes,
    read_labels,
)
from mertools.errors import SchemaError

Objective = Literal["hard", "soft"]

ROWS_AT_ONCE = 64
SHARE_OF_MEMORY = 0.25
"""Of this machine's memory, what features may take in all processes together."""


@dataclass(frozen=True)
class StoredFeatures:
    """Where the features of segments lie.

    kinds: the kinds of feature; shapes and dtypes: of one segment, a kind each; places: for each
    kind and segment, which of `paths` and which row there.
    """

    paths: tuple[Path, ...]
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    places: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def locate(cls, gathered: Gathered, paths: Sequence[Path]) -> StoredFeatures:
        """Tell where what was gathered from files lies."""
        number = {path: i for i, path in enumerate(paths)}
        return cls(
            tuple(paths),
            tuple(part.description.name for part in gathered.parts),
            tuple(part.description.shape for part in gathered.parts),
            tuple(part.description.dtype for part in gathered.parts),
            tuple(
                tuple(
                    (number[file.path], row)
                    for file, row in (part.places[name] for name in gathered.ids)
                )
                for part in gathered.parts
            ),
        )

    def n_bytes(self) -> int:
        """Tell how much memory all features take."""
        sizes = [
            np.dtype(dtype).itemsize * int(np.prod(shape))
            for shape, dtype in zip(self.shapes, self.dtypes, strict=True)
        ]
        return sum(sizes) * len(self.places[0])


class Batches:
    """The features of any segments, from the files or from memory."""

    def __init__(self, stored: StoredFeatures, stack: ExitStack) -> None:
        self._stored = stored
        self._stack = stack  # which closes the files when nobody holds it any more
        self._files = [stack.enter_context(open_features(path)) for path in stored.paths]
        self._kept: list[Features] | None = None

    def keep(self) -> None:
        """Read all into memory."""
        self._kept = self.read(np.arange(len(self._stored.places[0])))

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Give the features of some segments: for each kind (n_rows, *shape)."""
        if self._kept is not None:
            return [part[rows] for part in self._kept]
        return [
            read_places(kind, [(self._files[of_kind[row][0]], of_kind[row][1]) for row in rows])
            for kind, of_kind in zip(self._stored.kinds, self._stored.places, strict=True)
        ]


@lru_cache(maxsize=1)
def open_batches(stored: StoredFeatures, n_processes: int) -> Batches:
    """Give the features to one of some processes: in memory if they fit there for each of them.

    They stay there, or the files open, for what the process does next: a join, which reads all to
    digest it, and then training.
    """
    stack = ExitStack()
    batches = Batches(stored, stack)
    if stored.n_bytes() * n_processes <= SHARE_OF_MEMORY * _memory_bytes():
        with stack:
            batches.keep()
    return batches


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class SegmentSet:
    """Segments with what the annotators say of their tracks.

    row_ids, groups, starts, durations: of n_rows segments, in the order of their ids, as in
    `data.TrainingSet`. Of n_tracks: y, the class from 0 up; distributions, (n_tracks, n_classes),
    the annotators' own; kept, whether they agree enough for the track to be scored. `digest` is of
    all that is learnt from (BLAKE2b, 128 bit, hexadecimal).
    """

    target: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    row_ids: tuple[str, ...]
    track_ids: tuple[str, ...]
    groups: NDArray[np.int64]
    starts: NDArray[np.float64]
    durations: NDArray[np.float64]
    y: NDArray[np.int64]
    distributions: NDArray[np.float64]
    kept: NDArray[np.bool_]
    stored: StoredFeatures
    digest: str


def join_segments(
    features: Sequence[Path], labels: str, target: str, kinds: Sequence[str], objective: Objective
) -> Joined[SegmentSet]:
    """Join segments with the labels of a target that are not marked test.

    Of these, the hard objective learns from the kept rows, the soft one from all: what annotators
    disagree on has a distribution too. Raises as `data.join` does, and SchemaError for features
    that are no finite numbers.
    """
    rows = read_labels(labels, target)
    teaches = [row for row in rows if row.split != TEST and (row.kept or objective == "soft")]
    wanted = {row.track_id: row for row in teaches}
    with gather_features(features, labels, kinds, wanted) as gathered:
        stored = StoredFeatures.locate(gathered, features)
        segments = _assemble(target, gathered, wanted, stored)
        return describe_joined(segments, gathered, rows, wanted)


def _assemble(
    target: str, gathered: Gathered, wanted: Mapping[str, Label], stored: StoredFeatures
) -> SegmentSet:
    labels = [wanted[track_id] for track_id in gathered.track_ids]
    groups = gathered.groups()
    durations = np.array([row.duration for row in gathered.segments])
    y = np.array([label.label - 1 for label in labels], np.int64)
    distributions = np.array([label.distribution for label in labels])
    kept = np.array([label.kept for label in labels])
    classes = name_classes(target, list(wanted.values()))
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for text in (target, *classes, *stored.kinds, *gathered.ids, *gathered.track_ids):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    for values in (groups, durations, y, distributions, kept):
        digest.update(values.tobytes())
    _digest_features(digest, gathered, stored)
    return SegmentSet(
        target,
        classes,
        tuple(name for part in gathered.parts for name in part.description.columns),
        tuple(gathered.ids),
        gathered.track_ids,
        groups,
        np.array([row.start for row in gathered.segments]),
        durations,
        y,
        distributions,
        kept,
        stored,
        digest.hexdigest(),
    )


def _digest_features(digest: hashlib.blake2b, gathered: Gathered, stored: StoredFeatures) -> None:
    """Add the features to a digest, which tells too whether all are finite numbers."""
    open_batches.cache_clear()  # of files that may have other content since
    batches = open_batches(stored, 1)
    for begin in range(0, len(gathered.ids), ROWS_AT_ONCE):
        rows = np.arange(begin, min(begin + ROWS_AT_ONCE, len(gathered.ids)))
        for part in batches.read(rows):
            digest.update(part.tobytes())
            finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
            if not finite.all():
                raise SchemaError(
                    gathered.ids[begin + int(finite.argmin())],
                    "has features that are no finite numbers",
                    "run mer validate on the features",
                )

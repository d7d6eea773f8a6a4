"""Scored rows as arrays: what was estimated beside the reference, for one target at one level.

n is the number of rows, T of tracks, K of classes. Rows are in the order of track, repetition,
start and segment, whatever order they were read in, so that no figure depends on it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mertools.targets.scale import Range

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
Rows = TypeVar("Rows", bound="ScoredRows")


@dataclass(frozen=True)
class ScoredRows:
    """What rows of every scale have: the track, the segment and the fold that they are of."""

    track_ids: tuple[str, ...]
    """Keys of the tracks, T, in ascending order."""
    track: IndexArray
    """Index of each row's track in `track_ids`, (n,)."""
    segment: NDArray[np.str_]
    """Each row's segment within its track, (n,); empty at track level."""
    folds: IndexArray
    """Repetition and fold of cross-validation of each row, (n, 2); 0 where there is none."""

    def take(self: Rows, rows: IndexArray) -> Rows:
        """Keep some of the rows, and their tracks."""
        present, track = np.unique(self.track[rows], return_inverse=True)
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays: dict[str, Any] = {
            name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)
        }
        arrays |= {"track": track, "track_ids": tuple(self.track_ids[index] for index in present)}
        return dataclasses.replace(self, **arrays)

    def of_tracks(self: Rows, track_ids: Set[str]) -> Rows:
        """Keep the rows of some of the tracks."""
        wanted = np.array([name in track_ids for name in self.track_ids], dtype=bool)
        return self.take(np.flatnonzero(wanted[self.track]))

    def has_rows_of(self, other: ScoredRows) -> bool:
        """Check whether both are of the same segments or tracks, row by row."""
        return (
            self.track_ids == other.track_ids
            and np.array_equal(self.track, other.track)
            and np.array_equal(self.segment, other.segment)
            and np.array_equal(self.folds, other.folds)
        )


@dataclass(frozen=True)
class ClassOutcomes(ScoredRows):
    """Rows of a target of classes."""

    classes: tuple[str, ...]
    """Names of the classes, K."""
    reference: IndexArray
    """Class according to the label, from 0, (n,)."""
    estimated: IndexArray
    """Class according to the prediction, from 0, (n,)."""
    posteriors: FloatArray
    """(n, K)."""
    ratings: FloatArray
    """Mean rating according to the label, (n,); NaN where classes have no order."""
    values: FloatArray
    """Rating according to the prediction, (n,); NaN where there is none."""


@dataclass(frozen=True)
class NumberOutcomes(ScoredRows):
    """Rows of a target that is a number."""

    scale: Range
    reference: FloatArray
    """Number according to the label, (n,)."""
    estimated: FloatArray
    """Number according to the prediction, (n,)."""


Outcomes = ClassOutcomes | NumberOutcomes

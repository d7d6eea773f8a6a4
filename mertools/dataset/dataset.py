"""What a model learns from: segments with their features, and tracks with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Cutting
from mertools.dataset.stored import StoredFeatures
from mertools.targets.scale import Classes, Range, Target

N_QUANTILES = 10
"""Into how many parts a number is cut so that folds spread it evenly."""


@dataclass(frozen=True)
class TrackLabels:
    """What annotators say of n_tracks tracks.

    y: (n_tracks,), the class from 0 up; distributions: (n_tracks, n_classes), the annotators'
    shares; numbers: (n_tracks, n_targets), on the targets' own scales. What the scale does not have
    is empty, and y zero. kept: whether annotators agree enough for the track to be scored;
    is_validation: whether the labels keep it for early stopping and for choosing.
    """

    y: NDArray[np.int64]
    distributions: NDArray[np.float64]
    numbers: NDArray[np.float64]
    kept: NDArray[np.bool_]
    is_validation: NDArray[np.bool_]


@dataclass(frozen=True)
class Dataset:
    """Segments, and the tracks that they are of.

    Of n_rows segments, in the order of their ids: row_ids, groups (the index of its track), starts
    and durations in seconds. Of n_tracks tracks, in the order of their ids: track_ids, labels,
    is_copy (whether it is an augmented copy), units (tracks with the same number stay together in
    splits and folds). `digest` is of all that is learnt from (BLAKE2b, 128 bit, hexadecimal).
    """

    targets: tuple[Target, ...]
    row_ids: tuple[str, ...]
    groups: NDArray[np.int64]
    starts: NDArray[np.float64]
    durations: NDArray[np.float64]
    track_ids: tuple[str, ...]
    labels: TrackLabels
    is_copy: NDArray[np.bool_]
    units: NDArray[np.int64]
    stored: StoredFeatures
    digest: str

    @property
    def n_outputs(self) -> int:
        """Number of values that a model predicts of a row."""
        return sum(target.scale.n_outputs for target in self.targets)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; none where numbers are learnt."""
        return self.targets[0].classes

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of all kinds."""
        return tuple(name for kind in self.stored.kinds for name in kind.columns)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which tracks scores are of: (n_tracks,), originals whose annotators agree enough."""
        return self.labels.kept & ~self.is_copy

    def rows_of(self, tracks: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give the rows of some tracks, (n_tracks,)."""
        return np.flatnonzero(tracks[self.groups])

    def units_numbers(self) -> NDArray[np.float64]:
        """Give the tracks' numbers mapped to 0..1: (n_tracks, n_targets)."""
        return np.stack(
            [
                target.scale.to_unit(self.labels.numbers[:, k])
                for k, target in enumerate(self.targets)
                if isinstance(target.scale, Range)
            ],
            axis=1,
        )

    def strata(self) -> NDArray[np.int64]:
        """Give what folds are spread by: the class, or the quantile of the first number."""
        if isinstance(self.targets[0].scale, Classes):
            return self.labels.y
        # By rank and not by value: a skewed number has as many tracks in each stratum, too.
        # Copies do not move the bounds, so that folds of originals do not depend on them.
        numbers = self.labels.numbers[:, 0]
        ranked = np.sort(numbers[~self.is_copy])
        ranks: NDArray[np.int64] = np.searchsorted(ranked, numbers).clip(max=len(ranked) - 1)
        return ranks * N_QUANTILES // len(ranked)


@dataclass(frozen=True)
class Joined:
    """A dataset with what a model's card says of how it came to be.

    The counts are of tracks: learnt from, kept apart for testing, dropped by the annotators'
    disagreement, and labelled but without features; and of copies learnt from. `peak_db` is the
    level in dBFS that sound was brought to, if it was.
    """

    dataset: Dataset
    cutting: Cutting
    n_train: int
    n_test: int
    n_dropped: int
    n_without_features: int
    n_copies: int
    peak_db: float | None = None

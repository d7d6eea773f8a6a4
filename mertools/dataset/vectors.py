"""The features of a dataset as vectors in memory: a row a segment, or a track."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.dataset import Dataset
from mertools.targets.pooling import duration_weighted_means

Unit = Literal["track", "segment"]


@dataclass(frozen=True)
class VectorDataset:
    """A dataset with its features: for each kind (n_rows, n_columns) float32.

    Where the unit is a track, a row is the mean of the track's segments, weighted by duration.
    """

    dataset: Dataset
    features: tuple[NDArray[np.float32], ...]
    unit: Unit

    @property
    def n_columns(self) -> int:
        """Number of columns of all kinds together."""
        return sum(part.shape[1] for part in self.features)


def load_vectors(dataset: Dataset, unit: Unit) -> VectorDataset:
    """Read all features into memory, and average them over tracks where the unit is a track."""
    rows = np.arange(len(dataset.row_ids))
    with dataset.stored.open() as batches:
        parts = batches.read(rows)
    features = tuple(part.reshape(len(rows), -1).astype(np.float32) for part in parts)
    if unit == "segment":
        return VectorDataset(dataset, features, unit)
    # A short last segment counts as much as it lasts.
    groups, durations = dataset.groups, dataset.durations
    n_tracks = len(dataset.track_ids)
    of_tracks = replace(
        dataset,
        row_ids=dataset.track_ids,
        groups=np.arange(n_tracks),
        starts=np.zeros(n_tracks),
        durations=np.bincount(groups, durations, n_tracks).astype(np.float64),
    )
    means = tuple(duration_weighted_means(part, groups, durations) for part in features)
    return VectorDataset(of_tracks, means, unit)

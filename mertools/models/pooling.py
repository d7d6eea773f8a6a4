"""Bringing the features of segments together: of several kinds, and of tracks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def side_by_side(features: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.floating[Any]]:
    """Put the features of each row in one vector: for each kind (n, ...) to (n, n_columns)."""
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in features]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def duration_weighted_means(
    X: NDArray[np.floating[Any]], groups: NDArray[np.int64], durations: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Average the rows of each group, weighted by duration.

    X: (n_rows, n_columns); groups: (n_rows,), the group of each row, from 0 up without gaps;
    durations: (n_rows,), above 0. Returns (n_groups, n_columns).
    """
    n_groups = int(groups.max()) + 1
    sums = np.zeros((n_groups, X.shape[1]))
    np.add.at(sums, groups, X * durations[:, None])
    totals = np.bincount(groups, durations, n_groups)
    means: NDArray[np.float32] = (sums / totals[:, None]).astype(np.float32)
    return means

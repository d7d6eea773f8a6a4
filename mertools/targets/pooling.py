"""Pooling: a track's prediction from its segments', and one vector from several features.

numpy is imported where it is used, as the registry of architectures, which `--help` reads, names
the methods of pooling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pooling = Literal["mean", "mode", "max"]
"""How a track's prediction follows from its segments'.

mean: their mean. mode: the class that most segments have, ties decided by the mean posterior.
max: each class's largest posterior, scaled to a sum of 1, or the largest number.
"""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def pool_segments(
    outputs: NDArray[np.float64],
    groups: NDArray[np.int64],
    method: Pooling = "mean",
    *,
    are_posteriors: bool = True,
) -> NDArray[np.float64]:
    """Pool the outputs of segments by track: (n_rows, n_outputs) to (n_tracks, n_outputs).

    groups: (n_rows,), the index of each row's track, from 0 up without gaps. `are_posteriors`:
    whether outputs are posteriors of classes, whose rows sum to 1; numbers have no mode. Rows of
    zeros, which nothing was predicted of, stay zeros.
    """
    import numpy as np

    counts = np.bincount(groups)
    sums = np.zeros((len(counts), outputs.shape[1]))
    # `sums[groups] += outputs` would count a repeated index once.
    np.add.at(sums, groups, outputs)
    means: NDArray[np.float64] = sums / counts[:, None]
    if method == "mean":
        return means
    if method == "mode":
        votes = np.zeros_like(sums)
        np.add.at(votes, (groups, outputs.argmax(axis=1)), 1.0)
        # The mean posterior counts as one more vote, spread over the classes: it decides ties.
        shares: NDArray[np.float64] = (votes + means) / (counts[:, None] + 1)
        return shares
    largest: NDArray[np.float64] = np.full_like(sums, -np.inf)
    np.maximum.at(largest, groups, outputs)
    if are_posteriors:
        totals = largest.sum(axis=1, keepdims=True)
        # Tracks that are in no fold have zeros instead of posteriors, and stay as they are.
        np.divide(largest, totals, out=largest, where=totals > 0)
    return largest


def side_by_side(features: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put the features of each row in one vector: for each kind (n, ...) to (n, n_columns)."""
    import numpy as np

    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in features]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def duration_weighted_means(
    X: NDArray[np.floating[Any]], groups: NDArray[np.int64], durations: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Average the rows of each group, weighted by duration.

    X: (n_rows, n_columns); groups: (n_rows,), the group of each row, from 0 up without gaps;
    durations: (n_rows,); rows of no duration, as whole tracks have, weigh alike. Returns
    (n_groups, n_columns).
    """
    import numpy as np

    n_groups = int(groups.max()) + 1
    if not durations.any():
        durations = np.ones_like(durations)
    sums = np.zeros((n_groups, X.shape[1]))
    np.add.at(sums, groups, X * durations[:, None])
    totals = np.bincount(groups, durations, n_groups)
    means: NDArray[np.float32] = (sums / totals[:, None]).astype(np.float32)
    return means

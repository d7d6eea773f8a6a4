"""What is learnt, in numbers: targets of rows, their weights, and what a search looks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.dataset import Dataset
from mertools.models.registry import Objective

CRITERIA: Mapping[Objective, str] = {
    "hard": "macro_f1",
    "soft": "macro_f1",
    "mse": "mse",
    "mae": "mae",
    "pairs": "auc",
}
"""The score of tracks by which a search chooses; an estimator that learns distributions has another
(see `estimators`)."""

LOWER_IS_BETTER = frozenset({"mse", "rmse", "mae", "brier_score"})


def is_better(score: str, value: float, other: float) -> bool:
    """Return whether a value of a score is better than another; an undefined one never is."""
    if np.isnan(value):
        return False
    if np.isnan(other):
        return True
    return value < other if score in LOWER_IS_BETTER else value > other


@dataclass(frozen=True)
class RowTargets:
    """What a network's outputs for all rows of a dataset should be.

    outputs: (n_rows, n_outputs) float32, posteriors or numbers mapped to 0..1; y: (n_rows,), the
    class; output_weights: (n_outputs,), how much each class counts.
    """

    objective: Objective
    outputs: NDArray[np.float32]
    y: NDArray[np.int64]
    output_weights: NDArray[np.float32]


NO_CLASSES = np.zeros(0, np.int64)


def row_targets(
    data: Dataset,
    objective: Objective,
    learn: NDArray[np.int64],
    class_weights: str,
    further: NDArray[np.int64] = NO_CLASSES,
) -> RowTargets:
    """Lay out the targets of all rows; `learn` are the rows to learn from.

    `further`, (n_further,), are the classes of synthetic rows that follow those of the dataset.

    Hard classes weigh by their inverse frequency unless `class_weights` is "none". Distributions
    are learnt as they are, since weights would draw the posteriors away from them.
    """
    groups = data.groups
    y = np.concatenate([data.labels.y[groups], further])
    weights: NDArray[np.float32] = np.ones(data.n_outputs, np.float32)
    of_further = np.eye(data.n_outputs, dtype=np.float32)[further]
    if objective in ("mse", "mae"):
        return RowTargets(objective, data.units_numbers()[groups].astype(np.float32), y, weights)
    if objective == "soft":
        shares = data.labels.distributions[groups].astype(np.float32)
        return RowTargets(objective, np.concatenate([shares, of_further]), y, weights)
    if class_weights == "balanced":
        # A class that has no rows to learn from keeps a finite weight.
        counts = np.bincount(y[learn], minlength=data.n_outputs)
        weights = (len(learn) / (data.n_outputs * np.maximum(counts, 1))).astype(np.float32)
    return RowTargets(objective, np.eye(data.n_outputs, dtype=np.float32)[y], y, weights)

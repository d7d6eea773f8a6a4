"""The rows that a network learns from, and views of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.dataset.dataset import Dataset
from mertools.dataset.stored import Batches
from mertools.models.registry import Objective
from mertools.training.loop import TrainingRows
from mertools.training.objectives import row_targets
from mertools.training.recipes import Recipe


class KindBatches(Batches):
    """Rows of other batches with some of their kinds of feature, by number."""

    def __init__(self, batches: Batches, kinds: Sequence[int]) -> None:
        self._batches = batches
        self._kinds = kinds

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the features of some rows."""
        read = self._batches.read(rows)
        return [read[kind] for kind in self._kinds]


@dataclass(frozen=True)
class Rows:
    """Rows to learn from and to validate on, (n,) each.

    `further`, (n_further,), are the classes of synthetic rows, which follow those of the dataset.
    """

    data: Dataset
    objective: Objective
    batches: Batches
    learn: NDArray[np.int64]
    validate: NDArray[np.int64]
    further: NDArray[np.int64]

    def to_train(self, recipe: Recipe) -> TrainingRows:
        """Give what a recipe trains on: with the weights of classes, and with copies or without."""
        learn = self.learn
        if recipe["learn_copies"] == "no":
            n_rows = len(self.data.row_ids)
            is_copy = np.zeros(n_rows + len(self.further), bool)
            is_copy[:n_rows] = self.data.is_copy[self.data.groups]
            learn = learn[~is_copy[learn]]
        weights = recipe["class_weights"]
        targets = row_targets(self.data, self.objective, learn, weights, self.further)
        return TrainingRows(self.batches, learn, self.validate, targets)

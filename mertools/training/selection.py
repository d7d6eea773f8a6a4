"""Which columns of vectors are learnt from: ranked within the part learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.dataset.dataset import Dataset
from mertools.dataset.stored import Batches
from mertools.evaluation.ranking import drop_correlated, rank_columns
from mertools.models.model import are_numbers, select_columns
from mertools.targets.pooling import side_by_side
from mertools.training.plan import Selection


def choose_columns(
    selection: Selection, data: Dataset, X: NDArray[np.floating[Any]], groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the columns, in rising order, that rank highest on rows learnt from: (n_selected,).

    X: (n_rows, n_columns), originals only; groups: (n_rows,), the index of each row's track.
    """
    is_number = are_numbers(data.targets)
    values = data.labels.numbers[groups, 0] if is_number else data.labels.y[groups]
    wide = X.astype(np.float64)
    order, _ = rank_columns(wide, values, selection.method, are_numbers=is_number)
    if selection.max_correlation is not None:
        order = drop_correlated(wide, order, selection.max_correlation)
    return np.sort(order[: selection.n_columns]).astype(np.int64)


class SelectedBatches(Batches):
    """Rows of other batches with some of the columns of their vectors.

    The first `n_others` kinds are no vectors, and stay as they are.
    """

    def __init__(self, batches: Batches, columns: NDArray[np.int64], n_others: int) -> None:
        self._batches = batches
        self._columns = columns
        self._n_others = n_others

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the features of some rows: those of the other kinds, and the columns selected."""
        return select_columns(self._batches.read(rows), self._columns, self._n_others)


def select_batches(
    selection: Selection,
    data: Dataset,
    batches: Batches,
    learn: NDArray[np.int64],
    n_others: int,
) -> tuple[SelectedBatches, NDArray[np.int64]]:
    """Select columns by the originals among the rows learnt from, (n_learn,); give them, too."""
    originals = learn[~data.is_copy[data.groups[learn]]]
    kinds = range(n_others, len(data.stored.kinds))
    X = np.concatenate([side_by_side(parts) for parts in batches.iterate(originals, kinds)])
    columns = choose_columns(selection, data, X, data.groups[originals])
    return SelectedBatches(batches, columns, n_others), columns

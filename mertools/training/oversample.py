"""Synthetic rows for classes that have few: SMOTE and Borderline-SMOTE2.

SMOTE (N. Chawla and others, JAIR 16, 2002) draws a point between a row and one of its nearest rows
of the same class. Borderline-SMOTE2 (H. Han and others, ICIC 2005) begins at rows in danger: those
of whose nearest rows most, but not all, are of other classes. It goes towards any of the nearest
rows, but at most half way towards one of another class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.dataset.stored import Batches
from mertools.targets.pooling import side_by_side

Method = Literal["smote", "borderline-smote2", "deepsmote"]
METHODS: tuple[Method, ...] = get_args(Method)
"""The last is of mel spectrograms (see `deepsmote`), the others of vectors."""
DEEP = "deepsmote"
DEEP_ROWS = 25
"""Synthetic rows of each class that DeepSMOTE makes by default, as paper 001 has it."""

N_NEIGHBOURS = 5

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Oversampling:
    """How rows are added within the part learnt from.

    `n_rows` are synthetic rows of each class; None is as many as make classes equally large, or 25
    of mel spectrograms.
    """

    method: Method
    n_rows: int | None = None

    @property
    def n_of_class(self) -> int | None:
        """Synthetic rows of each class, where their number is the same for all."""
        return DEEP_ROWS if self.n_rows is None and self.method == DEEP else self.n_rows

    def count(self, y: Ints) -> dict[int, int]:
        """Count the rows to add to each class."""
        classes, sizes = np.unique(y, return_counts=True)
        return {
            int(k): int(sizes.max() - size) if self.n_of_class is None else self.n_of_class
            for k, size in zip(classes, sizes, strict=True)
        }


@dataclass(frozen=True)
class Draws:
    """Synthetic rows: from row `base` a share `step` of the way to row `goal`; (n,) each.

    y: (n,), their classes. Rows are numbered as they were given. `plain` are the classes without
    rows in danger, and `single` those of one row.
    """

    base: Ints
    goal: Ints
    step: NDArray[np.float64]
    y: Ints
    plain: tuple[int, ...] = ()
    single: tuple[int, ...] = ()

    def describe_exceptions(self, classes: Sequence[str]) -> list[str]:
        """Say which classes, by their names, got other rows than were asked for."""
        named = {of: ", ".join(classes[k] for k in getattr(self, of)) for of in ("plain", "single")}
        problems = {
            "plain": "no row in danger: plain SMOTE drew the synthetic ones",
            "single": "a single row: no synthetic ones were drawn",
        }
        return [f"{names} with {problems[of]}" for of, names in named.items() if names]

    def apply(self, X: Floats) -> NDArray[np.float32]:
        """Draw synthetic rows of (n_rows, ...)."""
        step = self.step.reshape(-1, *[1] * (X.ndim - 1))
        drawn: NDArray[np.float32] = (X[self.base] + step * (X[self.goal] - X[self.base])).astype(
            np.float32
        )
        return drawn


def draw_rows(wanted: Oversampling, Z: Floats, y: Ints, seed: int) -> Draws:
    """Draw synthetic rows of rows that are brought to one scale: (n_rows, n_columns).

    A class of one row gets none, and one without rows in danger those of plain SMOTE.
    """
    rng = np.random.default_rng(seed)
    near = nearest_rows(Z, Z, N_NEIGHBOURS)
    parts = []
    plain: list[int] = []
    single: list[int] = []
    for k, n_wanted in wanted.count(y).items():
        of_class = np.flatnonzero(y == k)
        if not n_wanted:
            continue
        if len(of_class) < 2:
            single.append(k)
            continue
        in_danger = of_class[:0]
        if wanted.method == "borderline-smote2":
            in_danger = find_danger(near, y, k)
            plain += [] if len(in_danger) else [k]
        if len(in_danger):
            base, goal, step = _draw(rng, in_danger, near[in_danger], n_wanted)
            step = np.where(y[goal] == k, step, step / 2)
        else:
            within = of_class[nearest_rows(Z[of_class], Z[of_class], N_NEIGHBOURS)]
            base, goal, step = _draw(rng, of_class, within, n_wanted)
        parts.append(Draws(base, goal, step, np.full(n_wanted, k)))
    none = np.zeros(0, np.int64)
    if not parts:
        return Draws(none, none, np.zeros(0), none, single=tuple(single))
    base, goal, step, classes = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("base", "goal", "step", "y")
    )
    return Draws(base, goal, step, classes, tuple(plain), tuple(single))


def _draw(rng: Any, rows: Ints, near: Ints, n: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Draw pairs of a row, (n_rows,), and one near it, (n_rows, k), and how far to go."""
    pairs = rng.integers(near.size, size=n)
    row, place = np.divmod(pairs, near.shape[1])
    return rows[row], near[row, place], rng.random(n)


def find_danger(near: Ints, y: Ints, k: int) -> Ints:
    """Find the rows of class `k` in danger: half or more of the nearest are foreign, but not all.

    near: (n_rows, n_neighbours), the nearest rows of each.
    """
    n_foreign = (y[near] != k).sum(axis=1)
    most = (2 * n_foreign >= near.shape[1]) & (n_foreign < near.shape[1])
    return np.flatnonzero((y == k) & most)


def nearest_rows(A: Floats, B: Floats, n: int) -> Ints:
    """Give for each row of A the nearest ones of B, itself left out: to (n_rows, n or fewer).

    A and B are the same rows, (n_rows, n_columns). Of rows equally near the first ones count.
    """
    A, B = A.astype(np.float64), B.astype(np.float64)
    squares = np.square(A).sum(axis=1)[:, None] + np.square(B).sum(axis=1)
    distances = squares - 2 * (A @ B.T)
    np.fill_diagonal(distances, np.inf)
    n = min(n, len(B) - 1)
    return np.argsort(distances, axis=1, kind="stable")[:, :n]


def scale_columns(X: Floats) -> NDArray[np.float64]:
    """Bring columns to zero mean and unit variance, so that each counts alike for nearness."""
    deviation = X.std(axis=0, dtype=np.float64)
    Z: NDArray[np.float64] = (X - X.mean(axis=0, dtype=np.float64)) / np.where(
        deviation > 0, deviation, 1.0
    )
    return Z


class ExtendedBatches(Batches):
    """Rows of other batches, and further ones behind them: for each kind (n_further, *shape)."""

    def __init__(self, batches: Batches, n_rows: int, further: list[Features]) -> None:
        self._batches = batches
        self._n_rows = n_rows
        self._further = further

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the features of some rows, which are numbered through."""
        later = rows >= self._n_rows
        read = self._batches.read(rows[~later])
        whole = []
        for part, further in zip(read, self._further, strict=True):
            joined = np.empty((len(rows), *further.shape[1:]), part.dtype)
            joined[~later], joined[later] = part, further[rows[later] - self._n_rows]
            whole.append(joined)
        return whole


def extend_batches(
    wanted: Oversampling, batches: Batches, n_rows: int, learn: Ints, y: Ints, seed: int
) -> tuple[ExtendedBatches, Draws]:
    """Add synthetic rows to those of vectors that are learnt from, (n_learn,) with classes `y`.

    Their numbers begin at `n_rows`. Gives the batches and what was drawn.
    """
    read = list(batches.iterate(learn))
    parts = [np.concatenate(of_kind) for of_kind in zip(*read, strict=True)]
    draws = draw_rows(wanted, scale_columns(side_by_side(parts)), y, seed)
    return ExtendedBatches(batches, n_rows, [draws.apply(part) for part in parts]), draws

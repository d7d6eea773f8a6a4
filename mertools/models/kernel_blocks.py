"""Blocks of a kernel: columns of a kind of feature, how they are standardised and compared.

A block's kernel is an RBF of the mean squared difference of standardised columns, or their mean
product. An RBF says nothing of music beyond the range of training; a product goes on in a straight
line, which is right for few columns whose direction holds for all music.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt

Floats = NDArray[np.floating[Any]]

MOST_DEVIATIONS = 5.0
"""Standardised values are clipped to this: columns that hardly move in training explode on other
music."""
LEAST_RELATIVE_DEVIATION = 1e-5
"""Columns that deviate less, relative to their mean, count as constant."""

SEPARATOR = "."
"""Between a kind and how the columns of its block begin."""


@dataclass(frozen=True)
class Standardisation:
    """How the columns of a kind are brought to one scale: less `mean`, times `scale`."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, X: Floats) -> Standardisation:
        """Fit to rows, (n_rows, n_columns); the scale of a constant column is 0."""
        mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        # Rounding lets a constant column seem to deviate a little.
        moves = deviation > LEAST_RELATIVE_DEVIATION * np.abs(mean)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moves)
        return cls(mean, scale)

    def apply(self, X: Floats) -> NDArray[np.float64]:
        """Bring rows, (n_rows, n_columns), to the scale."""
        Z: NDArray[np.float64] = (X - self.mean) * self.scale
        return np.clip(Z, -MOST_DEVIATIONS, MOST_DEVIATIONS)


@dataclass(frozen=True)
class Block:
    """One part of a kernel: `share` times the kernel of some columns of the kind numbered `kind`.

    `name` is the kind, or the kind and how the names of its columns begin: `musicnn.tags`.
    `columns`, (n,), are their numbers in the kind; None takes all.
    """

    name: str
    kind: int
    share: float
    columns: NDArray[np.int64] | None = None
    is_linear: bool = False

    def columns_of(self, kind: Floats) -> Floats:
        """Take the block's columns from all of its kind: (n, n_columns)."""
        return kind if self.columns is None else kind[:, self.columns]

    def take(
        self, scaled: Sequence[NDArray[np.float64]], features: Sequence[NDArray[Any]]
    ) -> NDArray[np.float64]:
        """Take the block's columns from features as `scale_kinds` gives them: (n, n_columns)."""
        Z = self.columns_of(scaled[self.kind]).astype(np.float64, copy=False)
        if self.is_linear:
            # Kinds that describe notes are all zero where there are none. That is no extreme of a
            # column, from which a straight line could be drawn.
            Z = np.where(flatten(features[self.kind]).any(axis=1, keepdims=True), Z, 0.0)
        return Z

    def n_moving(self, standardisations: Sequence[Standardisation]) -> int:
        """Count the block's columns that are not constant, at least 1."""
        moves = standardisations[self.kind].scale != 0
        return max(1, int(np.count_nonzero(moves if self.columns is None else moves[self.columns])))

    def compare(self, A: Floats, B: Floats, n_moving: int) -> NDArray[np.float64]:
        """Give mean products or mean squared distances of rows: (n, d), (m, d) to (n, m)."""
        compared: NDArray[np.float64]
        if self.is_linear:
            compared = (A.astype(np.float64) @ B.astype(np.float64).T) / n_moving
        else:
            compared = squared_distances(A, B) / n_moving
        return compared

    def kernel(self, compared: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Give the block's part of the kernel from what `compare` gives, of the same shape."""
        part: NDArray[np.float64] = self.share * compared
        if not self.is_linear:
            part = self.share * np.exp(-gamma * compared)
        return part

    def mean_kernel(self, A: Floats, n_moving: int, gamma: float) -> NDArray[np.float64]:
        """Give the mean of the block's kernel over all pairs with each row: (n, d) to (n,).

        It has six digits: float32 takes a third of the time, and a page waits for it.
        """
        if self.is_linear:
            mean_products: NDArray[np.float64] = A.astype(np.float64) @ A.mean(axis=0)
            return self.share * mean_products / n_moving
        A = A.astype(np.float32)
        squares = np.square(A).sum(axis=1)
        K = 2 * (A @ A.T)
        K -= squares[:, None]
        K -= squares
        np.minimum(K, 0, out=K)  # what rounding lifted above it
        K *= np.float32(gamma / n_moving)
        means: NDArray[np.float64] = np.exp(K, out=K).mean(axis=1, dtype=np.float64)
        return self.share * means


def flatten(part: NDArray[Any]) -> Floats:
    """Lay a kind's features, (n, ...), out as columns: (n, n_columns)."""
    flat: Floats = part.reshape(len(part), math.prod(part.shape[1:]))
    return flat


def scale_kinds(
    features: Sequence[NDArray[Any]], standardisations: Sequence[Standardisation]
) -> tuple[NDArray[np.float64], ...]:
    """Standardise the columns of each kind: of (n, ...) to (n, n_columns) each."""
    return tuple(
        standard.apply(flatten(part))
        for part, standard in zip(features, standardisations, strict=True)
    )


def squared_distances(A: Floats, B: Floats) -> NDArray[np.float64]:
    """Give the squared distances of rows: (n, d) and (m, d) to (n, m)."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    squares = np.square(A).sum(axis=1)[:, None] + np.square(B).sum(axis=1)
    # By the binomial formula, a product of matrices; rounding can take it below 0.
    distances: NDArray[np.float64] = squares - 2 * (A @ B.T)
    return np.maximum(distances, 0, out=distances)


def whole_kinds(names: Sequence[str]) -> tuple[Block, ...]:
    """Give each kind a block of all its columns, of equal shares."""
    return tuple(Block(name, number, 1 / len(names)) for number, name in enumerate(names))


def whole_kinds_of(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Give each kind that RBFs look at a block of all its columns, of equal shares."""
    kinds = sorted({block.kind for block in blocks if not block.is_linear})
    return tuple(Block("", kind, 1 / len(kinds)) for kind in kinds)


def describe_blocks(blocks: Sequence[Block]) -> dict[str, Any]:
    """Describe blocks as a card has them: by name, the shares of RBFs and of products."""
    shares = {block.name: block.share for block in blocks if not block.is_linear}
    linear = {block.name: block.share for block in blocks if block.is_linear}
    return {"shares": shares, **({"linear": linear} if linear else {})}


def read_blocks(card: ModelCard, learnt: Learnt) -> tuple[Block, ...]:
    """Read the blocks that a model's card and file describe.

    Raises KeyError, TypeError or ValueError where they describe none.
    """
    shares, linear = dict(card.form["shares"]), dict(card.form.get("linear", {}))
    if len(card.inputs) == 1 and "columns_0" not in learnt and not linear:
        return (Block(card.kinds[0], 0, 1.0),)  # selected columns of all kinds make one kernel
    if not shares:
        raise ValueError("no kind has a share")
    blocks = []
    for number, (name, share) in enumerate([*shares.items(), *linear.items()]):
        columns = learnt.get(f"columns_{number}")
        # A kind's own name may have the separator, too.
        (kind, *_) = (
            n
            for n, known in enumerate(card.kinds)
            if name == known or (columns is not None and name.startswith(known + SEPARATOR))
        )
        if columns is not None and not _are_columns(columns, math.prod(card.inputs[kind].shape)):
            raise ValueError(f"{name} is of columns that are not there")
        blocks.append(Block(name, kind, float(share), columns, number >= len(shares)))
    return tuple(blocks)


def _are_columns(columns: Any, n_columns: int) -> bool:
    columns = np.asarray(columns)
    is_list = columns.ndim == 1 and columns.dtype.kind == "i" and len(columns) > 0
    return is_list and 0 <= columns.min() <= columns.max() < n_columns

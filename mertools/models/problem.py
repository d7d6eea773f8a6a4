"""The rows that an estimator learns from, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.models.kernel_blocks import Block
from mertools.models.registry import Objective, Value
from mertools.targets.scale import Target

Vectors = tuple[NDArray[np.float32], ...]
"""For each kind of feature, (n_rows, n_columns)."""

Point = Mapping[str, Value]
"""Parameters that a search varies, by name."""

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows to learn from, and rows held out."""


@dataclass(frozen=True)
class Problem:
    """Rows to learn from: segments, or tracks as the means of theirs.

    `y`, (n_rows,), are classes from 0 up; `distributions`, (n_rows, n_classes), the annotators'
    shares; `numbers`, (n_rows,), the target mapped to 0..1. Those that the target's scale does not
    have are zeros. `groups`, (n_rows,), tell rows of one track, and `is_copy` those of augmented
    copies. `weights` say how much each row counts. `splits` are inner folds that hold out originals
    only; together they hold out all of them.
    """

    target: Target
    objective: Objective
    features: Vectors
    blocks: tuple[Block, ...]
    y: NDArray[np.int64]
    distributions: NDArray[np.float64]
    numbers: NDArray[np.float64]
    groups: NDArray[np.int64]
    is_copy: NDArray[np.bool_]
    weights: NDArray[np.float64]
    splits: tuple[Split, ...]

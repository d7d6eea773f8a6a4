"""A dense network of any vectors (paper 001, "DNN").

It has 1,041,732 weights with 1,714 columns and four classes, 231,504 with 100 columns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mertools.models.keras_layers import BatchNorm1d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

HIDDEN = (500, 300, 100)
DROPOUT = 0.2
STANDARDISATION = "batch normalisation of each column, learnt with the weights"
FORM = {"linear": list(HIDDEN)}


class VectorBranch(InputBranch):
    """Batch normalisation and three dense layers: n_columns side by side to (n, 100)."""

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.norm = BatchNorm1d(n_columns)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.Sequential(
            *itertools.chain.from_iterable(
                (nn.Linear(i, o), nn.ReLU()) for i, o in itertools.pairwise((n_columns, *HIDDEN))
            )
        )

    def forward(self, *vectors: Tensor) -> Tensor:
        """Embed vectors of several kinds, (n, ...) each."""
        x = torch.cat([vector.flatten(1) for vector in vectors], dim=1)
        embedding: Tensor = self.layers(self.dropout(self.norm(x)))
        return embedding


def count_columns(shapes: Sequence[Sequence[int]]) -> int:
    """Count the columns of vectors side by side."""
    return sum(math.prod(shape) for shape in shapes)


class Dnn(Network):
    """The branch of vectors and the last layer."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int) -> None:
        super().__init__()
        self.vectors = VectorBranch(count_columns(shapes))
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(HIDDEN[-1], n_outputs)
        begin_as_keras(self)


build = Dnn
restore = partial(restore_network, Dnn)

"""The hybrid of papers 001 and 002: a convolutional and a dense network with one head.

The branch of mel spectrograms is that of `choi`, the branch of vectors that of `dnn`. In the papers
each is trained with a last layer of its own first; then the head, of 101,504 weights, is trained on
both. A recipe's tables `[spectrogram]` and `[vectors]` say how, and `freeze` what stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mertools.models import choi, dnn
from mertools.models.keras_layers import BatchNorm1d, begin_as_keras
from mertools.models.network import Network, restore_network

HIDDEN = (200, 100)
FORM = choi.FORM | {"linear": list(HIDDEN)}


class Hybrid(Network):
    """The two branches side by side, batch normalisation and three dense layers."""

    form = FORM

    def __init__(
        self, shapes: Sequence[Sequence[int]], n_outputs: int, fourth_norm: str, dropout: float
    ) -> None:
        super().__init__()
        (n_bands, n_frames), *of_vectors = shapes
        self.spectrogram = choi.SpectrogramBranch(n_bands, n_frames, fourth_norm, dropout)
        self.vectors = dnn.VectorBranch(dnn.count_columns(of_vectors))
        size = choi.HIDDEN + dnn.HIDDEN[-1]
        self.head = nn.Sequential(
            BatchNorm1d(size),
            nn.Linear(size, HIDDEN[0]),
            nn.ReLU(),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(HIDDEN[1], n_outputs)
        begin_as_keras(self)

    def embed(self, *features: Tensor) -> Tensor:
        """Embed mel spectrograms and vectors together: to (n, 100)."""
        S, *vectors = features
        both = torch.cat([self.spectrogram(S), self.vectors(*vectors)], dim=1)
        embedding: Tensor = self.head(both)
        return embedding


build = Hybrid
restore = partial(restore_network, Hybrid)

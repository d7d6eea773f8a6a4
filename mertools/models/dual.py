"""Dual-Stream: a branch of mel spectrograms and one of transcribed notes (paper 000, section 3.3).

The thesis gives no rate for the dropout after the branches are joined: here it is 0.5, as in the
sequence branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mertools.models import layers
from mertools.models.network import Network, restore_network

STANDARDISATION = layers.STANDARDISATION
HIDDEN = 128
DROPOUT = 0.5


class Dual(Network):
    """The spectrogram branch and the sequence branch side by side, and two linear layers."""

    form = layers.SPECTROGRAM_FORM | layers.SEQUENCE_FORM | {"linear": [HIDDEN]}

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, heads: int) -> None:
        super().__init__()
        (n_bands, n_frames), *of_sequences = shapes
        self.spectrogram = layers.SpectrogramBranch(n_bands, n_frames)
        self.sequence = layers.SequenceBranch(layers.n_columns(of_sequences), heads)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(layers.IMAGE_EMBEDDING + layers.SEQUENCE_EMBEDDING, HIDDEN),
            nn.LeakyReLU(),
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)

    def embed(self, *features: Tensor) -> Tensor:
        """Embed mel, onset, contour and note together: to (n, 128)."""
        S, *posteriorgrams = features
        streams = [self.spectrogram(S), self.sequence(*posteriorgrams)]
        embedding: Tensor = self.hidden(torch.cat(streams, dim=1))
        return embedding


build = Dual
restore = partial(restore_network, Dual)

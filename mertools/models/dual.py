"""Dual-Stream, which looks at mel spectrograms and at notes (section 3.3).

The thesis gives no rate for the dropout after the two branches are put together; it is the sequence
branch's here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mertools.models import layers
from mertools.models.network import Network, restore_network

HIDDEN = 128
DROPOUT = 0.5


class Dual(Network):
    """The spectrogram branch and the sequence branch side by side, and two linear layers."""

    form = layers.SPECTROGRAM_FORM | layers.SEQUENCE_FORM | {"linear": [HIDDEN]}

    def __init__(self, shapes: Sequence[Sequence[int]], n_classes: int, heads: int) -> None:
        super().__init__()
        (n_bands, n_frames), *of_sequences = shapes
        self.spectrogram = layers.SpectrogramBranch(n_bands, n_frames)
        self.sequence = layers.SequenceBranch(layers.n_columns(of_sequences), heads)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(layers.IMAGE_EMBEDDING + layers.SEQUENCE_EMBEDDING, HIDDEN),
            nn.LeakyReLU(),
        )
        self.classifier = nn.Linear(HIDDEN, n_classes)

    def forward(self, *features: Tensor) -> Tensor:
        """Give logits: mel, onset, contour, note to (n, n_classes)."""
        S, *posteriorgrams = features
        streams = [self.spectrogram(S), self.sequence(*posteriorgrams)]
        logits: Tensor = self.classifier(self.hidden(torch.cat(streams, dim=1)))
        return logits

    def image_branch(self) -> layers.SpectrogramBranch:
        """Give the part that looks at mel spectrograms."""
        return self.spectrogram


build = Dual
restore = partial(restore_network, Dual)

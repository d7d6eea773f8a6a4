"""The network that looks at mel spectrograms (the thesis' section 3.2.1).

Its printed listing ends in one more LeakyReLU, which is left out here: cross entropy is of logits,
and those below zero would be shrunk for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.models import layers
from mertools.models.network import Network, restore_network

HIDDEN = 256
DROPOUT = (0.5, 0.2)


class Cnn(Network):
    """Four convolution blocks and three linear layers: (n, n_bands, n_frames) to logits."""

    form = layers.SPECTROGRAM_FORM | {"linear": [HIDDEN]}

    def __init__(self, shapes: Sequence[Sequence[int]], n_classes: int) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        self.spectrogram = layers.SpectrogramBranch(n_bands, n_frames)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT[0]), nn.Linear(layers.IMAGE_EMBEDDING, HIDDEN), nn.LeakyReLU()
        )
        self.dropout = nn.Dropout(DROPOUT[1])
        self.classifier = nn.Linear(HIDDEN, n_classes)

    def forward(self, *features: Tensor) -> Tensor:
        """Give logits: mel (n, n_bands, n_frames) to (n, n_classes)."""
        (S,) = features
        logits: Tensor = self.classifier(self.dropout(self.hidden(self.spectrogram(S))))
        return logits

    def image_branch(self) -> layers.SpectrogramBranch:
        """Give the part that looks at mel spectrograms."""
        return self.spectrogram


build = Cnn
restore = partial(restore_network, Cnn)

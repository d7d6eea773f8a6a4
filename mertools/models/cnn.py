"""The convolutional network of mel spectrograms (paper 000, section 3.2.1).

The printed listing ends in one more LeakyReLU. It is left out here, since it would shrink negative
logits before the cross entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from mertools.models import layers
from mertools.models.network import Network, restore_network

STANDARDISATION = layers.STANDARDISATION
HIDDEN = 256
DROPOUT = (0.5, 0.2)


class Cnn(Network):
    """Four convolution blocks and three linear layers: (n, n_bands, n_frames) to logits."""

    form = layers.SPECTROGRAM_FORM | {"linear": [HIDDEN]}

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        self.spectrogram = layers.SpectrogramBranch(n_bands, n_frames)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT[0]),
            nn.Linear(layers.IMAGE_EMBEDDING, HIDDEN),
            nn.LeakyReLU(),
            nn.Dropout(DROPOUT[1]),
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)


build = Cnn
restore = partial(restore_network, Cnn)

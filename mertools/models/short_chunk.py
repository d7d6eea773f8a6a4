"""A residual network of short chunks of a mel spectrogram (paper 001, "ShortChunk").

After M. Won, A. Ferraro, D. Bogdanov and X. Serra, "Evaluation of CNN-based automatic music tagging
models", SMC 2020. A chunk of 59,049 samples at 16 kHz is 116 frames of 128 bands; the network has
12,080,646 weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.models.keras_layers import BatchNorm1d, BatchNorm2d, SameConv2d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

CHANNELS = (128, 128, 256, 256, 256, 256, 512)
STRIDE = 2
DROPOUT = 0.5
FORM = {"channels": list(CHANNELS)}


class ResidualBlock(nn.Module):
    """Two convolutions, the first with a stride of 2, beside a shortcut with the same stride."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            SameConv2d(in_channels, out_channels, STRIDE),
            BatchNorm2d(out_channels),
            nn.ReLU(),
            SameConv2d(out_channels, out_channels),
            BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential(
            SameConv2d(in_channels, out_channels, STRIDE), BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Halve maps: (n, in_channels, h, w) to (n, out_channels, h / 2, w / 2), rounded up."""
        y: Tensor = self.path(x) + self.shortcut(x)
        return y.relu()


class SpectrogramBranch(InputBranch):
    """Seven residual blocks and a dense layer: (n, n_bands, n_frames) to (n, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = BatchNorm2d(1)
        self.blocks = nn.ModuleList(
            itertools.starmap(ResidualBlock, itertools.pairwise((1, *CHANNELS)))
        )
        size = CHANNELS[-1]
        self.embedding = nn.Sequential(nn.Linear(size, size), nn.ReLU(), BatchNorm1d(size))

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        x = self.norm(S.unsqueeze(1))
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.embedding(x.amax(dim=(2, 3)))
        return embedding


class ShortChunk(Network):
    """The spectrogram branch and the last layer."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int) -> None:
        super().__init__()
        ((_n_bands, _n_frames),) = shapes  # any size: what is left of it is pooled
        self.spectrogram = SpectrogramBranch()
        self.hidden = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(CHANNELS[-1], n_outputs)
        begin_as_keras(self)


build = ShortChunk
restore = partial(restore_network, ShortChunk)

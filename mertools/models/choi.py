"""The baseline of papers 001 and 002: four convolutions over a mel spectrogram.

After K. Choi and others, "Convolutional recurrent neural networks for music classification",
ICASSP 2017, and "Transfer learning for music classification and regression tasks", ISMIR 2017.
With 128 bands and 942 frames (30.1 s) it has 621,264 weights, 621,296 with a fourth normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models.keras_layers import BatchNorm2d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

CHANNELS = 16
KERNEL_SIZE = 5
POOLS = ((2, 2), (2, 2), (3, 2), (3, 2))
"""Of each convolution, in frames and bands; what is left over at the end is pooled, too."""
BLOCK_DROPOUT = 0.1
HIDDEN = 300

FORM = {
    "channels": [CHANNELS] * len(POOLS),
    "kernel_size": KERNEL_SIZE,
    "pools": [list(pool) for pool in POOLS],
}


class Convolutions(nn.Module):
    """The convolutions: (n, n_bands, n_frames) to maps (n, 16, frames, bands)."""

    def __init__(self, *, fourth_norm: bool = False) -> None:
        super().__init__()
        n_normed = len(POOLS) if fourth_norm else len(POOLS) - 1
        self.blocks = nn.ModuleList(
            _block(CHANNELS if number else 1, pool, normed=number < n_normed, is_last=number == 3)
            for number, pool in enumerate(POOLS)
        )

    def forward(self, S: Tensor) -> Tensor:
        """Give maps of spectrograms."""
        x = S.transpose(1, 2).unsqueeze(1)  # (n, 1, n_frames, n_bands)
        for block in self.blocks:
            x = block(x)
        return x


def _block(in_channels: int, pool: tuple[int, int], *, normed: bool, is_last: bool) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, CHANNELS, KERNEL_SIZE),
        # The paper has the ReLU before the pooling, which gives the same for more work.
        nn.MaxPool2d(pool, ceil_mode=True),
        nn.ReLU(),
    ]
    if normed:
        layers.append(BatchNorm2d(CHANNELS))
    if not is_last:
        layers.append(nn.Dropout(BLOCK_DROPOUT))
    return nn.Sequential(*layers)


def map_shape(n_bands: int, n_frames: int) -> tuple[int, int]:
    """Give the shape of the last maps, (frames, bands).

    Raises UsageError where a spectrogram is too small for the convolutions.
    """
    frames, bands = n_frames, n_bands
    for over_frames, over_bands in POOLS:
        frames = -(-(frames - KERNEL_SIZE + 1) // over_frames)
        bands = -(-(bands - KERNEL_SIZE + 1) // over_bands)
        if frames < 1 or bands < 1:
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                "is too small an image for four convolutions",
                "give 128 bands and longer segments, or mel.n_frames=0",
            )
    return frames, bands


class SpectrogramBranch(InputBranch):
    """The convolutions and a dense layer: (n, n_bands, n_frames) to (n, 300)."""

    def __init__(self, n_bands: int, n_frames: int, fourth_norm: str, dropout: float) -> None:
        super().__init__()
        frames, bands = map_shape(n_bands, n_frames)
        self.convolutions = Convolutions(fourth_norm=fourth_norm == "yes")
        self.embedding = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(CHANNELS * frames * bands, HIDDEN), nn.ReLU()
        )

    @property
    def blocks(self) -> nn.ModuleList:
        """The convolutions, from the input on."""
        return self.convolutions.blocks

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        embedding: Tensor = self.embedding(self.convolutions(S).flatten(1))
        return embedding


class Choi(Network):
    """The spectrogram branch and the last layer."""

    form = FORM | {"spectrogram_embedding": HIDDEN}

    def __init__(
        self, shapes: Sequence[Sequence[int]], n_outputs: int, fourth_norm: str, dropout: float
    ) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        self.spectrogram = SpectrogramBranch(n_bands, n_frames, fourth_norm, dropout)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(HIDDEN, n_outputs)
        begin_as_keras(self)


build = Choi
restore = partial(restore_network, Choi)

"""A network of artists: what is learnt by telling whose music it is (paper 001, "Artist transfer").

J. Park, J. Lee, J. Park, J.-W. Ha and J. Nam, "Representation learning of music using artist
labels", ISMIR 2018; https://github.com/jongpillee/ismir2018-artist. Its branch has 264,448 weights,
the last layer for four classes 1,028.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from mertools.errors import UsageError
from mertools.models.keras_layers import BatchNorm1d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

N_BANDS = 128
CHANNELS = (128, 128, 128, 128, 256)
KERNEL_SIZES = (4, 4, 4, 2, 1)
POOLS = (4, 4, 4, 2, 1)
LEAST_FRAMES = 128
GAIN = 10.0
MEAN, DEVIATION = 0.22620339, 0.25794547
"""Of log10(1 + 10 x) over the authors' training part, by which their inputs are standardised."""
DROPOUT = 0.5

STANDARDISATION = "the authors' mean and deviation of log10(1 + 10 x)"
FORM = {"channels": list(CHANNELS), "kernel_sizes": list(KERNEL_SIZES), "pools": list(POOLS)}


class Block(nn.Module):
    """A convolution over time, padded as Keras does, and a pooling.

    (n, in_channels, n_frames) to (n, out_channels, n_frames // pool).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, pool: int) -> None:
        super().__init__()
        # Of an odd number of frames one more comes after than before.
        self.border = ((kernel_size - 1) // 2, kernel_size // 2)
        self.convolution = nn.Conv1d(in_channels, out_channels, kernel_size)
        self.norm = BatchNorm1d(out_channels)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise and pool maps."""
        x = self.norm(self.convolution(functional.pad(x, self.border))).relu()
        return functional.max_pool1d(x, self.pool)


class SpectrogramBranch(InputBranch):
    """Five convolutions over time and their mean: (n, 128, n_frames) to (n, 256).

    The input is in decibels, of mel bands of magnitudes above an absolute reference.
    """

    def __init__(self, n_bands: int, n_frames: int) -> None:
        super().__init__()
        if n_bands != N_BANDS or n_frames < LEAST_FRAMES:
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                f"is not of {N_BANDS} bands and at least {LEAST_FRAMES} frames",
                "see docs/comparison.md for the features of artist",
            )
        self.blocks = nn.ModuleList(
            Block(i, o, size, pool)
            for (i, o), size, pool in zip(
                itertools.pairwise((N_BANDS, *CHANNELS)), KERNEL_SIZES, POOLS, strict=True
            )
        )

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        x = (torch.log10(1 + GAIN * 10 ** (S / 10)) - MEAN) / DEVIATION
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=2)


class Artist(Network):
    """The spectrogram branch and the last layer."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        self.spectrogram = SpectrogramBranch(n_bands, n_frames)
        self.hidden = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(CHANNELS[-1], n_outputs)
        begin_as_keras(self)


build = Artist
restore = partial(restore_network, Artist)

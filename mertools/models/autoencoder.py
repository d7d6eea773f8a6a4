"""A convolutional autoencoder of mel spectrograms (paper 001).

After D. Dablain, B. Krawczyk and N. V. Chawla, "DeepSMOTE: fusing deep learning and SMOTE for
imbalanced data", IEEE Transactions on Neural Networks and Learning Systems 34(9), 2023; the paper
leaves out their penalty. It has 948,481 weights; 942 frames of 128 bands become 60,416 numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mertools.models.keras_layers import begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

CHANNELS = (16, 32, 64, 128)
KERNEL_SIZE = 5
STRIDE = 2
SLOPE = 0.2
"""Of LeakyReLU below zero."""
FORM = {"channels": list(CHANNELS), "kernel_size": KERNEL_SIZE}
STANDARDISATION = "each spectrogram to -1..1, by its own midpoint and half-range"


class Encoder(InputBranch):
    """Four convolutions with a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *itertools.chain.from_iterable(
                (nn.Conv2d(i, o, KERNEL_SIZE, STRIDE, KERNEL_SIZE // 2), nn.LeakyReLU(SLOPE))
                for i, o in itertools.pairwise((1, *CHANNELS))
            )
        )

    def forward(self, scaled: Tensor) -> Tensor:
        """Encode (n, n_bands, n_frames): to (n, 128, n_bands / 16, n_frames / 16), rounded up."""
        codes: Tensor = self.layers(scaled.unsqueeze(1))
        return codes


class Autoencoder(Network):
    """An encoder, and four transposed convolutions back.

    It learns to give back its own input, no target: its output is how far it is from that.
    """

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int = 1) -> None:
        super().__init__()
        ((self.n_bands, self.n_frames),) = shapes
        self.spectrogram = Encoder()
        padding = KERNEL_SIZE // 2
        self.decoder = nn.Sequential(
            *itertools.chain.from_iterable(
                (
                    nn.ConvTranspose2d(i, o, KERNEL_SIZE, STRIDE, padding, output_padding=1),
                    nn.LeakyReLU(SLOPE),
                )
                for i, o in itertools.pairwise((CHANNELS[-1], *reversed(CHANNELS)))
            ),
            nn.Conv2d(CHANNELS[0], 1, KERNEL_SIZE, padding=padding),
            nn.Tanh(),
        )
        begin_as_keras(self)

    @property
    def n_outputs(self) -> int:
        """The error alone."""
        return 1

    def encode(self, scaled: Tensor) -> Tensor:
        """Encode spectrograms between -1 and 1, (n, n_bands, n_frames), as `Encoder` does."""
        codes: Tensor = self.spectrogram(scaled)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Decode to spectrograms between -1 and 1: (n, n_bands, n_frames)."""
        # Up to 15 bands and frames more come back than went in.
        whole: Tensor = self.decoder(codes)
        return whole[:, 0, : self.n_bands, : self.n_frames]

    def embed(self, *features: Tensor) -> Tensor:
        """Encode spectrograms in decibels: (n, n_bands, n_frames) to (n, size)."""
        (S,) = features
        return self.encode(scale_by_range(S)).flatten(1)

    def forward(self, *features: Tensor) -> Tensor:
        """Give the root mean square error of each spectrogram's reconstruction: (n, 1)."""
        (S,) = features
        scaled = scale_by_range(S)
        difference = (self.decode(self.encode(scaled)) - scaled).flatten(1)
        # The gradient of a norm of zeros is zero; that of a square root would be no number.
        norm: Tensor = torch.linalg.vector_norm(difference, dim=1, keepdim=True)
        return norm / math.sqrt(difference.shape[1])


def find_range(S: Tensor) -> tuple[Tensor, Tensor]:
    """Find the midpoint and half-range of each spectrogram, (n, n_bands, n_frames): (n, 1, 1) each.

    The half-range of one that is the same throughout is 1.
    """
    low, high = S.amin((1, 2), keepdim=True), S.amax((1, 2), keepdim=True)
    halves = (high - low) / 2
    return (high + low) / 2, torch.where(halves > 0, halves, 1.0)


def scale_by_range(S: Tensor) -> Tensor:
    """Bring spectrograms, (n, n_bands, n_frames), to -1..1, each by its own range."""
    middles, halves = find_range(S)
    return (S - middles) / halves


build = Autoencoder
restore = partial(restore_network, Autoencoder)

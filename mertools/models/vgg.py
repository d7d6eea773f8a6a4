"""The audio tower of paper 004: VGG-like convolutions over mel spectrograms in absolute decibels.

Four variants: M1 has a convolution a block, M2 batch normalisation and dropout, M3 attention over
the 64 features that the tower gives, M4 two convolutions a block and attention over 256 features.
The towers of 128 bands have 1,697,600, 1,699,520, 1,701,648 and 4,868,928 weights, whatever the
number of frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

CHANNELS = (64, 128, 256, 512)
KERNEL_SIZE = 3
POOL = 2
DROPOUT = 0.5
HIDDEN = 256
EMBEDDING = 64
REDUCTION = 4
"""How many times narrower the middle of an attention is than what it weighs."""

RANGE_DB = 80.0
"""How far below the loudest cell of the corpus, or of the track, the floor lies."""
DIGITAL_SILENCE_DB = -99.99
"""Below this, a cell relative to a power of 1 holds nothing (see `features.mel`)."""

ATTENTION: dict[str, str] = {"M1": "none", "M2": "none", "M3": "64", "M4": "256"}
"""Over how many features each variant has attention, unless `attention.at` says otherwise."""

STANDARDISATION = "decibels below the loudest cell of the training part"
FORM = {"channels": list(CHANNELS), "kernel_size": KERNEL_SIZE, "sound_embedding": EMBEDDING}


class CorpusDecibels(nn.Module):
    """Decibels relative to the corpus' loudest cell, from -80 to 0, and mapped to 0..1.

    (n, n_bands, n_frames) to the same. The loudest cell is that of the training part, a buffer that
    is saved with the weights. With `floor` "track" each track is floored 80 dB below its own peak
    and not clipped, as `librosa.power_to_db(S, ref=loudest, top_db=80)` does, and what is digital
    silence is -80 dB: a quiet track's padding is then louder than its music. With `scaling` "none"
    decibels stay as they are.
    """

    loudest: Tensor

    def __init__(self, floor: str, scaling: str) -> None:
        super().__init__()
        self.register_buffer("loudest", torch.zeros(()))
        self.floor = floor
        self.scaling = scaling

    def fit(self, batches: Iterable[NDArray[np.floating[Any]]]) -> None:
        """Find the loudest cell: batches of (n, n_bands, n_frames)."""
        self.loudest.fill_(max(float(S.max()) for S in batches))

    def forward(self, S: Tensor) -> Tensor:
        """Bring spectrograms to one reference."""
        x = S - self.loudest
        if self.floor == "track":
            floored = torch.maximum(x, x.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
            x = torch.where(S < DIGITAL_SILENCE_DB, -RANGE_DB, floored)
        else:
            x = x.clamp(-RANGE_DB, 0)
        return x if self.scaling == "none" else (x + RANGE_DB) / RANGE_DB


class Attention(nn.Module):
    """Weigh features by how much all of them matter: (n, size) to (n, size).

    The excitation of J. Hu and others, "Squeeze-and-excitation networks", CVPR 2018.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Linear(size, size // REDUCTION),
            nn.ReLU(),
            nn.Linear(size // REDUCTION, size),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh features."""
        weighed: Tensor = x * self.weights(x)
        return weighed


class Convolutions(InputBranch):
    """The convolutions: (n, n_bands, n_frames) to the means of 512 maps, (n, 512)."""

    statistics = ("decibels.loudest",)

    def __init__(self, n_bands: int, n_frames: int, variant: str, floor: str, scaling: str) -> None:
        super().__init__()
        n_pools = len(CHANNELS) if variant == "M1" else len(CHANNELS) - 1
        if min(n_bands, n_frames) < POOL**n_pools:
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                f"is too small an image for {n_pools} poolings",
                f"give at least {POOL**n_pools} of each",
            )
        self.decibels = CorpusDecibels(floor, scaling)
        self.blocks = nn.ModuleList(
            _block(i, o, variant, pooled=number < n_pools)
            for number, (i, o) in enumerate(itertools.pairwise((1, *CHANNELS)))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def fit_statistics(self, batches: Iterable[Sequence[NDArray[Any]]]) -> None:
        """Find the loudest cell of the training part."""
        self.decibels.fit(S for (S,) in batches)

    def forward(self, S: Tensor) -> Tensor:
        """Average the last maps."""
        x = self.decibels(S).unsqueeze(1)  # (n, 1, n_bands, n_frames)
        for block in self.blocks:
            x = block(x)
        pooled: Tensor = self.pool(x).flatten(1)
        return pooled


def _block(in_channels: int, out_channels: int, variant: str, *, pooled: bool) -> nn.Module:
    layers: list[nn.Module] = []
    n_convolutions = 2 if variant == "M4" else 1
    for number in range(n_convolutions):
        channels = out_channels if number else in_channels
        layers.append(nn.Conv2d(channels, out_channels, KERNEL_SIZE, padding=KERNEL_SIZE // 2))
        if variant != "M1":
            layers.append(nn.BatchNorm2d(out_channels))
        # The last ReLU after the pooling, which gives the same for a quarter of the work.
        if pooled and number == n_convolutions - 1:
            layers.append(nn.MaxPool2d(POOL))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class SoundBranch(Convolutions):
    """The audio tower: (n, n_bands, n_frames) to (n, 64)."""

    def __init__(self, n_bands: int, n_frames: int, parameters: dict[str, Any]) -> None:
        variant = parameters["variant"]
        super().__init__(n_bands, n_frames, variant, parameters["floor"], parameters["scaling"])
        at = parameters["attention.at"]
        self.head = _head(ATTENTION[variant] if at == "variant" else at, variant)

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        embedding: Tensor = self.head(super().forward(S))
        return embedding


def _head(attention_at: str, variant: str) -> nn.Sequential:
    """Build the layers from 512 to 64 features, with attention over some of them."""
    dropout = 0.0 if variant == "M1" else DROPOUT

    def attention(size: int) -> list[nn.Module]:
        return [Attention(size)] if attention_at == str(size) else []

    return nn.Sequential(
        *attention(CHANNELS[-1]),
        nn.Dropout(dropout),
        nn.Linear(CHANNELS[-1], HIDDEN),
        nn.ReLU(),
        *attention(HIDDEN),
        nn.Dropout(dropout),
        nn.Linear(HIDDEN, EMBEDDING),
        *attention(EMBEDDING),
    )


class Vgg(Network):
    """The audio tower and a linear layer: (n, n_bands, n_frames) to numbers or logits."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, **parameters: Any) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        self.sound = SoundBranch(n_bands, n_frames, parameters)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(EMBEDDING, n_outputs)


build = Vgg
restore = partial(restore_network, Vgg)

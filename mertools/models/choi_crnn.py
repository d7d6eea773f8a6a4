"""The branch of Choi's convolutional recurrent network, `crnn` with `variant=choi`.

K. Choi, G. Fazekas, M. Sandler and K. Cho, "Convolutional recurrent neural networks for music
classification", ICASSP 2017, as MusicTaggerCRNN of
https://github.com/keunwoochoi/music-auto_tagging-keras has it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mertools.errors import UsageError
from mertools.models.keras_layers import BatchNorm1d, BatchNorm2d, ResetFirstGru
from mertools.models.layers import InputBranch

CHANNELS = (64, 128, 128, 128)
POOLS = (2, 3, 4, 4)
HIDDEN = 32
BLOCK_DROPOUT = 0.1
N_BANDS = 96
N_FRAMES = 1366
BORDER = 37
"""Frames of silence, that is of the mean level, before and after a clip: 1,440 in all."""

STANDARDISATION = "zero mean and unit variance of all cells in the training part"


class Level(nn.Module):
    """Zero mean and unit variance of all cells, by the statistics of the training part.

    (n, n_bands, n_frames) to the same. The statistics are buffers, saved with the weights.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, batches: Iterable[NDArray[np.floating[Any]]]) -> None:
        """Fit mean and standard deviation of all cells: batches of (n, n_bands, n_frames)."""
        n, total, squares = 0, 0.0, 0.0
        for S in batches:
            wide = S.astype(np.float64)
            n += wide.size
            total += wide.sum()
            squares += np.square(wide).sum()
        mean = total / n
        deviation = np.sqrt(max(0.0, squares / n - mean**2))
        self.mean.fill_(mean)
        self.scale.fill_(deviation or 1.0)

    def forward(self, S: Tensor) -> Tensor:
        """Standardise spectrograms."""
        return (S - self.mean) / self.scale


class ChoiBranch(InputBranch):
    """Four convolutions and two layers of GRU: (n, 96, 1366) to (n, 32).

    Each frame has a batch normalisation of its own, so that the number of frames is fixed.
    """

    statistics = ("level.mean", "level.scale")

    def __init__(self, n_bands: int, n_frames: int) -> None:
        super().__init__()
        if (n_bands, n_frames) != (N_BANDS, N_FRAMES):
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                f"is not of {N_BANDS} x {N_FRAMES}, which variant=choi looks at",
                "see docs/comparison.md for its features",
            )
        self.level = Level()
        self.norm = BatchNorm1d(N_FRAMES + 2 * BORDER)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1),
                BatchNorm2d(o),
                # The original has the ELU before the pooling, which gives the same for more work.
                nn.MaxPool2d(pool),
                nn.ELU(),
                nn.Dropout(BLOCK_DROPOUT),
            )
            for (i, o), pool in zip(itertools.pairwise((1, *CHANNELS)), POOLS, strict=True)
        )
        self.gru = nn.Sequential(ResetFirstGru(CHANNELS[-1], HIDDEN), ResetFirstGru(HIDDEN, HIDDEN))

    def fit_statistics(self, batches: Iterable[Sequence[NDArray[Any]]]) -> None:
        """Fit the mean level and its deviation."""
        self.level.fit(S for (S,) in batches)

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        x = functional.pad(self.level(S), (BORDER, BORDER))  # (n, 96, 1440)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        for block in self.blocks:
            x = block(x)
        # (n, 128, 1, 15) to a step a frame
        states: Tensor = self.gru(x.flatten(1, 2).transpose(1, 2))
        return states[:, -1]

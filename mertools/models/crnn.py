"""A convolutional recurrent network of mel spectrograms (paper 001, "CRNN").

After M. Won, A. Ferraro, D. Bogdanov and X. Serra, "Evaluation of CNN-based automatic music tagging
models", SMC 2020. With 128 bands and 942 frames (30.1 s) it has 392,582 weights. The other variant
is Choi's (`choi_crnn`), which theirs is after.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models import choi_crnn
from mertools.models.choi_crnn import CHANNELS, HIDDEN, POOLS, ChoiBranch
from mertools.models.keras_layers import BatchNorm2d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

LAYERS = 2
DROPOUT = {"won": 0.5, "choi": 0.3}
STANDARDISATION = {"won": "none", "choi": choi_crnn.STANDARDISATION}
FORM = {"channels": list(CHANNELS), "pools": list(POOLS), "gru_hidden": HIDDEN}


class SpectrogramBranch(InputBranch):
    """Four convolutions and two layers of GRU: (n, n_bands, n_frames) to (n, 32)."""

    def __init__(self, n_bands: int, n_frames: int) -> None:
        super().__init__()
        bands, frames = n_bands, n_frames
        for pool in POOLS:
            bands, frames = bands // pool, frames // pool
        if not bands * frames:
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                "is too small an image for four poolings",
                "give at least 96 of each",
            )
        self.norm = BatchNorm2d(1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1), BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(pool)
            )
            for (i, o), pool in zip(itertools.pairwise((1, *CHANNELS)), POOLS, strict=True)
        )
        self.gru = nn.GRU(CHANNELS[-1] * bands, HIDDEN, LAYERS, batch_first=True)

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        x = self.norm(S.unsqueeze(1))  # (n, 1, n_bands, n_frames)
        for block in self.blocks:
            x = block(x)
        # (n, channels, bands, frames) to a step a frame
        states, _ = self.gru(x.flatten(1, 2).transpose(1, 2))
        last: Tensor = states[:, -1]
        return last


class Crnn(Network):
    """The spectrogram branch and the last layer."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, variant: str) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        branch = ChoiBranch if variant == "choi" else SpectrogramBranch
        self.spectrogram: InputBranch = branch(n_bands, n_frames)
        self.hidden = nn.Dropout(DROPOUT[variant])
        self.classifier = nn.Linear(HIDDEN, n_outputs)
        begin_as_keras(self)


build = Crnn
restore = partial(restore_network, Crnn)

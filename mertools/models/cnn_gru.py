"""Convolutions followed by gated recurrent units over time (paper 001, "CNN + GRU").

The paper's text reads the maps as a sequence; its program gives all of it to the units as one step,
as `gru.steps=1 gru.hidden=2000` does (48,666,939 weights). Here a step is a frame of the maps: 25
of them in 30.1 s (261,051 weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models.choi import CHANNELS, FORM, Convolutions, map_shape
from mertools.models.keras_layers import begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

LAYERS = 2
DROPOUT = (0.4, 0.5)
HIDDEN = (300, 75)


class SequenceOfMaps(InputBranch):
    """The convolutions, two layers of GRU, and their last step: to (n, hidden).

    `steps` divides the maps' frames evenly; 0 is a step a frame. Raises UsageError where it does
    not.
    """

    def __init__(self, n_bands: int, n_frames: int, steps: int, hidden: int) -> None:
        super().__init__()
        frames, bands = map_shape(n_bands, n_frames)
        self.steps = steps or frames
        if frames % self.steps:
            raise UsageError(
                f"gru.steps={steps}", f"does not divide {frames} frames evenly", "give 0 or 1"
            )
        self.convolutions = Convolutions()
        self.dropout = nn.Dropout(DROPOUT[0])
        size = CHANNELS * bands * frames // self.steps
        self.gru = nn.GRU(size, hidden, LAYERS, batch_first=True)

    @property
    def blocks(self) -> nn.ModuleList:
        """The convolutions, from the input on."""
        return self.convolutions.blocks

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms: (n, n_bands, n_frames) to (n, hidden)."""
        maps = self.dropout(self.convolutions(S)).transpose(1, 2)  # (n, frames, 16, bands)
        states, _ = self.gru(maps.reshape(len(maps), self.steps, -1))
        last: Tensor = states[:, -1]
        return last


class CnnGru(Network):
    """The branch and three dense layers."""

    form = FORM | {"linear": list(HIDDEN)}

    # Names of parameters with a dot in them are no names of Python's.
    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, **parameters: Any) -> None:
        super().__init__()
        ((n_bands, n_frames),) = shapes
        hidden = parameters["gru.hidden"]
        self.spectrogram = SequenceOfMaps(n_bands, n_frames, parameters["gru.steps"], hidden)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT[1]),
            nn.Linear(hidden, HIDDEN[0]),
            nn.ReLU(),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(HIDDEN[1], n_outputs)
        begin_as_keras(self)


build = CnnGru
restore = partial(restore_network, CnnGru)

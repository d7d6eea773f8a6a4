"""The recurrent regressor of paper 003: the last state of an LSTM over frames, and dense layers.

The paper has 1,167,745 parameters for frames of 13 columns and 1,403,265 for 128; so has this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from mertools.models import frame_layers
from mertools.models.network import Network, restore_network

STANDARDISATION = frame_layers.STANDARDISATION
UNITS = 512


class LstmBranch(frame_layers.FrameBranch):
    """An LSTM and three dense layers: (n, n_frames, n_columns) to (n, 64)."""

    def __init__(self, n_columns: int, standardise: str) -> None:
        super().__init__(n_columns, standardise)
        self.lstm = nn.LSTM(n_columns, UNITS, batch_first=True)
        self.dense = frame_layers.dense_layers(UNITS)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames by the state after the last of them."""
        _, (state, _) = self.lstm(self.standardised(frames))  # (1, n, 512)
        embedding: Tensor = self.dense(state[-1])
        return embedding


class SeqLstm(Network):
    """The branch of frames and a linear layer: (n, n_frames, n_columns) to numbers or logits."""

    form: ClassVar[Mapping[str, Any]] = {"lstm_hidden": UNITS, "linear": list(frame_layers.DENSE)}

    def __init__(
        self, shapes: Sequence[Sequence[int]], n_outputs: int, standardise: str = "yes"
    ) -> None:
        super().__init__()
        _, n_columns = frame_layers.frame_shape(shapes)
        self.frames = LstmBranch(n_columns, standardise)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(frame_layers.DENSE[-1], n_outputs)
        self.apply(frame_layers.initialise)


build = SeqLstm
restore = partial(restore_network, SeqLstm)

"""The convolutional regressor of paper 003: two convolutions over frames, and dense layers.

The paper gives no number of filters or kernel size. These have 3,994,433 parameters for 323 x 13
frames and 1,635,137 for 15 x 128, where it prints 3,958,344 and 1,599,048: no biased layers have
just these (an even number of filters and one output make the sum odd).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from mertools.models import frame_layers
from mertools.models.network import Network, restore_network

STANDARDISATION = frame_layers.STANDARDISATION
CHANNELS = (32, 128)
KERNEL_SIZE = 3
POOL = 2


class CnnBranch(frame_layers.FrameBranch):
    """Two convolutions and three dense layers: (n, n_frames, n_columns) to (n, 64)."""

    def __init__(self, n_frames: int, n_columns: int, standardise: str) -> None:
        super().__init__(n_columns, standardise)
        n_pooled = (n_frames // POOL**2) * (n_columns // POOL**2)
        self.blocks = nn.Sequential(_block(1, CHANNELS[0]), _block(*CHANNELS))
        self.dense = frame_layers.dense_layers(CHANNELS[-1] * n_pooled)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames."""
        image = self.standardised(frames).unsqueeze(1)  # (n, 1, n_frames, n_columns)
        embedding: Tensor = self.dense(self.blocks(image).flatten(1))
        return embedding


def _block(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, KERNEL_SIZE, padding=KERNEL_SIZE // 2),
        # Pooled before the ReLU: the same numbers, for a quarter of its work.
        nn.MaxPool2d(POOL),
        nn.ReLU(),
    )


class SeqCnn(Network):
    """The branch of frames and a linear layer: (n, n_frames, n_columns) to numbers or logits."""

    form: ClassVar[Mapping[str, Any]] = {
        "channels": list(CHANNELS),
        "kernel_size": KERNEL_SIZE,
        "linear": list(frame_layers.DENSE),
    }

    def __init__(
        self, shapes: Sequence[Sequence[int]], n_outputs: int, standardise: str = "yes"
    ) -> None:
        super().__init__()
        n_frames, n_columns = frame_layers.frame_shape(shapes, least=POOL**2)
        self.frames = CnnBranch(n_frames, n_columns, standardise)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(frame_layers.DENSE[-1], n_outputs)
        self.apply(frame_layers.initialise)


build = SeqCnn
restore = partial(restore_network, SeqCnn)

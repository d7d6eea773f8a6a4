"""A convolutional network of the waveform itself (paper 001, "Sample CNN").

After J. Lee, J. Park, K. L. Kim and J. Nam, "Sample-level deep convolutional neural networks for
music auto-tagging using raw waveforms", SMC 2017. It looks at 59,049 samples (3.69 s at 16 kHz),
which ten steps of three reduce to one, and has 1,846,276 weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models.keras_layers import BatchNorm1d, begin_as_keras
from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network

FIRST = 128
CHANNELS = (128, 128, *(256,) * 6, 512)
STEP = 3
"""Of every kernel, pooling, and the first layer's stride."""
LEAST_SAMPLES = STEP ** (len(CHANNELS) + 1)
DROPOUT = 0.5
FORM = {"channels": [FIRST, *CHANNELS, CHANNELS[-1]]}


class WaveBranch(InputBranch):
    """Eleven convolutions over samples: (n, n_samples) to (n, 512).

    What is left of longer segments is pooled by its maximum. Raises UsageError for shorter ones.
    """

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        if n_samples < LEAST_SAMPLES:
            raise UsageError(
                f"wave of {n_samples} samples",
                "is too short for ten steps of three",
                f"cut segments of {LEAST_SAMPLES:,} samples (--length 3.6905625 at 16,000 Hz)",
            )
        self.first = nn.Sequential(nn.Conv1d(1, FIRST, STEP, STEP), BatchNorm1d(FIRST), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(i, o, STEP, padding=1), BatchNorm1d(o), nn.ReLU(), nn.MaxPool1d(STEP)
            )
            for i, o in itertools.pairwise((FIRST, *CHANNELS))
        )
        size = CHANNELS[-1]
        self.last = nn.Sequential(nn.Conv1d(size, size, 1), BatchNorm1d(size), nn.ReLU())

    def forward(self, y: Tensor) -> Tensor:
        """Embed samples."""
        x = self.first(y.unsqueeze(1))  # (n, 128, n_samples / 3)
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.last(x).amax(dim=2)
        return embedding


class SampleCnn(Network):
    """The branch of samples and the last layer."""

    form = FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int) -> None:
        super().__init__()
        ((n_samples,),) = shapes
        self.wave = WaveBranch(n_samples)
        self.hidden = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(CHANNELS[-1], n_outputs)
        begin_as_keras(self)


build = SampleCnn
restore = partial(restore_network, SampleCnn)

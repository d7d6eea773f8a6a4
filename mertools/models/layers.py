"""The parts that networks are put together from (the thesis' sections 3.2 and 3.3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.errors import UsageError

CHANNELS = (32, 64, 128, 256)
KERNEL_SIZE = 5
POOL = 2
IMAGE_DROPOUT = 0.75
IMAGE_EMBEDDING = 1024

LSTM_HIDDEN = 128
ATTENTION_HIDDEN = 128
SEQUENCE_DROPOUT = 0.5
SEQUENCE_EMBEDDING = 256

SPECTROGRAM_FORM = {
    "channels": list(CHANNELS),
    "kernel_size": KERNEL_SIZE,
    "spectrogram_embedding": IMAGE_EMBEDDING,
}
SEQUENCE_FORM = {
    "lstm_hidden": LSTM_HIDDEN,
    "attention_hidden": ATTENTION_HIDDEN,
    "sequence_embedding": SEQUENCE_EMBEDDING,
}
"""What the branches look like, for a model's card."""


class Standardise(nn.Module):
    """Zero mean and unit variance of each band, by the statistics of the training part.

    (n, n_bands, n_frames) to the same. The statistics are no parameters, but weights of the file.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_bands, 1))
        self.register_buffer("scale", torch.ones(n_bands, 1))

    def set_statistics(self, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
        """Set mean and standard deviation of each band: (n_bands, 1)."""
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, S: Tensor) -> Tensor:
        """Standardise images."""
        return (S - self.mean) / self.scale


class SpectrogramBranch(nn.Module):
    """Four convolution blocks and a linear layer: (n, n_bands, n_frames) to (n, 1024)."""

    def __init__(self, n_bands: int, n_frames: int) -> None:
        super().__init__()
        height, width = (size // POOL ** len(CHANNELS) for size in (n_bands, n_frames))
        if not height * width:
            raise UsageError(
                f"mel of {n_bands} bands x {n_frames} frames",
                "is too small an image for four poolings",
                f"give at least {POOL ** len(CHANNELS)} of each",
            )
        self.standardise = Standardise(n_bands)
        self.blocks = nn.ModuleList(itertools.starmap(_block, itertools.pairwise((1, *CHANNELS))))
        self.embedding = nn.Sequential(
            nn.Dropout(IMAGE_DROPOUT),
            nn.Linear(CHANNELS[-1] * height * width, IMAGE_EMBEDDING),
            nn.LeakyReLU(),
        )

    def forward(self, S: Tensor) -> Tensor:
        """Embed images."""
        x = self.standardise(S).unsqueeze(1)  # (n, 1, n_bands, n_frames)
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.embedding(x.flatten(1))
        return embedding


def _block(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, KERNEL_SIZE, padding=KERNEL_SIZE // 2),
        nn.BatchNorm2d(out_channels),
        # LeakyReLU comes first in the thesis. It grows with its input, so that the largest of four
        # stays the largest: after the pooling it gives the same for a quarter of the work.
        nn.MaxPool2d(POOL),
        nn.LeakyReLU(),
    )


class SelfAttention(nn.Module):
    """Where to look: (n, n_frames, size) to weights (n, heads, n_frames) that add up to 1.

    Z. Lin et al., "A Structured Self-attentive Sentence Embedding", ICLR 2017, equation 6.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, ATTENTION_HIDDEN, bias=False)
        self.heads = nn.Linear(ATTENTION_HIDDEN, heads, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh frames."""
        scores: Tensor = self.heads(torch.tanh(self.hidden(x)))  # (n, n_frames, heads)
        return scores.softmax(dim=1).transpose(1, 2)


class SequenceBranch(nn.Module):
    """A bidirectional LSTM, self-attention and a linear layer: (n, n_frames, size) to (n, 256)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, LSTM_HIDDEN, batch_first=True, bidirectional=True)
        self.attention = SelfAttention(2 * LSTM_HIDDEN, heads)
        self.embedding = nn.Sequential(
            nn.Dropout(SEQUENCE_DROPOUT),
            nn.Linear(2 * LSTM_HIDDEN * heads, SEQUENCE_EMBEDDING),
            nn.LeakyReLU(),
        )

    def forward(self, *posteriorgrams: Tensor) -> Tensor:
        """Embed sequences whose columns lie in several tensors, (n, n_frames, ...) each."""
        x, _ = self.lstm(torch.cat(posteriorgrams, dim=2))  # (n, n_frames, 256)
        weighted = self.attention(x) @ x  # (n, heads, 256)
        embedding: Tensor = self.embedding(weighted.flatten(1))
        return embedding


def n_columns(shapes: Sequence[Sequence[int]]) -> int:
    """Count the columns of sequences of (n_frames, n_columns) side by side."""
    return sum(columns for _, columns in shapes)

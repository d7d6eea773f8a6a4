"""The branches and layers that networks are built from (paper 000, sections 3.2 and 3.3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

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
"""Sizes of the branches, for a model's card."""


STANDARDISATION = "zero mean and unit variance of each mel band in the training part"
TINY_VARIANCE = 1e-12


class InputBranch(nn.Module):
    """A branch of a network: it looks at some kinds of feature and gives an embedding.

    `statistics` are buffers that hold what the input is standardised by; a branch without any takes
    its input as it is.
    """

    statistics: tuple[str, ...] = ()

    def fit_statistics(self, batches: Iterable[Sequence[NDArray[Any]]]) -> None:
        """Fit the input statistics to the branch's features in batches of the training part."""

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Give the weights that are learnt at a rate of their own, as those of a text encoder."""
        return ()

    def finish_loading(self) -> None:
        """Fill what weights from a file leave open, once they are there."""


class Standardise(nn.Module):
    """Zero mean and unit variance of each band, by the statistics of the training part.

    (n, n_bands, n_frames) to the same. The statistics are buffers, saved with the weights.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_bands, 1))
        self.register_buffer("scale", torch.ones(n_bands, 1))

    def fit(self, batches: Iterable[NDArray[np.floating[Any]]]) -> None:
        """Fit mean and standard deviation of each band: batches of (n, n_bands, n_frames)."""
        # Sums of squares in float64: the features need not fit into memory at once.
        n, sums, squares = 0, 0.0, 0.0
        for S in batches:
            wide = S.astype(np.float64)
            n += wide.shape[0] * wide.shape[2]
            sums = sums + wide.sum(axis=(0, 2))
            squares = squares + np.square(wide).sum(axis=(0, 2))
        mean = np.asarray(sums / n)[:, None]
        variance = np.asarray(squares / n)[:, None] - np.square(mean)
        # A band that never changes has nothing to tell, and must not become infinite.
        scale = np.where(variance > TINY_VARIANCE, np.sqrt(np.abs(variance)), 1.0)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, S: Tensor) -> Tensor:
        """Standardise images."""
        return (S - self.mean) / self.scale


class SpectrogramBranch(InputBranch):
    """Four convolution blocks and a linear layer: (n, n_bands, n_frames) to (n, 1024)."""

    statistics = ("standardise.mean", "standardise.scale")

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

    def fit_statistics(self, batches: Iterable[Sequence[NDArray[Any]]]) -> None:
        """Fit the standardisation of the bands."""
        self.standardise.fit(S for (S,) in batches)

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
        # The thesis has LeakyReLU before the pooling. It rises with its input, so the largest of
        # four values stays the largest: after the pooling it gives the same for a quarter of the
        # work.
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


class SequenceBranch(InputBranch):
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
        # Each head gives a sum of frames, weighted by where it looks.
        weighted = self.attention(x) @ x  # (n, heads, 256)
        embedding: Tensor = self.embedding(weighted.flatten(1))
        return embedding


def n_columns(shapes: Sequence[Sequence[int]]) -> int:
    """Count the columns of sequences of (n_frames, n_columns) side by side."""
    return sum(columns for _, columns in shapes)

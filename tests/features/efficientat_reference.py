"""EfficientAT's mn04_as and its front end as its authors write them, with torch's layers."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

ROWS = (
    # Channels in, kernel, expanded, out, squeezes, activation, stride; all of them at width 1.
    (16, 3, 16, 16, False, nn.ReLU, 1),
    (16, 3, 64, 24, False, nn.ReLU, 2),
    (24, 3, 72, 24, False, nn.ReLU, 1),
    (24, 5, 72, 40, True, nn.ReLU, 2),
    (40, 5, 120, 40, True, nn.ReLU, 1),
    (40, 5, 120, 40, True, nn.ReLU, 1),
    (40, 3, 240, 80, False, nn.Hardswish, 2),
    (80, 3, 200, 80, False, nn.Hardswish, 1),
    (80, 3, 184, 80, False, nn.Hardswish, 1),
    (80, 3, 184, 80, False, nn.Hardswish, 1),
    (80, 3, 480, 112, True, nn.Hardswish, 1),
    (112, 3, 672, 112, True, nn.Hardswish, 1),
    (112, 5, 672, 160, True, nn.Hardswish, 2),
    (160, 5, 960, 160, True, nn.Hardswish, 1),
    (160, 5, 960, 160, True, nn.Hardswish, 1),
)
WIDTH = 0.4


def divisible(n: float) -> int:
    """Round to a multiple of 8, but not down by more than a tenth."""
    rounded = max(8, int(n + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * n else rounded


def convolution(
    n_in: int,
    n_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out, eps=0.001),
        *([activation()] if activation else []),
    )


class Squeeze(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n, divisible(n // 4)), nn.Linear(divisible(n // 4), n)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(x.mean(dim=(2, 3))).relu()).sigmoid()[:, :, None, None]


class Concurrent(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([Squeeze(n)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([layer(x) for layer in self.conc_se_layers]).amax(dim=0)


class Inverted(nn.Module):
    def __init__(
        self,
        n_in: int,
        kernel: int,
        n_expanded: int,
        n_out: int,
        squeezes: bool,
        activation: type[nn.Module],
        stride: int,
    ) -> None:
        super().__init__()
        n_in, n, n_out = (divisible(channels * WIDTH) for channels in (n_in, n_expanded, n_out))
        layers: list[nn.Module] = [convolution(n_in, n, activation=activation)] * (n != n_in)
        layers.append(convolution(n, n, kernel, stride, n, activation))
        layers += [Concurrent(n)] * squeezes
        self.block = nn.Sequential(*layers, convolution(n, n_out))
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x if self.is_residual else self.block(x)


class Mn(nn.Module):
    """The spectrogram, (1, 1, 128, n_frames), to the embedding, (1, 384)."""

    def __init__(self) -> None:
        super().__init__()
        first = convolution(1, divisible(16 * WIDTH), 3, 2, activation=nn.Hardswish)
        last = convolution(divisible(160 * WIDTH), 384, activation=nn.Hardswish)
        self.features = nn.Sequential(first, *(Inverted(*row) for row in ROWS), last)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean(dim=(2, 3))


def spectrogram(y: np.ndarray) -> Tensor:
    """`AugmentMelSTFT` in evaluation, and Kaldi's `get_mel_banks`: (128, n_frames)."""
    x = torch.tensor(y, dtype=torch.float32)[None]
    x = nn.functional.conv1d(x[:, None], torch.tensor([[[-0.97, 1.0]]]))[:, 0]
    window = torch.hann_window(800, periodic=False)
    X = torch.stft(x, 1024, 320, 800, window, center=True, return_complex=True)[0]
    edges = np.linspace(0.0, 1127 * math.log(1 + 15000 / 700), 130)
    bins = 1127 * np.log(1 + np.arange(513) * 31.25 / 700)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[0]
    falling = (edges[2:, None] - bins) / np.diff(edges)[0]
    banks = torch.tensor(np.maximum(0, np.minimum(rising, falling)), dtype=torch.float32)
    return ((banks @ (X.real**2 + X.imag**2) + 0.00001).log() + 4.5) / 5

"""S-KEY as a torch module, for accelerators and as the reference of the ONNX model."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from torch import Tensor, nn

from mertools.pretrained.skey import (
    BINS_PER_OCTAVE,
    CLASSIFIER,
    HOP_LENGTH,
    IMAGINARY,
    KERNEL_LENGTH,
    KERNELS,
    LENGTHS,
    LOWEST_MAGNITUDE,
    LOWPASS,
    N_BINS,
    N_HEARD,
    N_OCTAVES,
    NORM,
    NORM_FLOOR,
    RANGE_DB,
    REAL,
    block_name,
    halving_name,
)
from mertools.pretrained.weight_files import Weights


class Skey(nn.Module):
    """Samples at 22,050 Hz, (n_samples,), to the logits of keys, (2, 12): A to G sharp a mode."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name, values in weights.items():
            # torch allows no dots in names.
            self.register_buffer(name.replace(".", "_"), torch.from_numpy(values))
        self.eval().requires_grad_(False)

    def _weight(self, name: str) -> Tensor:
        return self.get_buffer(name.replace(".", "_"))

    def forward(self, samples: Tensor) -> Tensor:
        """Give the logits of the keys of one stretch of sound."""
        x = self._transform(samples)[None, None, :N_HEARD]  # (1, 1, 84, n_frames)
        for index in range(len(KERNELS)):
            halved = F.conv2d(_standardised(x), *self._layer(halving_name(index)), stride=(1, 2))
            x = self._block(F.gelu(halved), block_name(index))
        # Octaves and time are averaged: (1, 3, 12, 1).
        octaves = x.reshape(*x.shape[:2], -1, BINS_PER_OCTAVE, x.shape[3])
        x = octaves.mean(dim=(2, 4))[..., None]
        x = F.conv2d(x, *self._layer(CLASSIFIER))[0, :, :, 0]
        mean, variance = (self._weight(f"{NORM}.running_{part}") for part in ("mean", "var"))
        return (x - mean[:, None]) / torch.sqrt(variance[:, None] + NORM_FLOOR)

    def _transform(self, samples: Tensor) -> Tensor:
        """Give the variable-Q transform in decibels, 80 of them from 0 to 1: (99, n_frames)."""
        y, octaves = samples[None, None], []
        real, imaginary = self._weight(REAL), self._weight(IMAGINARY)
        for octave in range(N_OCTAVES):
            if octave:
                lowpass = self._weight(LOWPASS)
                y = F.conv1d(y, lowpass, stride=2, padding=(lowpass.shape[2] - 1) // 2)
            around = F.pad(y, (KERNEL_LENGTH // 2,) * 2, mode="reflect")
            hop = HOP_LENGTH >> octave
            a, b = (F.conv1d(around, kernel, stride=hop) for kernel in (real, imaginary))
            octaves.append((a.square() + b.square()).sqrt())
        bins = torch.cat(octaves[::-1], dim=1)[0, -N_BINS:]
        bins = bins * self._weight(LENGTHS)[:, None].sqrt()
        bins_db = 10 / math.log(10) * torch.log(bins.clamp(min=LOWEST_MAGNITUDE))
        return torch.maximum(bins_db, bins_db.max() - RANGE_DB) / RANGE_DB + 1

    def _block(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._layer(f"{name}.dwconv")
        around = F.pad(x, (weight.shape[2] // 2,) * 4, mode="replicate")
        convolved = _standardised(F.conv2d(around, weight, bias, groups=len(weight)))
        for part in ("pwconv1", "pwconv2"):
            weight, bias = self._layer(f"{name}.{part}")
            convolved = F.conv2d(convolved, weight[:, :, None, None], bias)
            if part == "pwconv1":
                convolved = F.gelu(convolved)
        return x + self._weight(f"{name}.gamma")[:, None, None] * convolved

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weight(f"{name}.weight"), self._weight(f"{name}.bias")


def _standardised(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[1:], eps=NORM_FLOOR)


def build_module(weights: Weights) -> Skey:
    """Build the module from the weights by name."""
    return Skey(weights)

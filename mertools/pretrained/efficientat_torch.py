"""EfficientAT's mn04_as as a torch module, for accelerators and as reference of the ONNX model."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from torch import Tensor, nn

from mertools.pretrained.efficientat import (
    BLOCKS,
    FIRST,
    LAST,
    Block,
    convolutions,
    fold,
    squeeze_name,
)
from mertools.pretrained.weight_files import Weights


class EfficientAt(nn.Module):
    """Frames of the logarithmic mel spectrogram, (n_frames, 128), to columns, (n_columns, 384).

    A column is the last layer averaged over its bands; the mean of all is the embedding.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.first, self.last = _Convolution(weights, FIRST, 2), _Convolution(weights, LAST)
        self.blocks = nn.Sequential(
            *(_Block(weights, name, block) for name, block in BLOCKS.items())
        )
        self.eval().requires_grad_(False)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed one stretch of sound."""
        x = F.hardswish(self.first(frames.T[None, None]))
        x = F.hardswish(self.last(self.blocks(x)))  # (1, 384, 4, n_columns)
        return x.mean(dim=(0, 2)).T


class _Convolution(nn.Module):
    def __init__(self, weights: Weights, name: str, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        weight, bias = fold(weights, name)
        self.register_buffer("weight", torch.from_numpy(weight))
        self.register_buffer("bias", torch.from_numpy(bias))
        self.settings = {"stride": stride, "groups": groups, "padding": weight.shape[2] // 2}

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.get_buffer("weight"), self.get_buffer("bias"), **self.settings)


class _Block(nn.Module):
    def __init__(self, weights: Weights, name: str, block: Block) -> None:
        super().__init__()
        activation = nn.Hardswish() if block.hard_swish else nn.ReLU()
        *expanding, by_channel, projecting = convolutions(name, block)
        layers: list[nn.Module] = []
        for layer in expanding:
            layers += [_Convolution(weights, layer.name), activation]
        n = block.n_expanded
        layers += [_Convolution(weights, by_channel.name, block.stride, n), activation]
        if block.squeezes:
            layers.append(_Squeeze(weights, squeeze_name(name, block)))
        layers.append(_Convolution(weights, projecting.name))
        self.layers = nn.Sequential(*layers)
        self.is_residual = block.is_residual

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.layers(x)
        return convolved + x if self.is_residual else convolved


class _Squeeze(nn.Module):
    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__()
        for layer in ("fc1", "fc2"):
            for part in ("weight", "bias"):
                values = torch.from_numpy(weights[f"{name}.{layer}.{part}"])
                self.register_buffer(f"{layer}_{part}", values)

    def forward(self, x: Tensor) -> Tensor:
        w = self.get_buffer
        level = F.relu(F.linear(x.mean(dim=(2, 3)), w("fc1_weight"), w("fc1_bias")))
        level = F.linear(level, w("fc2_weight"), w("fc2_bias")).sigmoid()
        return x * level[:, :, None, None]


def build_module(weights: Weights) -> EfficientAt:
    """Build the module from the weights by name."""
    return EfficientAt(weights)

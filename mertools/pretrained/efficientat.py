"""EfficientAT's mn04_as: sizes and names of its weights, for its torch module and ONNX model.

F. Schmid, K. Koutini, G. Widmer, *Efficient Large-Scale Audio Tagging via Transformer-to-CNN
Knowledge Distillation*, ICASSP 2023: a MobileNetV3 of width 0.4, trained to tag AudioSet. The
reference is https://github.com/fschmid56/EfficientAT, `models/mn`, whose names the weights have.
The classifier behind the embedding is left out. No weights come with mertools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.user_network import UserNetwork
from mertools.pretrained.weight_files import Weights

N_BANDS = 128
N_VALUES = 384
FRAMES_PER_COLUMN = 32
"""Five strides of 2 make one column of the last layer of so many frames."""

VARIANCE_FLOOR = 1e-3  # added to a variance before it is divided by its root
SQUEEZE_RATIO = 4
CHANNEL_MULTIPLE = 8


@dataclass(frozen=True)
class Block:
    """An inverted residual: expanded by 1 x 1, convolved by channel, projected by 1 x 1.

    `hard_swish`: the activation, else ReLU. `squeezes`: whether channels are weighted by what they
    are on average (squeeze and excitation).
    """

    n_in: int
    kernel: int
    n_expanded: int
    n_out: int
    squeezes: bool
    hard_swish: bool
    stride: int

    @property
    def expands(self) -> bool:
        """Whether there is a first layer, which a block without expansion lacks."""
        return self.n_expanded != self.n_in

    @property
    def is_residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.n_in == self.n_out

    @property
    def n_squeezed(self) -> int:
        """Units between the two layers of squeeze and excitation: a quarter, to a multiple of 8."""
        quarter = self.n_expanded // SQUEEZE_RATIO
        return (quarter + CHANNEL_MULTIPLE // 2) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE


N_FIRST = 8
FIRST_KERNEL = 3
BLOCKS: Mapping[str, Block] = {
    f"features.{number}.block": Block(*row)
    for number, row in enumerate(
        (
            (8, 3, 8, 8, False, False, 1),
            (8, 3, 24, 16, False, False, 2),
            (16, 3, 32, 16, False, False, 1),
            (16, 5, 32, 16, True, False, 2),
            (16, 5, 48, 16, True, False, 1),
            (16, 5, 48, 16, True, False, 1),
            (16, 3, 96, 32, False, True, 2),
            (32, 3, 80, 32, False, True, 1),
            (32, 3, 72, 32, False, True, 1),
            (32, 3, 72, 32, False, True, 1),
            (32, 3, 192, 48, True, True, 1),
            (48, 3, 272, 48, True, True, 1),
            (48, 5, 272, 64, True, True, 2),
            (64, 5, 384, 64, True, True, 1),
            (64, 5, 384, 64, True, True, 1),
        ),
        start=1,
    )
}
"""MobileNetV3-Large with the channels of width 0.4."""

FIRST, LAST = "features.0", f"features.{len(BLOCKS) + 1}"
SQUEEZE = "conc_se_layers.0"


@dataclass(frozen=True)
class Convolution:
    """A convolution with its normalisation: where it stands in the state, and its shape."""

    name: str
    shape: tuple[int, int, int, int]


def convolutions(name: str, block: Block) -> list[Convolution]:
    """List a block's convolutions in order: to expand where it does, by channel, to project."""
    n = block.n_expanded
    shapes = [(n, block.n_in, 1, 1)] if block.expands else []
    shapes += [(n, 1, block.kernel, block.kernel), (block.n_out, n, 1, 1)]
    numbers = [*range(len(shapes) - 1), len(shapes) - 1 + block.squeezes]
    return [
        Convolution(f"{name}.{number}", shape)
        for number, shape in zip(numbers, shapes, strict=True)
    ]


def squeeze_name(name: str, block: Block) -> str:
    """Name the layers of a block's squeeze and excitation, which stands before the last layer."""
    return f"{name}.{1 + block.expands}.{SQUEEZE}"


def _all_convolutions() -> Iterator[Convolution]:
    yield Convolution(FIRST, (N_FIRST, 1, FIRST_KERNEL, FIRST_KERNEL))
    for name, block in BLOCKS.items():
        yield from convolutions(name, block)
    yield Convolution(LAST, (N_VALUES, block.n_out, 1, 1))


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in _all_convolutions():
        shapes[f"{layer.name}.0.weight"] = layer.shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{layer.name}.1.{part}"] = layer.shape[:1]
    for name, block in BLOCKS.items():
        if block.squeezes:
            sizes = {"fc1": (block.n_squeezed, block.n_expanded)}
            sizes["fc2"] = (block.n_expanded, block.n_squeezed)
            for layer_name, (n_out, n_in) in sizes.items():
                prefix = f"{squeeze_name(name, block)}.{layer_name}"
                shapes[f"{prefix}.weight"] = (n_out, n_in)
                shapes[f"{prefix}.bias"] = (n_out,)
    return shapes


NETWORK = UserNetwork("efficientat", _shapes())
"""Of the weights that the embedding needs: 525,968 numbers."""


def fold(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give a convolution's weight and bias with its normalisation folded in."""
    norm = {
        part: weights[f"{name}.1.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] / np.sqrt(norm["running_var"] + VARIANCE_FLOOR)
    weight = weights[f"{name}.0.weight"] * scale[:, None, None, None]
    bias = norm["bias"] - norm["running_mean"] * scale
    return weight.astype(np.float32), bias.astype(np.float32)

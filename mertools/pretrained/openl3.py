"""OpenL3 of music on 256 mel bands: sizes and names of its weights.

A. L. Cramer, H.-H. Wu, J. Salamon and J. P. Bello, *Look, Listen and Learn More: Design Choices for
Deep Audio Embeddings*, ICASSP 2019; https://github.com/marl/openl3, models.py. It was trained to
tell which sound belongs to which picture of music videos. No weights come with mertools.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.keras_file import NORM_EPSILON, Layer
from mertools.pretrained.user_network import UserNetwork
from mertools.pretrained.weight_files import Weights

NAME = "openl3"

N_BANDS = 256
N_FRAMES = 199
N_VALUES = 512

CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
"""Of the input and after each of the eight convolutions."""
KERNEL_SIZE = 3
POOLED_AFTER = (1, 3, 5)
"""The convolutions, from 0, after which a 2 x 2 pooling comes; after the last all is pooled."""
LAST = len(CHANNELS) - 2

LAYERS = (
    Layer("input", "batch normalisation"),
    *(
        Layer(f"{name}.{k}", form)
        for k in range(LAST)
        for name, form in (("convolution", "convolution"), ("norm", "batch normalisation"))
    ),
    Layer(f"convolution.{LAST}", "convolution"),
)
"""The layers of the authors' file, in its order."""

_NORM = ("weight", "bias", "running_mean", "running_var")


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"input.{part}": (1,) for part in _NORM}
    for k, (n_in, n_out) in enumerate(itertools.pairwise(CHANNELS)):
        shapes[f"convolution.{k}.weight"] = (n_out, n_in, KERNEL_SIZE, KERNEL_SIZE)
        shapes[f"convolution.{k}.bias"] = (n_out,)
        if k != LAST:
            shapes |= {f"norm.{k}.{part}": (n_out,) for part in _NORM}
    return shapes


SHAPES: Mapping[str, tuple[int, ...]] = _shapes()
"""The shape of each weight: 4,689,860 numbers."""

NETWORK = UserNetwork(NAME, SHAPES)


def fold_norms(weights: Weights) -> Weights:
    """Fold each batch normalisation into the convolution before it.

    Gives `convolution.K.weight` and `.bias`, and `input.scale` and `.offset`, (1,) each: borders
    are zeros after the first normalisation, so that it stays on its own.
    """
    scale, offset = _scale_and_offset(weights, "input")
    folded: dict[str, NDArray[np.float64]] = {"input.scale": scale, "input.offset": offset}
    for k in range(LAST + 1):
        weight, bias = (
            weights[f"convolution.{k}.{part}"].astype(np.float64) for part in ("weight", "bias")
        )
        if k != LAST:
            scale, offset = _scale_and_offset(weights, f"norm.{k}")
            weight, bias = weight * scale[:, None, None, None], bias * scale + offset
        folded |= {f"convolution.{k}.weight": weight, f"convolution.{k}.bias": bias}
    return {name: np.asarray(array, np.float32) for name, array in folded.items()}


def _scale_and_offset(
    weights: Weights, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    gamma, beta, mean, variance = (weights[f"{name}.{part}"].astype(np.float64) for part in _NORM)
    scale = gamma / np.sqrt(variance + NORM_EPSILON)
    return scale, beta - mean * scale

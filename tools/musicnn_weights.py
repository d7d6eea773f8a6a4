"""The weights of MusiCNN, from the checkpoint in the musicnn package, as torch and ONNX take them.

`input_scale` and `input_offset` are numbers. `front_0` to `front_4` have `_weight`, (n, 1,
n_frames, n_bands), and `_bias`, and together `front_lowest` and `front_highest`, between which
the highest of their outputs are held, `front_scale` and `front_offset`, (64, 1). `middle_0` to
`middle_2` have `_weight`, (64, 64, 7), and `_bias`; `_scale` and `_offset`, (64, 1).
`penultimate` has `_weight`, from 212 maxima and 212 means to 200, `_bias`, `_scale` and
`_offset`, and `tags` has `_weight`, from these to 50, and `_bias`.

Normalisations are a scale and an offset here. In the front end the reference normalises first and
takes the highest of all bands then; here the highest is taken first, of an array a thirtieth to a
hundredth as large after it. Where a scale is negative the filter's sign is turned for that, and
what was at least 0 is at most 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.musicnn import (
    LIVE_CHANNELS,
    LIVE_FRONT,
    N_FRONT,
    N_FRONT_CHANNELS,
    N_MIDDLE,
    N_MIDDLE_CHANNELS,
)
from mertools.pretrained.weight_files import Weights
from tools.packages import Package
from tools.tensor_bundle import read_variables

INDEX, DATA = ".index", ".data-00000-of-00001"
PACKAGE = Package(
    "musicnn==0.1.0",
    "MSD_musicnn",
    {
        INDEX: "1e94972503a64d453f5b21198eafab45",
        DATA: "6a766b4beb1b0b0b391c22eeae3c6513",
    },
    "ISC",
)

VARIANCE_FLOOR = 1e-3  # what TensorFlow adds to a variance before it divides by its root


def fold(files: Mapping[str, bytes]) -> Weights:
    """Give the weights from the package's files by name.

    Layers have the names that TensorFlow counts out to them.
    """
    variables = read_variables(files[INDEX], files[DATA])
    weights: dict[str, NDArray[np.float64]] = {}
    weights["input_scale"], weights["input_offset"] = _normalisation(variables, 0)
    constants = np.zeros(N_FRONT_CHANNELS + N_MIDDLE * N_MIDDLE_CHANNELS)
    constants[:N_FRONT_CHANNELS] = _fold_front(variables, weights)
    for index in range(N_MIDDLE):
        kernel, bias = _layer(variables, "conv2d", N_FRONT + index)
        kernel = kernel[:, :, 0]  # (7, n_in, n_out)
        scale, offset = _normalisation(variables, N_FRONT + index + 1)
        if index == 0:
            bias = bias + constants[:N_FRONT_CHANNELS] @ kernel.sum(axis=0)
            kernel = kernel[:, LIVE_FRONT]
            constants[N_FRONT_CHANNELS:][:N_MIDDLE_CHANNELS] = offset
        weights[f"middle_{index}_weight"] = kernel.transpose(2, 1, 0)
        weights[f"middle_{index}_bias"] = bias
        weights[f"middle_{index}_scale"] = scale[:, None]
        weights[f"middle_{index}_offset"] = offset[:, None]
    constants[list(LIVE_CHANNELS)] = 0
    _fold_dense(variables, constants, weights)
    return {name: np.ascontiguousarray(w, np.float32) for name, w in weights.items()}


def _fold_front(variables: Weights, weights: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Fold the front end into `weights`; give what channels that are not live are, (561,)."""
    joined: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    constants = []
    first = 0
    for index in range(N_FRONT):
        kernel, bias = _layer(variables, "conv2d", index)
        scale, offset = _normalisation(variables, index + 1)
        constants.append(scale * np.maximum(bias, 0) + offset)
        live = [channel - first for channel in LIVE_FRONT if 0 <= channel - first < len(bias)]
        first += len(bias)
        kernel, bias, scale, offset = kernel[..., live], bias[live], scale[live], offset[live]
        sign = np.where(scale < 0, -1, 1)
        weights[f"front_{index}_weight"] = (kernel * sign).transpose(3, 2, 0, 1)
        weights[f"front_{index}_bias"] = bias * sign
        joined["lowest"].append(np.where(scale < 0, -np.inf, 0))
        joined["highest"].append(np.where(scale < 0, 0, np.inf))
        joined["scale"].append(np.abs(scale))
        joined["offset"].append(offset)
    for name, values in joined.items():
        weights[f"front_{name}"] = np.concatenate(values)[:, None]
    of_all: NDArray[np.float64] = np.concatenate(constants)
    of_all[list(LIVE_FRONT)] = 0
    return of_all


def _fold_dense(
    variables: Weights, constants: NDArray[np.float64], weights: dict[str, NDArray[np.float64]]
) -> None:
    """Fold the dense layers into `weights`."""
    scale, offset = _normalisation(variables, N_FRONT + N_MIDDLE + 1)
    kernel, bias = _layer(variables, "dense", 0)
    bias = bias + offset @ kernel
    kernel = scale[:, None] * kernel
    # The reference has maximum and mean of each channel side by side.
    of_max, of_mean = kernel[0::2], kernel[1::2]
    live = list(LIVE_CHANNELS)
    weights["penultimate_weight"] = np.concatenate([of_max[live], of_mean[live]])
    weights["penultimate_bias"] = bias + constants @ (of_max + of_mean)
    weights["penultimate_scale"], weights["penultimate_offset"] = _normalisation(
        variables, N_FRONT + N_MIDDLE + 2
    )
    weights["tags_weight"], weights["tags_bias"] = _layer(variables, "dense", 1)


def _layer(
    variables: Weights, kind: str, index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    name = _name(kind, index)
    kernel, bias = (
        variables[f"{name}/{variable}"].astype(np.float64) for variable in ("kernel", "bias")
    )
    return kernel, bias


def _normalisation(
    variables: Weights, index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the scale and the offset that a normalisation comes to."""
    name = _name("batch_normalization", index)
    gamma, beta, mean, variance = (
        variables[f"{name}/{variable}"].astype(np.float64)
        for variable in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + VARIANCE_FLOOR)
    return scale, beta - scale * mean


def _name(kind: str, index: int) -> str:
    return f"{kind}_{index}" if index else kind

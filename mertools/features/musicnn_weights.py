"""The weights of MusiCNN, from the checkpoint in the musicnn package, as torch and ONNX take them.

J. Pons and X. Serra, *musicnn: pre-trained convolutional neural networks for music audio tagging*,
ISMIR 2019 late-breaking session. The reference is `MSD_musicnn` of musicnn 0.1.0, whose `models.py`
TensorFlow ran.

Normalisations are a scale and an offset here. In the front end the reference normalises first and
takes the highest of all bands then; here the highest is taken first, of an array a thirtieth to a
hundredth as large after it. Where a scale is negative the filter's sign is turned for that, and
what was at least 0 is at most 0.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import digest_file
from mertools.errors import UsageError
from mertools.features.tensor_bundle import read_variables

Weights = Mapping[str, NDArray[np.float32]]

PACKAGE = "musicnn==0.1.0"
FOLDER = "MSD_musicnn"
INDEX, DATA = ".index", ".data-00000-of-00001"
DIGESTS = {
    INDEX: "1e94972503a64d453f5b21198eafab45",
    DATA: "6a766b4beb1b0b0b391c22eeae3c6513",
}

PATCH_FRAMES = 187
N_BANDS = 96

N_FRONT = 5
"""Convolutions side by side: two over time and frequency (timbral), three over time (temporal)."""
N_MIDDLE = 3
"""Convolutions over time, one after the other."""

VARIANCE_FLOOR = 1e-3  # what TensorFlow adds to a variance before it divides by its root


def load_weights() -> Weights:
    """Load the weights from the installed musicnn package, without importing that.

    `input_scale` and `input_offset` are numbers. `front_0` to `front_4` have `_weight`, (n, 1,
    n_frames, n_bands), and `_bias`, and together `front_lowest` and `front_highest`, between which
    the highest of their outputs are held, `front_scale` and `front_offset`, (561, 1). `middle_0` to
    `middle_2` have `_weight`, (n_out, n_in, 7), and `_bias`; `_scale` and `_offset`, (n_out, 1).
    `penultimate` has `_weight`, from 753 maxima and 753 means to 200, `_bias`, `_scale` and
    `_offset`, and `tags` has `_weight`, from these to 50, and `_bias`.

    Raises UsageError where the package is not there or not the one that this program knows.
    """
    folder = find_checkpoint()
    content = [(folder / name).read_bytes() for name in (INDEX, DATA)]
    return _fold(read_variables(*content))


def padding(n_frames: int) -> tuple[int, int]:
    """Tell how many zeros a filter of some frames has before and after its input, as TensorFlow."""
    return (n_frames - 1) // 2, n_frames // 2


def find_checkpoint() -> Path:
    """Find the folder of the checkpoint in the installed musicnn package, without importing that.

    Raises UsageError where it is not there or not the one that this program knows.
    """
    spec = importlib.util.find_spec("musicnn")
    folders = spec.submodule_search_locations if spec is not None else None
    folder = Path(folders[0]) / FOLDER if folders else None
    remedy = f"pip install --no-deps {PACKAGE}"
    if folder is None or not all((folder / name).is_file() for name in DIGESTS):
        raise UsageError("musicnn", "is not installed, and its network is needed", remedy)
    for name, digest in DIGESTS.items():
        if digest_file(folder / name) != digest:
            raise UsageError(folder / name, f"is not that of {PACKAGE}", remedy)
    return folder


def _fold(variables: Weights) -> Weights:
    """Fold the checkpoint's variables; layers have the names that TensorFlow counts out to them."""
    weights: dict[str, NDArray[np.float64]] = {}
    weights["input_scale"], weights["input_offset"] = _normalisation(variables, 0)
    front: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for place in range(N_FRONT):
        kernel, bias = _layer(variables, "conv2d", place)
        scale, offset = _normalisation(variables, place + 1)
        sign = np.where(scale < 0, -1, 1)
        weights[f"front_{place}_weight"] = (kernel * sign).transpose(3, 2, 0, 1)
        weights[f"front_{place}_bias"] = bias * sign
        front["lowest"].append(np.where(scale < 0, -np.inf, 0))
        front["highest"].append(np.where(scale < 0, 0, np.inf))
        front["scale"].append(np.abs(scale))
        front["offset"].append(offset)
    for name, parts in front.items():
        weights[f"front_{name}"] = np.concatenate(parts)[:, None]
    for place in range(N_MIDDLE):
        kernel, bias = _layer(variables, "conv2d", N_FRONT + place)
        scale, offset = _normalisation(variables, N_FRONT + place + 1)
        weights[f"middle_{place}_weight"] = kernel[:, :, 0].transpose(2, 1, 0)
        weights[f"middle_{place}_bias"] = bias
        weights[f"middle_{place}_scale"] = scale[:, None]
        weights[f"middle_{place}_offset"] = offset[:, None]
    scale, offset = _normalisation(variables, N_FRONT + N_MIDDLE + 1)
    kernel, bias = _layer(variables, "dense", 0)
    # The reference has maximum and mean of each channel side by side.
    weight = scale[:, None] * kernel
    weights["penultimate_weight"] = np.concatenate([weight[0::2], weight[1::2]])
    weights["penultimate_bias"] = bias + offset @ kernel
    weights["penultimate_scale"], weights["penultimate_offset"] = _normalisation(
        variables, N_FRONT + N_MIDDLE + 2
    )
    weights["tags_weight"], weights["tags_bias"] = _layer(variables, "dense", 1)
    return {name: np.ascontiguousarray(w, np.float32) for name, w in weights.items()}


def _layer(
    variables: Weights, kind: str, place: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    name = _name(kind, place)
    kernel, bias = (variables[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    return kernel, bias


def _normalisation(
    variables: Weights, place: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the scale and the offset that a normalisation comes to."""
    name = _name("batch_normalization", place)
    gamma, beta, mean, variance = (
        variables[f"{name}/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + VARIANCE_FLOOR)
    return scale, beta - scale * mean


def _name(kind: str, place: int) -> str:
    return f"{kind}_{place}" if place else kind

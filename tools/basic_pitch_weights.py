"""The weights of Basic Pitch, from the basic-pitch package, as torch and ONNX take them.

`cqt_kernels` are (72, 256), cosines and then sines; `lengths`, (309, 1), what the power of each
bin is multiplied with; `lowpass`, (32, 318), filters that give neighbouring samples at half the
rate; `scale` and `offset`, (1,), normalise decibels. Each of `CONVOLUTIONS` has `_weight`,
(n_out, n_in, n_frames, n_bins), and `_bias`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.basic_pitch import DECIMATED_AT_ONCE, KERNEL_SAMPLES
from mertools.pretrained.weight_files import Weights
from tools.onnx_weights import read_weights
from tools.packages import Package

MODEL_FILE = "nmp.onnx"
PACKAGE = Package(
    "basic-pitch==0.4.0",
    "saved_models/icassp_2022",
    {MODEL_FILE: "d7f5f53349ff3ef7737a69cc02efe76f"},
    "Apache-2.0",
)

CONVOLUTIONS: Mapping[str, tuple[str, str]] = {
    "contour_stack": ("const_fold_opt__727", "model_1/conv2d_1/Conv2D"),
    "contour": ("const_fold_opt__710", "model_1/contours-reduced/BiasAdd/ReadVariableOp"),
    "note_stack": ("const_fold_opt__738", "model_1/conv2d_2/BiasAdd/ReadVariableOp"),
    "note": ("const_fold_opt__702", "model_1/conv2d_3/BiasAdd/ReadVariableOp"),
    "onset_stack": ("const_fold_opt__707", "model_1/conv2d_4/Conv2D"),
    "onset": ("const_fold_opt__680", "model_1/conv2d_5/BiasAdd/ReadVariableOp"),
}
"""What the package's ONNX model calls the weight and the bias of each convolution."""


def fold(files: Mapping[str, bytes]) -> Weights:
    """Give the weights from the package's files by name."""
    constants = read_weights(files[MODEL_FILE])
    named = {name.rsplit(";")[-1]: values for name, values in constants.items()}
    kernels = [named[f"const_fold_opt__{n}"].reshape(-1, KERNEL_SAMPLES) for n in (664, 655)]
    norm = "model_1/batch_normalization/FusedBatchNormV3"
    weights = {
        "cqt_kernels": np.concatenate(kernels),
        "lengths": named["model_1/cq_t2010v2_1/Sqrt"].reshape(-1, 1) ** 2,
        "lowpass": _repeated(named["const_fold_opt__734"].ravel()),
        "scale": named[norm],
        "offset": named[f"{norm}1"],
    }
    for name, (weight, bias) in CONVOLUTIONS.items():
        weights[f"{name}_weight"], weights[f"{name}_bias"] = named[weight], named[bias]
    return weights


def _repeated(lowpass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make filters that give neighbouring samples at half the rate: row i is 2 i taps late."""
    late = range(DECIMATED_AT_ONCE)
    return np.stack([np.pad(lowpass, (2 * i, 2 * (DECIMATED_AT_ONCE - 1 - i))) for i in late])

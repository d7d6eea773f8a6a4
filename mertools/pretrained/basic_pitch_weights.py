"""The weights of Basic Pitch, from the basic-pitch package, as torch and ONNX take them.

R. Bittner and others, *A lightweight instrument-agnostic model for polyphonic note transcription
and multipitch estimation*, ICASSP 2022. The reference is the ONNX model in basic-pitch 0.4.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.onnx_weights import read_weights
from mertools.pretrained.packages import find_files

Weights = Mapping[str, NDArray[np.float32]]

PACKAGE = "basic-pitch==0.4.0"
FOLDER = "saved_models/icassp_2022"
MODEL_FILE = "nmp.onnx"
MODEL_DIGEST = "d7f5f53349ff3ef7737a69cc02efe76f"

WINDOW_SAMPLES = 43844
HOP_SAMPLES = 256
WINDOW_FRAMES = 172

N_NOTES = 88
N_CONTOUR_BINS = 264  # three a semitone
N_BINS = 309  # of the constant-Q transform; the lowest octave has only its upper 21
N_OCTAVES = 9
BINS_PER_OCTAVE = 36
HARMONIC_SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
"""Bins from a pitch to half of it, to itself, and to two to seven times it."""

KERNEL_SAMPLES = 256
DECIMATED_AT_ONCE = 32
CONTOUR_BINS_AT_ONCE = 44

LEAST_POWER = 1e-10
BELS_PER_NEPER = 0.4342944622039795

CONVOLUTIONS: Mapping[str, tuple[str, str]] = {
    "contour_stack": ("const_fold_opt__727", "model_1/conv2d_1/Conv2D"),
    "contour": ("const_fold_opt__710", "model_1/contours-reduced/BiasAdd/ReadVariableOp"),
    "note_stack": ("const_fold_opt__738", "model_1/conv2d_2/BiasAdd/ReadVariableOp"),
    "note": ("const_fold_opt__702", "model_1/conv2d_3/BiasAdd/ReadVariableOp"),
    "onset_stack": ("const_fold_opt__707", "model_1/conv2d_4/Conv2D"),
    "onset": ("const_fold_opt__680", "model_1/conv2d_5/BiasAdd/ReadVariableOp"),
}
"""What the package's ONNX model calls the weight and the bias of each convolution."""


def load_weights() -> Weights:
    """Load the weights from the installed basic-pitch package, without importing that.

    `cqt_kernels` are (72, 256), cosines and then sines; `lengths`, (309, 1), what the power of each
    bin is multiplied with; `lowpass`, (32, 318), filters that give neighbouring samples at half the
    rate; `scale` and `offset`, (1,), normalise decibels. Each of `CONVOLUTIONS` has `_weight`,
    (n_out, n_in, n_frames, n_bins), and `_bias`.

    Raises UsageError where the package is not there or not the one that this program knows.
    """
    content = find_model().read_bytes()
    named = {name.rsplit(";")[-1]: values for name, values in read_weights(content).items()}
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


def find_model() -> Path:
    """Find the model in the installed basic-pitch package, without importing that.

    Raises UsageError where it is not there or not the one that this program knows.
    """
    return find_files(PACKAGE, FOLDER, {MODEL_FILE: MODEL_DIGEST}) / MODEL_FILE


def cut_harmonics(
    weight: NDArray[np.float32],
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Cut a convolution of stacked harmonics into products with bands of the spectrogram.

    Yields the band's first bin, its end and a matrix, (n_bins, n_frames, 44, n_out): bin and frame
    of the spectrogram, bin and channel of the result, whose next 44 bins it makes.
    """
    matrix = _unfold_harmonics(weight)
    for first in range(0, N_CONTOUR_BINS, CONTOUR_BINS_AT_ONCE):
        block = matrix[:, :, first : first + CONTOUR_BINS_AT_ONCE]
        used = np.flatnonzero(block.any(axis=(1, 2, 3)))
        begin, end = int(used[0]), int(used[-1]) + 1
        yield begin, end, block[begin:end]


def _unfold_harmonics(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make the matrix of a convolution of stacked harmonics, which is zero beyond a band.

    Returns (309, n_frames, 264, n_out), as `cut_harmonics` has them.
    """
    n_out, _, n_frames, n_taps = weight.shape
    matrix = np.zeros((N_BINS, n_frames, N_CONTOUR_BINS, n_out), np.float32)
    made = np.arange(N_CONTOUR_BINS)
    for (harmonic, shift), tap in product(enumerate(HARMONIC_SHIFTS), range(n_taps)):
        stacked = made + tap - n_taps // 2
        read = stacked + shift
        inside = (stacked >= 0) & (stacked < N_CONTOUR_BINS) & (read >= 0) & (read < N_BINS)
        matrix[read[inside], :, made[inside]] += weight[:, harmonic, :, tap].T
    return matrix


def _repeated(lowpass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make filters that give neighbouring samples at half the rate: row i is 2 i taps late."""
    late = range(DECIMATED_AT_ONCE)
    return np.stack([np.pad(lowpass, (2 * i, 2 * (DECIMATED_AT_ONCE - 1 - i))) for i in late])

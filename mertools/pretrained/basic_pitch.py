"""What Basic Pitch's torch module and ONNX model have in common: sizes, and cut-up weights.

R. Bittner and others, *A lightweight instrument-agnostic model for polyphonic note transcription
and multipitch estimation*, ICASSP 2022. The reference is the ONNX model in basic-pitch 0.4.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

WEIGHTS = "basic_pitch"
"""Names the file of its weights."""

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


def cut_harmonics(
    weight: NDArray[np.float32],
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Cut a convolution of stacked harmonics into products with bands of the spectrogram.

    Yields (begin, end, matrix) for every 44 bins of the result, from the lowest. They depend on the
    spectrogram's bins from `begin` to `end` only; the matrix is (end - begin, n_frames, 44, n_out).
    """
    matrix = _unfold_harmonics(weight)
    for first in range(0, N_CONTOUR_BINS, CONTOUR_BINS_AT_ONCE):
        block = matrix[:, :, first : first + CONTOUR_BINS_AT_ONCE]
        # Harmonics reach only some bins; the others are zero and need not be multiplied.
        used = np.flatnonzero(block.any(axis=(1, 2, 3)))
        begin, end = int(used[0]), int(used[-1]) + 1
        yield begin, end, block[begin:end]


def _unfold_harmonics(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Build the matrix of a convolution of stacked harmonics, which is zero beyond a band.

    Returns (309, n_frames, 264, n_out), as `cut_harmonics` has them.
    """
    n_out, _, n_frames, n_taps = weight.shape
    matrix = np.zeros((N_BINS, n_frames, N_CONTOUR_BINS, n_out), np.float32)
    bins = np.arange(N_CONTOUR_BINS)
    for (harmonic, shift), tap in product(enumerate(HARMONIC_SHIFTS), range(n_taps)):
        stacked = bins + tap - n_taps // 2
        read = stacked + shift
        inside = (stacked >= 0) & (stacked < N_CONTOUR_BINS) & (read >= 0) & (read < N_BINS)
        matrix[read[inside], :, bins[inside]] += weight[:, harmonic, :, tap].T
    return matrix

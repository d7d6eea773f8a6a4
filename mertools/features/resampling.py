"""A segment's samples as networks take them: numbers in [-1, 1) at a rate of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 2.0**15  # of 16-bit PCM


def samples_at(y: NDArray[np.int16], sample_rate: int, wanted_rate: int) -> NDArray[np.float64]:
    """Give mono samples, (n_samples,), at `sample_rate` as fractions of full scale at another."""
    if sample_rate == wanted_rate:
        return y / FULL_SCALE
    import soxr

    resampled: NDArray[np.float64] = soxr.resample(y / FULL_SCALE, sample_rate, wanted_rate)
    return resampled

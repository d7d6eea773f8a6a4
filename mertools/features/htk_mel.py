"""Mel filters as HTK, Kaldi and AudioSet's networks have them: triangles in mel, of height 1.

S. Young and others, *The HTK Book*, section 5.4. `mel` has Slaney's instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BREAK_HZ = 700.0
FACTOR = 1127.0


def htk_mel_filters(
    sample_rate: int, n_fft: int, n_bands: int, lowest_hz: float, highest_hz: float
) -> NDArray[np.float64]:
    """Give filters evenly spaced in mel between two frequencies: (n_fft // 2 + 1, n_bands)."""
    bins_hz = np.arange(n_fft // 2 + 1, dtype=np.float64) * sample_rate / n_fft
    bins_mel = _hz_to_mel(bins_hz)[:, None]
    lowest, highest = _hz_to_mel(np.array([lowest_hz, highest_hz], np.float64))
    edges = np.linspace(lowest, highest, n_bands + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins_mel - low) / (centre - low), (high - bins_mel) / (high - centre)
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = FACTOR * np.log(1.0 + hz / BREAK_HZ)
    return mel

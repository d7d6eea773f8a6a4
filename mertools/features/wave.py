"""The samples of a segment themselves, for networks that learn their own filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.features.params import check_least

FULL_SCALE = 2.0**15  # of 16-bit PCM


@dataclass(frozen=True, slots=True)
class WaveParams:
    """At which `sample_rate`, in Hz, samples are taken. Raises UsageError for none."""

    sample_rate: int = 16000

    def __post_init__(self) -> None:
        check_least("wave", self, sample_rate=1)


def wave(y: NDArray[np.int16], params: WaveParams) -> NDArray[np.float32]:
    """Give the samples in [-1, 1), their level kept: (n_samples,) to the same."""
    return y.astype(np.float32) / np.float32(FULL_SCALE)

"""S-KEY's key and mode of a segment, from weights that a user brings.

The reference is `key_detection.py` of https://github.com/deezer/skey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.params import check_least
from mertools.features.resampling import samples_at
from mertools.pretrained.skey import HOP_LENGTH, LEAST_FRAMES, NETWORK
from mertools.runtime.devices import CPU

SAMPLE_RATE = 22050
LEAST_SAMPLES = (LEAST_FRAMES - 1) * HOP_LENGTH
"""For one column after seven blocks that halve the time: 2.95 s."""

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FIRST_TONICS = {"major": "A", "minor": "B"}
"""Of a mode's twelve logits; whatever the network learnt without labels had to be named later."""

KEYS = tuple(f"{tonic}_{mode}" for mode in FIRST_TONICS for tonic in TONICS)
COLUMN_NAMES = (*KEYS, "minor_logit")


@dataclass(frozen=True, slots=True)
class SkeyParams:
    """Which sound and weights: sound at `sample_rate` in Hz, resampled to 22,050 Hz.

    `weights` begins the digest of the weights' file. Raises UsageError for values that have no
    meaning.
    """

    sample_rate: int = SAMPLE_RATE
    weights: str = ""

    def __post_init__(self) -> None:
        check_least("skey", self, sample_rate=1)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that is not filled up: 2.95 s."""
        return math.ceil(LEAST_SAMPLES * self.sample_rate / SAMPLE_RATE)


def feature(excerpt: Excerpt, params: SkeyParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the posteriors of the 24 keys of an excerpt, and the logit of minor: (25,).

    The logit is ln(P(minor) / P(major)). Sound is scaled to a peak of 1, so the level counts
    nothing. Raises UsageError where there are no weights or others than `params` names.
    """
    y = samples_at(excerpt.y, params.sample_rate, SAMPLE_RATE)
    if len(y) < LEAST_SAMPLES:
        y = np.pad(y, (0, LEAST_SAMPLES - len(y)))
    if peak := np.abs(y).max():
        y = y / peak
    logits = NETWORK.run(y.astype(np.float32), params.weights, device)
    return _posteriors(logits)


def _posteriors(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits, (2, 12), into what `feature` gives."""
    by_tonic = [
        np.roll(row, TONICS.index(first))
        for row, first in zip(logits.astype(np.float64), FIRST_TONICS.values(), strict=True)
    ]
    modes = np.logaddexp.reduce(by_tonic, axis=1)
    posteriors = np.exp(np.concatenate(by_tonic) - np.logaddexp.reduce(modes))
    return np.append(posteriors, modes[1] - modes[0]).astype(np.float32)

"""EfficientAT's embedding of sound, 384 numbers, from weights that a user brings.

The front end is that of the authors' `models/preprocess.py` in evaluation (fschmid56/EfficientAT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.htk_mel import htk_mel_filters
from mertools.features.params import check_least
from mertools.features.resampling import samples_at
from mertools.pretrained.efficientat import FRAMES_PER_COLUMN, N_BANDS, N_VALUES, NETWORK
from mertools.runtime.devices import CPU

SAMPLE_RATE = 32000
EMPHASIS = 0.97
WINDOW = 800
HOP_LENGTH = 320
N_FFT = 1024
LOWEST_HZ, HIGHEST_HZ = 0.0, 15000.0
LOG_OFFSET = 1e-5
SHIFT, SPREAD = 4.5, 5.0
"""The logarithm is made (x + 4.5) / 5."""

BLOCK_FRAMES = 256  # computed at once: few enough to stay in the processor's cache

CLIP_FRAMES = 1000
"""10 s, as AudioSet's clips are, which the network learnt from."""

FRAME_COLUMNS = 3
PATCH_FRAMES = FRAME_COLUMNS * FRAMES_PER_COLUMN
"""Three columns of the last layer are 0.96 s, as far as VGGish's patches are apart."""

STRETCH_FRAMES = CLIP_FRAMES // PATCH_FRAMES * PATCH_FRAMES
"""9.6 s, the whole patches of a clip."""

COLUMN_NAMES = tuple(f"efficientat_{number}" for number in range(1, N_VALUES + 1))


@dataclass(frozen=True, slots=True)
class EfficientAtParams:
    """Which sound and weights: sound at `sample_rate` in Hz, resampled to 32 kHz.

    `weights` begins the digest of the weights' file. Raises UsageError for values that have no
    meaning.
    """

    sample_rate: int = SAMPLE_RATE
    weights: str = ""

    def __post_init__(self) -> None:
        check_least("efficientat", self, sample_rate=1)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that is not filled up: 0.96 s."""
        return math.ceil(PATCH_FRAMES * HOP_LENGTH * self.sample_rate / SAMPLE_RATE)


def feature(excerpt: Excerpt, params: EfficientAtParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the embedding of an excerpt, the mean of its clips' of 10 s: (384,).

    Clips are spaced evenly from the start to the end, as few as hear all of it. Raises UsageError
    where there are no weights or others than `params` names.
    """
    S = _spectrogram(excerpt, params)
    n_clips = max(1, math.ceil(len(S) / CLIP_FRAMES))
    starts = np.linspace(0, max(0, len(S) - CLIP_FRAMES), n_clips).round().astype(int)
    columns = [
        NETWORK.run(S[start : start + CLIP_FRAMES], params.weights, device) for start in starts
    ]
    embedding: NDArray[np.float32] = np.mean([part.mean(axis=0) for part in columns], axis=0)
    return embedding


def frames(excerpt: Excerpt, params: EfficientAtParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the embedding over time, a row for each whole 0.96 s of an excerpt: (n, 384).

    The network hears stretches of 9.6 s at once; a row is the mean of three columns of its last
    layer. Raises UsageError where there are no weights or others than `params` names.
    """
    S = _spectrogram(excerpt, params)
    S = S[: len(S) // PATCH_FRAMES * PATCH_FRAMES]
    columns = [
        NETWORK.run(S[start : start + STRETCH_FRAMES], params.weights, device)
        for start in range(0, len(S), STRETCH_FRAMES)
    ]
    patches = np.concatenate(columns).reshape(-1, FRAME_COLUMNS, N_VALUES)
    embedding: NDArray[np.float32] = patches.mean(axis=1)
    return embedding


def _spectrogram(excerpt: Excerpt, params: EfficientAtParams) -> NDArray[np.float32]:
    def compute() -> NDArray[np.float32]:
        y = samples_at(excerpt.y, params.sample_rate, SAMPLE_RATE)
        return log_mel_spectrogram(y)

    return excerpt.once((log_mel_spectrogram, params.sample_rate), compute)


def log_mel_spectrogram(y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute the mel bands' logarithmic powers of samples at 32 kHz: (n_samples // 320, 128).

    Frames are centred, with the sound mirrored at its ends; a signal that is shorter than 0.96 s
    is filled up with silence.
    """
    least = PATCH_FRAMES * HOP_LENGTH
    if len(y) < least:
        y = np.pad(y, (0, least - len(y)))
    emphasised = y[1:] - EMPHASIS * y[:-1]
    around = np.pad(emphasised, N_FFT // 2, mode="reflect")
    # The window lies in the middle of the transform's length, so the outer samples count nothing.
    margin = (N_FFT - WINDOW) // 2
    windows = sliding_window_view(around[margin : len(around) - margin], WINDOW)[::HOP_LENGTH]
    # With both ends at zero, unlike the usual one.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    S = np.empty((len(windows), N_BANDS), np.float32)
    for start in range(0, len(windows), BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        power = np.abs(np.fft.rfft(windows[block] * hann, N_FFT)) ** 2
        S[block] = (np.log(power @ mel_filters() + LOG_OFFSET) + SHIFT) / SPREAD
    return S


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """Give the bands' filters, (513, 128)."""
    return htk_mel_filters(SAMPLE_RATE, N_FFT, N_BANDS, LOWEST_HZ, HIGHEST_HZ)

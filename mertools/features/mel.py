"""Mel spectrograms in decibels, as librosa computes them, and resized in time, as Pillow does it.

The fast engine needs numpy alone, which saves librosa's import and compilation. The reference, and
the second engine, is librosa 0.11, `power_to_db(feature.melspectrogram(...), ref=np.max)`; the mel
scale is that of M. Slaney's *Auditory Toolbox*, version 2 (Interval Research, technical report
1998-010).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.features.params import added_later, check_least, check_range_of_decibels

FULL_SCALE = 2.0**15  # of 16-bit PCM
LOWEST_POWER = 1e-10

MAX, ABSOLUTE = "max", "absolute"
"""What 0 dB is: the loudest cell of the spectrogram, or a power of 1."""

# The mel scale: linear up to 1 kHz, then logarithmic.
HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27

BLOCK_SAMPLES = 2**17  # in the frames computed at once: few enough to stay in the cache
BANDS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class MelParams:
    """How a mel spectrogram is computed: rates in Hz, lengths in samples.

    `top_db` is how far below the loudest cell the floor lies; 0 means none but that of a power of
    1e-10. `n_frames` is the width to which the spectrogram is resized in time; 0 keeps its own
    frames, one a hop. `reference` is what 0 dB is: "max", the loudest cell, or "absolute", a power
    of 1. Raises UsageError for values that have no meaning.
    """

    sample_rate: int = 8000
    n_fft: int = 400
    hop_length: int = 400
    n_mels: int = 128
    top_db: float = 80.0
    n_frames: int = 51
    reference: str = added_later(MAX)

    def __post_init__(self) -> None:
        check_least("mel", self, sample_rate=1, n_fft=2, hop_length=1, n_mels=1, n_frames=0)
        check_range_of_decibels("mel", self.top_db)
        if self.reference not in (MAX, ABSOLUTE):
            raise UsageError(
                "mel.reference",
                f"{self.reference!r} is no reference",
                f"choose from {MAX}, {ABSOLUTE}",
            )


def mel(y: NDArray[np.int16], params: MelParams) -> NDArray[np.float32]:
    """Compute the mel spectrogram in decibels, resized to `params.n_frames` frames.

    `y` is a mono signal, shape (n_samples,), of any length. Returns shape (n_mels, n_frames).
    Resized by Pillow's bilinear filter, which averages where it shrinks.
    """
    return _resized(mel_spectrogram_db(y, params), params)


def mel_reference(y: NDArray[np.int16], params: MelParams) -> NDArray[np.float32]:
    """Compute what `mel` does with librosa itself, resized as there."""
    import librosa

    S = mel_spectrogram_reference(
        y, params.sample_rate, params.n_fft, params.hop_length, params.n_mels
    )
    ref = np.max if params.reference == MAX else 1.0
    S_db = librosa.power_to_db(S, ref=ref, amin=LOWEST_POWER, top_db=params.top_db or None)
    return _resized(S_db.astype(np.float32), params)


def mel_spectrogram_reference(
    y: NDArray[np.int16], sample_rate: int, n_fft: int, hop_length: int, n_mels: int
) -> NDArray[np.float64]:
    """Compute what `mel_spectrogram` does with librosa itself."""
    import librosa

    with warnings.catch_warnings():
        # It warns of signals shorter than a window and of filters between two bins: both are meant.
        warnings.simplefilter("ignore", UserWarning)
        S: NDArray[np.float64] = librosa.feature.melspectrogram(
            # In float64: single precision moves cells near the floor by more than 1e-4 dB.
            y=(y if len(y) else np.zeros(1)) / FULL_SCALE,
            sr=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            dtype=np.float64,
        )
    return S


def _resized(spectrogram: NDArray[np.float32], params: MelParams) -> NDArray[np.float32]:
    if params.n_frames == 0:
        return spectrogram
    from PIL import Image

    size = (params.n_frames, params.n_mels)
    return np.array(Image.fromarray(spectrogram).resize(size, Image.Resampling.BILINEAR))


def mel_spectrogram_db(y: NDArray[np.int16], params: MelParams) -> NDArray[np.float32]:
    """Compute the mel spectrogram in decibels relative to `params.reference`.

    `y` is a mono signal, shape (n_samples,), of any length; an empty one is taken as one sample of
    silence. A frame is centred on every hop, under a periodic Hann window, with zeros beyond the
    ends. Returns shape (n_mels, 1 + n_samples // hop_length) for an even `n_fft`. Relative to the
    loudest cell values are from -top_db to 0, and silence is 0 everywhere, as in librosa; silence
    is -100 where the reference is absolute.
    """
    S = mel_spectrogram(y, params.sample_rate, params.n_fft, params.hop_length, params.n_mels)
    np.maximum(S, LOWEST_POWER, out=S)
    if params.reference == MAX:
        S /= S.max()
    np.log10(S, out=S)
    S *= 10
    if params.top_db == 0:
        return S
    loudest_db = 0.0 if params.reference == MAX else S.max()
    return np.maximum(S, loudest_db - params.top_db, out=S)


def mel_spectrogram(
    y: NDArray[np.int16] | NDArray[np.float32],
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
) -> NDArray[np.float32]:
    """Compute the mel spectrogram: the power of `y` scaled to [-1, 1) from 16 bit.

    The signal and the frames are as `mel_spectrogram_db` has them. Returns shape (n_mels,
    1 + n_samples // hop_length) for an even `n_fft`.
    """
    y = y if len(y) else np.zeros(1, np.int16)
    frames = sliding_window_view(np.pad(y, n_fft // 2), n_fft)[::hop_length]
    window = _hann(n_fft) / FULL_SCALE
    groups = _filter_groups(sample_rate, n_fft, n_mels)
    S = np.empty((n_mels, len(frames)), np.float32)
    n_at_once = max(1, BLOCK_SAMPLES // n_fft)
    for start in range(0, len(frames), n_at_once):
        block = slice(start, start + n_at_once)
        # In float64: single precision moves cells near the floor by more than 1e-4 dB.
        spectrum = np.fft.rfft(frames[block] * window)
        power = (spectrum.real**2 + spectrum.imag**2).T
        for bands, bins, filters in groups:
            S[bands, block] = filters @ power[bins]
    return S


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> NDArray[np.float64]:
    """Triangular filters of equal area, evenly spaced in mel from 0 Hz to half the sample rate.

    Returns shape (n_mels, n_fft // 2 + 1). A filter that falls between two bins is zero.
    """
    bins_hz = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    highest_mel = _hz_to_mel(sample_rate / 2)
    edges_mel = np.linspace(0.0, highest_mel, n_mels + 2, dtype=np.float64)
    edges_hz = _mel_to_hz(edges_mel)[:, None]
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return filters


@lru_cache(maxsize=8)
def _filter_groups(
    sample_rate: int, n_fft: int, n_mels: int
) -> list[tuple[slice, slice, NDArray[np.float64]]]:
    """Cut the mel filters into groups: the bands, the bins they reach, and the filters there.

    Most of the whole matrix is zero: in groups there is a quarter as much to multiply.
    """
    filters = mel_filters(sample_rate, n_fft, n_mels)
    groups = []
    for first in range(0, n_mels, BANDS_AT_ONCE):
        bands = slice(first, first + BANDS_AT_ONCE)
        reached = np.flatnonzero(filters[bands].any(axis=0))
        bins = slice(reached[0], reached[-1] + 1) if len(reached) else slice(0, 0)
        groups.append((bands, bins, np.ascontiguousarray(filters[bands, bins])))
    return groups


def _hz_to_mel(hz: float) -> float:
    return hz / HZ_PER_MEL if hz < BREAK_HZ else BREAK_MEL + math.log(hz / BREAK_HZ) / LOG_STEP


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = BREAK_HZ * np.exp(LOG_STEP * (mels - BREAK_MEL))
    return np.where(mels < BREAK_MEL, mels * HZ_PER_MEL, logarithmic)


@lru_cache(maxsize=8)
def _hann(n: int) -> NDArray[np.float64]:
    """Periodic Hann window."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return window

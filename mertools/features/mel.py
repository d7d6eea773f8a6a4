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

SLANEY, HTK = "slaney", "htk"
"""Mel bands: of Slaney's scale with filters of equal area, or of HTK's with filters of height 1."""

# The mel scale: linear up to 1 kHz, then logarithmic.
HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27

# HTK's: S. Young and others, The HTK Book, section 5.4.
HTK_FACTOR = 2595.0
HTK_BREAK_HZ = 700.0

BLOCK_SAMPLES = 2**17  # in the frames computed at once: few enough to stay in the cache
BANDS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class MelParams:
    """How a mel spectrogram is computed: rates in Hz, lengths in samples.

    `top_db` is how far below the loudest cell the floor lies; 0 means none but that of a power of
    1e-10. `n_frames` is the width to which the spectrogram is resized in time; 0 keeps its own
    frames, one a hop. `reference` is what 0 dB is: "max", the loudest cell, or "absolute", a power
    of 1. `bands` are "slaney", as librosa has them, or "htk", as torchaudio does. `power` is the
    exponent of the magnitudes that bands add up: 2, their power, or 1. Raises UsageError for values
    that have no meaning.
    """

    sample_rate: int = 8000
    n_fft: int = 400
    hop_length: int = 400
    n_mels: int = 128
    top_db: float = 80.0
    n_frames: int = 51
    reference: str = added_later(MAX)
    bands: str = added_later(SLANEY)
    power: int = added_later(2)

    def __post_init__(self) -> None:
        check_least("mel", self, sample_rate=1, n_fft=2, hop_length=1, n_mels=1, n_frames=0)
        check_range_of_decibels("mel", self.top_db)
        for name, choices in {
            "reference": (MAX, ABSOLUTE),
            "bands": (SLANEY, HTK),
            "power": (1, 2),
        }.items():
            if (value := getattr(self, name)) not in choices:
                raise UsageError(
                    f"mel.{name}",
                    f"{value!r} is no {name}",
                    f"choose from {', '.join(map(str, choices))}",
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
        y,
        params.sample_rate,
        params.n_fft,
        params.hop_length,
        params.n_mels,
        params.bands,
        params.power,
    )
    ref = np.max if params.reference == MAX else 1.0
    S_db = librosa.power_to_db(S, ref=ref, amin=LOWEST_POWER, top_db=params.top_db or None)
    return _resized(S_db.astype(np.float32), params)


def mel_spectrogram_reference(
    y: NDArray[np.int16],
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    bands: str = SLANEY,
    power: int = 2,
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
            htk=bands == HTK,
            norm=None if bands == HTK else "slaney",
            power=power,
            dtype=np.float64,
        )
    return S


def _resized(spectrogram: NDArray[np.float32], params: MelParams) -> NDArray[np.float32]:
    if params.n_frames == 0:
        return spectrogram
    from PIL import Image

    size = (params.n_frames, params.n_mels)
    return np.array(Image.fromarray(spectrogram).resize(size, Image.Resampling.BILINEAR))


def mel_spectrogram_db(
    y: NDArray[np.int16] | NDArray[np.float32], params: MelParams
) -> NDArray[np.float32]:
    """Compute the mel spectrogram in decibels relative to `params.reference`.

    `y` is a mono signal scaled as 16 bit, shape (n_samples,), of any length; an empty one is taken
    as one sample of silence. A frame is centred on every hop, under a periodic Hann window, with
    zeros beyond the ends. Returns shape (n_mels, 1 + n_samples // hop_length) for an even `n_fft`.
    Relative to the loudest cell values are from -top_db to 0, and silence is 0 everywhere, as in
    librosa; silence is -100 where the reference is absolute.
    """
    S = mel_spectrogram(
        y,
        params.sample_rate,
        params.n_fft,
        params.hop_length,
        params.n_mels,
        params.bands,
        params.power,
    )
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
    bands: str = SLANEY,
    power: int = 2,
) -> NDArray[np.float32]:
    """Compute the mel spectrogram: the power of `y` scaled to [-1, 1) from 16 bit.

    With a `power` of 1 it is of magnitudes. The signal and the frames are as `mel_spectrogram_db`
    has them. Returns shape (n_mels, 1 + n_samples // hop_length) for an even `n_fft`.
    """
    y = y if len(y) else np.zeros(1, np.int16)
    frames = sliding_window_view(np.pad(y, n_fft // 2), n_fft)[::hop_length]
    window = _hann(n_fft) / FULL_SCALE
    groups = _filter_groups(sample_rate, n_fft, n_mels, bands)
    S = np.empty((n_mels, len(frames)), np.float32)
    n_at_once = max(1, BLOCK_SAMPLES // n_fft)
    for start in range(0, len(frames), n_at_once):
        block = slice(start, start + n_at_once)
        # In float64: single precision moves cells near the floor by more than 1e-4 dB.
        spectrum = np.fft.rfft(frames[block] * window)
        levels = (spectrum.real**2 + spectrum.imag**2).T
        if power == 1:
            np.sqrt(levels, out=levels)
        for some, bins, filters in groups:
            S[some, block] = filters @ levels[bins]
    return S


def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, bands: str = SLANEY
) -> NDArray[np.float64]:
    """Triangular filters, evenly spaced in mel from 0 Hz to half the sample rate.

    Those of Slaney's scale are of equal area, those of HTK's of height 1. Returns shape (n_mels,
    n_fft // 2 + 1). A filter that falls between two bins is zero.
    """
    bins_hz = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    to_mel, to_hz = (_htk_mel, _htk_hz) if bands == HTK else (_hz_to_mel, _mel_to_hz)
    edges_mel = np.linspace(0.0, to_mel(sample_rate / 2), n_mels + 2, dtype=np.float64)
    edges_hz = to_hz(edges_mel)[:, None]
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    if bands == SLANEY:
        # In this order: another one would change the last bit of known features.
        filters = filters * 2 / (high - low)
    return filters


@lru_cache(maxsize=8)
def _filter_groups(
    sample_rate: int, n_fft: int, n_mels: int, bands: str
) -> list[tuple[slice, slice, NDArray[np.float64]]]:
    """Cut the mel filters into groups: the bands, the bins they reach, and the filters there.

    Most of the whole matrix is zero: in groups there is a quarter as much to multiply.
    """
    filters = mel_filters(sample_rate, n_fft, n_mels, bands)
    groups = []
    for first in range(0, n_mels, BANDS_AT_ONCE):
        some = slice(first, first + BANDS_AT_ONCE)
        reached = np.flatnonzero(filters[some].any(axis=0))
        bins = slice(reached[0], reached[-1] + 1) if len(reached) else slice(0, 0)
        groups.append((some, bins, np.ascontiguousarray(filters[some, bins])))
    return groups


def _hz_to_mel(hz: float) -> float:
    return hz / HZ_PER_MEL if hz < BREAK_HZ else BREAK_MEL + math.log(hz / BREAK_HZ) / LOG_STEP


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = BREAK_HZ * np.exp(LOG_STEP * (mels - BREAK_MEL))
    return np.where(mels < BREAK_MEL, mels * HZ_PER_MEL, logarithmic)


def _htk_mel(hz: float) -> float:
    return HTK_FACTOR * math.log10(1 + hz / HTK_BREAK_HZ)


def _htk_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    hz: NDArray[np.float64] = HTK_BREAK_HZ * (10 ** (mels / HTK_FACTOR) - 1)
    return hz


@lru_cache(maxsize=8)
def _hann(n: int) -> NDArray[np.float64]:
    """Periodic Hann window."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return window

"""The phase vocoder: sound at another tempo and the same pitch.

J. L. Flanagan, R. M. Golden, "Phase vocoder", Bell System Technical Journal 45, 1966. The same as
librosa's `effects.time_stretch` in exact numbers, without its seconds of start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Spectra = NDArray[np.complex64]

N_FFT = 2048
HOP = N_FFT // 4
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)


def stretch(y: Sound, rate: float) -> Sound:
    """Play sound, (n_samples,), `rate` times as fast: (round(n_samples / rate),)."""
    return from_spectra(stretch_spectra(to_spectra(y), rate), round(len(y) / rate))


def to_spectra(y: Sound) -> Spectra:
    """Transform sound, (n_samples,), by windows around every 512th sample: (n_frames, 1025)."""
    padded = np.pad(y, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    # In double precision: a weak bin's phase would be noise, which lasts until the end.
    return np.fft.rfft(frames * WINDOW, axis=1).astype(np.complex64)


def stretch_spectra(spectra: Spectra, rate: float) -> Spectra:
    """Give as many frames as last 1 / rate as long: (n_frames, n_bins) to (ceil(n / rate), n_bins).

    A magnitude is interpolated, and a bin's phase advances by as much as between the frames of the
    original. Sums of angles, as librosa has them, are off by hundredths of a turn after half a
    minute in float32. A product of numbers on the unit circle is not, and needs no angles or sines.
    """
    frames = np.concatenate([spectra, np.zeros((2, spectra.shape[1]), spectra.dtype)])
    magnitude = np.abs(frames)
    turn = np.ones_like(frames)
    np.divide(frames, magnitude, out=turn, where=magnitude > 0)
    advance = turn[1:] * turn[:-1].conj()

    times = np.arange(0, len(spectra), rate)
    before = times.astype(np.int64)
    share = (times - before).astype(magnitude.dtype)[:, None]
    stretched = np.empty((len(times), spectra.shape[1]), spectra.dtype)
    # In double precision, as its rounding adds up over all frames.
    phase = turn[0].astype(np.complex128)
    for frame, first in zip(stretched, before, strict=True):
        frame[:] = phase
        phase *= advance[first]
    stretched *= (1 - share) * magnitude[before] + share * magnitude[before + 1]
    return stretched


def from_spectra(spectra: Spectra, n_samples: int) -> Sound:
    """Add spectra, (n_frames, n_bins), up to sound again: (n_samples,)."""
    window = WINDOW.astype(np.float32)
    frames = np.fft.irfft(spectra, N_FFT, axis=1).astype(np.float32, copy=False) * window
    y = _overlap(frames)
    weight = _overlap(np.broadcast_to(np.square(window), frames.shape))
    np.divide(y, weight, out=y, where=weight > np.finfo(np.float32).tiny)
    whole = y[N_FFT // 2 : N_FFT // 2 + n_samples]
    return np.pad(whole, (0, n_samples - len(whole)))


def _overlap(frames: NDArray[np.float32]) -> Sound:
    """Add frames, (n_frames, n_fft), each a hop later than the one before."""
    n_hops = N_FFT // HOP
    parts = frames.reshape(len(frames), n_hops, HOP)
    added = np.zeros((len(frames) + n_hops - 1, HOP), np.float32)
    for hop in range(n_hops):
        added[hop : hop + len(frames)] += parts[:, hop]
    return added.ravel()

"""The phase vocoder gives what librosa's gives in double precision."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from mertools.audio.phase_vocoder import (
    Sound,
    from_spectra,
    stretch,
    stretch_spectra,
    to_spectra,
)

RATE = 22050


def music(seconds: float) -> Sound:
    """A tone that glides and fades, with noise and a silent stretch."""
    t = np.arange(round(seconds * RATE)) / RATE
    y = np.sin(2 * np.pi * (220 * t + 40 * t**2)) * np.exp(-(t % 0.5) * 4)
    y += 0.01 * np.random.default_rng(0).standard_normal(len(t))
    y[len(t) // 3 : len(t) // 2] = 0
    return y.astype(np.float32)


def test_spectra_are_those_of_librosa_and_lead_back() -> None:
    y = music(5)
    np.testing.assert_allclose(to_spectra(y).T, librosa.stft(y.astype(np.float64)), atol=1e-3)
    np.testing.assert_allclose(from_spectra(to_spectra(y), len(y)), y, atol=1e-6)


@pytest.mark.parametrize("rate", [0.5, 0.89, 1.0, 1.12, 1.5, 7.0])
def test_spectra_are_stretched_as_by_librosa(rate: float) -> None:
    y = music(20)
    exact = librosa.phase_vocoder(librosa.stft(y.astype(np.float64)), rate=rate).T
    stretched = stretch_spectra(to_spectra(y), rate)
    assert stretched.dtype == np.complex64
    assert stretched.shape == exact.shape
    np.testing.assert_allclose(stretched, exact, atol=2e-5 * np.abs(exact).max())


@pytest.mark.parametrize("rate", [0.6, 1.0, 1.4])
def test_sound_is_stretched_as_by_librosa(rate: float) -> None:
    y = music(10)
    exact = librosa.effects.time_stretch(y.astype(np.float64), rate=rate)
    stretched = stretch(y, rate)
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched, exact, atol=2e-5)


@pytest.mark.parametrize("n_samples", [0, 1, 3, 2049])
@pytest.mark.parametrize("level", [0, 1])
def test_short_and_silent_sound_stays_finite(n_samples: int, level: float) -> None:
    stretched = stretch(np.full(n_samples, level, np.float32), 0.8)
    assert stretched.shape == (round(n_samples / 0.8),)
    assert np.isfinite(stretched).all()

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import librosa
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from conftest import Mer
from mertools.errors import UsageError
from mertools.features import mel as module
from mertools.features.mel import (
    MelParams,
    mel,
    mel_filters,
    mel_reference,
    mel_spectrogram_db,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large for input signal:UserWarning"),
    pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning"),
]

DEFAULT = MelParams()
RATE = DEFAULT.sample_rate


def to_pcm(x: Any) -> np.ndarray:
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


def tone(frequency: float, seconds: float = 10.0) -> np.ndarray:
    return to_pcm(20000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE))


def awkward_signals() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    n = 20011
    return {
        "one sample": np.array([5], np.int16),
        "one zero": np.zeros(1, np.int16),
        "less than a window": to_pcm(rng.normal(0, 1000, 123)),
        "a window": to_pcm(rng.normal(0, 1000, 400)),
        "silence": np.zeros(n, np.int16),
        "constant": np.full(n, 777, np.int16),
        "lowest value": np.full(n, -32768, np.int16),
        "impulse": to_pcm(20000 * (np.arange(n) == n // 2)),
        "least impulse": (np.arange(n) == n // 2).astype(np.int16),
        "silence, then noise": to_pcm(rng.normal(0, 9000, n) * (np.arange(n) > n // 2)),
        "last bit": rng.integers(-1, 2, n).astype(np.int16),
        "full scale noise": rng.integers(-32768, 32768, n).astype(np.int16),
        "fading noise": to_pcm(rng.normal(0, 9000, n) * np.logspace(0, -5, n)),
        "Nyquist": to_pcm(32767 * (-1.0) ** np.arange(n)),
        "tone on a bin": tone(1000),
        "tone off the bins": tone(443.3),
        "ten seconds": to_pcm(rng.normal(0, 3000, 80000)),
    }


def with_librosa(y: np.ndarray, params: MelParams, dtype: type = np.float32) -> np.ndarray:
    S = librosa.feature.melspectrogram(
        y=(y / 32768).astype(dtype),
        sr=params.sample_rate,
        n_fft=params.n_fft,
        hop_length=params.hop_length,
        n_mels=params.n_mels,
    )
    ref = np.max if params.reference == "max" else 1.0
    return librosa.power_to_db(S, ref=ref, top_db=params.top_db or None)


def assert_as_librosa(y: np.ndarray, params: MelParams = DEFAULT) -> None:
    """Within 1e-4 dB of librosa in single and in double precision, before and after resizing."""
    actual, resized = mel_spectrogram_db(y, params), mel(y, params)
    assert actual.dtype == resized.dtype == np.float32
    for dtype in (np.float32, np.float64):
        expected = with_librosa(y, params, dtype).astype(np.float32)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)
        if params.n_frames:
            size = (params.n_frames, params.n_mels)
            expected = np.asarray(Image.fromarray(expected).resize(size, Image.Resampling.BILINEAR))
        np.testing.assert_allclose(resized, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", awkward_signals())
def test_equals_librosa_on_awkward_signals(name: str) -> None:
    assert_as_librosa(awkward_signals()[name])


@pytest.mark.parametrize(
    "options",
    [
        {"n_frames": 0},
        {"n_frames": 300},
        {"reference": "absolute"},
        {"reference": "absolute", "n_frames": 0, "n_fft": 2048, "hop_length": 512},
        {"hop_length": 160, "top_db": 60.0},
        {"n_fft": 401, "hop_length": 1000},
        {"n_mels": 256},
        {"n_mels": 37},
        {"sample_rate": 22050, "n_fft": 2048, "hop_length": 512},
        {"sample_rate": 44100, "n_fft": 1024, "hop_length": 441, "n_mels": 64},
        {"sample_rate": 1500, "n_fft": 64, "hop_length": 16, "n_mels": 20},
    ],
    ids=str,
)
def test_equals_librosa_with_other_parameters(options: dict[str, Any]) -> None:
    signals = awkward_signals()
    for name in ("fading noise", "silence, then noise", "one sample", "tone off the bins"):
        assert_as_librosa(signals[name], MelParams(**options))


@pytest.mark.parametrize("name", awkward_signals())
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reference": "absolute", "n_frames": 0},
        {"n_mels": 256},
        {"top_db": 0.0, "reference": "absolute", "sample_rate": 16000, "n_fft": 2048},
        {"top_db": 0.0, "n_fft": 401},
    ],
    ids=str,
)
def test_engines_agree(name: str, options: dict[str, Any]) -> None:
    y, params = awkward_signals()[name], MelParams(**options)
    actual, expected = mel(y, params), mel_reference(y, params)
    # Without a floor, what is left of exact cancellation is rounding: it is a power of next to 0.
    audible = expected > -90 if params.top_db == 0 else np.ones(expected.shape, bool)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual[audible], expected[audible], rtol=0, atol=1e-4)


def test_an_absolute_reference_keeps_the_level() -> None:
    params = MelParams(reference="absolute", n_frames=0)
    loud, faint = (mel(tone(1000) // quotient, params) for quotient in (1, 2))
    assert loud.max() - faint.max() == pytest.approx(20 * np.log10(2), abs=0.01)
    # A sine of amplitude A on bin k of n samples under a Hann window has the power (A n / 4) ** 2
    # there, and a quarter of that in the bins beside it.
    power = (20000 / 32768 * 400 / 4) ** 2
    filters = mel_filters(RATE, 400, 128)
    expected = (filters[:, 50] + (filters[:, 49] + filters[:, 51]) / 4) * power
    reached = expected > 1e-3
    np.testing.assert_allclose(loud[reached, 100], 10 * np.log10(expected[reached]), atol=0.01)
    assert mel(np.zeros(800, np.int16), params).max() == pytest.approx(-100, abs=1e-4)
    assert mel(tone(1000), MelParams(reference="absolute", top_db=20.0)).min() > loud.max() - 21


def test_no_floor_reaches_down_to_the_least_power() -> None:
    y = tone(1000) // 64
    assert mel(y, MelParams(reference="absolute", top_db=0.0, n_frames=0)).min() < -60
    assert mel(y, MelParams(reference="absolute", top_db=10.0, n_frames=0)).min() > -60


def test_engine_and_reference_through_the_command(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    write_tone(tmp_path / "a.wav", 4.0)
    call = ("featurize", "a.wav", "--kind", "mel", "--set", "mel.reference=absolute")
    mer(*call, "-o", "fast.h5")
    mer(*call, "-o", "librosa.h5", "--engine", "librosa")
    with h5py.File(tmp_path / "fast.h5") as one, h5py.File(tmp_path / "librosa.h5") as other:
        one, other = one["features/mel"], other["features/mel"]
        assert (one.attrs["engine"], other.attrs["engine"]) == ("fast", "librosa")
        assert one.attrs["params_digest"] == other.attrs["params_digest"]
        assert '"reference": "absolute"' in one.attrs["params"]
        np.testing.assert_allclose(one[...], other[...], rtol=0, atol=1e-4)
    done = mer(*call[:-1], "mel.reference=loudest", "-o", "f.h5", status=2)
    assert "choose from max, absolute" in done.stderr


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int16, st.integers(1, 2500))
    | arrays(np.int16, st.integers(1, 2500), elements=st.sampled_from([-32768, -1, 0, 1, 32767]))
)
def test_equals_librosa_on_any_signal(y: np.ndarray) -> None:
    assert_as_librosa(y)


@pytest.mark.corpus
@pytest.mark.slow
def test_equals_librosa_on_music(corpus: Path) -> None:
    for path in sorted((corpus / "audio").glob("*.ogg"))[::5]:
        samples, rate = soundfile.read(path, frames=10 * 22050)
        assert_as_librosa(to_pcm(soxr.resample(samples, rate, RATE) * 32768))


@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels"),
    [(8000, 400, 128), (8000, 400, 256), (22050, 2048, 128), (44100, 401, 40), (1500, 64, 20)],
)
def test_filters_are_librosas(sample_rate: int, n_fft: int, n_mels: int) -> None:
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    np.testing.assert_allclose(mel_filters(sample_rate, n_fft, n_mels), expected, atol=1e-8)


@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels"), [(16000, 512, 96), (8000, 400, 40)])
def test_filters_of_htk_are_librosas_and_torchaudios(
    sample_rate: int, n_fft: int, n_mels: int
) -> None:
    found = mel_filters(sample_rate, n_fft, n_mels, "htk")
    expected = librosa.filters.mel(
        sr=sample_rate, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)
    # torchaudio.functional.melscale_fbanks(mel_scale="htk", norm=None), written out.
    edges = np.linspace(0, 2595 * np.log10(1 + sample_rate / 2 / 700), n_mels + 2)
    hz = 700 * (10 ** (edges / 2595) - 1)
    slopes = hz[None] - np.linspace(0, sample_rate // 2, n_fft // 2 + 1)[:, None]
    down, up = -slopes[:, :-2] / np.diff(hz)[:-1], slopes[:, 2:] / np.diff(hz)[1:]
    np.testing.assert_allclose(found, np.maximum(0, np.minimum(down, up)).T, atol=1e-9)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("bands", ["slaney", "htk"])
@pytest.mark.parametrize("name", ["ten seconds", "one sample", "silence", "tone on a bin"])
def test_both_engines_agree_on_bands_and_powers(name: str, bands: str, power: int) -> None:
    params = MelParams(16000, 512, 256, 96, 0.0, 0, "absolute", bands, power)
    y = awkward_signals()[name]
    np.testing.assert_allclose(mel(y, params), mel_reference(y, params), atol=1e-4)


def test_other_bands_and_powers_are_refused() -> None:
    with pytest.raises(UsageError, match="choose from slaney, htk"):
        MelParams(bands="bark")
    with pytest.raises(UsageError, match="choose from 1, 2"):
        MelParams(power=3)


def test_each_filter_has_an_area_of_one() -> None:
    areas = mel_filters(8000, 40000, 128).sum(axis=1) * (8000 / 40000)
    np.testing.assert_allclose(areas, 1, rtol=1e-3)


@pytest.mark.parametrize("n_frames", [0, 1, 7, 10_000])
def test_block_length_does_not_matter(n_frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y = awkward_signals()["fading noise"]
    expected = mel(y, DEFAULT)
    monkeypatch.setattr(module, "BLOCK_SAMPLES", n_frames * DEFAULT.n_fft)
    np.testing.assert_allclose(mel(y, DEFAULT), expected, rtol=0, atol=1e-5)


def test_ten_seconds_have_201_frames_and_become_51() -> None:
    y = awkward_signals()["ten seconds"]
    assert mel_spectrogram_db(y, DEFAULT).shape == (128, 201)
    assert mel(y, DEFAULT).shape == (128, 51)
    np.testing.assert_array_equal(mel(y, MelParams(n_frames=0)), mel_spectrogram_db(y, DEFAULT))


@pytest.mark.parametrize("band", [10, 50, 90])
def test_a_tone_is_loudest_in_its_band(band: int) -> None:
    """The bands' centres, in mel of the Auditory Toolbox: 15 at 1 kHz, 27 a factor of 6.4 above."""
    mels = (15 + 27 * np.log(4) / np.log(6.4)) / 129 * (band + 1)
    frequency = mels * 200 / 3 if mels < 15 else 1000 * 6.4 ** ((mels - 15) / 27)
    loudness = mel(tone(frequency), DEFAULT)
    np.testing.assert_array_equal(loudness[:, 25].argmax(), band)
    assert loudness[band, 25] > -0.5


def test_a_step_in_level_is_its_number_of_decibels() -> None:
    y = tone(1000)
    y[40000:] //= 10
    loudness = mel_spectrogram_db(y, DEFAULT).max(axis=0)
    np.testing.assert_allclose(loudness[5:95], 0, atol=0.01)
    np.testing.assert_allclose(loudness[105:195], -20, atol=0.01)


def test_level_does_not_matter() -> None:
    y = to_pcm(np.random.default_rng(5).normal(0, 2000, 16000))
    np.testing.assert_allclose(mel(y * 4, DEFAULT), mel(y, DEFAULT), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_samples", [0, 1, 399, 16000])
def test_silence_is_zero_decibels_everywhere(n_samples: int) -> None:
    y = np.zeros(n_samples, np.int16)
    np.testing.assert_array_equal(mel(y, DEFAULT), np.zeros((128, 51)))
    assert mel_spectrogram_db(y, DEFAULT).shape == (128, 1 + n_samples // 400)


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"sample_rate": 0}, "mel.sample_rate"),
        ({"n_fft": 1}, "mel.n_fft"),
        ({"hop_length": 0}, "mel.hop_length"),
        ({"n_mels": -1}, "mel.n_mels"),
        ({"n_frames": -1}, "mel.n_frames"),
        ({"top_db": -1.0}, "mel.top_db"),
        ({"reference": "loudest"}, "mel.reference"),
        ({"top_db": float("nan")}, "mel.top_db"),
    ],
    ids=str,
)
def test_senseless_parameters_are_refused(options: dict[str, Any], subject: str) -> None:
    with pytest.raises(UsageError) as caught:
        MelParams(**options)
    assert caught.value.subject == subject


def test_numpy_and_pillow_suffice() -> None:
    script = (
        "import sys, numpy\n"
        "from mertools.features.mel import MelParams, mel\n"
        "mel(numpy.zeros(8000, numpy.int16), MelParams())\n"
        "print(*sorted({'scipy', 'librosa', 'numba', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")

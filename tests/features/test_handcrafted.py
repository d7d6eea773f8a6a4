from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mertools.errors import UsageError
from mertools.features import handcrafted as module
from mertools.features.handcrafted import (
    COLUMN_NAMES,
    SHORT_TERM_NAMES,
    HandcraftedParams,
    handcrafted,
    handcrafted_reference,
    short_term_features,
)

# scipy's remark on an import of pyAudioAnalysis, made where it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `dct`:DeprecationWarning")

DEFAULT = HandcraftedParams()
ROW = {name: row for row, name in enumerate(SHORT_TERM_NAMES)}
COLUMN = {name: column for column, name in enumerate(COLUMN_NAMES)}


def to_pcm(x: Any) -> np.ndarray:
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


def tone(frequency: float, seconds: float = 1.0, rate: int = 8000, level: float = 30000):
    """A sine sampled half a sample off its zeros."""
    return to_pcm(
        level * np.sin(2 * np.pi * frequency * (np.arange(round(seconds * rate)) + 0.5) / rate)
    )


def awkward_signals(rate: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    n = round(2.37 * rate)
    window = round(0.05 * rate)
    square = np.sign(np.cos(2 * np.pi * np.arange(n) / 8) + 1e-9)
    return {
        "empty": np.zeros(0, np.int16),
        "one sample": np.array([5], np.int16),
        "one zero": np.zeros(1, np.int16),
        "a sample less than a window": to_pcm(rng.normal(0, 1000, window - 1)),
        "a window": to_pcm(rng.normal(0, 1000, window)),
        "half a mid-term window": to_pcm(rng.normal(0, 1000, rate // 2)),
        "silence": np.zeros(n, np.int16),
        "constant": np.full(n, 777, np.int16),
        "lowest value": np.full(n, -32768, np.int16),
        "impulse": to_pcm(20000 * (np.arange(n) == n // 2)),
        "least impulse": (np.arange(n) == n // 2).astype(np.int16),
        "step": to_pcm(np.where(np.arange(n) < n // 2, -20000, 20000)),
        "silence, then noise": to_pcm(rng.normal(0, 9000, n) * (np.arange(n) > n // 2)),
        "last bit": rng.integers(-1, 2, n).astype(np.int16),
        "full scale noise": rng.integers(-32768, 32768, n).astype(np.int16),
        "clipped": to_pcm(rng.normal(0, 1e6, n)),
        "Nyquist": to_pcm(32767 * (-1.0) ** np.arange(n)),
        "square wave": to_pcm(30000 * square),
        "tone on a bin": tone(1000, n / rate, rate),
        "tone on zeros": to_pcm(30000 * np.sin(2 * np.pi * np.arange(n) / 8)),
        "faint tone": tone(440, n / rate, rate, level=1),
        "ramp": to_pcm(np.linspace(-32768, 32767, n)),
    }


def assert_engines_agree(y: np.ndarray, params: HandcraftedParams = DEFAULT) -> None:
    """Every value finite and within 1e-6, or a millionth of its size; the 68 x n and the 136."""
    from pyAudioAnalysis import ShortTermFeatures

    padded = np.pad(y, (0, max(0, params.window - len(y))))
    expected, _ = ShortTermFeatures.feature_extraction(
        padded, params.sample_rate, params.window, params.step
    )
    features = short_term_features(y, params)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features, expected, rtol=1e-6, atol=1e-6)
    # Where a comparison decides, nothing may fall on the other side.
    np.testing.assert_array_equal(features[ROW["zcr"]], expected[ROW["zcr"]])
    np.testing.assert_array_equal(
        features[ROW["spectral_rolloff"]], expected[ROW["spectral_rolloff"]]
    )
    fast, reference = handcrafted(y, params), handcrafted_reference(y, params)
    assert fast.shape == reference.shape == (136,)
    assert fast.dtype == reference.dtype == np.float32
    np.testing.assert_allclose(fast, reference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", awkward_signals(8000))
def test_engines_agree_on_awkward_signals(name: str) -> None:
    assert_engines_agree(awkward_signals(8000)[name])


@pytest.mark.parametrize(
    "options",
    [
        {"step_s": 0.025},
        {"window_s": 0.1, "step_s": 0.03, "mid_window_s": 0.9, "mid_step_s": 0.4},
        {"step_s": 0.11, "mid_window_s": 3.3, "mid_step_s": 0.3},
        {"sample_rate": 7000},
        {"sample_rate": 16000, "window_s": 0.0321, "step_s": 0.0107},
        {"sample_rate": 22050},
        {"sample_rate": 44100, "window_s": 0.02313, "mid_window_s": 2.0, "mid_step_s": 0.7},
    ],
    ids=str,
)
def test_engines_agree_with_other_parameters(options: dict[str, Any]) -> None:
    params = HandcraftedParams(**options)
    signals = awkward_signals(params.sample_rate)
    for name in ("full scale noise", "silence, then noise", "tone on a bin", "one sample"):
        assert_engines_agree(signals[name], params)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int16, st.integers(0, 2500))
    | arrays(np.int16, st.integers(0, 2500), elements=st.sampled_from([-32768, -1, 0, 1, 32767]))
)
def test_engines_agree_on_any_signal(y: np.ndarray) -> None:
    assert_engines_agree(y)


@pytest.mark.corpus
@pytest.mark.slow
def test_engines_agree_on_music(corpus: Path) -> None:
    for path in sorted((corpus / "audio").glob("*.ogg"))[::5]:
        samples, rate = soundfile.read(path, frames=10 * 22050)
        assert_engines_agree(to_pcm(soxr.resample(samples, rate, 8000) * 32768))


def test_columns_are_those_of_the_reference() -> None:
    from pyAudioAnalysis import ShortTermFeatures

    _, names = ShortTermFeatures.feature_extraction(tone(440), 8000, 400, 400)
    expected = [f"{name}_{statistic}" for statistic in ("mean", "std") for name in names]
    assert list(COLUMN_NAMES) == expected
    assert len(set(COLUMN_NAMES)) == 136


@pytest.mark.parametrize(
    ("seconds", "options"),
    [
        (3.0, {}),
        (3.3, {}),
        (0.4, {}),
        (4.0, {"mid_window_s": 1.5, "mid_step_s": 0.35}),
        (4.0, {"mid_window_s": 0.3, "mid_step_s": 0.8}),
        (4.0, {"step_s": 0.02, "mid_window_s": 1.01, "mid_step_s": 0.49}),
    ],
)
def test_statistics_are_those_of_a_plain_loop(seconds: float, options: dict[str, Any]) -> None:
    """The loop of pyAudioAnalysis' mid_feature_extraction, with lengths in samples."""
    params = HandcraftedParams(**options)
    y = to_pcm(np.random.default_rng(3).normal(0, 4000, round(seconds * 8000)))
    features = short_term_features(y, params)
    window, step = round(params.window_s * 8000), round(params.step_s * 8000)
    length = round((round(params.mid_window_s * 8000) - (window - step)) / step)
    stride = round(round(params.mid_step_s * 8000) / step)
    parts = [features[:, at : at + length] for at in range(0, features.shape[1], stride)]
    means = np.mean([part.mean(axis=1) for part in parts], axis=0)
    deviations = np.mean([part.std(axis=1) for part in parts], axis=0)
    np.testing.assert_allclose(
        handcrafted(y, params), np.concatenate((means, deviations)), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_block_length_does_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y = awkward_signals(8000)["silence, then noise"]
    params = HandcraftedParams(step_s=0.01)
    expected = short_term_features(y, params), handcrafted(y, params)
    monkeypatch.setattr(module, "BLOCK_FRAMES", block)
    monkeypatch.setattr(module, "MID_TERM_BLOCK_FRAMES", block)
    np.testing.assert_allclose(short_term_features(y, params), expected[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(handcrafted(y, params), expected[1], rtol=1e-6, atol=1e-9)


def test_a_tone_has_the_features_that_theory_gives_it() -> None:
    """1 kHz: bin 50 of 200, a change of sign every 4 samples, 5 periods in a tenth of a window."""
    features = short_term_features(tone(1000), DEFAULT)
    peak = np.sin(3 * np.pi / 8)
    expected = {
        "zcr": 99 / 399,
        "energy": 0.5 / peak**2,
        "energy_entropy": np.log2(10),
        "spectral_centroid": 51 / 200,  # the reference counts bins from one
        "spectral_spread": 0.0,
        "spectral_entropy": 0.0,
        "spectral_flux": 0.0,
        "spectral_rolloff": 50 / 200,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(features[ROW[name]], value, rtol=1e-4, atol=5e-3, err_msg=name)
    np.testing.assert_allclose(features[34:], 0.0, atol=1e-9)


def test_flux_between_two_tones_is_two() -> None:
    """The spectra, as shares, have nothing in common: each adds the square of its one share."""
    y = np.concatenate([tone(1000, 0.05), tone(2000, 0.05)] * 3)
    flux = short_term_features(y, DEFAULT)[ROW["spectral_flux"]]
    np.testing.assert_allclose(flux, [0, 2, 2, 2, 2, 2], atol=0.02)


def test_neither_level_nor_offset_matters() -> None:
    y = to_pcm(np.random.default_rng(5).normal(0, 2000, 16000))
    expected = handcrafted(y, DEFAULT)
    for other in (y * 3, y + np.int16(4000), -y):
        np.testing.assert_allclose(handcrafted(other, DEFAULT), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", [handcrafted, handcrafted_reference])
@pytest.mark.parametrize("name", ["silence", "constant", "lowest value", "empty", "one zero"])
def test_silence_has_the_documented_features(
    engine: Callable[[np.ndarray, HandcraftedParams], np.ndarray], name: str
) -> None:
    expected = np.zeros(136)
    expected[COLUMN["mfcc_1_mean"]] = np.sqrt(40) * np.log10(np.finfo(float).eps)
    features = engine(awkward_signals(8000)[name], DEFAULT)
    np.testing.assert_allclose(features, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("engine", [handcrafted, handcrafted_reference])
@pytest.mark.parametrize("n_samples", [1, 17, 399])
def test_less_than_a_window_is_filled_up_with_zeros(
    engine: Callable[[np.ndarray, HandcraftedParams], np.ndarray], n_samples: int
) -> None:
    y = tone(440)[:n_samples]
    np.testing.assert_array_equal(
        engine(y, DEFAULT), engine(np.pad(y, (0, 400 - n_samples)), DEFAULT)
    )


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"sample_rate": 0}, "handcrafted.sample_rate"),
        ({"sample_rate": 6000}, "handcrafted.sample_rate"),
        ({"window_s": -1.0}, "handcrafted.window_s"),
        ({"window_s": float("nan")}, "handcrafted.window_s"),
        ({"window_s": 0.01}, "handcrafted.window_s"),
        ({"step_s": 0.0}, "handcrafted.step_s"),
        ({"step_s": 1e-6}, "handcrafted.step_s"),
        ({"mid_window_s": float("inf")}, "handcrafted.mid_window_s"),
        ({"mid_window_s": 0.01}, "handcrafted.mid_window_s"),
        ({"mid_step_s": 0.01}, "handcrafted.mid_step_s"),
    ],
    ids=str,
)
def test_senseless_parameters_are_refused(options: dict[str, Any], subject: str) -> None:
    with pytest.raises(UsageError) as caught:
        HandcraftedParams(**options)
    assert caught.value.subject == subject


def test_the_shortest_window_is_the_references() -> None:
    from pyAudioAnalysis import ShortTermFeatures

    shortest = HandcraftedParams(window_s=174 / 8000, step_s=174 / 8000)
    assert_engines_agree(tone(440), shortest)
    with pytest.raises(UsageError):
        HandcraftedParams(window_s=173 / 8000)
    with pytest.raises((IndexError, ValueError)):
        ShortTermFeatures.feature_extraction(tone(440), 8000, 173, 173)


def test_the_lowest_sample_rate_is_the_references() -> None:
    from pyAudioAnalysis import ShortTermFeatures

    lowest = 6854
    assert_engines_agree(tone(440), HandcraftedParams(sample_rate=lowest))
    with pytest.raises(UsageError):
        HandcraftedParams(sample_rate=lowest - 1)
    with pytest.raises(IndexError):
        ShortTermFeatures.feature_extraction(tone(440), lowest - 1, 342, 342)


def test_the_fast_engine_needs_numpy_alone() -> None:
    script = (
        "import sys, numpy\n"
        "from mertools.features.handcrafted import HandcraftedParams, handcrafted\n"
        "handcrafted(numpy.zeros(8000, numpy.int16), HandcraftedParams())\n"
        "heavy = {'scipy', 'librosa', 'matplotlib', 'pyAudioAnalysis', 'sklearn', 'PIL'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")

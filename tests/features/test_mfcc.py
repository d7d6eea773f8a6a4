"""The kind `mfcc`: librosa's result, the published shapes, and slices of a whole track."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import librosa
import numpy as np
import pytest
import soundfile

from conftest import Mer
from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.mfcc import MfccParams, dct_basis, feature, mfcc, mfcc_reference
from mertools.features.registry import request_kind

pytestmark = [
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large for input signal:UserWarning"),
    pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning"),
]

DEFAULT = MfccParams()
RATE = DEFAULT.sample_rate


def to_pcm(x: Any) -> np.ndarray:
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose level rises and falls, so that the floor is reached."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    return to_pcm(rng.normal(0, 6000, n) * np.abs(np.sin(np.arange(n) / RATE)) ** 4)


SIGNALS = {
    "nothing": np.zeros(0, np.int16),
    "one sample": np.array([5], np.int16),
    "less than a window": to_pcm(np.random.default_rng(1).normal(0, 900, 700)),
    "silence": np.zeros(30_000, np.int16),
    "constant": np.full(30_000, 777, np.int16),
    "loudest": np.full(30_000, -32768, np.int16),
    "impulse": to_pcm(30_000 * (np.arange(30_000) == 15_000)),
    "tone": to_pcm(9000 * np.sin(2 * np.pi * 440 * np.arange(40_000) / RATE)),
    "noise": noise(4.0),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_equals_librosa(name: str) -> None:
    y = SIGNALS[name]
    found = mfcc(y, DEFAULT)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mfcc_reference(y, DEFAULT), rtol=0, atol=1e-4)


def test_equals_librosas_own_call() -> None:
    y = noise(15.0)
    expected = librosa.feature.mfcc(
        y=y / 2**15, sr=RATE, n_mfcc=13, n_fft=2048, hop_length=1024, dtype=np.float64
    )
    np.testing.assert_allclose(mfcc(y, DEFAULT), expected.T, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"n_mfcc": 20, "hop_length": 512},
        {"n_fft": 512, "hop_length": 160, "n_mels": 26, "sample_rate": 16000},
        {"top_db": 0.0},
        {"drop_c0": "yes"},
        {"n_fft": 1023, "hop_length": 300},
    ],
)
def test_equals_librosa_with_other_parameters(options: dict[str, Any]) -> None:
    params = MfccParams(**options)
    y = noise(3.0)
    np.testing.assert_allclose(mfcc(y, params), mfcc_reference(y, params), rtol=0, atol=1e-4)


def test_shapes_are_the_published_ones() -> None:
    for seconds, n_frames in ((15, 323), (30, 646), (152.137, 3276)):
        y = np.zeros(round(seconds * RATE), np.int16)
        assert mfcc(y, DEFAULT).shape == (n_frames, 13)


def test_the_transform_is_orthonormal() -> None:
    basis = dct_basis(128, 128)
    np.testing.assert_allclose(basis @ basis.T, np.eye(128), atol=1e-12)


def test_silence_is_the_floor_of_coefficient_0() -> None:
    expected = np.zeros((30, 13))
    expected[:, 0] = -100 * np.sqrt(128)
    np.testing.assert_allclose(mfcc(np.zeros(30_000, np.int16), DEFAULT), expected, atol=1e-3)


def test_without_coefficient_0_the_others_stay() -> None:
    y = noise(2.0)
    without = MfccParams(drop_c0="yes")
    assert without.columns == tuple(f"mfcc_{k}" for k in range(1, 13))
    np.testing.assert_array_equal(mfcc(y, without), mfcc(y, DEFAULT)[:, 1:])
    assert MfccParams(drop_c0="1") == MfccParams(drop_c0="true") == without


@pytest.mark.parametrize(
    "options",
    [
        {"n_mfcc": 0},
        {"n_mfcc": 129},
        {"n_mfcc": 1, "drop_c0": "yes"},
        {"drop_c0": "maybe"},
        {"scope": "song"},
        {"top_db": -1.0},
        {"hop_length": 0},
    ],
)
def test_values_without_meaning_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        MfccParams(**options)


def slices(y: np.ndarray, params: MfccParams, seconds: float = 15.0) -> list[np.ndarray]:
    whole = Excerpt(y)
    n = round(seconds * RATE)
    return [
        feature(Excerpt(y[k * n : (k + 1) * n], k * seconds, lambda: whole), params)
        for k in range(len(y) // n)
    ]


def test_slices_of_a_track_are_its_frames_in_order() -> None:
    params = MfccParams(scope="track")
    y = noise(46.0)
    found = slices(y, params)
    assert [part.shape for part in found] == [(323, 13)] * 3
    np.testing.assert_array_equal(np.concatenate(found), mfcc(y, params)[:969])
    # Alone, a segment differs at its edges and where its own floor lies elsewhere.
    alone = slices(y, DEFAULT)
    assert not np.array_equal(alone[1], found[1])
    np.testing.assert_allclose(alone[0][10:200, 1:], found[0][10:200, 1:], atol=30)


def test_a_track_shorter_than_its_segment_is_taken_alone() -> None:
    y = np.concatenate([noise(5.0), np.zeros(10 * RATE, np.int16)])
    found = feature(Excerpt(y, 0.0, lambda: Excerpt(y[: 5 * RATE])), MfccParams(scope="track"))
    np.testing.assert_array_equal(found, mfcc(y, DEFAULT))


@pytest.mark.slow
def test_featurize_with_both_engines(mer: Mer, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(46.0), RATE)
    options = ("a.wav", "--kind", "mfcc", "--length", 15, "--last", "drop")
    mer("featurize", *options, "-o", "fast.h5")
    mer("featurize", *options, "--engine", "librosa", "-o", "librosa.h5")
    mer(
        "featurize",
        *options,
        "--set",
        "mfcc.scope=track",
        "--set",
        "mfcc.drop_c0=yes",
        "-o",
        "t.h5",
    )
    with h5py.File(tmp_path / "fast.h5") as fast, h5py.File(tmp_path / "librosa.h5") as reference:
        one, other = fast["features/mfcc"], reference["features/mfcc"]
        assert one.shape == (3, 323, 13)
        np.testing.assert_allclose(one[:], other[:], rtol=0, atol=1e-4)
        assert (
            one.attrs["params_digest"]
            == other.attrs["params_digest"]
            == request_kind("mfcc").digest
        )
    with h5py.File(tmp_path / "t.h5") as track:
        assert track["features/mfcc"].shape == (3, 323, 12)
    mer("validate", "fast.h5", "t.h5")


def test_the_fast_engine_imports_no_librosa() -> None:
    code = (
        "import sys, numpy; from mertools.features.registry import request_kind;"
        "from mertools.features.excerpt import Excerpt;"
        "request_kind('mfcc').compute(Excerpt(numpy.ones(9999, 'int16')));"
        "assert not {'librosa', 'scipy', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

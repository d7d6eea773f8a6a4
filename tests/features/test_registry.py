"""Kinds, their parameters and rates; digests are those of the features that already exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from conftest import Mer
from mertools.features.registry import KINDS, request_kind

# Computed by the version of November 2026, before parameters were added and kinds moved.
DIGESTS = {
    ("handcrafted", 8000): "70c7d45adeed00487ba1ed28f180495d",
    ("handcrafted", 22050): "bc5f8d7bc774bc87cbfd5fb62ec974ec",
    ("mel", 8000): "e8362e071e7e141e1aa4f930e2848cdb",
    ("mel", 16000): "e499a1ffe249b3f865673cfae998baca",
    ("note", 22050): "f5861187b26358871834dbd74bf2935c",
    ("onset", 22050): "926ed2db1df0c347da55c16275237798",
    ("contour", 22050): "efe0c31e9bd124574a3086aef53bdecc",
    ("musicnn", 16000): "7ea414f3e2b3ac07ec3e80893e786440",
    ("musicnn", 44100): "7ea414f3e2b3ac07ec3e80893e786440",
    ("musicnn-change", 16000): "693048f0ec81963a8a64f69a246742b6",
    ("tonal", 22050): "0ed3f9ee275ad9991b36c1746601dbbf",
}


@pytest.mark.parametrize(("name", "rate"), DIGESTS)
def test_digests_stay(name: str, rate: int) -> None:
    assert request_kind(name, rate).digest == DIGESTS[name, rate]


def test_digests_with_other_parameters_stay() -> None:
    mel = request_kind("mel", 16000, {"n_mels": "64", "n_frames": 0})
    assert mel.digest == "10a0c1d6dbd87b65657c50365af6a9b9"
    note = request_kind("note", 22050, {"context": "track"})
    assert note.digest == "eb61430227e582abe71816f14f79dbc9"


@pytest.mark.parametrize(
    ("name", "rate"),
    [("handcrafted", 8000), ("mel", 8000), ("note", 22050), ("musicnn", 16000), ("tonal", 22050)],
)
def test_a_kind_has_its_own_rate(name: str, rate: int) -> None:
    assert request_kind(name).sample_rate == KINDS[name].default_rate == rate


def test_only_networks_run_on_a_device() -> None:
    assert request_kind("mel", device="cuda").device == "cpu"
    assert request_kind("note", device="cuda").device == "cuda"
    assert request_kind("note", device="cuda").digest == request_kind("note").digest
    assert {engine for kind in KINDS.values() for engine in kind.engines} <= {
        "fast",
        "librosa",
        "pyaudioanalysis",
    }


@pytest.mark.parametrize("command", ["featurize", "transcribe"])
@pytest.mark.parametrize("device", ["potato", "cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_first(mer: Mer, command: str, device: str) -> None:
    # Neither does the input exist, nor does a kind without a network need the device.
    done = mer(command, "missing.wav", "-o", "f.h5", "--device", device, status=None)
    if done.returncode == 3 or done.returncode == 4:
        pytest.skip(f"this machine has {device}")
    assert done.returncode == 2
    assert "choose from auto, cpu" in done.stderr


@pytest.mark.slow
def test_featurize_and_transcribe_hear_at_the_same_rate(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    write_tone(tmp_path / "a.wav", 4.0, 44100)
    mer("transcribe", "a.wav", "-o", "t.h5", "--length", 2)
    mer("featurize", "a.wav", "--kind", "note", "--kind", "mel", "-o", "f.h5", "--length", 2)
    with h5py.File(tmp_path / "t.h5") as one, h5py.File(tmp_path / "f.h5") as other:
        expected, note = one["features/note"], other["features/note"]
        assert note.attrs["params_digest"] == expected.attrs["params_digest"]
        assert (note[...] == expected[...]).all()
        assert '"sample_rate": 8000' in other["features/mel"].attrs["params"]

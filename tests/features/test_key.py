"""What the network of the kind `key` hears."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import load_file

from mertools.features.key import (
    COLUMN_NAMES,
    OCTAVE,
    WEIGHTS,
    describe_key,
    fold_pitches,
    key_logits,
)
from mertools.features.transcription import LOWEST_PITCH
from mertools.pretrained.basic_pitch import N_NOTES

Mer = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "key"
CHORD_FRAMES = 86

C, F, G = (48, 60, 64, 67), (53, 60, 65, 69), (43, 59, 62, 67)
C_MINOR, F_MINOR = (48, 60, 63, 67), (53, 60, 65, 68)
CADENCES = {"major": (C, F, G, C, F, C, G, C), "minor": (C_MINOR, F_MINOR, G, C_MINOR) * 2}


def play(chords: tuple[tuple[int, ...], ...], up: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give posteriorgrams of chords of MIDI pitches, a second each."""
    note = np.zeros((CHORD_FRAMES * len(chords), N_NOTES), np.float16)
    onset = np.zeros_like(note)
    for number, chord in enumerate(chords):
        for pitch in chord:
            first, row = CHORD_FRAMES * number, pitch + up - LOWEST_PITCH
            note[first : first + CHORD_FRAMES, row] = 0.8
            onset[first + 1 : first + 3, row] = 0.8
    return note, onset


@pytest.mark.parametrize("up", [0, 1, 5, 10])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_cadence_tells_its_mode_in_every_key(mode: str, up: int) -> None:
    key = dict(zip(COLUMN_NAMES, describe_key(*play(CADENCES[mode], up)).tolist(), strict=True))
    posteriors = {name: p for name, p in key.items() if name[-1].isdigit()}
    assert max(posteriors, key=posteriors.__getitem__) == f"{mode}_0"
    assert sum(posteriors.values()) == pytest.approx(1, abs=1e-5)
    assert (key["minor_logit"] > 0) == (mode == "minor")
    assert 0 < key["clarity"] < 1
    logits = key_logits(fold_pitches(*play(CADENCES[mode], up)), load_file(WEIGHTS))
    assert divmod(int(logits.argmax()), OCTAVE) == (int(mode == "minor"), up)


@given(up=st.integers(-12, 12))
@settings(max_examples=10, deadline=None)
def test_music_that_is_moved_has_its_keys_moved(up: int) -> None:
    weights = load_file(WEIGHTS)
    one, other = (key_logits(fold_pitches(*play(CADENCES["minor"], n)), weights) for n in (0, up))
    np.testing.assert_allclose(np.roll(one, up, axis=1), other, atol=1e-4)


def test_what_is_lowest_is_the_bass_and_how_sure_notes_are_leaves_no_trace() -> None:
    note, onset = play((C, C))
    frames = fold_pitches(note, onset)
    assert frames.shape == (4, 4, OCTAVE)
    everything, bass, top, begun = frames[0]
    np.testing.assert_allclose(
        everything, frames[0, 0, 0] * np.eye(12)[[0, 4, 7]].T @ [1, 0.5, 0.5]
    )
    # The posterior that C3 sounds, that C4 does and C3 does not, and so on.
    np.testing.assert_allclose(bass[[0, 4, 7]] / bass.sum(), [0.96, 0.032, 0.0064], atol=3e-3)
    np.testing.assert_allclose(top[[7, 4]] / top.sum(), [0.8, 0.16], atol=3e-3)
    assert begun.sum() > 0 == frames[1, 3].sum()
    fainter = fold_pitches((note / 2).astype(np.float16), onset)
    np.testing.assert_allclose(fainter[:, 0], frames[:, 0], rtol=2e-3)


def test_silence_has_no_key() -> None:
    key = describe_key(*np.zeros((2, 100, N_NOTES), np.float16))
    assert key[:24].tolist() == pytest.approx([1 / 24] * 24)
    assert key[24:].tolist() == [0, 0]


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float16,
        st.tuples(st.integers(1, 200), st.just(N_NOTES)),
        elements=st.floats(0, 1, width=16),
    )
)
def test_all_posteriors_give_numbers(note: np.ndarray) -> None:
    key = describe_key(note, note[::-1])
    assert key.dtype == np.float32
    assert np.isfinite(key).all()
    assert 0 <= key[-1] <= 1


def test_it_is_the_network_that_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    sys.modules.pop("train", None)
    import train

    weights = load_file(WEIGHTS)
    network = train.KeyNetwork().eval()
    network.weights = torch.nn.ParameterDict(
        {name: torch.from_numpy(values) for name, values in weights.items()}
    )
    frames = np.random.default_rng(0).exponential(0.1, (3, 20, 4, OCTAVE)).astype(np.float32)
    with torch.no_grad():
        reference = network(torch.from_numpy(frames)).numpy()
    ours = np.stack([key_logits(clip, weights) for clip in frames])
    np.testing.assert_allclose(ours, reference, atol=1e-4)


def test_the_weights_are_small_and_say_where_they_are_from() -> None:
    assert WEIGHTS.stat().st_size < 1e6
    with safe_open(WEIGHTS, "numpy") as file:
        origin = json.loads(file.metadata()["mertools"])
    assert "Apache-2.0" in origin["licence"]
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert digest in (EXAMPLE / "README.md").read_text("utf-8")


def test_through_the_command_with_the_posteriorgrams_it_comes_from(
    mer: Mer, tmp_path: Path
) -> None:
    kinds = ("--kind", "key", "--kind", "note", "--kind", "onset")
    clip = ROOT / "examples" / "clips" / "piece01.ogg"
    mer("featurize", clip, *kinds, "--length", "4", "-o", "f.h5")
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        made = file["features/key"]
        assert made.shape[1:] == (len(COLUMN_NAMES),)
        note, onset = (file[f"features/{kind}"][0] for kind in ("note", "onset"))
        np.testing.assert_array_equal(made[0], describe_key(note, onset))

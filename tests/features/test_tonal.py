"""What notes tell of harmony, register and density."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mertools.features.tonal import COLUMN_NAMES, describe_notes
from mertools.features.transcription import LOWEST_PITCH
from mertools.pretrained.basic_pitch import N_NOTES

Mer = Callable[..., subprocess.CompletedProcess[str]]

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
CHORD_FRAMES = 43
PROBABILITIES = st.floats(0, 1, width=16)


def describe(*chords: tuple[int, ...], posterior: float = 0.9) -> dict[str, float]:
    """Describe half-second chords of MIDI pitches, one after the other."""
    note = np.zeros((CHORD_FRAMES * len(chords), N_NOTES))
    onset = np.zeros_like(note)
    for place, chord in enumerate(chords):
        for pitch in chord:
            first = CHORD_FRAMES * place
            note[first : first + CHORD_FRAMES, pitch - LOWEST_PITCH] = posterior
            onset[first + 1 : first + 3, pitch - LOWEST_PITCH] = 0.9
    return dict(zip(COLUMN_NAMES, describe_notes(note, onset).tolist(), strict=True))


C, F, G = (48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67)
C_MINOR, F_MINOR, G_MINOR = (48, 60, 63, 67), (53, 60, 65, 68), (55, 58, 62, 67)


def test_cadences_in_major_and_minor() -> None:
    major, minor = describe(C, F, G, C), describe(C_MINOR, F_MINOR, G_MINOR, C_MINOR)
    assert major["key_mode"] > 0.05 > -0.05 > minor["key_mode"]
    assert major["key_major"] == major["key_clarity"] > 0.9
    assert minor["key_minor"] == minor["key_clarity"] > 0.9
    assert major["key_third"] > 0 > minor["key_third"]
    assert major["triad_mode"] > 0.9 > -0.9 > minor["triad_mode"]
    assert major["harmonic_change"] > 0.5
    assert describe(C, C)["harmonic_change"] == pytest.approx(0)


def test_intervals_are_counted_by_class() -> None:
    fifth = describe((60, 67))
    assert (fifth["interval_class_5"], fifth["consonance"]) == pytest.approx((1, 1.24))
    tritone = describe((60, 66), (60, 61))
    assert tritone["interval_class_6"] == pytest.approx(0.5)
    assert tritone["interval_class_1"] == pytest.approx(0.5)
    assert tritone["consonance"] == pytest.approx((-0.453 - 1.428) / 2)


def test_register_and_density() -> None:
    low, high = describe((36,), (38,)), describe((84, 88), (86, 89))
    assert (low["register_mean"], low["register_low"], low["register_high"]) == (37, 1, 0)
    assert (high["register_low"], high["register_high"]) == (0, 1)
    assert high["melody_mean"] == 88.5
    assert (low["melody_step"], high["melody_step"]) == (2, 1)
    assert (low["polyphony_mean"], high["polyphony_mean"]) == (1, 2)
    assert low["onset_rate"] == pytest.approx(2, rel=0.02)
    assert high["onset_rate"] == pytest.approx(4, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(40, 90), min_size=1, max_size=4), min_size=1, max_size=5),
    st.integers(-12, 12),
)
def test_harmony_is_the_same_in_every_key(chords: list[list[int]], by: int) -> None:
    one = describe(*map(tuple, chords))
    other = describe(*(tuple(pitch + by for pitch in chord) for chord in chords))
    moved = ("register_mean", "melody_mean")
    for name in COLUMN_NAMES:
        if name in moved:
            assert other[name] - one[name] == pytest.approx(by, abs=1e-4)
        # Which third is meant hangs on which of two equal keys is taken.
        elif name not in ("register_low", "register_high", "key_third"):
            assert other[name] == pytest.approx(one[name], abs=1e-5), name


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float16,
        st.tuples(st.integers(1, 90), st.just(N_NOTES)),
        elements=st.floats(0, 1, width=16),
    )
)
def test_all_posteriors_give_numbers(note: np.ndarray) -> None:
    note = note.astype(np.float64)
    assert np.isfinite(describe_notes(note, note[::-1])).all()


def test_nothing_that_sounds_is_all_zero() -> None:
    assert not describe_notes(np.full((5, N_NOTES), 0.3), np.ones((5, N_NOTES))).any()


def test_through_the_command_with_the_posteriorgrams_it_comes_from(
    mer: Mer, tmp_path: Path
) -> None:
    kinds = ("--kind", "tonal", "--kind", "note", "--kind", "onset")
    rate = ("--sample-rate", "22050", "--length", "4")
    mer("featurize", CLIPS / "piece01.ogg", *kinds, *rate, "-o", "f.h5")
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        made = file["features/tonal"]
        assert json.loads(made.attrs["params"])["sample_rate"] == 22050
        note, onset = (file[f"features/{kind}"][0].astype(np.float64) for kind in ("note", "onset"))
        np.testing.assert_array_equal(made[0], describe_notes(note, onset))

"""Notes and MIDI against the basic-pitch package, and against pieces whose notes are known."""

from __future__ import annotations

import io
from pathlib import Path

import mir_eval
import numpy as np
import pretty_midi
import pytest
import soundfile
import soxr
from basic_pitch_reference import decode_with_package
from hypothesis import given, settings
from hypothesis import strategies as st

from mertools.features.excerpt import Excerpt
from mertools.features.midi import write_midi
from mertools.features.notes import NoteEvent, decode_notes, notes_in
from mertools.features.transcription import (
    SAMPLE_RATE,
    Posteriorgrams,
    TranscriptionParams,
    transcribe,
)


def made_up(n_frames: int, seed: int, levels: int) -> Posteriorgrams:
    """Notes at random over noise, rounded to few levels, so that many values are equal."""
    rng = np.random.default_rng(seed)
    note, onset = rng.uniform(0, 0.4, (2, n_frames, 88)) ** 2
    contour = rng.uniform(0, 1, (n_frames, 264)).astype(np.float32)
    for _ in range(rng.integers(0, 2 + n_frames // 4)):
        start, row = rng.integers(n_frames), rng.integers(88)
        end = min(n_frames, start + rng.integers(1, 60))
        note[start:end, row] = rng.uniform(0.2, 1) * rng.uniform(0.6, 1, end - start)
        onset[start, row] = rng.uniform(0, 1)
    note, onset = (np.round(values * levels) / levels for values in (note, onset))
    return Posteriorgrams(note.astype(np.float32), onset.astype(np.float32), contour)


def assert_as_package(made: Posteriorgrams) -> list[NoteEvent]:
    notes = decode_notes(made)
    expected, midi = decode_with_package(made)
    assert notes == expected  # times, pitches, amplitudes and bends, to the last bit
    assert write_midi(notes) == midi
    return notes


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(0, 10_000), st.sampled_from([4, 10, 20, 1 << 20]))
def test_equals_the_package_on_any_posteriorgram(n_frames: int, seed: int, levels: int) -> None:
    assert_as_package(made_up(n_frames, seed, levels))


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("n_frames", [1, 2, 12, 13, 14, 40])
def test_equals_the_package_where_nothing_changes(value: float, n_frames: int) -> None:
    notes = np.full((n_frames, 88), value, np.float32)
    assert_as_package(Posteriorgrams(notes, notes, np.zeros((n_frames, 264), np.float32)))


@pytest.mark.corpus
@pytest.mark.slow
def test_equals_the_package_on_music(corpus: Path) -> None:
    n_notes = 0
    for path in sorted((corpus / "originals").glob("*.mp3")):
        y, rate = soundfile.read(path, dtype="float32")
        made = transcribe(soxr.resample(y.mean(axis=1), rate, SAMPLE_RATE))
        n_notes += len(assert_as_package(made))
    assert n_notes > 4000


def test_no_frames_hold_no_notes() -> None:
    assert decode_notes(made_up(1, 0, 10).frames(0, 0)) == []


def one_note(start: int, end: int, row: int, bend: int = 0) -> Posteriorgrams:
    made = Posteriorgrams(*(np.zeros((300, n), np.float32) for n in (88, 88, 264)))
    made.note[start:end, row] = 0.75
    made.onset[start, row] = 0.9
    made.contour[start:end, 3 * row + bend] = 1
    return made


def test_one_note() -> None:
    (note,) = decode_notes(one_note(50, 100, 48, bend=2))
    assert (note.pitch_midi, note.velocity) == (69, 95)
    assert note.start_s == pytest.approx(50 * 256 / 22050)
    assert note.end_s == pytest.approx(100 * 256 / 22050)
    assert note.bends == (2,) * 50


@pytest.mark.parametrize(("n_frames", "n_notes"), [(11, 0), (12, 1)])
def test_short_notes_are_left_out(n_frames: int, n_notes: int) -> None:
    assert len(decode_notes(one_note(50, 50 + n_frames, 48))) == n_notes


def test_midi_files_are_read_back() -> None:
    notes = [
        NoteEvent(0.0, 1.0, 60, 0.5, (0, 1, -1)),
        NoteEvent(2.0, 3.5, 64, 1.0, (-25,) * 3),
        NoteEvent(3.0, 400.0, 108, 0.3, (7,) * 3),
    ]
    read = pretty_midi.PrettyMIDI(io.BytesIO(write_midi(notes)))
    (instrument,) = read.instruments
    assert pretty_midi.program_to_instrument_name(instrument.program) == "Electric Piano 1"
    found = sorted(instrument.notes, key=lambda note: note.start)
    assert [(note.pitch, note.velocity) for note in found] == [(60, 64), (64, 127), (108, 38)]
    for note, expected in zip(found, notes, strict=True):
        assert note.start == pytest.approx(expected.start_s, abs=0.00115)
        assert note.end == pytest.approx(expected.end_s, abs=0.00115)
    # The last two overlap, and a channel cannot bend one of them alone.
    assert [bend.pitch for bend in instrument.pitch_bends] == [0, 1365, -1365]


def test_a_midi_file_without_notes() -> None:
    read = pretty_midi.PrettyMIDI(io.BytesIO(write_midi([])))
    assert read.instruments == []


# Timbres: the roll-off of harmonics and the time in which a note halves.
PLUCKED, STRUCK, BLOWN = (1.5, 0.3), (2.0, 0.8), (2.5, 4.0)


def render(notes: list[tuple[float, float, int]], timbre: tuple[float, float]) -> np.ndarray:
    """Render notes (start, end in seconds, MIDI pitch) by adding up decaying harmonics."""
    rolloff, half_life_s = timbre
    y = np.zeros(round((max(end for _, end, _ in notes) + 0.5) * SAMPLE_RATE))
    for start_s, end_s, pitch in notes:
        t = np.arange(round((end_s - start_s) * SAMPLE_RATE)) / SAMPLE_RATE
        hz = 440 * 2 ** ((pitch - 69) / 12)
        harmonics = [k for k in range(1, 16) if k * hz < 10_000]
        tone = sum(np.sin(2 * np.pi * k * hz * t + k) / k**rolloff for k in harmonics)
        envelope = np.minimum(1, t / 0.005) * 0.5 ** (t / half_life_s)
        envelope *= np.minimum(1, (t[-1] - t) / 0.02)
        first = round(start_s * SAMPLE_RATE)
        y[first : first + len(t)] += tone * envelope
    return (0.5 * y / np.abs(y).max()).astype(np.float32)


def compose(seed: int) -> list[tuple[float, float, int]]:
    """A melody over broken chords: 20 s in a major key, two voices."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    beat_s = rng.uniform(0.4, 0.6)
    notes, beat = [], 0.0
    while beat * beat_s < 20:
        length = rng.choice([0.5, 1.0, 2.0])
        pitch = 72 + rng.choice(scale)
        notes.append((beat * beat_s, (beat + length) * beat_s, int(pitch)))
        beat += length
    for k in range(int(20 / beat_s)):
        root = [0, 5, 7, 0][k // 4 % 4]
        notes.append((k * beat_s, (k + 1) * beat_s, 48 + root + [0, 7, 12, 7][k % 4]))
    return notes


def score(reference: list[tuple[float, float, int]], estimated: list[NoteEvent]) -> float:
    """F1 of notes with the right pitch whose onset is within 50 ms."""
    true = np.array(reference)
    found = np.array([(note.start_s, note.end_s, note.pitch_midi) for note in estimated])
    _, _, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        true[:, :2],
        mir_eval.util.midi_to_hz(true[:, 2]),
        found[:, :2],
        mir_eval.util.midi_to_hz(found[:, 2]),
        onset_tolerance=0.05,
        offset_ratio=None,
    )
    return float(f1)


@pytest.mark.parametrize("context", ["segment", "track"])
@pytest.mark.parametrize(
    ("timbre", "least"), [(PLUCKED, 0.9), (STRUCK, 0.9), (BLOWN, 0.9)], ids=str
)
def test_known_notes_are_found(timbre: tuple[float, float], least: float, context: str) -> None:
    scores = []
    for seed in range(3):
        reference = compose(seed)
        y = (render(reference, timbre) * 32767).astype(np.int16)
        whole = Excerpt(y)
        params = TranscriptionParams(context=context)
        found: list[NoteEvent] = []
        for first in range(0, len(y), 220500):
            excerpt = Excerpt(y[first : first + 220500], first / 22050, lambda: whole)  # noqa: B023
            found += notes_in(excerpt, (first + 220500) / 22050, params, "cpu")
        scores.append(score(reference, found))
    print(context, timbre, np.round(scores, 3))
    assert np.mean(scores) >= least


def test_notes_of_a_track_are_those_of_its_segments() -> None:
    y = (render(compose(5), STRUCK) * 32767).astype(np.int16)
    whole = Excerpt(y)
    params = TranscriptionParams(context="track")
    expected = decode_notes(transcribe(y / np.float32(32768)))
    found: list[NoteEvent] = []
    for start_s in (0.0, 10.0, 20.0):
        excerpt = Excerpt(y[round(start_s * 22050) :][:220500], start_s, lambda: whole)
        found += notes_in(excerpt, start_s + 10, params, "cpu")
    assert found == expected

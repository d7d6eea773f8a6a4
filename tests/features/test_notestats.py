"""The kind `notestats`: statistics of transcribed notes."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Mer
from mertools.features.notes import NoteEvent, decode_notes
from mertools.features.notestats import COLUMN_NAMES, describe_notes
from mertools.features.transcription import Posteriorgrams

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"

Notes = list[tuple[float, float, int]]


def describe(notes: Notes, start_s: float = 0.0, length_s: float = 4.0) -> dict[str, float]:
    events = [NoteEvent(start, end, pitch, 0.5, ()) for start, end, pitch in notes]
    values = describe_notes(events, start_s, length_s).tolist()
    return dict(zip(COLUMN_NAMES, values, strict=True))


def test_texture_in_closed_form() -> None:
    # One note for 4 s; a second one from 1 s to 3 s; a third and fourth from 2 s to 3 s.
    found = describe([(0, 4, 40), (1, 3, 60), (2, 3, 64), (2, 3, 80)])
    assert [found[f"layers_{n}"] for n in (0, 1, 2)] == [0, 0.5, 0.25]
    assert found["layers_3_or_more"] == 0.25
    assert found["simultaneous_mean"] == pytest.approx((4 + 2 + 1 + 1) / 4)
    assert found["simultaneous_std"] == pytest.approx(np.std([1, 2, 4, 1]))
    assert found["simultaneous_max"] == 4
    assert found["layer_transitions"] == pytest.approx(3 / 4)
    assert found["note_rate"] == 1


def test_durations_and_register_in_closed_form() -> None:
    found = describe([(0, 3, 40), (0, 1, 80)])
    assert (found["duration_mean"], found["duration_median"], found["duration_max"]) == (2, 2, 3)
    assert found["duration_std"] == 1
    assert found["register_mean"] == 50  # the low note sounds three times as long
    assert found["register_std"] == pytest.approx(np.std([40, 40, 40, 80]))
    assert (found["register_low"], found["register_high"]) == (0.75, 0.25)
    assert found["register_range"] == 40


def test_notes_beyond_the_stretch_count_for_what_lies_in_it() -> None:
    found = describe([(9.0, 12.0, 60)], start_s=10.0)
    assert (found["layers_0"], found["layers_1"]) == (0.5, 0.5)
    assert found["layer_transitions"] == 0.25


def test_silence_is_silence() -> None:
    found = describe([])
    assert found.pop("layers_0") == 1
    assert not any(found.values())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(21, 108)), max_size=12)
)
def test_counts_agree_with_a_grid_of_time(drawn: list[tuple[int, int, int]]) -> None:
    """The other route: notes on a grid of tenths of a second, counted cell by cell."""
    notes = [(a / 10, (a + n) / 10, pitch) for a, n, pitch in drawn]
    grid = np.zeros(40, int)
    for a, n, _ in drawn:
        grid[a : a + n] += 1
    found = describe(notes)
    assert found["simultaneous_mean"] == pytest.approx(grid.mean(), abs=1e-5)
    assert found["simultaneous_std"] == pytest.approx(grid.std(), abs=1e-5)
    assert found["layers_0"] == pytest.approx(np.mean(grid == 0), abs=1e-5)
    assert found["layers_3_or_more"] == pytest.approx(np.mean(grid >= 3), abs=1e-5)
    changes = np.count_nonzero(np.diff(np.minimum(grid, 3)))
    # Notes that end where others begin leave no gap on either route.
    assert found["layer_transitions"] == pytest.approx(changes / 4, abs=1e-5)


def test_through_the_command(mer: Mer, tmp_path: Path) -> None:
    """The statistics of the notes that `transcribe` writes."""
    clip = CLIPS / "piece01.ogg"
    # `transcribe` hears whole tracks.
    track = ("--set", "notestats.context=track")
    mer("featurize", clip, "--kind", "notestats", *track, "--length", "4", "-o", "f.h5")
    mer("validate", "f.h5")
    mer("transcribe", clip, "--length", "4", "-o", "t.h5", "--notes", "n.csv")
    lines = (tmp_path / "n.csv").read_text().splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    with h5py.File(tmp_path / "f.h5") as file:
        found = dict(zip(COLUMN_NAMES, file["features/notestats"][0], strict=True))
        segment = file["segments/segment_id"].asstr()[0]
    of_segment = [row for row in rows if row["segment_id"] == segment]
    pitches = [int(row["pitch_midi"]) for row in of_segment]
    assert of_segment
    assert found["note_rate"] == pytest.approx(len(of_segment) / 4)
    assert found["register_range"] == np.ptp(pitches)


@pytest.mark.slow
def test_windows_over_time_are_predicted_from_their_stretch_of_the_transcription(
    mer: Mer, tmp_path: Path
) -> None:
    """`predict --over-time`, beside notes decoded from the posteriors that `featurize` writes."""
    clip, cut = CLIPS / "piece01.ogg", ("--length", "4", "--hop", "0.5")
    mer("featurize", CLIPS, "--kind", "notestats", "--length", "4", "-o", "learn.h5")
    ratings = CLIPS.parent / "annotations.csv"
    mer("aggregate-labels", ratings, "--target", "arousal", "-o", "labels.csv")
    labels = ("--labels", "labels.csv", "--target", "arousal")
    data = ("--features", "learn.h5", "--kind", "notestats", *labels, "--cv", "0")
    mer("train", "forest", *data, "--set", "n_estimators=20", "-o", "m.safetensors")
    whole = (*cut, "--last", "whole")
    posteriors = [
        part
        for kind in ("note", "onset", "contour")
        for part in ("--kind", kind, "--set", f"{kind}.context=track")
    ]
    mer("featurize", clip, *posteriors, *whole, "-o", "posteriors.h5")
    mer("featurize", clip, "--kind", "notestats", *whole, "-o", "windows.h5")
    with (
        h5py.File(tmp_path / "posteriors.h5") as file,
        h5py.File(tmp_path / "windows.h5", "r+") as windows,
    ):
        stretches = [file[f"features/{kind}"][...] for kind in ("note", "onset", "contour")]
        for row, stretch in enumerate(zip(*stretches, strict=True)):
            notes = decode_notes(Posteriorgrams(*(part.astype(np.float32) for part in stretch)))
            windows["features/notestats"][row] = describe_notes(notes, 0, 4)

    def predict(source: object, *options: object) -> list[list[str]]:
        table = mer("predict", "-m", "m.safetensors", source, *options).stdout
        rows = [row for row in csv.DictReader(table.splitlines()) if row["level"] == "segment"]
        return [[row[name] for name in ("start", "duration", "p_1", "p_2", "p_3")] for row in rows]

    found = predict(clip, *cut, "--over-time")
    assert found == predict("windows.h5")
    assert len(found) > 8
    assert len({tuple(row[2:]) for row in found}) > 1

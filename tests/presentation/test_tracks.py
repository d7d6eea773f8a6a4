from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_tracks import HOSTILE, as_numbers, made_rows, shares_rows

from mertools.artifacts.rows import Prediction
from mertools.presentation.tracks import (
    MAX_WINDOWS,
    Curve,
    Shares,
    read_outline,
    shorten,
    show_track,
)


def test_curves_are_means_and_deviations_of_the_ratings_at_the_middles_of_windows() -> None:
    posteriors = [(1.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0.2, 0.3, 0.5)]
    rows = [
        Prediction("segment", "a", f"a{k}", 1.5 * k, 3.0, "valence", "n|0|p", p, "p", None)
        for k, p in enumerate(posteriors)
    ]
    (curve,) = show_track(rows[::-1], None).curves.values()
    assert curve.times.tolist() == [1.5, 3.0, 4.5]
    assert curve.means == pytest.approx([-1, 0, 0.3])
    assert curve.spreads == pytest.approx([0, 1, np.std([-1, -1, 0, 0, 0, 1, 1, 1, 1, 1])])
    # Without a row of the whole track it is the mean of its windows.
    assert curve.whole.posterior == pytest.approx(np.mean(posteriors, axis=0))


def test_numbers_and_unordered_classes_have_curves_of_their_own() -> None:
    rows = as_numbers(made_rows("a", [0.1, 0.5]), "0..1")
    shares = shares_rows("a", (0.7, 0.1, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4))
    track = show_track([*rows, *shares], None)
    curve, quadrant = track.curves["arousal"], track.curves["quadrant"]
    assert isinstance(curve, Curve)
    assert curve.means == pytest.approx([0.1, 0.5])
    assert curve.spreads is None
    assert isinstance(quadrant, Shares)
    assert quadrant.posteriors == pytest.approx(np.array([row.posteriors for row in shares[:2]]))
    assert track.whole.quadrant is not None
    assert track.whole.quadrant.name == "Q1"


@pytest.mark.parametrize("scale", ["ordered", "1..9"])
def test_a_whole_track_that_is_not_predicted_is_the_mean_of_its_windows(scale: str) -> None:
    rows = made_rows("a", [0.1, 0.5], [0.2, -0.4])
    rows = rows if scale == "ordered" else as_numbers(rows, scale)
    windows = [row for row in rows if row.level == "segment"]
    given, averaged = show_track(rows, None).whole, show_track(windows, None).whole
    for target in ("arousal", "valence"):
        assert averaged[target].mean == pytest.approx(given[target].mean)
    assert (averaged.word, averaged.quadrant.name) == (given.word, given.quadrant.name)


def test_the_length_is_the_tracks_own_and_not_that_of_a_window_filled_up() -> None:
    rows = made_rows("a", [0.1] * 4)
    whole = replace(rows[-1], duration=4.3)
    assert show_track([*rows[:-1], whole], None).duration == 4.3
    assert show_track([*rows[:-1], whole], None).window == (2.0, 1.0)
    unknown = replace(rows[-1], start=None, duration=None)
    assert show_track([unknown], None).duration == 0.0


def test_a_track_is_unlike_by_its_own_row() -> None:
    *windows, whole = made_rows("a", [0.1] * 3)
    windows = [replace(row, unlike=0.9) for row in windows]
    assert not show_track([*windows, replace(whole, unlike=0.4)], None).is_unlike
    assert show_track(windows, None).is_unlike


def test_long_names_keep_their_beginning_and_end() -> None:
    assert shorten("short", 5) == "short"
    assert shorten("01 a long name.flac", 12) == "01 a lon…lac"


def test_a_track_without_windows_is_its_own_only_window() -> None:
    rows = [row for row in made_rows("a", [0.1, 0.3], [0.2] * 2) if row.level == "track"]
    track = show_track(rows, None)
    assert list(track.curves) == ["arousal", "valence"]
    times, valence, arousal = track.path()
    assert times.tolist() == [1.5]
    assert valence == pytest.approx([0.2])
    assert arousal == pytest.approx([0.2])
    assert track.whole.quadrant is not None
    assert (track.whole.quadrant.name, track.whole.word) == ("Q1", "excited")


def test_long_tracks_keep_windows_from_end_to_end() -> None:
    n = 10 * MAX_WINDOWS + 1
    (curve,) = show_track(made_rows("a", [0.0] * n), None).curves.values()
    assert MAX_WINDOWS / 2 < len(curve.times) <= MAX_WINDOWS
    assert len(set(np.diff(curve.times))) == 1
    assert curve.times[-1] > 0.99 * n


def test_a_name_that_is_not_utf8_can_be_shown() -> None:
    name = show_track(made_rows(HOSTILE, [0.0]), None).name
    assert name.encode().decode()[:-1] == HOSTILE[:-1]


def test_the_outline_is_loud_where_the_sound_is(tmp_path: Path) -> None:
    y = np.zeros((16384, 2))
    y[4096:8192, 1] = -0.25
    soundfile.write(tmp_path / "a.wav", y, 8192)
    outline, duration = read_outline(tmp_path / "a.wav", 8)
    assert duration == 2.0
    assert outline == pytest.approx([0, 0, 1, 1, 0, 0, 0, 0], abs=1e-3)
    soundfile.write(tmp_path / "b.wav", np.zeros(3), 8000)
    assert read_outline(tmp_path / "b.wav", 8)[0].tolist() == [0.0] * 8

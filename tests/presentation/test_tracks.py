from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_tracks import HOSTILE, made_rows

from mertools.artifacts.rows import Prediction
from mertools.presentation.tracks import MAX_WINDOWS, read_outline, show_track


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

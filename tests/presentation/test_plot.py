from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_tracks import HOSTILE, WriteTone, made_rows
from matplotlib.image import imread

from mertools.artifacts.rows import Prediction
from mertools.errors import UsageError
from mertools.presentation.output import open_presentation
from mertools.presentation.plot import draw_track
from mertools.presentation.tracks import show_track

AROUSAL, VALENCE = [0.1, 0.5, -0.3], [-0.2, 0.0, 0.4]


def draw(path: Path, *tracks: Sequence[Prediction], sound: Path | None = None) -> bytes:
    with open_presentation(path, None) as show:
        for rows in tracks:
            show(rows, sound)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["png", "SVG"])
def test_a_track_of_any_name_is_the_same_figure_every_time(
    tmp_path: Path, write_tone: WriteTone, suffix: str
) -> None:
    sound = write_tone(tmp_path / "a.wav", 4.0)
    rows = made_rows(HOSTILE, AROUSAL, VALENCE)
    first = draw(tmp_path / f"1.{suffix}", rows, sound=sound)
    assert first == draw(tmp_path / f"2.{suffix}", rows, sound=sound)
    assert first != draw(tmp_path / f"3.{suffix}", made_rows(HOSTILE, VALENCE, AROUSAL))


def test_the_curves_and_the_path_are_those_of_the_windows() -> None:
    figure = draw_track(show_track(made_rows("a", AROUSAL, VALENCE), None))
    plane, _, arousal, valence = figure.get_axes()
    for axes, means in ((arousal, AROUSAL), (valence, VALENCE)):
        line = axes.get_lines()[-1]
        assert line.get_xdata() == pytest.approx([0, 1, 2, 3, 4])
        assert line.get_ydata() == pytest.approx([means[0], *means, means[-1]])
    start, end, whole = plane.get_lines()[-3:]
    assert start.get_xydata()[0] == pytest.approx([VALENCE[0], AROUSAL[0]])
    assert end.get_xydata()[0] == pytest.approx([VALENCE[-1], AROUSAL[-1]])
    assert whole.get_xydata()[0] == pytest.approx([np.mean(VALENCE), np.mean(AROUSAL)])
    words = {text.get_text() for text in plane.texts}
    corners = {"Q1  excited", "Q2  distressed", "Q3  depressed", "Q4  content"}
    assert words == corners | {"0:02"}


@pytest.mark.parametrize("valence", [VALENCE, []], ids=["plane", "one target"])
def test_several_tracks_are_one_figure(tmp_path: Path, valence: list[float]) -> None:
    few = [made_rows(name, AROUSAL, valence) for name in "ab"]
    many = [made_rows(str(k), [k / 50 - 0.9], valence[:1]) for k in range(40)]
    for tracks in (few, many):
        draw(tmp_path / "a.png", *tracks)
        image = imread(tmp_path / "a.png")
        assert len(np.unique(image[:, :, 0])) > 50


def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    for path, problem in (("a.pdf", "no format"), ("x/a.png", "no folder"), ("-", "the table")):
        place = tmp_path / path if path != "-" else Path("-")
        with (
            pytest.raises(UsageError, match=problem),
            open_presentation(place, None),
        ):
            pytest.fail("work has begun")

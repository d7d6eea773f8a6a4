from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_tracks import HOSTILE, MODELS, WriteTone, as_numbers, made_rows, shares_rows
from matplotlib.figure import Figure
from matplotlib.image import imread

from mertools.artifacts.rows import Prediction
from mertools.errors import UsageError
from mertools.presentation.labels import place_labels
from mertools.presentation.output import open_presentation
from mertools.presentation.plot import draw_track, draw_tracks
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
    plane, _, arousal, valence, own_arousal, own_valence = figure.get_axes()
    for axes, means in (
        (arousal, AROUSAL),
        (own_arousal, AROUSAL),
        (valence, VALENCE),
        (own_valence, VALENCE),
    ):
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


def test_numbers_have_fixed_axes_of_their_own_scale_and_no_band() -> None:
    rows = as_numbers(made_rows("a", AROUSAL, VALENCE), "1..9")
    figure = draw_track(show_track(rows, None))
    plane, _, arousal, _, own, _ = figure.get_axes()
    assert [label.get_text() for label in own.get_yticklabels()] == ["3.80", "7.00"]
    low, high = own.get_ylim()
    assert high - low < 1
    assert arousal.get_lines()[-1].get_ydata()[1:-1] == pytest.approx(AROUSAL)
    assert arousal.get_ylim() == pytest.approx((-1.04, 1.04))
    for axis in (arousal.yaxis, plane.xaxis, plane.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["1", "5", "9"]
    assert not arousal.collections
    assert "band" not in figure._supxlabel.get_text()


def test_dominance_is_the_third_curve_and_unordered_classes_are_stacked() -> None:
    dominance = [replace(row, target="dominance") for row in made_rows("a", AROUSAL)]
    shares = shares_rows("a", (0.7, 0.1, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4))
    rows = [*shares, *dominance, *made_rows("a", AROUSAL, VALENCE)]
    figure = draw_track(show_track(rows, None))
    _, _, *panels = figure.get_axes()
    panels = [axes for axes in panels if axes.get_ylabel()]  # not the axes of their own
    names = [axes.get_ylabel() for axes in panels]
    assert names == ["arousal", "valence", "dominance", "quadrant"]
    areas = panels[-1].collections
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in areas]
    assert tops == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert [text.get_text() for text in panels[-1].get_legend().texts] == ["Q4", "Q3", "Q2", "Q1"]


def test_the_figure_names_models_windows_length_and_what_the_band_is() -> None:
    track = show_track(made_rows("a", AROUSAL, VALENCE), None)
    caption = " ".join(draw_track(track, MODELS)._supxlabel.get_text().split())
    for told in (
        "Models: calm (svm), glad (cnn). Licence of the models: CC0-1.0.",
        "Windows of 2 s, one every 1 s; the models learnt from ratings of whole tracks.",
        "Length 0:04.",
        "one standard deviation of listeners' ratings",
    ):
        assert told in caption


def test_long_names_are_shortened_and_names_cover_nothing() -> None:
    long = "a name that is far too long to stand anywhere in a figure of several songs"
    tracks = [
        show_track(made_rows(f"{k:02d} {long}", [k % 10 / 5 - 0.9], [k / 30 - 0.9]), None)
        for k in range(50)
    ]
    figure = draw_tracks(tracks)
    (plane,) = figure.get_axes()
    labels = [text for text in plane.texts if text.get_text()[:2].isdigit()]
    assert 10 < len(labels) < 50
    assert f"50 tracks ({len(labels)} have room" in figure._suptitle.get_text()
    assert {len(text.get_text()) for text in labels} == {28}
    boxes = [text.get_window_extent() for text in labels]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert plane.bbox.containsx(box.x0)
        assert plane.bbox.containsx(box.x1)


def test_names_of_points_on_one_spot_stand_to_its_right_and_left() -> None:
    figure = Figure()
    axes = figure.add_subplot(xlim=(-1, 1), ylim=(-1, 1))
    assert place_labels(axes, np.zeros((9, 2)), ["name"] * 9) == 2


def test_many_tracks_below_each_other_are_named_as_far_as_there_is_room() -> None:
    tracks = [show_track(made_rows(str(k), [k / 100 - 0.9]), None) for k in range(130)]
    (axes,) = draw_tracks(tracks).get_axes()
    assert len(axes.get_yticklabels()) == 44
    shares = [show_track(shares_rows(str(k), (0.1, 0.2, 0.3, 0.4)), None) for k in range(3)]
    (axes,) = draw_tracks(shares).get_axes()
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx(np.repeat([0.1, 0.2, 0.3, 0.4], 3))


def test_a_whole_track_alone_is_a_point_and_no_flat_curve(tmp_path: Path) -> None:
    rows = [row for row in made_rows("a", AROUSAL, VALENCE) if row.level == "track"]
    (plane,) = draw_tracks([show_track(rows, None)]).get_axes()
    assert "a" in [text.get_text() for text in plane.texts]
    assert draw(tmp_path / "a.png", rows) == draw(tmp_path / "b.png", rows)


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


@pytest.mark.parametrize("scale", ["ordered", "0..1"])
def test_one_window_is_enough_for_a_figure(tmp_path: Path, scale: str) -> None:
    rows = made_rows("a", [0.1], [0.2])
    rows = rows if scale == "ordered" else as_numbers(rows, scale)
    draw(tmp_path / "a.png", rows)
    plane, *_ = draw_track(show_track(rows, None)).get_axes()
    assert [line.get_label() for line in plane.get_lines()[-3:]] == [
        "start (0:01)",
        "end (0:01)",
        "whole track",
    ]

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_aggregate_labels import mer, table_of

from mertools.artifacts.rows import Label
from mertools.artifacts.tables import read_table
from mertools.labels.plots import draw_labels


@pytest.fixture
def sliders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    rows = [
        (f"t{track}", f"a{annotator}", target, round(float(rng.uniform(1, 9)), 2))
        for track in range(30)
        for annotator in range(4)
        for target in ("arousal", "dominance", "valence")
    ]
    path = tmp_path / "sliders.csv"
    path.write_text(table_of(rows))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_picture_is_drawn_and_the_same_again(tmp_path: Path, sliders: Path) -> None:
    options = ["--scale", "1..9", "--quadrants", "--max-mad", "2", "--validation-fraction", "0.3"]
    for folder in ("first", "second"):
        done = mer(sliders, *options, "--plot", tmp_path / folder, "-o", tmp_path / "l.csv")
        assert done.exit_code == 0, done.exception
        assert f"{folder}: 8 figures" in done.stderr
    assert names(tmp_path / "first") == [
        "arousal_histogram.png",
        "cube.png",
        "disagreement.png",
        "dominance_histogram.png",
        "plane.png",
        "quadrant_histogram.png",
        "split.png",
        "valence_histogram.png",
    ]
    for name in names(tmp_path / "first"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_quadrants_meet_where_they_are_said_to(tmp_path: Path, sliders: Path) -> None:
    options = ["--scale", "1..9", "--rescale", "arousal=0..1", "--plot-format", "svg"]
    counts = []
    for centre in ("3", "7"):
        folder = tmp_path / centre
        quadrants = ["--quadrants", "--quadrant-centre", centre, "--plot", folder]
        mer(sliders, *options, *quadrants, "-o", tmp_path / "labels.csv")
        picture = (folder / "plane.svg").read_text()  # texts stand in comments
        assert "arousal (mean, 0..1)" in picture
        labels = read_table(str(tmp_path / "labels.csv"), Label)
        first = sum(label.class_name == "Q1" for label in labels)
        assert f"<!-- Q1  {first} (" in picture
        counts.append(first)
    assert counts[0] > counts[1]


def test_labels_of_any_program_are_drawn(tmp_path: Path) -> None:
    """Means alone, words alone, a single class, stretches, and names that no file may have."""
    number = {"label": None, "class_name": None, "kept": True}
    rows = [
        Label("x", "a/b", None, 0.5, None, None, **number, scale="0..1"),
        Label("x", "genre", 1, None, None, None, 1, "rock", True, (1.0,), scale="unordered"),
        Label("x", "arousal", None, 0.1, None, None, **number, scale="-1..1", start=0, duration=1),
        Label("x", "valence", None, 0.1, None, None, **number, scale="-1..1", start=0, duration=1),
        Label("x", "old", 3, 1.0, 0.0, 0.0, 1, "low", False, (1.0, 0.0)),
    ]
    paths = draw_labels(rows, tmp_path / "pictures", "svg")
    assert [path.name for path in paths] == [
        "a%2Fb_histogram.svg",
        "arousal_histogram.svg",
        "genre_histogram.svg",
        "old_histogram.svg",
        "valence_histogram.svg",
        "plane.svg",
        "disagreement.svg",
    ]
    assert all(path.is_file() for path in paths)


def test_nothing_in_common_is_no_plane(tmp_path: Path) -> None:
    rows = [
        Label(track, target, 1, 0.5, 0.0, 0.0, None, None, True, scale="0..1")
        for track, target in (("x", "arousal"), ("y", "valence"))
    ]
    drawn = [path.stem for path in draw_labels(rows, tmp_path)]
    assert drawn == ["arousal_histogram", "valence_histogram", "disagreement"]

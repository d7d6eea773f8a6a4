from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_outcomes import NAMES, corpus_tables, label, prediction
from matplotlib.figure import Figure
from matplotlib.image import imread

from mertools.artifacts.rows import Label, Prediction
from mertools.errors import UsageError
from mertools.evaluation.join import join_tables
from mertools.evaluation.plots import draw_figures, draw_precision_recall, draw_roc
from mertools.evaluation.report import Json, build_report


def report_of(predictions: list[Prediction], labels: list[Label]) -> tuple[Json, Any]:
    joined = join_tables(predictions, labels)
    return build_report(joined, 10, 0), joined


@pytest.fixture(scope="module")
def report() -> tuple[Json, Any]:
    labels, predictions = corpus_tables()
    return report_of(predictions, labels)


def test_three_figures_for_each_level_show_something(
    report: tuple[Json, Any], tmp_path: Path
) -> None:
    paths = draw_figures(*report, tmp_path / "figures")
    assert sorted(path.name for path in paths) == [
        f"arousal_{level}_{kind}.png"
        for level in ("segment", "track")
        for kind in ("confusion", "pr", "roc")
    ]
    assert sorted(paths) == sorted((tmp_path / "figures").iterdir())
    for path in paths:
        image = imread(path)
        assert image.shape[0] >= 400
        assert len(np.unique(image[:, :, 0])) > 50


@pytest.mark.parametrize("file_format", ["png", "svg"])
def test_figures_are_the_same_bytes_every_time(
    report: tuple[Json, Any], tmp_path: Path, file_format: str
) -> None:
    first = [path.read_bytes() for path in draw_figures(*report, tmp_path / "a", file_format)]
    again = [path.read_bytes() for path in draw_figures(*report, tmp_path / "b", file_format)]
    assert first == again


def test_lines_are_the_curves_and_differ_in_more_than_colour(report: tuple[Json, Any]) -> None:
    description = report[0]["targets"]["arousal"]["levels"]["track"]
    axes = Figure().add_subplot()
    draw_roc(axes, description)
    chance, *lines = axes.get_lines()
    assert len({line.get_color() for line in lines}) == 3
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 3
    for name, line in zip(NAMES, lines, strict=True):
        curve = description["per_class"][name]["roc"]
        assert list(line.get_xdata()) == curve["fpr"]
        assert list(line.get_ydata()) == curve["tpr"]
        assert name in line.get_label()
    assert list(chance.get_xdata()) == list(chance.get_ydata())


def test_classes_without_rows_have_no_curve() -> None:
    made = report_of([prediction("a", [1, 0, 0])], [label("a", 1)])
    description = made[0]["targets"]["arousal"]["levels"]["track"]
    axes = Figure().add_subplot()
    draw_precision_recall(axes, description)
    assert [line.get_label() for line in axes.get_lines()] == ["1.00  weak", "1.00  by chance"]


def test_any_name_of_targets_and_classes_can_be_drawn(tmp_path: Path) -> None:
    target, classes = "mood/../$x_$", ("_low", "a$b$c", r"\frac{")
    names = {"target": target, "classes": "|".join(classes), "predicted": "_low"}
    distribution = {"target": target, "class_name": "_low", "distribution": (1.0, 0.0, 0.0)}
    made = report_of([prediction("a", [1, 0, 0], **names)], [label("a", 1, **distribution)])
    paths = draw_figures(*made, tmp_path)
    assert {path.parent for path in paths} == {tmp_path}
    assert len(list(tmp_path.iterdir())) == 3


def test_folder_that_is_a_file_is_a_usage_error(report: tuple[Json, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        draw_figures(*report, tmp_path / "file")

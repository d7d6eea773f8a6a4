"""Targets that are numbers: scores, baselines, quadrants, tests and figures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import label, number_label, number_prediction, plane_tables, prediction, save
from matplotlib.image import imread
from scipy import stats
from sklearn import metrics as sk
from typer.testing import CliRunner

from mertools.artifacts.rows import Label, Prediction
from mertools.artifacts.schema import load_schema
from mertools.cli.app import app
from mertools.errors import SchemaError
from mertools.evaluation.baselines import expect_random, number_baselines
from mertools.evaluation.join import join_tables
from mertools.evaluation.metrics import (
    NUMBER_SCORES,
    score_labels,
    score_numbers,
    weigh_numbers,
)
from mertools.evaluation.outcomes import NumberOutcomes
from mertools.evaluation.plots import draw_figures
from mertools.evaluation.quadrants import find_plane
from mertools.evaluation.report import build_report, compare
from mertools.targets.scale import Range

CLOSE = {"rel": 1e-9, "abs": 1e-9}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw references and estimates with many ties."""
    n = draw(st.integers(3, 30))
    numbers = st.lists(st.integers(0, 6), min_size=n, max_size=n)
    offset = draw(st.sampled_from([0.0, 1e6]))
    return np.array(draw(numbers)) / 8 + offset, np.array(draw(numbers)) / 8 + offset


def concordance(x: Any, y: Any) -> float:
    return float(2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


@given(pairs())
def test_scores_equal_scikit_learns_and_scipys(pair: tuple[Any, Any]) -> None:
    x, y = pair
    scores = score_numbers(x, y)
    assert tuple(scores) == NUMBER_SCORES
    assert scores["mse"] == pytest.approx(sk.mean_squared_error(x, y))
    assert scores["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(x, y)))
    assert scores["mae"] == pytest.approx(sk.mean_absolute_error(x, y))
    assert scores["bias"] == pytest.approx((y - x).mean())
    if np.ptp(x) and np.ptp(y):
        assert scores["r2"] == pytest.approx(sk.r2_score(x, y), **CLOSE)
        assert scores["pearson_r"] == pytest.approx(stats.pearsonr(x, y).statistic, **CLOSE)
        assert scores["spearman_rho"] == pytest.approx(stats.spearmanr(x, y).statistic, **CLOSE)
        assert scores["ccc"] == pytest.approx(concordance(x, y), **CLOSE)
        assert scores["spread_ratio"] == pytest.approx(y.std() / x.std())
    else:
        undefined = {"pearson_r", "spearman_rho"} | (set() if np.ptp(x) else {"r2", "spread_ratio"})
        assert all(math.isnan(scores[name]) for name in undefined)


@given(pairs(), st.integers(0, 100))
def test_a_weight_is_a_number_of_equal_rows(pair: tuple[Any, Any], seed: int) -> None:
    x, y = pair
    counts = np.random.default_rng(seed).integers(0, 4, size=len(x))
    counts[0] = 1
    weighted = weigh_numbers(x, y, counts[np.newaxis].astype(float))
    repeated = score_numbers(np.repeat(x, counts), np.repeat(y, counts))
    for name, value in repeated.items():
        assert weighted[name][0] == pytest.approx(value, nan_ok=True, **CLOSE)


def test_scores_of_labels_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    reference, estimated = generator.integers(4, size=(2, 60))
    scores = score_labels(reference, estimated, 5)
    assert scores["accuracy"] == sk.accuracy_score(reference, estimated)
    macro = sk.precision_recall_fscore_support(reference, estimated, average="macro")[:3]
    for name, value in zip(("precision", "recall", "f1"), macro, strict=True):
        assert scores[f"macro_{name}"] == pytest.approx(value)
    assert score_labels(reference, np.eye(5)[estimated], 5) == scores


def outcomes(reference: Any, estimated: Any) -> NumberOutcomes:
    n = len(reference)
    names = tuple(f"t{index:05}" for index in range(n))
    folds = np.zeros((n, 2), dtype=np.intp)
    arrays = np.asarray(reference, float), np.asarray(estimated, float)
    return NumberOutcomes(names, np.arange(n), np.full(n, ""), folds, Range(0, 1), *arrays)


def test_baselines_in_closed_form() -> None:
    baselines = number_baselines(outcomes([0.2, 0.8], [0.5, 0.5]), [0.2, 0.8], 0)
    mean, random = baselines["mean"], baselines["random"]
    assert mean["mae"] == pytest.approx(0.3)
    assert mean["mse"] == pytest.approx(0.09)
    assert mean["r2"] == pytest.approx(0)
    assert (mean["value"], mean["source"]) == (0.5, "train")
    assert random["mae"] == pytest.approx(0.34)
    assert random["mse"] == pytest.approx(0.17333, abs=1e-5)
    assert number_baselines(outcomes([0.2, 0.8], [0, 0]), [], 0)["mean"]["source"] == "scored"
    assert number_baselines(outcomes([0.2, 0.8], [0, 0]), [0, 0, 1], 0)["median"]["value"] == 0


def test_a_random_number_is_drawn_by_the_seed_and_expected() -> None:
    rng = np.random.default_rng(3)
    judged = outcomes(rng.uniform(size=4000), np.zeros(4000))
    first, again, other = (number_baselines(judged, [], seed)["random_draw"] for seed in (1, 1, 2))
    assert first == again != other
    expected = number_baselines(judged, [], 1)["random"]
    assert first["mae"] == pytest.approx(expected["mae"], abs=0.02)
    assert first["mse"] == pytest.approx(expected["mse"], abs=0.02)


def test_expected_random_scores_are_those_of_many_draws() -> None:
    scale, y = Range(1, 9), np.array([1.0, 2.5, 8.0, 9.0])
    draws = np.random.default_rng(0).uniform(1, 9, size=(200_000, 4))
    expected = expect_random(y, scale)
    errors = draws - y
    assert expected["mse"] == pytest.approx((errors**2).mean(), rel=0.01)
    assert expected["mae"] == pytest.approx(np.abs(errors).mean(), rel=0.01)
    assert expected["bias"] == pytest.approx(errors.mean(), abs=0.02)
    assert expected["r2"] == pytest.approx(1 - expected["mse"] / y.var())
    assert math.isnan(expected["ccc"])


def plane_report(**changes: Any) -> tuple[Any, Any]:
    joined = join_tables(*reversed(plane_tables(**changes)), split="test")
    return build_report(joined, 50, 0), joined


def test_quadrant_centres_are_the_training_tracks_means() -> None:
    labels, predictions = plane_tables()
    joined = join_tables(predictions, labels, "test")
    plane = find_plane(joined, "track")
    assert plane is not None
    means = {(row.track_id, row.target): row.mean for row in labels}
    train = {row.track_id for row in labels if row.split == "train"}
    points = np.array([[means[t, name] for name in ("valence", "arousal")] for t in sorted(train)])
    q1 = points[(points >= 0.5).all(axis=1)]
    q4 = points[(points[:, 0] >= 0.5) & (points[:, 1] < 0.5)]
    assert plane.source == "train"
    assert plane.centres[0] == pytest.approx(q1.mean(axis=0))
    assert plane.centres[3] == pytest.approx(q4.mean(axis=0))
    report = build_report(joined, 20, 0)
    level = report["targets"]["valence"]["levels"]["track"]
    valence = joined["valence"].levels["track"]
    oracle = plane.true_centres("valence")
    expected = sk.mean_absolute_error(valence.reference, oracle)
    assert level["baselines"]["quadrant_centre"]["mae"] == pytest.approx(expected)
    errors = ((valence.reference - valence.estimated) ** 2).sum()
    within = 1 - errors / ((valence.reference - oracle) ** 2).sum()
    assert level["r2_within_quadrant"] == pytest.approx(within)
    low, high = level["intervals"]["r2_within_quadrant"]
    assert low < within < high
    quadrants = report["quadrants"]["track"]
    truth, found = plane.quadrants.reference, plane.quadrants.estimated
    assert quadrants["accuracy"] == pytest.approx((truth == found).mean())
    assert quadrants["macro_f1"] == pytest.approx(sk.f1_score(truth, found, average="macro"))


def test_a_model_that_knows_the_quadrant_alone_has_nothing_within_it() -> None:
    labels, predictions = plane_tables(noise=0)
    plane = find_plane(join_tables(predictions, labels, "test"), "track")
    assert plane is not None
    places = zip(plane.quadrants.track_ids, plane.quadrants.reference, strict=True)
    rows = [
        number_prediction(track, float(plane.centres[quadrant, k]), target=target)
        for track, quadrant in places
        for k, target in enumerate(("valence", "arousal"))
    ]
    report = build_report(join_tables(rows, labels, "test"), 20, 0)
    level = report["targets"]["arousal"]["levels"]["track"]
    assert level["r2_within_quadrant"] == pytest.approx(0)
    assert level["r2"] > 0.5
    assert level["baselines"]["predicted_quadrant_centre"]["r2"] == pytest.approx(level["r2"])
    assert report["quadrants"]["track"]["accuracy"] == 1


def test_the_middle_of_a_scale_is_high_and_scales_may_differ() -> None:
    changes = {"target": "arousal", "scale": "1..9"}
    rows = [number_prediction("a", 0.5), number_prediction("a", 5, **changes)]
    joined = join_tables(rows, [number_label("a", 0.5), number_label("a", 4.9, **changes)])
    plane = find_plane(joined, "track")
    assert plane is not None
    assert (plane.quadrants.estimated.tolist(), plane.quadrants.reference.tolist()) == ([0], [3])
    # A quadrant without a track has its own middle.
    assert plane.centres[1].tolist() == [0.25, 7.0]


def test_quadrants_need_both_of_the_same_rows() -> None:
    labels, predictions = plane_tables(30)
    fewer = [row for row in predictions if (row.track_id, row.target) != ("t002", "arousal")]
    report = build_report(join_tables(fewer, labels, "test"), 10, 0)
    assert report["quadrants"] == {}
    assert "r2_within_quadrant" not in report["targets"]["valence"]["levels"]["track"]


@pytest.mark.parametrize(
    ("row", "other", "problem"),
    [
        (
            number_prediction("a", 0.5),
            label("a", 1, target="valence"),
            "ordered classes of valence",
        ),
        (
            prediction("a", [1, 0, 0], target="valence"),
            number_label("a", 0.5),
            "numbers 0..1 of valence, where P has ordered classes",
        ),
        (number_prediction("a", 0.5), number_label("a", 5, scale="1..9"), "--rescale valence=0..1"),
        (
            prediction("a", [1, 0, 0], scale="unordered", value=None),
            label("a", 1),
            "column scale: ordered or unordered",
        ),
    ],
)
def test_scales_that_differ_are_refused(row: Any, other: Any, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        join_tables([row], [other], predictions_name="P", labels_name="L")


def test_unordered_classes_have_no_ratings() -> None:
    row = prediction("a", [1, 0, 0], scale="unordered", value=None)
    joined = join_tables([row], [label("a", 1, scale="unordered", mean=None)])
    level = build_report(joined, 10, 0)["targets"]["arousal"]["levels"]["track"]
    assert level["accuracy"] == 1
    assert not {"r2", "mae", "pearson_r"} & level.keys()
    assert level["n_values"] == 0


def test_p_of_errors_is_scipys() -> None:
    generator = np.random.default_rng(1)
    reference = generator.uniform(size=10)
    labels = [number_label(f"t{i}", y) for i, y in enumerate(reference)]
    first, other = (reference + generator.normal(0, spread, 10) for spread in (0.05, 0.15))
    joined = [
        join_tables([number_prediction(f"t{i}", y) for i, y in enumerate(estimated)], labels)
        for estimated in (first, other)
    ]
    scores = compare(*joined, other_name="O", paired=True, n_shuffles=5_000, seed=0)["valence"][
        "scores"
    ]
    for name, error in (("mse", np.square), ("mae", np.abs)):
        exact = stats.permutation_test(
            (error(first - reference), error(other - reference)),
            lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
        )
        assert scores[name]["difference"] == pytest.approx(exact.statistic)
        assert scores[name]["p"] == pytest.approx(exact.pvalue, abs=0.02)
    assert scores["r2"]["first"] == pytest.approx(sk.r2_score(reference, first))
    # With the same references R2 is a falling function of MSE.
    assert scores["r2"]["p"] == pytest.approx(scores["mse"]["p"], abs=1e-9)


def test_r2_of_one_track_cannot_be_tested() -> None:
    joined = join_tables([number_prediction("a", 0.4)], [number_label("a", 0.5)])
    scores = compare(joined, joined, other_name="O", paired=True, n_shuffles=9, seed=0)["valence"]
    assert scores["scores"]["r2"]["p"] is None
    assert scores["scores"]["mse"]["p"] == 1


def test_figures_of_numbers_show_something(tmp_path: Path) -> None:
    report, joined = plane_report()
    paths = draw_figures(report, joined, tmp_path)
    names = {
        f"{t}_{level}_{k}"
        for t in ("valence", "arousal")
        for level in ("segment", "track")
        for k in ("scatter", "errors")
    }
    names |= {
        f"quadrants_{level}_{k}" for level in ("segment", "track") for k in ("plane", "confusion")
    }
    assert {path.stem for path in paths} == names
    for path in paths:
        image = imread(path)[:, :, :3]
        colours = np.unique(image.reshape(-1, 3).round(1), axis=0)
        assert len(colours[np.ptp(colours, axis=1) > 0.3]) >= 2
    again = draw_figures(report, joined, tmp_path / "again")
    assert [a.read_bytes() for a in paths] == [b.read_bytes() for b in again]


def test_numbers_are_compared_and_drawn_by_the_command(tmp_path: Path) -> None:
    labels, predictions = plane_tables(60)
    worse = plane_tables(60, noise=0.5)[1]
    paths = [
        save(tmp_path / "p.csv", Prediction, predictions),
        save(tmp_path / "worse.csv", Prediction, worse),
        save(tmp_path / "again.csv", Prediction, predictions),
    ]
    arguments = ["evaluate", paths[0], "--labels", save(tmp_path / "l.csv", Label, labels)]
    arguments += ["--against", paths[1], "--against", paths[2], "--bootstrap", "20"]
    arguments += ["--shuffles", "300", "--plots", str(tmp_path / "figures")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    jsonschema.validate(report, load_schema("metrics.json"))
    tests = report["comparisons"][0]["targets"]["arousal"]["scores"]
    assert set(tests) == {"mse", "mae", "r2"}
    assert tests["mse"]["difference"] < 0 < tests["r2"]["difference"]
    assert tests["mae"]["p"] < 0.05
    assert tests["mae"]["p"] < tests["mae"]["p_holm"]
    for shown in ("RMSE", "CCC", "R2 within quadrant", "quadrant centre", "random", "Q1"):
        assert shown in result.stderr
    assert "12 figures" in result.stderr

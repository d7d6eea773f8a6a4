"""Folds, labels over time, groups of tracks, and tracks that were learnt from."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_outcomes import (
    corpus_tables,
    label,
    number_label,
    number_prediction,
    plane_tables,
    prediction,
    save,
)
from scipy import stats
from sklearn import metrics as sk
from typer.testing import CliRunner

from mertools.artifacts.files import digest_file
from mertools.artifacts.rows import Label, Prediction
from mertools.artifacts.schema import load_schema
from mertools.cli.app import app
from mertools.evaluation.join import join_tables
from mertools.evaluation.overlap import hash_track
from mertools.evaluation.report import build_report
from mertools.evaluation.windows import match_windows


def run(*arguments: str, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["evaluate", *arguments, "--bootstrap", "50"])
    assert result.exit_code == status, (result.stderr, result.exception)
    return result


def run_json(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run(*arguments).stdout)
    jsonschema.validate(report, load_schema("metrics.json"))
    return report


def repeated(n_repeats: int = 3, n_folds: int = 4) -> tuple[list[Label], list[Prediction]]:
    """Make out-of-fold predictions of segments in several repetitions."""
    labels, predictions = corpus_tables(40)
    generator = np.random.default_rng(0)
    rows = []
    for repeat in range(1, n_repeats + 1):
        fold = {row.track_id: int(generator.integers(n_folds)) + 1 for row in labels}
        for row in predictions:
            p = np.array(row.posteriors) + generator.uniform(0, 0.3, 3)
            p = np.round(p / p.sum(), 9)
            changes = {"repeat": repeat, "fold": fold[row.track_id], "model": "0123456789ab"}
            posteriors = {"posteriors": tuple(p.tolist())}
            rows.append(dataclasses.replace(row, **changes, **posteriors))
    return labels, rows


def test_folds_of_every_repetition_are_scored_and_averaged(tmp_path: Path) -> None:
    labels, rows = repeated()
    optional = ("repeat", "fold", "model")
    predictions = save(tmp_path / "p.csv", Prediction, rows, optional)
    report = run_json(predictions, "--labels", save(tmp_path / "l.csv", Label, labels))
    # All rows are out of fold: nothing is left out for a test part, and nothing is warned of.
    assert report["provenance"]["split"] == "all"
    assert report["warnings"] == []
    track = report["targets"]["arousal"]["levels"]["track"]
    assert (track["n"], track["n_tracks"]) == (3 * 36, 36)
    assert report["training_overlap"]["arousal"]["out_of_fold"] == 36
    numbers = {row.track_id: row.label for row in labels if row.kept}
    expected = []
    for fold in track["folds"]:
        groups: dict[str, list[Any]] = {}
        for row in rows:
            if (row.repeat, row.fold) == (fold["repeat"], fold["fold"]) and row.track_id in numbers:
                groups.setdefault(row.track_id, []).append(row.posteriors)
        reference = [numbers[track_id] for track_id in groups]
        estimated = [np.mean(p, axis=0).argmax() + 1 for p in groups.values()]
        expected.append(sk.f1_score(reference, estimated, average="macro"))
        assert fold["n"] == len(groups)
        assert fold["scores"]["macro_f1"] == pytest.approx(expected[-1])
    assert len(track["folds"]) == 12
    spread = track["over_folds"]["macro_f1"]
    assert spread["n"] == 12
    assert spread["mean"] == pytest.approx(np.mean(expected))
    assert spread["std"] == pytest.approx(np.std(expected, ddof=1))


def test_a_track_is_in_one_fold_of_a_repetition(tmp_path: Path) -> None:
    rows = [prediction("a", [1, 0, 0], k, fold=k + 1) for k in range(2)]
    predictions = save(tmp_path / "p.csv", Prediction, rows, ("fold",))
    labels = save(tmp_path / "l.csv", Label, [label("a", 1)])
    assert "is of fold 2, another row" in run(predictions, "--labels", labels, status=2).stderr


def stretch(track_id: str, start: float, mean: float, duration: float = 10.0, **more: Any) -> Label:
    return number_label(track_id, mean, start=start, duration=duration, **more)


def test_a_window_is_scored_by_the_stretches_that_it_shares_half_with() -> None:
    segments = [number_prediction("a", 0.5, k) for k in range(4)]  # 0 to 10 s, 10 to 20 s, ...
    stretches = [stretch("a", 5.0, 0.2), stretch("a", 16.0, 0.8), stretch("a", 30.0, 0.4, 1.0)]
    pairs = match_windows(segments, stretches)
    # 5 of 10 s match; 4 of 10 s do not; the whole of a short stretch within a window does.
    assert [(row.segment_id, round(label.mean or 0, 9)) for row, label in pairs] == [
        ("a_0", 0.2),
        ("a_1", 0.2),
        ("a_2", 0.8),
        ("a_3", 0.4),
    ]
    short = [stretch("a", k / 2, 0.1 * k, 0.5) for k in range(8)]
    ((_, mean),) = match_windows(segments, short)
    assert mean.mean == pytest.approx(0.1 * np.mean(range(8)))


def test_windows_are_scored_across_all_and_within_tracks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels, rows = [], []
    for index in range(12):
        course = np.clip(generator.uniform() + generator.normal(0, 0.1, 8), 0, 1)
        # The last track does not move.
        course = course if index < 11 else np.full(8, 0.5)
        for k, mean in enumerate(course.tolist()):
            labels.append(stretch(f"t{index:02}", 10.0 * k, mean))
            value = mean + generator.normal(0, 0.1)
            rows.append(number_prediction(f"t{index:02}", value, k))
    rows.append(number_prediction("t00", 0.5, 20))
    labels_path = save(tmp_path / "l.csv", Label, labels, ("start", "duration"))
    report = run_json(save(tmp_path / "p.csv", Prediction, rows), "--labels", labels_path)
    assert report["coverage"]["valence"]["windows_without_label"] == 1
    (name, window), *_ = report["targets"]["valence"]["levels"].items()
    assert (name, window["n"], window["n_tracks"]) == ("window", 96, 12)
    pairs = np.array([(x.mean, y.value) for x, y in zip(labels, rows, strict=False)])
    assert window["r2"] == pytest.approx(sk.r2_score(*pairs.T))
    correlations = [stats.pearsonr(*pairs[8 * k : 8 * k + 8].T).statistic for k in range(11)]
    within = window["within_tracks"]
    assert within["n_tracks"] == {"pearson_r": 11, "rmse": 12, "ccc": 12}
    assert within["pearson_r"] == pytest.approx(np.mean(correlations))
    low, high = within["intervals"]["pearson_r"]
    assert low < within["pearson_r"] < high
    assert window["baselines"]["mean"]["source"] == "scored"


def test_labels_of_tracks_and_of_stretches_stand_side_by_side() -> None:
    labels = [number_label("a", 0.3, split="train"), number_label("b", 0.5)]
    labels += [stretch("a", 0.0, 0.9, split="train"), stretch("b", 10.0, 0.1)]
    rows = [number_prediction(name, 0.5, k) for name in "ab" for k in range(2)]
    joined = join_tables(rows, labels)
    levels = joined["valence"].levels
    assert {name: len(outcomes.track) for name, outcomes in levels.items()} == {
        "segment": 4,
        "track": 2,
        "window": 2,
    }
    report = build_report(joined, 10, 0)["targets"]["valence"]["levels"]
    assert report["track"]["baselines"]["mean"]["value"] == 0.3
    assert report["window"]["baselines"]["mean"]["value"] == 0.9


def test_classes_over_time_take_the_longest_overlap() -> None:
    labels = [label("a", 1, start=0.0, duration=6.0), label("a", 3, start=6.0, duration=4.0)]
    joined = join_tables([prediction("a", [0, 0, 1], 0)], labels)["arousal"]
    assert joined.levels["window"].reference.tolist() == [0]


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str, str]:
    """A model's file, and tables of predictions that name it and of labels with a test part."""
    monkeypatch.setenv("MER_MODELS", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    model = tmp_path / "models" / "valence.skops"
    model.write_bytes(b"a model")
    labels, predictions = plane_tables(30)
    name = digest_file(model)[:12]
    rows = [dataclasses.replace(row, model=name) for row in predictions]
    return (
        model,
        save(tmp_path / "p.csv", Prediction, rows, ("model",)),
        save(tmp_path / "l.csv", Label, labels),
    )


def test_the_test_part_is_scored_where_there_is_one(plane: tuple[Path, str, str]) -> None:
    _, predictions, labels = plane
    result = run(predictions, "--labels", labels)
    assert "the test part is scored" in result.stderr
    report = json.loads(result.stdout)
    assert report["provenance"]["split"] == "test"
    assert report["coverage"]["valence"]["scored"] == 10
    assert report["warnings"] == []
    assert "the test part" not in run(predictions, "--labels", labels, "--split", "test").stderr


def test_tracks_of_other_parts_were_probably_learnt_from(plane: tuple[Path, str, str]) -> None:
    _, predictions, labels = plane
    result = run(predictions, "--labels", labels, "--split", "all")
    warning = "valence: 20 of 30 scored tracks were probably learnt from"
    assert f"mer: warning: {warning}" in result.stderr
    report = json.loads(result.stdout)
    assert any(line.startswith(warning) for line in report["warnings"])
    assert report["training_overlap"]["valence"] == {
        "tracks": 30,
        "out_of_fold": 0,
        "learnt_from": 0,
        "probably_learnt_from": 20,
        "unknown": 0,
    }


@pytest.mark.parametrize("where", ["variable", "beside", "nowhere"])
def test_a_model_that_is_found_tells_what_it_learnt_from(
    plane: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    model, predictions, labels = plane
    hashes = "".join(sorted(hash_track(f"t{k:03}") for k in (0, 1, 2)))
    card = SimpleNamespace(training={"track_hashes": hashes})
    monkeypatch.setattr("mertools.artifacts.model_file.read_card", lambda path: card)
    if where == "variable":
        monkeypatch.setenv("MER_MODELS", str(model.parent))
    if where == "beside":
        model.rename(model.parents[1] / model.name)
    result = run(predictions, "--labels", labels)
    report = json.loads(result.stdout)
    jsonschema.validate(report, load_schema("metrics.json"))
    # Of the tracks 0, 1 and 2, one is marked test.
    found = where != "nowhere"
    assert report["training_overlap"]["valence"]["learnt_from"] == found
    assert ("1 of 10 scored tracks were learnt from" in result.stderr) == found
    # What is known from the card is not guessed from the labels.
    report = run_json(predictions, "--labels", labels, "--split", "all")
    overlap = report["training_overlap"]["arousal"]
    expected = (3, 0) if found else (0, 20)
    assert (overlap["learnt_from"], overlap["probably_learnt_from"]) == expected


def test_without_a_split_a_named_model_leaves_it_open(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1)])
    rows = [prediction("a", [1, 0, 0], model="0123456789ab")]
    result = run(save(tmp_path / "p.csv", Prediction, rows, ("model",)), "--labels", labels)
    assert "whether 1 of 1 scored tracks were learnt from cannot be told" in result.stderr
    assert json.loads(result.stdout)["warnings"] == []
    result = run(save(tmp_path / "p.csv", Prediction, rows), "--labels", labels)
    assert "learnt from" not in result.stderr


def songs(tmp_path: Path, header: str, rows: list[str]) -> str:
    path = tmp_path / "songs.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return str(path)


def test_words_of_a_table_group_tracks(plane: tuple[Path, str, str], tmp_path: Path) -> None:
    _, predictions, labels = plane
    rows = [f"t{k:03},{'rock' if k % 2 else 'jazz'},{k}" for k in range(28)]
    table = songs(tmp_path, "track_id,genre,year", rows)
    report = run_json(predictions, "--labels", labels, "--by", f"{table}:genre")
    by = report["by"]
    assert (by["column"], by["tracks_without_value"]) == ("genre", 1)
    assert [group["name"] for group in by["groups"]] == ["jazz", "rock"]
    joined = join_tables(*reversed(plane_tables(30)), split="test")
    jazz = joined["valence"].levels["track"].of_tracks({f"t{k:03}" for k in range(0, 28, 2)})
    level = by["groups"][0]["targets"]["valence"]["track"]
    assert level["n"] == len(jazz.track)
    assert level["mse"] == pytest.approx(sk.mean_squared_error(jazz.reference, jazz.estimated))
    problem = run(predictions, "--labels", labels, "--by", table, status=2).stderr
    assert "has 2 columns beside track_id (genre, year)" in problem
    problem = run(predictions, "--labels", labels, "--by", f"{table}:mood", status=2).stderr
    assert "has no column mood" in problem


def test_numbers_of_a_table_are_cut_into_fifths(
    plane: tuple[Path, str, str], tmp_path: Path
) -> None:
    _, predictions, labels = plane
    table = songs(tmp_path, "track_id,similarity", [f"t{k:03},{k / 30}" for k in range(30)])
    report = run_json(predictions, "--labels", labels, "--by", table)
    groups = report["by"]["groups"]
    assert [group["targets"]["arousal"]["track"]["n"] for group in groups] == [2] * 5
    assert all(a["high"] < b["low"] for a, b in itertools.pairwise(groups))
    twice = songs(tmp_path, "track_id,similarity", ["t002,1", "t002,2"])
    problem = run(predictions, "--labels", labels, "--by", twice, status=2).stderr
    assert "two values of similarity for track t002" in problem
    other = songs(tmp_path, "track,similarity", ["t002,1"])
    assert "track_id" in run(predictions, "--labels", labels, "--by", other, status=2).stderr

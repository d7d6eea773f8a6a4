from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_outcomes import corpus_tables, label, prediction, save
from scipy import stats
from sklearn import metrics as sk
from typer.testing import CliRunner

from mertools.artifacts.files import digest_file
from mertools.artifacts.rows import Label, Prediction
from mertools.artifacts.schema import load_schema
from mertools.cli.app import app
from mertools.evaluation.significance import correct_by_holm

FAST = ("--bootstrap", "100", "--shuffles", "200")


def run(*arguments: str, status: int = 0, stdin: bytes = b"") -> Any:
    result = CliRunner().invoke(app, ["evaluate", *arguments], input=stdin)
    assert result.exit_code == status, (result.stderr, result.exception)
    return result


def run_json(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run(*arguments, *FAST).stdout)
    return report


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, str]:
    """Predictions of segments, and labels."""
    labels, predictions = corpus_tables()
    return (
        save(tmp_path / "predictions.csv", Prediction, predictions),
        save(tmp_path / "labels.csv", Label, labels),
    )


def test_metrics_follow_their_schema(tables: tuple[str, str], tmp_path: Path) -> None:
    predictions, labels = tables
    one_class = save(tmp_path / "one.csv", Label, [label("t000", 3)])
    schema = load_schema("metrics.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(run_json(predictions, "--labels", labels), schema)
    jsonschema.validate(run_json(predictions, "--labels", labels, "--against", predictions), schema)
    jsonschema.validate(run_json(predictions, "--labels", one_class), schema)


def test_figures_are_scikit_learns(tables: tuple[str, str]) -> None:
    labels, predictions = corpus_tables()
    numbers = {row.track_id: row.label - 1 for row in labels if row.kept and row.split == "test"}
    rows = [row for row in predictions if row.track_id in numbers]
    posteriors = np.array([row.posteriors for row in rows]).reshape(-1, 3, 3).mean(axis=1)
    reference = [numbers[row.track_id] for row in rows[::3]]
    estimated = posteriors.argmax(axis=1)
    report = run_json(tables[0], "--labels", tables[1], "--split", "test")
    track = report["targets"]["arousal"]["levels"]["track"]
    assert track["n"] == track["n_tracks"] == len(numbers)
    assert track["accuracy"] == pytest.approx(sk.accuracy_score(reference, estimated))
    assert track["macro_f1"] == pytest.approx(sk.f1_score(reference, estimated, average="macro"))
    assert track["macro_auc"] == pytest.approx(
        sk.roc_auc_score(reference, posteriors / posteriors.sum(axis=1)[:, None], multi_class="ovr")
    )
    assert track["confusion"]["counts"] == sk.confusion_matrix(reference, estimated).tolist()
    low, high = track["intervals"]["macro_f1"]
    assert low < track["macro_f1"] < high
    assert report["targets"]["arousal"]["levels"]["segment"]["n"] == len(rows)


def test_same_seed_same_bytes(tables: tuple[str, str], tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    arguments = (tables[0], "--labels", tables[1], "--against", tables[0], *FAST)
    run(*arguments, "-o", str(first))
    run(*arguments, "-o", str(second))
    assert first.read_bytes() == second.read_bytes()
    assert run(*arguments, "--seed", "1").stdout != first.read_text("utf-8")


def test_pipe_carries_json_and_standard_error_the_tables(tables: tuple[str, str]) -> None:
    predictions = Path(tables[0]).read_bytes()
    result = run("-", "--labels", tables[1], *FAST, stdin=predictions)
    report = json.loads(result.stdout)
    assert report["provenance"]["predictions"] == {"name": "-", "digest": None}
    assert report["provenance"]["labels"] == {
        "name": "labels.csv",
        "digest": digest_file(Path(tables[1])),
    }
    assert "macro F1" in result.stderr
    assert "reference" in result.stderr


def test_quiet_says_nothing(tables: tuple[str, str], tmp_path: Path) -> None:
    target = str(tmp_path / "metrics.json")
    assert run(tables[0], "--labels", tables[1], *FAST, "-o", target, "--quiet").output == ""
    assert Path(target).exists()


def test_left_out_tracks_are_said_and_counted(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1), label("b", 2), label("c", 3)])
    rows = [prediction("a", [1, 0, 0]), prediction("x", [1, 0, 0])]
    result = run(save(tmp_path / "p.csv", Prediction, rows), "--labels", labels, *FAST)
    said = "arousal: tracks: 1 scored, 1 predicted without a label, 2 labelled without a prediction"
    assert said in result.stderr
    coverage = json.loads(result.stdout)["coverage"]["arousal"]
    assert coverage["predictions_without_label"] == 1
    assert coverage["labels_without_prediction"] == 2


def test_undefined_figures_are_null(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1)])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    track = run_json(predictions, "--labels", labels)["targets"]["arousal"]["levels"]["track"]
    assert track["accuracy"] == 1
    assert track["macro_auc"] is None
    assert track["intervals"]["macro_auc"] is None
    assert track["per_class"]["weak"]["roc"] is None
    assert track["per_class"]["strong"]["pr"] is None
    assert track["r2"] is None


def test_every_two_tables_are_compared(tables: tuple[str, str], tmp_path: Path) -> None:
    _, worse = corpus_tables(skill=0.2)
    other = save(tmp_path / "worse.csv", Prediction, worse)
    arguments = (tables[0], "--labels", tables[1], "--against", other, "--against", tables[0])
    result = run(*arguments, *FAST)
    assert "Permutation tests, paired" in result.stderr
    comparisons = json.loads(result.stdout)["comparisons"]
    names = [(pair["first"]["name"], pair["other"]["name"]) for pair in comparisons]
    assert names == [
        ("predictions.csv", "worse.csv"),
        ("predictions.csv", "predictions.csv"),
        ("worse.csv", "predictions.csv"),
    ]
    assert {pair["form"] for pair in comparisons} == {"paired"}
    against_worse, against_itself, turned = (
        pair["targets"]["arousal"]["scores"]["macro_f1"] for pair in comparisons
    )
    assert against_worse["p"] < 0.05
    assert against_itself["p"] == against_itself["p_holm"] == 1
    assert turned["difference"] == -against_worse["difference"]
    assert (turned["first"], turned["other"]) == (against_worse["other"], against_worse["first"])
    lowest, second = sorted((against_worse["p"], turned["p"]))
    corrected = sorted((against_worse["p_holm"], turned["p_holm"]))
    assert corrected == pytest.approx([3 * lowest, max(3 * lowest, 2 * second)])

    unpaired = run_json(*arguments, "--unpaired")["comparisons"][0]
    assert unpaired["form"] == "unpaired"
    test = unpaired["targets"]["arousal"]["scores"]["macro_f1"]
    assert test["difference"] == pytest.approx(against_worse["difference"])


def test_one_comparison_needs_no_correction(tables: tuple[str, str], tmp_path: Path) -> None:
    other = save(tmp_path / "worse.csv", Prediction, corpus_tables(skill=0.2)[1])
    (pair,) = run_json(tables[0], "--labels", tables[1], "--against", other)["comparisons"]
    for test in pair["targets"]["arousal"]["scores"].values():
        assert test["p_holm"] == test["p"]


def test_p_of_every_pair_is_scipys(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    reference = generator.integers(3, size=10)
    labels = [label(f"t{i}", int(k) + 1) for i, k in enumerate(reference)]
    paths, right = [], []
    for index, share in enumerate((0.9, 0.4, 0.2)):
        hit = generator.random(10) < share
        answers = np.where(hit, reference, (reference + 1) % 3)
        rows = [prediction(f"t{i}", np.eye(3)[k].tolist()) for i, k in enumerate(answers)]
        paths.append(save(tmp_path / f"p{index}.csv", Prediction, rows))
        right.append(hit.astype(float))
    labels_path = save(tmp_path / "l.csv", Label, labels)
    arguments = (paths[0], "--labels", labels_path, "--against", paths[1], "--against", paths[2])
    report = json.loads(run(*arguments, "--shuffles", "4000", "--bootstrap", "10").stdout)
    raw = []
    for pair, (first, other) in zip(
        report["comparisons"], itertools.combinations(right, 2), strict=True
    ):
        exact = stats.permutation_test(
            (first, other),
            lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
        )
        test = pair["targets"]["arousal"]["scores"]["accuracy"]
        assert test["p"] == pytest.approx(exact.pvalue, abs=0.03)
        raw.append((test["p"], test["p_holm"]))
    assert [holm for _, holm in raw] == correct_by_holm([p for p, _ in raw])


def test_targets_are_corrected_apart(tables: tuple[str, str], tmp_path: Path) -> None:
    labels, predictions = corpus_tables()
    both_labels = labels + [dataclasses.replace(row, target="x") for row in labels]
    both = predictions + [dataclasses.replace(row, target="x") for row in predictions]
    worse = corpus_tables(skill=0.2)[1]
    paths = [
        save(tmp_path / "both.csv", Prediction, both),
        save(tmp_path / "worse.csv", Prediction, worse),
        save(tmp_path / "again.csv", Prediction, both),
    ]
    labels_path = save(tmp_path / "both-labels.csv", Label, both_labels)
    against = ("--against", paths[1], "--against", paths[2])
    comparisons = run_json(paths[0], "--labels", labels_path, *against)["comparisons"]
    assert [sorted(pair["targets"]) for pair in comparisons] == [
        ["arousal"],
        ["arousal", "x"],
        ["arousal"],
    ]
    (of_x,) = (pair["targets"]["x"] for pair in comparisons if "x" in pair["targets"])
    assert of_x["scores"]["accuracy"]["p_holm"] == of_x["scores"]["accuracy"]["p"]


def test_others_without_a_common_track_are_said_and_passed_over(
    tables: tuple[str, str], tmp_path: Path
) -> None:
    some = save(tmp_path / "some.csv", Prediction, [prediction("t000", [1, 0, 0])])
    other = save(tmp_path / "other.csv", Prediction, [prediction("t001", [1, 0, 0])])
    arguments = (tables[0], "--labels", tables[1], "--against", some, "--against", other)
    result = run(*arguments, "--split", "all", *FAST)
    assert len(json.loads(result.stdout)["comparisons"]) == 2
    assert f"{some} and {other} have no scored track in common" in result.stderr


def test_targets_that_are_not_predicted_are_not_spoken_of(tmp_path: Path) -> None:
    valence = {"target": "valence", "class_name": "negative"}
    labels = save(tmp_path / "l.csv", Label, [label("a", 1), label("a", 1, **valence)])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    assert "valence" not in run(predictions, "--labels", labels, *FAST).output


def test_pipe_given_as_a_file_has_no_digest(tables: tuple[str, str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    rows = Path(tables[0]).read_bytes()
    with concurrent.futures.ThreadPoolExecutor() as executor:
        executor.submit(pipe.write_bytes, rows)
        report = run_json(str(pipe), "--labels", tables[1])
    assert report["provenance"]["predictions"] == {"name": "pipe", "digest": None}
    jsonschema.validate(report, load_schema("metrics.json"))


def without_column(path: str, name: str) -> str:
    lines = [line.split(",") for line in Path(path).read_text("utf-8").splitlines()]
    place = lines[0].index(name)
    shorter = Path(path).with_name("shorter.csv")
    kept = [",".join(line[:place] + line[place + 1 :]) for line in lines]
    shorter.write_text("\n".join(kept), "utf-8")
    return str(shorter)


def test_missing_column_is_exit_2_and_named(tables: tuple[str, str]) -> None:
    predictions, labels = tables
    result = run(without_column(predictions, "predicted"), "--labels", labels, status=2)
    assert "line 2 predicts None, which is none of its classes" in result.stderr
    result = run(predictions, "--labels", without_column(labels, "mean"), status=2)
    assert "line 2 has no mean, which ordered classes need" in result.stderr


def test_table_without_rows_is_exit_2(tables: tuple[str, str], tmp_path: Path) -> None:
    empty = save(tmp_path / "empty.csv", Prediction, [])
    assert "nothing to score" in run(empty, "--labels", tables[1], status=2).stderr
    empty = save(tmp_path / "empty.csv", Label, [])
    assert "nothing to score" in run(tables[0], "--labels", empty, status=2).stderr
    Path(empty).write_text("")
    assert "without even a header" in run(empty, "--labels", tables[1], status=2).stderr


def test_split_that_no_label_has_is_exit_2(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1)])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    result = run(predictions, "--labels", labels, "--split", "test", status=2)
    assert "1 predicted but not marked test" in result.stderr


def test_classes_that_differ_are_exit_2(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1, class_name="calm")])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    result = run(predictions, "--labels", labels, status=2)
    assert "has 'calm' as class 1 of arousal" in result.stderr


def test_posteriors_that_do_not_sum_to_one_are_exit_2(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1)])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [0.9, 0, 0])])
    result = run(predictions, "--labels", labels, status=2)
    assert "line 2 has p_1 to p_3 that sum to 0.9, not 1" in result.stderr


def test_other_table_without_a_common_track_is_exit_2(
    tables: tuple[str, str], tmp_path: Path
) -> None:
    some = save(tmp_path / "p.csv", Prediction, [prediction("t000", [1, 0, 0])])
    other = save(tmp_path / "q.csv", Prediction, [prediction("t001", [1, 0, 0])])
    arguments = (some, "--labels", tables[1], "--against", other, "--split", "all")
    result = run(*arguments, status=2)
    assert "no scored track in common" in result.stderr


def test_standard_input_cannot_be_two_tables(tables: tuple[str, str]) -> None:
    assert "given for two tables" in run("-", "--labels", "-", status=2).stderr


def test_missing_file_is_exit_2(tables: tuple[str, str]) -> None:
    assert "nowhere.csv" in run("nowhere.csv", "--labels", tables[1], status=2).stderr


def test_terminal_shows_tables_instead_of_json(tables: tuple[str, str]) -> None:
    code = (
        "from mertools.cli.commands.evaluate import evaluate;"
        f"evaluate({tables[0]!r}, {tables[1]!r}, against=[{tables[0]!r}], bootstrap=10)"
    )
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdout=end, stderr=subprocess.PIPE, check=True)
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while block := os.read(terminal, 1 << 16):
            shown += block
    os.close(terminal)
    assert b"reference" in shown
    assert b"Permutation tests" in shown
    assert b"{" not in shown


def test_figures_are_drawn_where_asked(tables: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    arguments = (tables[0], "--labels", tables[1], "--plots", str(folder), "--plot-format", "svg")
    result = run(*arguments, *FAST)
    assert f"{folder}: 6 figures" in result.stderr
    assert len(list(folder.glob("arousal_*.svg"))) == 6


def test_scoring_imports_no_learning_library(tables: tuple[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from mertools.cli.commands.evaluate import evaluate;"
        f"evaluate({tables[0]!r}, {tables[1]!r}, {str(tmp_path / 'm.json')!r}, bootstrap=10);"
        "print(sorted({'sklearn', 'scipy', 'matplotlib', 'h5py'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_outcomes import (
    NAMES,
    corpus_tables,
    label,
    number_prediction,
    prediction,
    save,
)
from scipy.spatial.distance import jensenshannon
from typer.testing import CliRunner

from mertools.artifacts.rows import Annotation, Label, Prediction
from mertools.artifacts.schema import load_schema
from mertools.cli.app import app

FAST = ("--bootstrap", "100")


def run(*arguments: str, status: int = 0, stdin: bytes = b"") -> Any:
    result = CliRunner().invoke(app, ["align", *arguments], input=stdin)
    assert result.exit_code == status, (result.stderr, result.exception)
    return result


def run_summary(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "summary.json"
    run(*arguments, *FAST, "--summary", str(file), "-o", str(tmp_path / "alignment.csv"))
    summary: dict[str, Any] = json.loads(file.read_text("utf-8"))
    jsonschema.validate(summary, load_schema("alignment.json"))
    return summary


def made_ratings() -> list[Annotation]:
    """Make ratings of 30 tracks by 3 to 12 annotators each."""
    generator = np.random.default_rng(1)
    return [
        Annotation(f"t{track:02}", f"a{annotator}", "arousal", int(generator.integers(1, 4)))
        for track in range(30)
        for annotator in range(3 + track % 10)
    ]


def labels_of(ratings: list[Annotation]) -> list[Label]:
    """Take ratings together, all kept, with two thirds of the tracks marked train."""
    by_track: dict[str, list[float]] = {}
    for row in ratings:
        by_track.setdefault(row.track_id, []).append(row.value)
    labels = []
    for index, (track_id, values) in enumerate(by_track.items()):
        shares = tuple(values.count(k) / len(values) for k in (1, 2, 3))
        number = int(np.argmax(shares)) + 1
        split = "test" if index % 3 == 0 else "train"
        changes = {"n_annotators": len(values), "distribution": shares, "split": split}
        labels.append(label(track_id, number, **changes))
    return labels


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, str]:
    """Predictions of tracks, labels, and the annotations they are made of."""
    ratings = made_ratings()
    generator = np.random.default_rng(2)
    labels = labels_of(ratings)
    predictions = [
        prediction(row.track_id, np.round(generator.dirichlet([1, 1, 1]), 9).tolist())
        for row in labels
    ]
    return {
        "predictions": save(tmp_path / "predictions.csv", Prediction, predictions),
        "labels": save(tmp_path / "labels.csv", Label, labels),
        "annotations": save(tmp_path / "annotations.csv", Annotation, ratings),
    }


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("base", ["e", "2"])
def test_each_track_has_scipys_divergence_and_its_similarity(
    tables: dict[str, str], base: str
) -> None:
    arguments = (tables["predictions"], "--labels", tables["labels"], "--base", base)
    rows = read(run(*arguments, *FAST).stdout)
    assert list(rows[0]) == ["track_id", "target", "jsd", "similarity"]
    predicted = {row["track_id"]: row for row in read(Path(tables["predictions"]).read_text())}
    labelled = {row["track_id"]: row for row in read(Path(tables["labels"]).read_text())}
    assert [row["track_id"] for row in rows] == sorted(labelled)
    for row in rows:
        P, Q = (
            [float(table[row["track_id"]][f"p_{k}"]) for k in (1, 2, 3)]
            for table in (predicted, labelled)
        )
        expected = jensenshannon(P, Q, base=None if base == "e" else 2) ** 2
        assert float(row["jsd"]) == pytest.approx(expected, abs=1e-8)
        assert float(row["similarity"]) == pytest.approx(np.exp(-expected), abs=1e-8)


def test_ratings_and_the_labels_made_of_them_give_the_same(
    tables: dict[str, str], tmp_path: Path
) -> None:
    by_labels = run_summary(tmp_path, tables["predictions"], "--labels", tables["labels"])
    table = (tmp_path / "alignment.csv").read_text()
    by_ratings = run_summary(
        tmp_path, tables["predictions"], "--annotations", tables["annotations"]
    )
    ours, theirs = by_labels["targets"]["arousal"], by_ratings["targets"]["arousal"]
    for name in ("predictions", "uniform", "split_half"):
        assert ours[name]["jsd"] == pytest.approx(theirs[name]["jsd"], abs=1e-9)
    # The prior of the labels is of the train part, that of ratings of all tracks.
    assert ours["prior"] != theirs["prior"]
    for row, other in zip(read(table), read((tmp_path / "alignment.csv").read_text()), strict=True):
        assert float(row["jsd"]) == pytest.approx(float(other["jsd"]), abs=2e-9)


def test_split_is_scored_by_the_prior_of_the_others(tables: dict[str, str], tmp_path: Path) -> None:
    arguments = (tables["predictions"], "--labels", tables["labels"], "--split", "test")
    summary = run_summary(tmp_path, *arguments)
    labels = labels_of(made_ratings())
    prior = np.mean([row.distribution for row in labels if row.split == "train"], axis=0)
    tested = [row.distribution for row in labels if row.split == "test"]
    expected = np.mean([jensenshannon(prior, Q) ** 2 for Q in tested])
    entry = summary["targets"]["arousal"]
    assert entry["prior"]["n_tracks"] == entry["predictions"]["n_tracks"] == len(tested)
    assert entry["prior"]["jsd"] == pytest.approx(expected)
    chance = np.mean([jensenshannon(np.ones(3), Q) ** 2 for Q in tested])
    assert entry["uniform"]["jsd"] == pytest.approx(chance)
    assert summary["provenance"]["split"] == "test"
    assert len(read((tmp_path / "alignment.csv").read_text())) == len(tested)


def test_means_are_said_beside_what_chance_and_annotators_reach(tables: dict[str, str]) -> None:
    said = run(tables["predictions"], "--labels", tables["labels"], *FAST).stderr
    for what in ("30 scored", "the predictions", "chance", "the class prior", "halves", "nats"):
        assert what in said
    quiet = run(tables["predictions"], "--labels", tables["labels"], *FAST, "--quiet")
    assert quiet.stderr == ""


def test_track_without_a_row_of_its_own_is_the_mean_of_its_segments(tmp_path: Path) -> None:
    labels = save(tmp_path / "l.csv", Label, [label("a", 1, distribution=(0.5, 0.5, 0.0))])
    rows = [prediction("a", [1, 0, 0], 0), prediction("a", [0, 1, 0], 1)]
    (row,) = read(run(save(tmp_path / "p.csv", Prediction, rows), "--labels", labels).stdout)
    assert (row["jsd"], row["similarity"]) == ("0.0", "1.0")


def test_what_is_not_defined_is_null_and_said(tmp_path: Path) -> None:
    alone = label("a", 1, n_annotators=1)
    labels = save(tmp_path / "l.csv", Label, [alone])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    entry = run_summary(tmp_path, predictions, "--labels", labels)["targets"]["arousal"]
    assert entry["prior"] is None
    assert entry["split_half"] is None
    assert entry["predictions"]["intervals"]["jsd"] == [0, 0]
    assert "not defined" in run(predictions, "--labels", labels).stderr


def test_same_seed_same_bytes_and_any_order(tables: dict[str, str], tmp_path: Path) -> None:
    def outputs(predictions: str, labels: str, *more: str) -> tuple[bytes, dict[str, Any]]:
        summary = run_summary(tmp_path, predictions, "--labels", labels, *more)
        return (tmp_path / "alignment.csv").read_bytes(), summary["targets"]

    def shuffled(path: str) -> str:
        header, *lines = Path(path).read_text("utf-8").splitlines()
        lines = [lines[i] for i in np.random.default_rng(5).permutation(len(lines))]
        other = Path(path).with_name(f"shuffled-{Path(path).name}")
        other.write_text("\n".join([header, *lines]) + "\n", "utf-8")
        return str(other)

    first = outputs(tables["predictions"], tables["labels"])
    assert outputs(tables["predictions"], tables["labels"]) == first
    assert outputs(shuffled(tables["predictions"]), shuffled(tables["labels"])) == first
    table, targets = outputs(tables["predictions"], tables["labels"], "--seed", "1")
    assert table == first[0]
    assert targets["arousal"]["split_half"]["jsd"] != first[1]["arousal"]["split_half"]["jsd"]


def test_targets_that_are_not_predicted_are_not_spoken_of(tmp_path: Path) -> None:
    valence = {"target": "valence", "class_name": "negative"}
    labels = save(tmp_path / "l.csv", Label, [label("a", 1), label("a", 1, **valence)])
    predictions = save(tmp_path / "p.csv", Prediction, [prediction("a", [1, 0, 0])])
    assert "valence" not in run(predictions, "--labels", labels, *FAST).output


def test_validate_and_inspect_know_both_artifacts(tables: dict[str, str], tmp_path: Path) -> None:
    table, summary = tmp_path / "table", tmp_path / "summary"
    arguments = (tables["predictions"], "--labels", tables["labels"], *FAST)
    run(*arguments, "-o", str(table), "--summary", str(summary))
    checked = CliRunner().invoke(app, ["validate", str(table), str(summary)])
    assert checked.exit_code == 0, checked.output
    told = CliRunner().invoke(app, ["inspect", "--json", str(table)])
    assert json.loads(told.stdout)["artifact"] == "alignment"
    told = CliRunner().invoke(app, ["inspect", "--json", str(summary)])
    assert json.loads(told.stdout)["artifact"] == "alignment"

    table.write_text(table.read_text().replace(",arousal,0", ",arousal,7", 1))
    content = json.loads(summary.read_text())
    content["targets"]["arousal"]["prior"] = 3
    summary.write_text(json.dumps(content))
    (tmp_path / "strange").write_text('{"schema": "menu"}')
    files = [str(table), str(summary), str(tmp_path / "strange")]
    checked = CliRunner().invoke(app, ["validate", *files])
    assert checked.exit_code == 2
    assert "column jsd is 7" in checked.stdout
    assert "$.targets.arousal.prior" in checked.stdout
    assert "metrics or alignment" in checked.stdout


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("p_1", "line 2 has 0 posteriors for the 3 classes"),
        ("predicted", "line 2 predicts None"),
        ("classes", "line 2 has no classes"),
        ("target", "has no column target"),
    ],
)
def test_missing_column_is_exit_2_and_named(
    tables: dict[str, str], column: str, problem: str
) -> None:
    path = Path(tables["predictions"])
    path.write_text(path.read_text("utf-8").replace(column, "other", 1), "utf-8")
    result = run(str(path), "--labels", tables["labels"], status=2)
    assert problem in result.stderr


def test_missing_column_of_labels_is_exit_2(tables: dict[str, str]) -> None:
    path = Path(tables["labels"])
    path.write_text(path.read_text("utf-8").replace("kept", "left", 1), "utf-8")
    result = run(tables["predictions"], "--labels", str(path), status=2)
    assert "has no column kept" in result.stderr


def test_numbers_have_no_distribution_to_align_with(tables: dict[str, str], tmp_path: Path) -> None:
    row = number_prediction("t00", 0.5, target="arousal")
    numbers = save(tmp_path / "n.csv", Prediction, [row])
    for source in ("labels", "annotations"):
        result = run(numbers, f"--{source}", tables[source], status=2)
        assert "has numbers 0..1 of arousal, which have no distribution" in result.stderr


def test_repetitions_of_cross_validation_count_as_one_track(
    tables: dict[str, str], tmp_path: Path
) -> None:
    posteriors = ([1, 0, 0], [0, 0, 1])
    rows = [prediction("t00", p, repeat=k, fold=1) for k, p in enumerate(posteriors, start=1)]
    table = save(tmp_path / "repeats.csv", Prediction, rows, ("repeat", "fold"))
    (row,) = read(run(table, "--labels", tables["labels"], *FAST).stdout)
    singles = []
    for p in posteriors:
        single = save(tmp_path / "s.csv", Prediction, [prediction("t00", p)])
        singles += read(run(single, "--labels", tables["labels"], *FAST).stdout)
    assert float(row["jsd"]) == pytest.approx(np.mean([float(s["jsd"]) for s in singles]))


def test_nothing_to_align_is_exit_2(tables: dict[str, str], tmp_path: Path) -> None:
    stranger = save(tmp_path / "s.csv", Prediction, [prediction("x", [1, 0, 0])])
    result = run(stranger, "--labels", tables["labels"], status=2)
    assert "1 predicted without a label" in result.stderr
    result = run(stranger, "--annotations", tables["annotations"], status=2)
    assert "nothing to score" in result.stderr
    empty = save(tmp_path / "empty.csv", Prediction, [])
    result = run(empty, "--labels", tables["labels"], status=2)
    assert "it has no rows" in result.stderr
    other = prediction("t00", [1, 0, 0], target="valence")
    result = run(
        save(tmp_path / "v.csv", Prediction, [other]),
        *("--annotations", tables["annotations"]),
        status=2,
    )
    assert "valence: tracks: 0 scored" in result.stderr


def test_classes_that_differ_are_exit_2(tables: dict[str, str], tmp_path: Path) -> None:
    changes = {"classes": "low|high", "predicted": "low"}
    binary = save(tmp_path / "b.csv", Prediction, [prediction("t00", [0.5, 0.5], **changes)])
    result = run(binary, "--labels", tables["labels"], status=2)
    assert "has 3 classes of arousal" in result.stderr
    result = run(binary, "--annotations", tables["annotations"], status=2)
    assert "is 3, not a rating of arousal (a whole number from 1 to 2)" in result.stderr
    names = {"classes": "|".join(reversed(NAMES)), "predicted": "weak"}
    turned = save(tmp_path / "t.csv", Prediction, [prediction("t00", [1, 0, 0], **names)])
    result = run(turned, "--labels", tables["labels"], status=2)
    assert "as class" in result.stderr


def test_one_of_labels_and_annotations_is_needed(tables: dict[str, str]) -> None:
    both = ("--labels", tables["labels"], "--annotations", tables["annotations"])
    assert "both given" in run(tables["predictions"], *both, status=2).stderr
    assert "both missing" in run(tables["predictions"], status=2).stderr
    split = ("--annotations", tables["annotations"], "--split", "test")
    assert "labels only" in run(tables["predictions"], *split, status=2).stderr


def test_one_stream_cannot_be_two_tables(tables: dict[str, str]) -> None:
    assert "for two tables" in run("-", "--labels", "-", status=2).stderr
    result = run(tables["predictions"], "--labels", tables["labels"], "--summary", "-", status=2)
    assert "for two tables" in result.stderr


def test_pipe_in_pipe_out(tables: dict[str, str]) -> None:
    predictions = Path(tables["predictions"]).read_bytes()
    piped = run("-", "--labels", tables["labels"], *FAST, stdin=predictions).stdout
    assert piped == run(tables["predictions"], "--labels", tables["labels"], *FAST).stdout


def test_failed_run_leaves_what_was_there(tables: dict[str, str], tmp_path: Path) -> None:
    table = tmp_path / "kept.csv"
    table.write_text("as it was")
    run("nowhere.csv", "--labels", tables["labels"], "-o", str(table), status=2)
    assert table.read_text() == "as it was"


def test_aligning_imports_no_learning_library(tables: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from mertools.cli.commands.align import align;"
        f"align({tables['predictions']!r}, {tables['labels']!r}, None, {str(tmp_path / 'a')!r});"
        "print(sorted({'sklearn', 'scipy', 'matplotlib', 'h5py'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"


def test_a_better_model_is_nearer_to_the_annotators(tmp_path: Path) -> None:
    similarities = []
    for skill in (0.0, 3.0):
        labels, predictions = corpus_tables(skill=skill)
        arguments = (
            save(tmp_path / "p.csv", Prediction, predictions),
            *("--labels", save(tmp_path / "l.csv", Label, labels)),
        )
        entry = run_summary(tmp_path, *arguments)["targets"]["arousal"]
        similarities.append(entry["predictions"]["similarity"])
    assert similarities[0] < entry["uniform"]["similarity"] + 0.02 < similarities[1]

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mertools.artifacts.rows import Annotation, Label
from mertools.artifacts.tables import read_table, write_table
from mertools.cli.commands.aggregate_labels import aggregate_labels
from mertools.errors import UsageError

EXPORTS = Path(__file__).parent / "exports"

app = typer.Typer()
app.command()(aggregate_labels)


def mer(*arguments: object, stdin: str = "") -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], input=stdin)


def refused(*arguments: object, stdin: str = "") -> str:
    """Run what must be refused with nothing on standard output; give what is said of it."""
    result = mer(*arguments, stdin=stdin)
    assert isinstance(result.exception, UsageError)
    assert result.stdout == ""
    return str(result.exception)


def table_of(rows: list[tuple[str, str, str, float]]) -> str:
    lines = [f"{track},{annotator},{target},{value}" for track, annotator, target, value in rows]
    return "\n".join(["track_id,annotator_id,target,value", *lines]) + "\n"


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Forty tracks rated by three to seven annotators for two targets."""
    rng = np.random.default_rng(3)
    path = tmp_path / "ratings.csv"
    rows = [
        (f"track{track:02}", f"a{annotator}", target, int(rng.integers(1, 4)))
        for track in range(40)
        for annotator in range(3 + track % 5)
        for target in ("arousal", "valence")
    ]
    path.write_text(table_of(rows))
    return path


def labels_in(result: Any, tmp_path: Path) -> list[Label]:
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "labels.csv"
    path.write_text(result.stdout)
    return list(read_table(str(path), Label))


def test_a_table_becomes_labels_and_a_report(tmp_path: Path) -> None:
    rows = [("x", "a", "arousal", 1), ("x", "b", "arousal", 3), ("y", "a", "arousal", 3)]
    result = mer("-", "--max-mad", "arousal=0.7", stdin=table_of(rows))
    assert result.stdout == (
        "track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,p_3,split,scale\n"
        "x,arousal,2,2.0,1.0,1.0,2,neutral,false,0.5,0.0,0.5,,ordered\n"
        "y,arousal,1,3.0,0.0,0.0,3,strong,true,0.0,0.0,1.0,,ordered\n"
    )
    assert "arousal: 1 of 2 tracks dropped, with a mean absolute deviation above 0.7" in (
        result.stderr
    )
    assert "0.667" in result.stderr  # (1 + 1 + 0) / 3


def test_inputs_of_all_kinds_mix(tmp_path: Path) -> None:
    stdin = table_of([("slow_song", "dora", "arousal", 1), ("other", "dora", "arousal", 3)])
    export = ["--map", "very calm=1", "--map", "arousal:In between=2", "--target", "arousal"]
    labels = labels_in(mer("-", EXPORTS / "project.json", *export, stdin=stdin), tmp_path)
    counts = {label.track_id: label.n_annotators for label in labels}
    assert counts == {"slow_song": 4, "other": 1, "Loud_ones": 3, "nächtlich": 3}
    assert labels[0].track_id == "Loud_ones"
    assert labels[0].distribution == pytest.approx((0, 1 / 3, 2 / 3))


def test_the_three_exports_of_one_project_give_the_same_labels() -> None:
    options = ["--map", "very calm=1", "--map", "in between=2"]
    options += [word for name in ("arousal", "valence", "energy") for word in ("--target", name)]
    made = {
        mer(EXPORTS / name, *options).stdout
        for name in ("project.json", "project-min.json", "project.csv")
    }
    assert len(made) == 1
    assert len(made.pop().splitlines()) == 1 + 9
    assert "rates track" in refused(EXPORTS / "project.csv", EXPORTS / "project.json", *options)


def test_scales_of_several_lengths_in_one_table(tmp_path: Path) -> None:
    rows = [("x", "a", "arousal", 2), ("x", "a", "tension", 5), ("x", "a", "mood", 2)]
    result = mer("-", "--classes", "mood=calm,tense", stdin=table_of(rows))
    labels = {label.target: label for label in labels_in(result, tmp_path)}
    assert {target: label.distribution for target, label in labels.items()} == {
        "arousal": (0, 1, 0),
        "mood": (0, 1),
        "tension": (0, 0, 0, 0, 1),
    }
    assert (labels["mood"].class_name, labels["tension"].class_name) == ("tense", "5")


def test_thresholds_per_target(tmp_path: Path, ratings: Path) -> None:
    result = mer(ratings, "--thresholds", "1.9,2.1", "--thresholds", "valence=1.2,2.8")
    for label in labels_in(result, tmp_path):
        low, high = (1.9, 2.1) if label.target == "arousal" else (1.2, 2.8)
        assert label.label == 1 + (label.mean >= low) + (label.mean > high)


@pytest.mark.parametrize(
    "rule", [["--test-min-annotators", 5], ["--test-fraction", 0.25, "--seed", 4]]
)
def test_no_track_is_in_both_parts(tmp_path: Path, ratings: Path, rule: list[Any]) -> None:
    labels = labels_in(mer(ratings, "--max-mad", "0.8", *rule), tmp_path)
    parts = defaultdict(set)
    for label in labels:
        parts[label.track_id].add(label.split)
    assert all(len(part) == 1 for part in parts.values())
    assert set().union(*parts.values()) == {"train", "test"}
    if "--test-min-annotators" in rule:
        assert all((label.split == "test") == (label.n_annotators >= 5) for label in labels)
    else:
        assert sum(part == {"test"} for part in parts.values()) == 10


def test_the_order_of_rows_does_not_matter(tmp_path: Path, ratings: Path) -> None:
    header, *lines = ratings.read_text().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *np.random.default_rng(1).permutation(lines)]) + "\n")
    options = ["--max-mad", "0.7", "--test-fraction", "0.2", "--seed", "9"]
    assert mer(ratings, *options).stdout == mer(shuffled, *options).stdout


def test_labels_are_a_split_file_for_other_ratings(tmp_path: Path, ratings: Path) -> None:
    first = tmp_path / "first.csv"
    mer(ratings, "--test-fraction", "0.3", "-o", first)
    again = labels_in(mer(ratings, "--split-file", first, "--target", "valence"), tmp_path)
    splits = {label.track_id: label.split for label in read_table(str(first), Label)}
    assert {label.track_id: label.split for label in again} == splits


def test_the_summary(tmp_path: Path, ratings: Path) -> None:
    path = tmp_path / "summary.json"
    mer(ratings, "--max-mad", "arousal=0.7", "--test-fraction", "0.2", "--summary", path)
    arousal, valence = json.loads(path.read_text())["targets"]
    assert (arousal["target"], valence["target"]) == ("arousal", "valence")
    assert (arousal["max_mad"], valence["max_mad"]) == (0.7, None)
    assert arousal["n_kept"] + arousal["n_dropped"] == arousal["n_tracks"] == 40
    assert (
        sum(arousal["class_counts"]["train"].values())
        + sum(arousal["class_counts"]["test"].values())
        == (arousal["n_kept"])
    )
    assert set(arousal["annotators"]) == {f"a{n}" for n in range(7)}


def test_an_alpha_that_is_not_defined_is_said(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    result = mer("-", "--summary", path, stdin=table_of([("x", "a", "arousal", 1)]))
    assert "not defined" in result.stderr
    assert json.loads(path.read_text())["targets"][0]["krippendorff_alpha"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-mad", "arousl=0.7"], "arousl: nobody rated it (found: arousal, valence)"),
        (["--thresholds", "mood=1.5"], "mood: nobody rated it"),
        (["--classes", "mood=a,b"], "mood: nobody rated it"),
        (["--target", "mood"], "no ratings of mood found"),
        (["--max-mad", "arousal=-1"], "--max-mad arousal=-1"),
        (["--max-mad", "arousal=nan"], "--max-mad arousal=nan"),
        (["--max-mad", "much"], "--max-mad much"),
        (["--max-mad", "0.7", "--max-mad", "0.5"], "--max-mad: is given twice for every target"),
        (["--thresholds", "1.66;2.33"], "--thresholds 1.66;2.33"),
        (["--thresholds", "2.33,1.66"], "not rising"),
        (["--thresholds", "1.5"], "is 3, not a rating of arousal (a whole number from 1 to 2)"),
        (["--classes", "arousal=low,high"], "is 3, not a rating of arousal"),
        (["--classes", "weak,strong"], "--classes weak,strong: names no target"),
        (["--classes", "arousal=a,b,a"], "--classes arousal=a,b,a"),
        (["--classes", "arousal=a|b,c,d"], "--classes arousal=a|b,c,d"),
        (["--map", "calm"], "--map calm"),
        (["--map", "arousal:=1"], "--map arousal:=1"),
        (["--map", "calm=one"], "--map calm=one"),
        (["--test-fraction", "0.2", "--test-min-annotators", "5"], "three ways to split"),
        (["--test-fraction", "0.2", "--split-file", "x.csv"], "three ways to split"),
        (["--split-file", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["-", "-"], "-: is given for two tables"),
        (["-", "--split-file", "-"], "-: is given for two tables"),
        (["nowhere.csv"], "nowhere.csv: cannot be read"),
        (["-o", "no/such/folder/labels.csv"], "cannot be written"),
    ],
)
def test_wrong_usage(ratings: Path, arguments: list[str], said: str) -> None:
    assert said in refused(ratings, *arguments)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "standard input: is empty"),
        ("track_id,annotator_id,target,value\n", "no ratings found"),
        ("[]", "no ratings found"),
        ("track_id,annotator,target,value\nx,a,arousal,1\n", "has no column annotator_id"),
        (table_of([("x", "a", "arousal", 1), ("x", "a", "arousal", 2)]), "line 3 has the key"),
        (table_of([("x", "a", "arousal", 1.5)]), "standard input: line 2, column value is 1.5"),
        (table_of([("x", "a", "arousal", 4)]), "line 2, column value is 4"),
        (
            table_of([("x", "a", "year", 1990)]),
            "not a rating of year (a whole number from 1 to 20)",
        ),
        (table_of([("x", "a", "arousal", float("inf"))]), "not a finite number"),
    ],
)
def test_broken_input(content: str, said: str) -> None:
    assert said in refused("-", stdin=content)


def test_a_refused_run_leaves_the_earlier_labels(tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    output.write_text("as it was")
    refused("-", "-o", output, stdin=table_of([("x", "a", "arousal", 4)]))
    assert output.read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, mertools.cli.commands.aggregate_labels\n"
        "print([name for name in ('numpy', 'krippendorff', 'rich.table') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.corpus
def test_emotify(corpus: Path, tmp_path: Path) -> None:
    source, output, summary = corpus / "annotations.csv", tmp_path / "l.csv", tmp_path / "s.json"
    limits = ["--max-mad", "arousal=0.7", "--max-mad", "valence=0.57"]
    split = ["--test-fraction", "0.2", "--seed", "1"]
    assert mer(source, *limits, *split, "-o", output, "--summary", summary).exit_code == 0
    labels = list(read_table(str(output), Label))
    summaries = {part["target"]: part for part in json.loads(summary.read_text())["targets"]}

    with source.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    by_track: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        by_track[row["track_id"], row["target"]].append(int(row["value"]))
    assert [(label.track_id, label.target) for label in labels] == sorted(by_track)
    for label in labels:
        values = by_track[label.track_id, label.target]
        mean = np.mean(values)
        assert label.n_annotators == len(values) >= 11
        assert label.mean == pytest.approx(mean, abs=1e-9)
        assert label.mad == pytest.approx(np.abs(values - mean).mean(), abs=1e-9)
        assert label.label == 1 + (mean >= 1.66) + (mean > 2.33)
        assert label.kept == (label.mad <= {"arousal": 0.7, "valence": 0.57}[label.target])

    for target, part in summaries.items():
        values = [by_track[key] for key in sorted(by_track) if key[1] == target]
        table = np.full((max(map(len, values)), len(values)), np.nan)
        for track, given in enumerate(values):
            table[: len(given), track] = given
        reference = krippendorff.alpha(table, level_of_measurement="ordinal")
        assert part["krippendorff_alpha"] == pytest.approx(reference)
        assert part["mean_disagreement"] == pytest.approx(
            np.nanmean(abs(table - np.nanmean(table, 0)))
        )
        assert (part["n_ratings"], part["n_tracks"]) == (6187, 300)
    assert Counter(label.split for label in labels) == {"train": 480, "test": 120}


@pytest.mark.slow
def test_a_million_ratings(tmp_path: Path) -> None:
    """Half a minute would mean that something grows faster than the ratings do."""
    path = tmp_path / "ratings.csv"
    value = np.random.default_rng(0).integers(1, 4, 1_000_000).tolist()
    with path.open("w", newline="") as stream:
        rows = (
            Annotation(f"t{n // 20}", f"a{n % 20}", "arousal", str(rating))
            for n, rating in enumerate(value)
        )
        write_table(stream, Annotation, rows)
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mertools.cli.commands.aggregate_labels import *; typer.run(aggregate_labels)",
        ]
        + [str(path), "-o", str(tmp_path / "labels.csv")],
        timeout=30,
        check=True,
        capture_output=True,
    )
    assert result.stdout == b""
    with (tmp_path / "labels.csv").open() as stream:
        assert sum(1 for _ in stream) == 50_001

"""What every architecture is trained, searched and scored by, through `mer train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from in_process import card_of, here, rows
from made_segments import (
    QUADRANTS,
    class_label,
    write_labels,
    write_numbers,
    write_segments,
    write_track_vectors,
    write_vectors,
)
from mertools.artifacts.model_file import read_model

ESTIMATORS = {"svm": ("--kind", "mel"), "kernel": ("--kind", "mel", "--kind", "note")}
NETWORKS = ("cnn", "lstm", "dual")
QUICK = ("--set", "max_epochs=2", "--set", "batch_size=8", "--device", "cpu", "--jobs", 1)
FILES = ("--features", "features.h5", "--labels", "labels.csv")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suffix(model: str) -> str:
    return ".skops" if model == "svm" else ".safetensors"


def train(model: str, *options: object, target: str, status: int = 0) -> Any:
    usual = QUICK if model in NETWORKS else ("--jobs", 1)
    if "--kind" not in options:
        usual = (*usual, *ESTIMATORS.get(model, ()))
    folds = () if "--cv" in options else ("--cv", 3)
    return here("train", model, *FILES, "--target", target, *usual, *folds, *options, status=status)


def values_of(table: list[dict[str, str]], level: str, score: str) -> list[float]:
    return [float(r["value"]) for r in table if (r["level"], r["score"]) == (level, score)]


# Numbers


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mse", "mae"])
@pytest.mark.parametrize("model", [*ESTIMATORS, *NETWORKS])
def test_a_number_is_learnt_by_every_architecture(model: str, objective: str) -> None:
    numbers = write_numbers(Path())
    model_file = f"m{suffix(model)}"
    # A network needs more epochs to learn than a test has time for folds.
    long = ("--cv", 0, "--set", "max_epochs=25", "--set", "learning_rate=0.002")
    options = long if model in NETWORKS else ("--predictions", "p.csv", "--cv-table", "cv.csv")
    done = train(model, "--objective", objective, *options, "-o", model_file, target="valence")
    assert "valence: 20 tracks to learn from; 4 kept for testing" in done.stderr
    here("predict", "-m", model_file, "features.h5", "-o", "all.csv")
    here("validate", model_file, "all.csv")
    card = card_of(model_file)
    assert (card["scale"], card["classes"]) == ("1..9", [])
    assert card["training"]["objective"] == objective
    assert card["training"]["tracks"] == {"all": 20}
    predicted = rows("all.csv")
    for row in predicted:
        assert (row["scale"], row["classes"], row["predicted"]) == ("1..9", "", "")
        assert not any(row.get(f"p_{k}") for k in (1, 2, 3))
        assert 1 <= float(row["value"]) <= 9
    of_tracks = np.array([float(row["value"]) for row in predicted if row["level"] == "track"])
    held_out = np.arange(24) % 6 == 5
    for some in (held_out, ~held_out):
        errors = np.square(of_tracks - numbers[:, 0])[some].mean()
        assert errors < 0.6 * np.square(numbers[some] - numbers[~held_out].mean()).mean()
    if model in NETWORKS:
        return
    here("validate", "p.csv", "cv.csv")
    scores = card["scores"]["levels"]["track"]
    assert scores["r2"]["pooled"] > 0.4 > 0.1 > scores["r2"]["baseline"]
    for name in (objective, "rmse", "r2"):
        of_folds = values_of(rows("cv.csv"), "track", name)
        assert len(of_folds) == 3
        assert np.mean(of_folds) == pytest.approx(scores[name]["mean"], abs=1e-8)
    assert card["search"]["criterion"] == f"least {objective} of tracks"
    truth = {f"t{i:02}": value for i, value in enumerate(numbers[:, 0])}
    out_of_fold = [row for row in rows("p.csv") if row["level"] == "track"]
    squares = [(float(row["value"]) - truth[row["track_id"]]) ** 2 for row in out_of_fold]
    assert np.mean(squares) == pytest.approx(scores["mse"]["pooled"], abs=1e-8)


def test_folds_of_a_number_are_scored_for_a_network() -> None:
    numbers = write_numbers(Path(), kinds=("mel",))
    options = ("--cv-table", "cv.csv", "--predictions", "p.csv", "--history", "h.csv")
    train("cnn", *options, "-o", "m.safetensors", target="valence")
    here("validate", "cv.csv", "p.csv", "h.csv", "m.safetensors")
    scores = card_of("m.safetensors")["scores"]["levels"]["track"]
    out_of_fold = {r["track_id"]: float(r["value"]) for r in rows("p.csv") if r["level"] == "track"}
    assert len(out_of_fold) == 20
    gaps = [out_of_fold[f"t{i:02}"] - n for i, n in enumerate(numbers[:, 0]) if i % 6 != 5]
    assert np.mean(np.abs(gaps)) == pytest.approx(scores["mae"]["pooled"], abs=1e-8)
    assert {row["validation_accuracy"] for row in rows("h.csv")} == {""}
    assert any(row["validation_r2"] for row in rows("h.csv"))


@pytest.mark.slow
def test_several_numbers_are_learnt_by_one_network() -> None:
    numbers = write_numbers(Path(), ("valence", "arousal"), kinds=("mel",))
    both = "valence,arousal"
    long = ("--set", "max_epochs=25", "--set", "learning_rate=0.002")
    train("cnn", *long, "--cv", 0, "-o", "m.safetensors", target=both)
    here("predict", "-m", "m.safetensors", "features.h5", "--level", "track", "-o", "p.csv")
    here("validate", "m.safetensors", "p.csv")
    card = card_of("m.safetensors")
    assert (card["target"], card["scale"]) == (both, "1..9,1..9")
    table = rows("p.csv")
    assert [row["target"] for row in table] == ["valence", "arousal"] * 24
    for k, target in enumerate(both.split(",")):
        values = [float(row["value"]) for row in table if row["target"] == target]
        assert np.corrcoef(values, numbers[:, k])[0, 1] > 0.7, target
        assert abs(np.corrcoef(values, numbers[:, 1 - k])[0, 1]) < 0.6, target
    train("cnn", "--predictions", "oof.csv", "--cv-table", "cv.csv", "--no-refit", target=both)
    here("validate", "oof.csv", "cv.csv")
    assert {row["target"] for row in rows("oof.csv")} == {"valence", "arousal"}
    scores = {row["score"] for row in rows("cv.csv")}
    assert {"mse", "valence mse", "arousal mse"} <= scores
    means = np.array(values_of(rows("cv.csv"), "track", "mse"))
    each = [values_of(rows("cv.csv"), "track", f"{name} mse") for name in both.split(",")]
    np.testing.assert_allclose(means, np.mean(each, axis=0), atol=1e-8)


@pytest.mark.parametrize("model", ESTIMATORS)
def test_an_estimator_learns_one_number(model: str) -> None:
    write_numbers(Path(), ("valence", "arousal"))
    done = train(model, "-o", f"m{suffix(model)}", target="valence,arousal", status=2)
    assert "--target: names several" in done.stderr


# Unordered classes


@pytest.mark.parametrize("model", ["svm", "cnn"])
def test_unordered_classes_have_no_value(model: str) -> None:
    write_segments(
        Path(), 32, kinds=("mel",), classes=QUADRANTS, target="quadrant", scale="unordered"
    )
    long = ("--set", "max_epochs=25") if model == "cnn" else ()
    model_file = f"m{suffix(model)}"
    train(model, *long, "--cv", 0, "-o", model_file, target="quadrant")
    here("predict", "-m", model_file, "features.h5", "-o", "p.csv")
    here("validate", "p.csv", model_file)
    card = card_of(model_file)
    assert (card["scale"], card["classes"]) == ("unordered", list(QUADRANTS))
    labels = {row["track_id"]: row["class"] for row in rows("labels.csv")}
    tracks = [row for row in rows("p.csv") if row["level"] == "track"]
    assert {row["value"] for row in tracks} == {""}
    assert {row["classes"] for row in tracks} == {"Q1|Q2|Q3|Q4"}
    assert np.mean([row["predicted"] == labels[row["track_id"]] for row in tracks]) > 0.8
    options = ("--predictions", "oof.csv", "--no-refit", "--cv-table", "cv.csv")
    train(model, *options, target="quadrant")
    here("validate", "oof.csv", "cv.csv")
    assert {row["value"] for row in rows("oof.csv")} == {""}


# Repetitions


@pytest.mark.parametrize("model", ["svm", "cnn"])
def test_repetitions_have_folds_of_their_own(model: str) -> None:
    write_segments(Path(), kinds=("mel",))
    options = ("--folds", "folds.csv", "--cv-table", "cv.csv", "--predictions", "p.csv")
    model_file = f"m{suffix(model)}"
    done = train(model, *options, "--repeats", 2, "-o", model_file, target="arousal")
    assert "arousal: 2 x 3 folds" in done.stderr
    here("validate", "folds.csv", "cv.csv", "p.csv", model_file)
    folds: dict[str, dict[str, str]] = {"1": {}, "2": {}}
    for row in rows("folds.csv"):
        folds[row["repeat"]][row["track_id"]] = row["fold"]
    assert folds["1"].keys() == folds["2"].keys()
    assert folds["1"] != folds["2"]
    table = rows("cv.csv")
    assert {(row["repeat"], row["fold"]) for row in table} == {
        (repeat, fold) for repeat in "12" for fold in "123"
    }
    card = card_of(model_file)
    assert card["search"]["n_repeats"] == 2
    scores = card["scores"]["levels"]["track"]
    for name in ("macro_f1", "accuracy"):
        of_folds = values_of(table, "track", name)
        assert len(of_folds) == 6
        assert np.mean(of_folds) == pytest.approx(scores[name]["mean"], abs=1e-8)
        assert np.std(of_folds, ddof=1) == pytest.approx(scores[name]["std"], abs=1e-8)
    labels = {row["track_id"]: row["class"] for row in rows("labels.csv")}
    pooled = []
    for repeat in "12":
        tracks = [r for r in rows("p.csv") if (r["level"], r["repeat"]) == ("track", repeat)]
        assert {row["track_id"]: row["fold"] for row in tracks} == folds[repeat]
        pooled.append(np.mean([row["predicted"] == labels[row["track_id"]] for row in tracks]))
    assert np.mean(pooled) == pytest.approx(scores["accuracy"]["pooled"], abs=1e-8)
    # The first repetition is the only one without --repeats, and another run reads the table.
    train(model, "--cv-table", "one.csv", "--no-refit", "--folds", "folds.csv", target="arousal")
    first = [row for row in table if row["repeat"] == "1"]
    assert [row["value"] for row in rows("one.csv")] == [row["value"] for row in first]


def test_without_folds_repetitions_are_trainings_from_other_seeds() -> None:
    write_segments(Path(), kinds=("mel",))
    labels = Path("labels.csv")
    labels.write_text(mark_validation(labels.read_text(), "t00", "t01", "t02", "t06", "t07"))
    options = ("--cv", 0, "--history", "h.csv")
    train("cnn", *options, "--repeats", 2, "-o", "m.safetensors", target="arousal")
    here("validate", "m.safetensors", "h.csv")
    each = []
    for seed in (0, 1):
        train("cnn", *options[:2], "--seed", seed, "-o", f"{seed}.safetensors", target="arousal")
        each.append(card_of(f"{seed}.safetensors")["scores"]["validation"])
    scores = card_of("m.safetensors")["scores"]["validation"]
    for name, of in scores.items():
        values = [one[name]["mean"] for one in each]
        assert of["mean"] == pytest.approx(np.mean(values))
        assert of["std"] == pytest.approx(np.std(values, ddof=1))
        assert each[0][name]["std"] == 0
    assert {row["repeat"] for row in rows("h.csv")} == {"1", "2"}
    first, made = load_file("0.safetensors"), load_file("m.safetensors")
    for name, weight in first.items():
        np.testing.assert_array_equal(made[name], weight, err_msg=name)


# Validation


def mark_validation(text: str, *tracks: str) -> str:
    """Put tracks of labels.csv into the part for validation."""
    lines = [
        line.replace(",train", ",validation") if line.partition(",")[0] in tracks else line
        for line in text.splitlines()
    ]
    return "\n".join(lines) + "\n"


def write_columns(
    n_tracks: int = 30, seed: int = 0, signal: float = 2.0
) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Write vectors of four columns, of which the first tells which of two classes, and labels."""
    rng = np.random.default_rng(seed)
    tracks = [f"t{i:02}" for i in range(n_tracks)]
    y = np.arange(n_tracks) % 2
    X = rng.standard_normal((n_tracks, 2, 4))
    X[:, :, 0] += signal * y[:, None]
    write_vectors(Path("features.h5"), tracks, X)
    write_labels(
        Path("labels.csv"),
        [class_label(t, k, ("low", "high")) for t, k in zip(tracks, y, strict=True)],
        2,
    )
    return tracks, X


VECTORS = ("--kind", "vectors")
FIXED = {"svm": ("--set", "C=1", "--set", "gamma=0.2"), "kernel": ("--set", "gamma=0.3")}
FIXED["kernel"] += ("--set", "ridge=0.5")


@pytest.mark.parametrize("model", ESTIMATORS)
def test_tracks_for_validation_are_not_learnt_from_nor_scored(model: str) -> None:
    tracks, X = write_columns()
    marked = tracks[:6]
    labels = Path("labels.csv")
    labels.write_text(mark_validation(labels.read_text(), *marked))
    options = (*VECTORS, *FIXED[model], "--predictions", "p.csv", "-o", f"m{suffix(model)}")
    done = train(model, *options, target="arousal")
    assert "6 of them for validation" in done.stderr
    before = Path("p.csv").read_bytes(), read_model(Path(options[-1]))
    assert not set(marked) & {row["track_id"] for row in rows("p.csv")}
    assert sum(f["n_tracks"] for f in before[1][0].scores["folds"]) == 24
    X[:6] += 1000
    write_vectors(Path("features.h5"), tracks, X)
    train(model, *options, target="arousal")
    assert Path("p.csv").read_bytes() == before[0]
    learnt = read_model(Path(options[-1]))[1]
    for name, array in before[1][1].items():
        np.testing.assert_array_equal(learnt[name], array, err_msg=name)


def test_tracks_for_validation_choose() -> None:
    """Their classes are turned round, so that what is worst for others is best for them."""
    tracks, _ = write_columns(40)
    y = np.arange(40) % 2
    y[:10] = 1 - y[:10]
    labels = [class_label(t, k, ("low", "high")) for t, k in zip(tracks, y, strict=True)]
    grid = ("--grid", "gamma=0.2,1e6", "--set", "C=1")  # the second tells nothing
    for marked in (True, False):
        split = "validation" if marked else "test"
        parts = [replace(of, split=split) if i < 10 else of for i, of in enumerate(labels)]
        write_labels(Path("labels.csv"), parts, 2)
        train("svm", *VECTORS, *grid, "--cv", 0, "-o", "m.skops", target="arousal")
        chosen = card_of("m.skops")["search"]["chosen"]["gamma"]
        assert chosen == (1e6 if marked else 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["epochs", "validation_loss"])
def test_a_network_is_stopped_by_tracks_for_validation_and_does_not_learn_them(stop: str) -> None:
    write_segments(Path(), 36, kinds=("mel",))
    labels, marked = Path("labels.csv"), ("t00", "t01", "t02", "t06")
    text = labels.read_text()
    labels.write_text(mark_validation(text, *marked))
    longer = ("--set", f"stop={stop}", "--set", "max_epochs=4", "--set", "schedule=none")
    options = (*longer, "--predictions", "p.csv", "--history", "h.csv", "-o", "m.safetensors")
    train("cnn", *options, target="arousal")
    assert not set(marked) & {row["track_id"] for row in rows("p.csv")}
    before = Path("p.csv").read_bytes(), rows("h.csv"), load_file("m.safetensors")
    changed = [
        line.replace("weak", "neutral").replace(",1,", ",2,") if line[:3] in marked else line
        for line in labels.read_text().splitlines()
    ]
    labels.write_text("\n".join(changed) + "\n")
    train("cnn", *options, target="arousal")
    same = ("train_loss", "learning_rate")
    for one, other in zip(before[1], rows("h.csv"), strict=False):
        assert [one[name] for name in same] == [other[name] for name in same]
    assert [r["validation_loss"] for r in before[1]] != [
        r["validation_loss"] for r in rows("h.csv")
    ]
    if stop == "epochs":
        assert Path("p.csv").read_bytes() == before[0]
        for name, weight in load_file("m.safetensors").items():
            np.testing.assert_array_equal(weight, before[2][name], err_msg=name)


# Search


@pytest.mark.parametrize("model", ["svm", "kernel"])
def test_a_bayesian_search_of_an_estimator_is_seeded_and_nested(model: str) -> None:
    write_columns()
    model_file = f"m{suffix(model)}"
    options = (*VECTORS, "--search", "bayes", "--trials", 6, "--cv-table", "cv.csv")
    bytes_of = []
    for seed in (0, 0, 1):
        train(model, *options, "--seed", seed, "-o", model_file, target="arousal")
        bytes_of.append((Path(model_file).read_bytes(), Path("cv.csv").read_bytes()))
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]
    search = card_of(model_file)["search"]
    assert (search["method"], search["nested"]) == ("bayes", True)
    low_high = search["grid"]
    for name, value in search["chosen"].items():
        assert low_high[name][0] <= value <= low_high[name][1]
    # Each fold has chosen within its own part.
    assert len({row["parameters"] for row in rows("cv.csv")}) > 1


@pytest.mark.slow
def test_a_bayesian_search_of_a_network_is_seeded() -> None:
    write_segments(Path(), kinds=("mel",))
    options = ("--search", "bayes", "--trials", 3, "--cv-table", "cv.csv", "--cv", 0)
    refused = train("cnn", *options, "-o", "m.safetensors", target="arousal", status=2)
    assert "--cv-table cv.csv: needs folds" in refused.stderr
    options = (*options[:4], "--cv", 3, "--cv-table", "cv.csv", "-o", "m.safetensors")
    bytes_of = []
    for seed in (0, 0):
        train("cnn", *options, "--seed", seed, target="arousal")
        bytes_of.append((Path("m.safetensors").read_bytes(), Path("cv.csv").read_bytes()))
    assert bytes_of[0] == bytes_of[1]
    search = card_of("m.safetensors")["search"]
    assert (search["method"], search["nested"]) == ("bayes", False)
    assert set(search["chosen"]) == {"learning_rate"}  # the batch size is set
    points = dict.fromkeys(row["parameters"] for row in rows("cv.csv"))
    assert len(points) == 3
    chosen = " ".join(f"{name}={value}" for name, value in search["chosen"].items())
    assert chosen in points
    one = ("--search", "bayes", "--trials", 1, "--grid", "learning_rate=0.004", "--cv", 0)
    train("cnn", *one, "-o", "one.safetensors", target="arousal")
    assert card_of("one.safetensors")["search"]["chosen"] == {"learning_rate": 0.004}


def test_a_grid_search_tries_the_usual_values_or_says_that_there_are_none() -> None:
    write_columns()
    train("svm", *VECTORS, "--search", "grid", "-o", "m.skops", target="arousal")
    search = card_of("m.skops")["search"]
    assert (search["method"], search["nested"]) == ("grid", True)
    assert search["grid"] == {"C": [0.3, 1, 3, 10], "gamma": [0.0625, 0.125, 0.25]}
    write_segments(Path(), kinds=("mel",))
    done = train("cnn", "--search", "grid", "-o", "m.safetensors", target="arousal", status=2)
    assert "--search grid: has no values to try" in done.stderr


# Kinds of tracks, groups


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("kinds", [("vectors", "words"), ("words", "vectors"), ("words",)])
def test_what_a_track_has_as_a_whole_is_learnt_and_predicted(
    model: str, kinds: tuple[str, ...]
) -> None:
    tracks, _ = write_columns(signal=0.0)
    rng = np.random.default_rng(5)
    words = rng.standard_normal((30, 3))
    words[:, 1] += 3 * (np.arange(30) % 2)
    write_track_vectors(Path("words.h5"), tracks, words)
    asked = [option for kind in kinds for option in ("--kind", kind)]
    files = ("features.h5", "words.h5") if "vectors" in kinds else ("words.h5",)
    features = [option for file in files for option in ("--features", file)]
    labels = ("--labels", "labels.csv", "--target", "arousal", "--cv", 3)
    model_file = f"m{suffix(model)}"
    here(
        "train", model, *features, *labels, *asked, *FIXED[model],
        "--predictions", "oof.csv", "-o", model_file,
    )  # fmt: skip
    needed = {of["kind"]: of["level"] for of in card_of(model_file)["features"]}
    assert needed == {k: "track" if k == "words" else "segment" for k in kinds}
    here("validate", "oof.csv", model_file)
    for order in (files, files[::-1]):
        here("predict", "-m", model_file, *order, "-o", "p.csv")
        here("validate", "p.csv")
        predicted = [row for row in rows("p.csv") if row["level"] == "track"]
        assert [row["track_id"] for row in predicted] == tracks
        right = [row["predicted"] == ("low", "high")[i % 2] for i, row in enumerate(predicted)]
        assert np.mean(right) > 0.85
        n_segments = sum(row["level"] == "segment" for row in rows("p.csv"))
        assert n_segments == (60 if "vectors" in kinds else 0)


@pytest.mark.parametrize("model", ["svm", "kernel", "cnn"])
def test_groups_stay_on_one_side_of_folds(model: str) -> None:
    write_segments(Path(), kinds=("mel", "note"))
    lines = ["track_id,artist", *(f"t{i:02},artist {i // 3}" for i in range(24))]
    Path("artists.csv").write_text("\n".join(lines) + "\n")
    group = ("--group", "artist", "--groups", "artists.csv", "--folds", "folds.csv")
    train(model, *group, "-o", f"m{suffix(model)}", target="arousal")
    folds: dict[int, set[str]] = {}
    for row in rows("folds.csv"):
        folds.setdefault(int(row["track_id"][1:]) // 3, set()).add(row["fold"])
    assert {len(of_artist) for of_artist in folds.values()} == {1}
    assert len(set().union(*folds.values())) == 3


def test_too_few_groups_for_the_folds_are_named() -> None:
    tracks, _ = write_columns()
    lines = ["track_id,artist", *(f"{t},artist {i % 2}" for i, t in enumerate(tracks))]
    Path("artists.csv").write_text("\n".join(lines) + "\n")
    group = ("--group", "artist", "--groups", "artists.csv", "--cv", 3)
    done = train("svm", *VECTORS, *group, "-o", "m.skops", target="arousal", status=2)
    assert "--cv 3: is more than the groups can fill, 2" in done.stderr.splitlines()[-1]
    lines[1:] = [f"{t},artist {i % 2 + 2 * (i % 4 == 3)}" for i, t in enumerate(tracks)]
    # The low class is all by one artist, who is held out some time.
    Path("artists.csv").write_text("\n".join(lines) + "\n")
    done = train("svm", *VECTORS, *group, "-o", "m.skops", target="arousal", status=2)
    assert "leaves no track of class low to learn from" in done.stderr.splitlines()[-1]


# Pooling


@pytest.mark.parametrize("pool", ["mean", "mode", "max"])
def test_pooling_is_the_cards(pool: str) -> None:
    tracks, _ = write_columns()
    options = (*VECTORS, "--unit", "segment", "--pool", pool, *FIXED["svm"])
    labels = Path("labels.csv")
    labels.write_text(mark_validation(labels.read_text(), *tracks[:4]))
    done = train("svm", *options, "--predictions", "oof.csv", "-o", "m.skops", target="arousal")
    assert "Warning" not in done.stderr
    assert card_of("m.skops")["pool"] == pool
    here("predict", "-m", "m.skops", "features.h5", "-o", "p.csv")
    for name in ("p.csv", "oof.csv"):
        here("validate", name)
        table = rows(name)
        for track in [row for row in table if row["level"] == "track"]:
            of = [
                float(row["p_2"])
                for row in table
                if row["level"] == "segment" and row["track_id"] == track["track_id"]
            ]
            p_1 = [1 - p for p in of]
            high = {
                "mean": np.mean(of),
                "max": max(of) / (max(of) + max(p_1)),
                "mode": (np.sum(np.array(of) > 0.5) + np.mean(of)) / (len(of) + 1),
            }[pool]
            assert float(track["p_2"]) == pytest.approx(high, abs=1e-8)
    write_numbers(Path(), kinds=("mel", "note"))
    refused = train("svm", "--pool", "mode", "-o", "m.skops", target="valence", status=2)
    assert "--pool mode: is of classes" in refused.stderr

"""`--select`: the columns that rank highest within the part learnt from, and no other part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_selection import f_classif, f_regression

from in_process import card_of, here, rows
from made_segments import class_label, number_label, write_labels, write_vectors
from mertools.artifacts.model_file import read_model

TRACKS = [f"t{i:02}" for i in range(40)]
Y = np.arange(40) % 2
NUMBERS = 1 + np.arange(40) / 5
FILES = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
FIXED = {
    "svm": ("--set", "C=1", "--set", "gamma=0.3"),
    "kernel": ("--set", "gamma=0.3", "--set", "ridge=0.5"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(X: np.ndarray[Any, Any], *, numbers: bool = False, n_test: int = 0) -> None:
    """Write one segment a track, (n_tracks, n_columns); the first tracks are for testing."""
    write_vectors(Path("features.h5"), TRACKS, X[:, None])
    labels = [
        number_label(name, "arousal", float(NUMBERS[i]), "test" if i < n_test else "train")
        if numbers
        else class_label(name, int(Y[i]), ("low", "high"), split="test" if i < n_test else "train")
        for i, name in enumerate(TRACKS)
    ]
    write_labels(Path("labels.csv"), labels, 0 if numbers else 2)


def make_columns(n_columns: int = 20, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((40, n_columns))


def train(model: str, select: str, *options: object, status: int = 0) -> Any:
    suffix = ".skops" if model == "svm" else ".safetensors"
    return here(
        "train", model, *FILES, "--kind", "vectors", *FIXED[model], "--select", select,
        "-o", f"m{suffix}", *options, status=status,
    )  # fmt: skip


def selected(model: str) -> list[int]:
    suffix = ".skops" if model == "svm" else ".safetensors"
    return list(read_model(Path(f"m{suffix}"))[1]["selected"].tolist())


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("model", FIXED)
def test_the_columns_are_those_of_the_highest_f(model: str, numbers: bool) -> None:
    X = make_columns()
    X[:, 7] += 2 * (NUMBERS / 4 if numbers else Y)
    X[:, 3] -= 1.5 * (NUMBERS / 4 if numbers else Y)
    write(X, numbers=numbers, n_test=6)
    train(model, "f:4", "--cv", 0)
    part = X[6:].astype(np.float32).astype(float)
    f = f_regression(part, NUMBERS[6:])[0] if numbers else f_classif(part, Y[6:])[0]
    assert selected(model) == sorted(np.argsort(-f)[:4].tolist())
    chosen = card_of(f"m{'.skops' if model == 'svm' else '.safetensors'}")["search"]["select"]
    assert (chosen["method"], chosen["n_columns"]) == ("f", 4)


@pytest.mark.parametrize("method", ["f", "relieff"])
def test_what_tells_the_class_in_held_out_tracks_alone_is_not_found(method: str) -> None:
    """Of much noise some columns tell the class by chance, but only of the tracks ranked over.

    Ranked over all tracks, these would tell the class of held-out tracks, too (C. Ambroise,
    G. McLachlan, "Selection bias in gene extraction", PNAS 2002).
    """
    write(make_columns(400, seed=3))
    train("svm", f"{method}:5", "--cv", 4, "--no-refit", "--predictions", "p.csv")
    right = [
        row["predicted"] == ("low", "high")[Y[TRACKS.index(row["track_id"])]]
        for row in rows("p.csv")
    ]
    assert np.mean(right) < 0.7


@pytest.mark.parametrize("model", FIXED)
def test_a_selecting_model_predicts_from_all_columns(model: str) -> None:
    X = make_columns()
    X[:, [4, 9]] += 3 * Y[:, None]
    write(X)
    train(model, "relieff:2", "--cv", 3)
    file = f"m{'.skops' if model == 'svm' else '.safetensors'}"
    here("validate", file)
    assert selected(model) == [4, 9]
    here("predict", "-m", file, "features.h5", "-o", "p.csv")
    right = [
        row["predicted"] == ("low", "high")[Y[TRACKS.index(row["track_id"])]]
        for row in rows("p.csv")
    ]
    assert np.mean(right) > 0.9
    before = rows("p.csv")
    X[:, [n for n in range(20) if n not in (4, 9)]] = 77
    write(X)
    here("predict", "-m", file, "features.h5", "-o", "p.csv")
    assert rows("p.csv") == before


def test_of_columns_that_move_together_one_is_kept() -> None:
    X = make_columns()
    X[:, 2] += 3 * Y
    X[:, 5] = X[:, 2] + 0.01 * np.random.default_rng(1).standard_normal(40)
    X[:, 8] += 2 * Y
    write(X)
    train("svm", "f:2", "--cv", 3)
    assert selected("svm") == [2, 5]
    train("svm", "f:2,max_correlation=0.95", "--cv", 3)
    assert selected("svm") in ([2, 8], [5, 8])
    chosen = card_of("m.skops")["search"]["select"]
    assert chosen["max_correlation"] == 0.95


@pytest.mark.parametrize(
    "select",
    ["f", "f:0", "f:-1", "f:x", "t:3", "f:3,max_correlation=0", "f:3,max_correlation=2",
     "f:3,min=1", "f:3,max_correlation", ":3", ""],
)  # fmt: skip
def test_a_wrong_selection_is_named(select: str) -> None:
    write(make_columns())
    done = train("svm", select, "--cv", 3, status=2)
    assert "METHOD:N[,max_correlation=R]: choose METHOD from f, relieff" in done.stderr


def test_more_columns_than_there_are_are_all_of_them() -> None:
    write(make_columns(5))
    train("svm", "f:9", "--cv", 3)
    assert selected("svm") == [0, 1, 2, 3, 4]

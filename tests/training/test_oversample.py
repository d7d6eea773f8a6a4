"""SMOTE and Borderline-SMOTE2, against closed forms and imbalanced-learn, and through `train`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from made_comparison import write_comparison
from mertools.cli.app import app
from mertools.training.oversample import (
    Draws,
    Method,
    Oversampling,
    draw_rows,
    find_danger,
    nearest_rows,
)

DATA = ("--features", "features.h5", "--labels", "labels.csv", "--target", "quadrant")


def clouds(seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Three overlapping clouds of 40, 25 and 15 points."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [40, 25, 15])
    return rng.normal(size=(80, 3)) + y[:, None] * [1.2, 0, 0], y


def test_classes_become_equally_large_or_grow_by_a_number() -> None:
    X, y = clouds()
    assert np.bincount(draw_rows(Oversampling("smote"), X, y, 0).y).tolist() == [0, 15, 25]
    found = draw_rows(Oversampling("borderline-smote2", 7), X, y, 0).y
    assert np.bincount(found).tolist() == [7, 7, 7]


@pytest.mark.parametrize("method", ["smote", "borderline-smote2"])
def test_rows_lie_on_the_way_to_one_of_the_nearest(method: Method) -> None:
    X, y = clouds()
    draws = draw_rows(Oversampling(method, 200), X, y, 0)
    drawn = draws.apply(X)
    near = nearest_rows(X, X, 5)
    for k in range(len(drawn)):
        base, goal = draws.base[k], draws.goal[k]
        way = X[goal] - X[base]
        share = float((drawn[k] - X[base]) @ way / (way @ way))
        foreign = y[goal] != y[base]
        assert 0 <= share <= (0.5 if foreign else 1) + 1e-6
        np.testing.assert_allclose(drawn[k], X[base] + share * way, atol=1e-5)
        assert y[base] == draws.y[k]
        if method == "smote":
            assert not foreign
        else:
            assert goal in near[base]
            assert 3 <= (y[near[base]] != y[base]).sum() <= 4  # in danger, and no noise
    assert (y[draws.goal] != draws.y).any() == (method == "borderline-smote2")


def test_without_rows_in_danger_it_is_plain_smote() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(20, 2)), 100 + rng.normal(size=(20, 2))])
    y = np.repeat([0, 1], 20)
    one, other = (
        draw_rows(Oversampling(method, 9), X, y, 0).apply(X)
        for method in ("smote", "borderline-smote2")
    )
    np.testing.assert_array_equal(one, other)
    draws = draw_rows(Oversampling("borderline-smote2", 9), X, y, 0)
    assert draws.describe_exceptions(["calm", "tense"]) == [
        "calm, tense with no row in danger: plain SMOTE drew the synthetic ones"
    ]
    assert not draw_rows(Oversampling("smote", 9), X, y, 0).describe_exceptions(["calm", "tense"])


def test_a_class_of_one_row_gets_none() -> None:
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 0, 0, 0, 0, 1])
    draws = draw_rows(Oversampling("smote"), X, y, 0)
    assert draws.y.tolist() == []
    assert "b with a single row" in draws.describe_exceptions(["a", "b"])[0]


def test_danger_and_draws_are_those_of_imbalanced_learn() -> None:
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    from sklearn.neighbors import NearestNeighbors

    X, y = clouds(1)
    reference = over_sampling.BorderlineSMOTE()
    neighbours = NearestNeighbors(n_neighbors=6).fit(X)
    for k in range(3):
        of_class = np.flatnonzero(y == k)
        danger = reference._in_danger_noise(neighbours, X[of_class], k, y, kind="danger")
        found = find_danger(nearest_rows(X, X, 5), y, k)
        assert found.tolist() == of_class[danger].tolist()

    class Draw:
        """numpy's older random numbers, which imbalanced-learn draws, by the newer names."""

        def __init__(self) -> None:
            self.state = np.random.RandomState(3)

        def integers(self, high: int, size: int) -> Any:
            return self.state.randint(0, high, size)

        def random(self, n: int) -> Any:
            return self.state.uniform(size=n)

    from mertools.training import oversample

    expected, of_rows = over_sampling.SMOTE(sampling_strategy={2: 40}, random_state=3).fit_resample(
        X, y
    )
    of_class = np.flatnonzero(y == 2)
    within = of_class[nearest_rows(X[of_class], X[of_class], 5)]
    base, goal, step = oversample._draw(Draw(), of_class, within, 25)
    found = Draws(base, goal, step, of_rows[80:]).apply(X)
    np.testing.assert_allclose(found, expected[80:], atol=1e-6)


def here(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.stderr
    return done


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_comparison(tmp_path, {"handcrafted": (12,)}, 40)
    return tmp_path


@pytest.mark.parametrize("name", ["forest", "svm", "kernel", "dnn"])
def test_through_training(folder: Path, name: str) -> None:
    network = (
        *("--device", "cpu", "--set", "max_epochs=20", "--set", "stop=epochs"),
        *("--set", "batch_size=16"),
    )
    train = (
        *("train", name, *DATA, "--kind", "handcrafted", "--oversample", "smote:6", "--jobs", "1"),
        *("--select", "f:6", "--cv", "2", *(network if name == "dnn" else ())),
    )
    here(*train, "--predictions", "cv.csv", "-o", "m.model")
    card = json.loads(here("inspect", "m.model", "--json").stdout)
    assert card["search"]["oversample"]["n_rows"] == 6
    assert card["training"]["n_rows"] == 40  # what was there; synthetic rows are not counted
    tracks = [row for row in rows("cv.csv") if row["level"] == "track"]
    assert len(tracks) == 40
    right = [row["predicted"] == f"Q{k % 4 + 1}" for k, row in enumerate(tracks)]
    assert np.mean(right) > 0.6
    here("predict", "-m", "m.model", "features.h5")


@pytest.mark.parametrize("name", ["forest", "dnn"])
def test_plain_smote_in_the_place_of_another_is_said(folder: Path, name: str) -> None:
    write_comparison(folder, {"handcrafted": (4,)}, 48)
    with h5py.File("features.h5", "r+") as file:
        vectors = file["features/handcrafted"]
        # Quadrants that lie so far apart have no row in danger.
        vectors[...] += 500 * np.eye(4)[np.arange(48) % 4]
    quick = ("--device", "cpu", "--set", "max_epochs=1", "--set", "stop=epochs")
    train = ("train", name, *DATA, "--kind", "handcrafted", "--cv", "2", "--jobs", "1")
    wanted = ("--oversample", "borderline-smote2:3", *(quick if name == "dnn" else ()))
    done = here(*train, *wanted, "--cv-table", "cv.csv", "--no-refit", "--quiet")
    expected = "Q1, Q2, Q3, Q4 with no row in danger: plain SMOTE drew the synthetic ones"
    assert f"{expected} (2 of 2 trainings)" in done.stderr


def test_what_makes_no_sense_is_refused(folder: Path) -> None:
    for text in ("rose", "smote:0", "smote:x", "smote:"):
        done = here("train", "forest", *DATA, "--oversample", text, "-o", "m", status=2)
        assert "choose METHOD from smote, borderline-smote2, deepsmote" in done.stderr
    number = ("train", "forest", *DATA[:4], "--target", "arousal", "--oversample", "smote")
    assert "is of classes" in here(*number, "-o", "m", status=2).stderr


def test_spectrograms_are_drawn_like_those_of_their_class() -> None:
    from mertools.training.deepsmote import Scaling, draw_spectrograms, fit_autoencoder

    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 12)
    S = (rng.normal(size=(24, 32, 20)) - 40).astype(np.float32)
    for k in (0, 1):
        S[y == k, 16 * k : 16 * (k + 1)] += 30
    scaling = Scaling.fit(S)
    scaled = scaling.apply(S)
    assert (scaled.min(), scaled.max()) == (-1, 1)
    back = scaling.undo_by_mean(scaled)
    np.testing.assert_allclose(back, S, atol=3)
    import torch

    learnt = fit_autoencoder(scaled, 0, "cpu")
    with torch.inference_mode():
        error = float(learnt(torch.tensor(scaled)).square().mean())
    assert error < 0.5 * scaled.var()  # better than the mean by far
    drawn, draws = draw_spectrograms(Oversampling("deepsmote", 5), S, y, 0, "cpu")
    assert drawn.shape == (10, 32, 20)
    assert draws.y.tolist() == [0] * 5 + [1] * 5
    for k in (0, 1):
        halves = drawn[draws.y == k].reshape(5, 2, 16, 20).mean(axis=(0, 2, 3))
        assert halves[k] > halves[1 - k] + 10
    again, _ = draw_spectrograms(Oversampling("deepsmote", 5), S, y, 0, "cpu")
    np.testing.assert_array_equal(drawn, again)
    assert Oversampling("deepsmote").count(y) == {0: 25, 1: 25}


def test_deepsmote_through_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_comparison(tmp_path, {"mel": (96, 96)}, 16)
    quick = ("--device", "cpu", "--set", "max_epochs=1", "--set", "stop=epochs", "--jobs", "1")
    monkeypatch.setattr("mertools.training.deepsmote.EPOCHS", 2)
    train = ("train", "crnn", *DATA, *quick, "--cv", "0", "--oversample", "deepsmote:3")
    here(*train, "-o", "m.safetensors")
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert card["search"]["oversample"] == {
        "method": "deepsmote", "n_rows": 3, "within": "the part learnt from",
    }  # fmt: skip
    here("predict", "-m", "m.safetensors", "features.h5")
    here(*train[:-2], "-o", "plain.safetensors")
    assert Path("m.safetensors").read_bytes() != Path("plain.safetensors").read_bytes()
    refused = here(*train[:-1], "smote", "-o", "m", status=2).stderr
    assert "is of vectors alone, and crnn looks at mel" in refused

"""Random forests: scikit-learn's own predictions, from plain arrays."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner, Result

from mertools.cli.app import app
from mertools.models import forest
from mertools.models.problem import Problem
from mertools.models.registry import Objective, find_architecture
from mertools.targets.scale import Classes, Range, Target

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))
from made_comparison import write_comparison

CLASSES = Target("quadrant", Classes(("Q1", "Q2", "Q3", "Q4"), ordered=False))
POINT = find_architecture("forest").defaults
DATA = ("--features", "features.h5", "--labels", "labels.csv")


def problem(target: Target, n: int = 120, n_columns: int = 9, n_classes: int = 4) -> Problem:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_columns)).astype(np.float32)
    y = (X[:, 0] > 0) * 2 + (X[:, 1] + X[:, 2] > 0)
    y = np.minimum(y, n_classes - 1).astype(np.int64)
    return Problem(
        target, "hard", (X[:, :4], X[:, 4:]), (0.5, 0.5), y, np.eye(4)[y],
        np.clip((X[:, 0] + 3) / 6, 0, 1).astype(np.float64), np.arange(n), np.zeros(n, bool),
        np.ones(n), (),
    )  # fmt: skip


def test_posteriors_are_scikit_learns() -> None:
    given = problem(CLASSES)
    (model,) = forest.fit(given, [POINT])
    X = np.random.default_rng(1).normal(size=(600, 9)).astype(np.float32)
    reference = forest.grow(given, np.concatenate(given.features, axis=1), POINT)
    found = model.predict([X[:, :4], X[:, 4:]])
    np.testing.assert_allclose(found, reference.predict_proba(X), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.predict([X[7:8, :4], X[7:8, 4:]]), found[7:8])


def test_defaults_are_scikit_learns_with_seed_1() -> None:
    from sklearn.ensemble import RandomForestClassifier

    given = problem(CLASSES)
    X = np.concatenate(given.features, axis=1)
    expected = RandomForestClassifier(random_state=1).fit(X, given.y).predict_proba(X)
    (model,) = forest.fit(given, [POINT])
    np.testing.assert_allclose(model.predict([X]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("objective", ["mse", "mae"])
def test_numbers_are_scikit_learns_on_the_targets_scale(objective: Objective) -> None:
    given = replace(problem(Target("arousal", Range(1, 9))), objective=objective)
    (model,) = forest.fit(given, [POINT])
    X = np.random.default_rng(1).normal(size=(50, 9)).astype(np.float32)
    reference = forest.grow(given, np.concatenate(given.features, axis=1), POINT)
    np.testing.assert_allclose(model.predict([X])[:, 0], 1 + 8 * reference.predict(X), atol=1e-12)


def test_a_class_without_rows_has_no_probability() -> None:
    (model,) = forest.fit(problem(CLASSES, n_classes=3), [POINT])
    found = model.predict([np.zeros((2, 9), np.float32)])
    assert found.shape == (2, 4)
    assert not found[:, 3].any()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def here(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_comparison(tmp_path, {"handcrafted": (12,)}, 40, 2)
    return tmp_path


def test_through_the_commands(folder: Path) -> None:
    train = ("train", "forest", *DATA, "--target", "quadrant", "--cv", "4", "--jobs", "1")
    train = (*train, "--set", "n_estimators=20", "--predictions", "cv.csv")
    here(*train, "-o", "m.safetensors")
    first = Path("m.safetensors").read_bytes()
    here(*train, "-o", "m.safetensors")
    assert Path("m.safetensors").read_bytes() == first
    here("validate", "m.safetensors", "cv.csv")
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert card["architecture"] == {"max_features": 0.0, "n_estimators": 20, "random_state": 1}
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    with Path("p.csv").open() as stream:
        tracks = [row for row in csv.DictReader(stream) if row["level"] == "track"]
    right = [row["predicted"] == f"Q{k % 4 + 1}" for k, row in enumerate(tracks)]
    assert np.mean(right) > 0.95


def test_numbers_with_selection_and_a_search(folder: Path) -> None:
    search = ("--select", "f:4", "--grid", "n_estimators=5,10", "--cv", "2", "--jobs", "1")
    here("train", "forest", *DATA, "--target", "arousal", *search, "-o", "m.safetensors")
    # F of a number is of its linear regression: the outer classes' columns follow it.
    assert {0, 3} < set(load_file("m.safetensors")["selected"].tolist())
    assert "0..1" in here("predict", "-m", "m.safetensors", "features.h5").stdout


def test_a_forest_predicts_without_scikit_learn(folder: Path) -> None:
    small = ("--set", "n_estimators=3", "--cv", "0")
    here("train", "forest", *DATA, "--target", "quadrant", *small, "-o", "m.safetensors")
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from mertools.cli.app import app\n"
        "app(['predict', '-m', 'm.safetensors', 'features.h5'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Q1|Q2|Q3|Q4" in done.stdout


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("children", lambda a: a.__setitem__((0, 0), 0), "lead back"),
        ("children", lambda a: a.__setitem__((0, 0), 10**6), "missing"),
        ("features", lambda a: a.__setitem__(0, 99), "column is missing"),
        ("roots", lambda a: a.__setitem__(0, -1), "root is missing"),
        ("values", lambda a: a.__setitem__((0, 0), np.nan), "not finite"),
    ],
)
def test_a_broken_file_is_refused(folder: Path, name: str, change: object, problem: str) -> None:
    small = ("--set", "n_estimators=3", "--cv", "0")
    here("train", "forest", *DATA, "--target", "quadrant", *small, "-o", "m.safetensors")
    with safe_open("m.safetensors", "numpy") as file:
        metadata = file.metadata()
    arrays = load_file("m.safetensors")
    change(arrays[name])  # type: ignore[operator]
    save_file(arrays, "b.safetensors", metadata)
    assert problem in here("predict", "-m", "b.safetensors", "features.h5", status=2).stderr

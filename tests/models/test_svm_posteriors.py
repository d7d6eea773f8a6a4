from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from mertools.artifacts.model_file import read_model, write_model
from mertools.errors import SchemaError
from mertools.models.svm import CalibratedSvm, build_svm, fit_calibrated, restore


def make_rows(n_classes: int, n_columns: int = 5, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(40 * n_classes) % n_classes)
    X = rng.standard_normal((len(y), n_columns)) * 10.0 ** np.arange(n_columns)
    X[:, 0] += 1.5 * y
    return X, y


def fit(X: Any, y: Any, C: float = 3.0, gamma: float = 0.1) -> Any:
    rows = np.arange(len(y))
    splits = [(rows[rows % 4 != fold], rows[rows % 4 == fold]) for fold in range(4)]
    return fit_calibrated(build_svm(C, gamma), X, y, splits)


def make_card(n_classes: int, n_columns: int) -> dict[str, Any]:
    return {
        "model": "svm",
        "target": "made",
        "classes": [f"class {k}" for k in range(n_classes)],
        "unit": "track",
        "features": [{"kind": "made", "params": {}, "params_digest": "0", "shape": [n_columns]}],
        "columns": [f"column {i}" for i in range(n_columns)],
        "audio": {"sample_rate": 8000, "length_s": 10.0, "hop_s": 10.0, "last": "auto"},
        "standardisation": "",
        "architecture": {},
        "training": {"digest": "0", "n_rows": 9, "tracks": {}, "left_out": {}},
        "seed": 0,
        "search": {"n_folds": 2, "criterion": "", "grid": {}, "chosen": {}},
        "scores": {"folds": [], "levels": {}},
        "versions": {},
    }


def through_a_file(path: Path, estimator: Any, n_classes: int, n_columns: int) -> CalibratedSvm:
    write_model(path, make_card(n_classes, n_columns), estimator)
    return restore(path, *read_model(path))


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
def test_posteriors_are_scikit_learns(tmp_path, n_classes):
    X, y = make_rows(n_classes)
    path = tmp_path / "m.skops"
    model = through_a_file(path, fit(X, y), n_classes, X.shape[1])
    elsewhere = np.concatenate([X, 3 * X, -100 * X, np.zeros_like(X[:1])])
    expected = skops.io.load(path).predict_proba(elsewhere)
    np.testing.assert_allclose(model.posteriors([elsewhere]), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    of_singles = model.posteriors([X.astype(np.float32)])
    np.testing.assert_allclose(of_singles, model.posteriors([X]), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 119), st.integers(1, 120))
def test_a_row_does_not_depend_on_those_beside_it(fitted_model, start, length):
    model, X = fitted_model
    rows = slice(start, start + length)
    np.testing.assert_array_equal(model.posteriors([X[rows]]), model.posteriors([X])[rows])


@pytest.fixture(scope="module")
def fitted_model(tmp_path_factory):
    X, y = make_rows(3)
    path = tmp_path_factory.mktemp("model") / "m.skops"
    return through_a_file(path, fit(X, y), 3, X.shape[1]), X


def test_no_rows_give_no_posteriors(fitted_model):
    model, X = fitted_model
    assert model.posteriors([X[:0]]).shape == (0, 3)


def test_a_separable_class_is_told_with_confidence():
    y = np.arange(120) % 3
    X = np.random.default_rng(0).standard_normal((120, 2))
    X[:, 0] += 20 * y
    estimator = fit(X, y)
    assert (estimator.predict(X) == y).all()
    assert estimator.predict_proba(X).max(axis=1).mean() > 0.7


def test_chance_gives_posteriors_near_the_weighted_prior():
    rng = np.random.default_rng(0)
    y = (rng.random(800) < 0.2).astype(int)
    estimator = fit(rng.standard_normal((800, 3)), y)
    posteriors = estimator.predict_proba(rng.standard_normal((50, 3)))
    counts = np.bincount(y)
    # Each class counts as much as the square root of its frequency says.
    prior = np.sqrt(counts) / np.sqrt(counts).sum()
    np.testing.assert_allclose(posteriors.mean(axis=0), prior, atol=0.03)


def test_a_column_that_hardly_moved_cannot_outweigh_the_others():
    X, y = make_rows(3)
    dead = 1e-9 * np.random.default_rng(1).standard_normal((len(X), 1))
    estimator = fit(np.hstack([X, dead]), y)
    alive = estimator.predict_proba(np.hstack([X, np.ones_like(dead)]))
    unmoved = estimator.predict_proba(np.hstack([X, np.zeros_like(dead)]))
    assert (alive.argmax(axis=1) == unmoved.argmax(axis=1)).mean() > 0.8
    assert np.abs(alive - unmoved).max() < 0.35


def test_far_from_training_it_answers_as_at_the_edge(fitted_model):
    model, X = fitted_model
    np.testing.assert_array_equal(
        model.posteriors([1e6 * np.sign(X)]), model.posteriors([1e9 * np.sign(X)])
    )


def test_fitting_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(*make_rows(3))


def change_card(path: Path, change: dict[str, Any]) -> None:
    with ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["card.json"] = json.dumps(json.loads(contents["card.json"]) | change).encode()
    with ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["a", "b"]},
        {"classes": ["a", "b", "c", "d"]},
        {"features": [{"kind": "made", "params": {}, "params_digest": "0", "shape": [4]}]},
    ],
)
def test_a_card_of_another_model_is_refused(tmp_path, change):
    path = tmp_path / "m.skops"
    X, y = make_rows(3)
    write_model(path, make_card(3, X.shape[1]), fit(X, y))
    change_card(path, change)
    with pytest.raises(SchemaError, match=r"holds no SVM .* has shape"):
        restore(path, *read_model(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda svc: svc.update(support_vectors_=svc["support_vectors_"][:, 1:]),
        lambda svc: svc.update(_n_support=svc["_n_support"][1:]),
        lambda svc: svc.update(intercept_=svc["intercept_"] * np.nan),
        lambda svc: svc.update(_gamma=None),
        lambda svc: svc.update(dual_coef_="none"),
        lambda svc: svc.pop("dual_coef_"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change):
    path = tmp_path / "m.skops"
    X, y = make_rows(3)
    write_model(path, make_card(3, X.shape[1]), fit(X, y))
    card, learnt = read_model(path)
    change(dict(learnt["estimators_"][0]["steps"])["svc"])
    with pytest.raises(SchemaError, match="holds no SVM as mer train svm makes it"):
        restore(path, card, learnt)


def test_another_estimator_is_refused(tmp_path):
    path = tmp_path / "m.skops"
    X, y = make_rows(3)
    write_model(path, make_card(3, X.shape[1]), build_svm().fit(X, y))
    with pytest.raises(SchemaError, match="holds no SVM as mer train svm makes it"):
        restore(path, *read_model(path))

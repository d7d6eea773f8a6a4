from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from mertools.artifacts.feature_rows import Cutting
from mertools.artifacts.model_card import Input, ModelCard
from mertools.artifacts.model_file import read_model, write_model
from mertools.errors import SchemaError
from mertools.models import svm
from mertools.models.model import restore_model
from mertools.models.problem import Problem
from mertools.models.svm import restore
from mertools.targets.scale import Classes, Range, Target


def make_rows(n_classes: int, n_columns: int = 5, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(40 * n_classes) % n_classes)
    X = rng.standard_normal((len(y), n_columns)) * 10.0 ** np.arange(n_columns)
    X[:, 0] += 1.5 * y
    return X, y


def make_problem(X: Any, y: Any, target: Target | None = None) -> Problem:
    """Rows to learn from, each of a track of its own, with four inner folds."""
    n, rows = len(X), np.arange(len(X))
    splits = tuple((rows[rows % 4 != fold], rows[rows % 4 == fold]) for fold in range(4))
    is_number = target is not None
    classes = Classes(tuple(f"class {k}" for k in range(1 if is_number else int(y.max()) + 1)))
    return Problem(
        target or Target("made", classes),
        "mse" if is_number else "hard",
        (X,),
        (1.0,),
        np.zeros(n, np.int64) if is_number else y,
        np.empty((n, 0)),
        y if is_number else np.zeros(n),
        rows,
        np.zeros(n, bool),
        np.ones(n),
        splits,
    )


def fit(X: Any, y: Any, C: float = 3.0, gamma: float = 0.1, target: Target | None = None) -> Any:
    (model,) = svm.fit(make_problem(X, y, target), [{"C": C, "gamma": gamma}])
    return model


def make_card(target: Target, n_columns: int) -> ModelCard:
    return ModelCard(
        architecture="svm",
        targets=(target,),
        inputs=(Input("made", {}, "0", (n_columns,)),),
        sample_rate=8000,
        cutting=Cutting(10.0, 10.0, "auto"),
        unit="track",
        columns=tuple(f"column {i}" for i in range(n_columns)),
        standardisation="",
        form={},
        training={"digest": "0", "n_rows": 9, "tracks": {}, "left_out": {}},
        seed=0,
        search={"n_folds": 2, "criterion": "", "grid": {}, "chosen": {}},
        scores={"folds": [], "levels": {}},
        versions={},
    )


def of_classes(n_classes: int) -> Target:
    return Target("made", Classes(tuple(f"class {k}" for k in range(n_classes))))


def write(path: Path, model: Any, target: Target, n_columns: int) -> None:
    write_model(path, make_card(target, n_columns), model.arrays(), ".skops")


def through_a_file(path: Path, model: Any, target: Target, n_columns: int) -> Any:
    write(path, model, target, n_columns)
    return restore(path, *read_model(path))


def build_by_hand(machine: Any) -> Any:
    return make_pipeline(MinMaxScaler(clip=True), StandardScaler(), machine)


def by_hand(X: Any, y: Any, elsewhere: Any, C: float, gamma: float) -> Any:
    """Posteriors of other rows by scikit-learn, pairs coupled by solving the least squares."""
    n_classes = int(y.max()) + 1
    machine = build_by_hand(
        SVC(C=C, gamma=gamma, class_weight="balanced", decision_function_shape="ovo")
    )
    inner = list(make_problem(X, y).splits)
    calibrating = cross_val_predict(machine, X, y, cv=inner, method="decision_function")
    calibrating = calibrating.reshape(len(y), -1)
    margins = machine.fit(X, y).decision_function(elsewhere).reshape(len(elsewhere), -1)
    weight = np.sqrt(len(y) / n_classes / np.bincount(y))
    pairs = list(combinations(range(n_classes), 2))
    differences, log_odds = np.zeros((len(pairs), n_classes)), []
    for row, (i, j) in enumerate(pairs):
        rows = np.isin(y, (i, j))
        sigmoid = LogisticRegression().fit(
            calibrating[rows][:, [row]], y[rows] == i, sample_weight=weight[y[rows]]
        )
        log_odds.append(sigmoid.decision_function(margins[:, [row]]))
        differences[row, [i, j]] = 1, -1
    logits = np.linalg.lstsq(differences, np.stack(log_odds), rcond=None)[0]
    shares = np.exp(logits.T)
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
def test_posteriors_are_scikit_learns(tmp_path, n_classes):
    X, y = make_rows(n_classes)
    model = through_a_file(tmp_path / "m.skops", fit(X, y), of_classes(n_classes), X.shape[1])
    elsewhere = np.concatenate([X, 3 * X, -100 * X, np.zeros_like(X[:1])])
    expected = by_hand(X, y, elsewhere, 3.0, 0.1)
    np.testing.assert_allclose(model.predict([elsewhere]), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    of_singles = model.predict([X.astype(np.float32)])
    np.testing.assert_allclose(of_singles, model.predict([X]), atol=1e-4)


@pytest.mark.parametrize("scale", [Range(0, 1), Range(1, 9), Range(-1, 1)])
def test_numbers_are_scikit_learns(tmp_path, scale):
    X, _ = make_rows(2)
    rng = np.random.default_rng(1)
    unit = 1 / (1 + np.exp(-2 * X[:, 0] + X[:, 1] / 10 + 0.3 * rng.standard_normal(len(X))))
    target = Target("made", scale)
    model = through_a_file(tmp_path / "m.skops", fit(X, unit, target=target), target, X.shape[1])
    numbers = scale.low + unit * (scale.high - scale.low)
    regressor = TransformedTargetRegressor(
        build_by_hand(SVR(C=3.0, gamma=0.1)), transformer=StandardScaler()
    ).fit(X, numbers)
    elsewhere = np.concatenate([X, 3 * X, -100 * X, np.zeros_like(X[:1])])
    expected = np.clip(regressor.predict(elsewhere), scale.low, scale.high)
    np.testing.assert_allclose(model.predict([elsewhere])[:, 0], expected, rtol=0, atol=1e-9)
    assert (expected > scale.low).sum() > len(X)


def test_skops_opens_it_and_trusts_it(tmp_path):
    X, y = make_rows(3)
    model = fit(X, y)
    write(tmp_path / "m.skops", model, of_classes(3), X.shape[1])
    assert skops.io.get_untrusted_types(file=tmp_path / "m.skops") == []
    loaded = skops.io.load(tmp_path / "m.skops")
    assert loaded.keys() == model.arrays().keys()
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(loaded[name], array)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 119), st.integers(1, 120))
def test_a_row_does_not_depend_on_those_beside_it(fitted_model, start, length):
    model, X = fitted_model
    rows = slice(start, start + length)
    np.testing.assert_array_equal(model.predict([X[rows]]), model.predict([X])[rows])


@pytest.fixture(scope="module")
def fitted_model(tmp_path_factory):
    X, y = make_rows(3)
    path = tmp_path_factory.mktemp("model") / "m.skops"
    return through_a_file(path, fit(X, y), of_classes(3), X.shape[1]), X


def test_no_rows_give_no_posteriors(fitted_model):
    model, X = fitted_model
    assert model.predict([X[:0]]).shape == (0, 3)


def test_a_separable_class_is_told_with_confidence():
    y = np.arange(120) % 3
    X = np.random.default_rng(0).standard_normal((120, 2))
    X[:, 0] += 20 * y
    model = fit(X, y)
    assert (model.predict([X]).argmax(axis=1) == y).all()
    assert model.predict([X]).max(axis=1).mean() > 0.7


def test_chance_gives_posteriors_near_the_weighted_prior():
    rng = np.random.default_rng(0)
    y = (rng.random(800) < 0.2).astype(int)
    model = fit(rng.standard_normal((800, 3)), y)
    posteriors = model.predict([rng.standard_normal((50, 3))])
    counts = np.bincount(y)
    # Each class counts as much as the square root of its frequency says.
    prior = np.sqrt(counts) / np.sqrt(counts).sum()
    np.testing.assert_allclose(posteriors.mean(axis=0), prior, atol=0.03)


def test_a_column_that_hardly_moved_cannot_outweigh_the_others():
    X, y = make_rows(3)
    dead = 1e-9 * np.random.default_rng(1).standard_normal((len(X), 1))
    model = fit(np.hstack([X, dead]), y)
    alive = model.predict([np.hstack([X, np.ones_like(dead)])])
    unmoved = model.predict([np.hstack([X, np.zeros_like(dead)])])
    assert (alive.argmax(axis=1) == unmoved.argmax(axis=1)).mean() > 0.8
    assert np.abs(alive - unmoved).max() < 0.35


def test_far_from_training_it_answers_as_at_the_edge(fitted_model):
    model, X = fitted_model
    np.testing.assert_array_equal(
        model.predict([1e6 * np.sign(X)]), model.predict([1e9 * np.sign(X)])
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
    write(path, fit(X, y), of_classes(3), X.shape[1])
    change_card(path, change)
    with pytest.raises(SchemaError, match=r"holds no SVM .* has shape"):
        restore(path, *read_model(path))


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda arrays: arrays.update(support_vectors=arrays["support_vectors"][:, 1:]),
    lambda arrays: arrays.update(coefficients=arrays["coefficients"][1:]),
    lambda arrays: arrays.update(intercepts=arrays["intercepts"] * np.nan),
    lambda arrays: arrays.update(mean=arrays["mean"] + 0j),
    lambda arrays: arrays.update(gamma=None),
    lambda arrays: arrays.update(gamma=np.array(-1.0)),
    lambda arrays: arrays.update(gamma=np.array([0.1])),
    lambda arrays: arrays.update(scale=arrays["scale"] * 0),
    lambda arrays: arrays.update(biases="none"),
    lambda arrays: arrays.update(weights=[[1, 2], [3]]),
    lambda arrays: arrays.update(scale={"a": 1}),
    lambda arrays: arrays.update(range_scale=arrays["range_scale"].astype(str)),
    lambda arrays: arrays.pop("coefficients"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change):
    path = tmp_path / "m.skops"
    X, y = make_rows(3)
    write(path, fit(X, y), of_classes(3), X.shape[1])
    card, learnt = read_model(path)
    changed = dict(learnt)
    change(changed)
    with pytest.raises(SchemaError, match="holds no SVM as mer train svm makes it"):
        restore(path, card, changed)


@pytest.mark.parametrize(
    "columns",
    [
        np.array([0, 5]),
        np.array([-1, 0]),
        np.array([0.0, 1.0]),
        np.array([[0, 1]]),
        np.array([], np.int64),
        np.array(["0"]),
        [[0], [1, 2]],
        {"a": 1},
        None,
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path, columns):
    path = tmp_path / "m.skops"
    X, y = make_rows(3)
    write(path, fit(X[:, :2], y), of_classes(3), X.shape[1])
    card, learnt = read_model(path)
    with pytest.raises(SchemaError, match="selects columns that are not there"):
        restore_model(path, card, {**learnt, "selected": columns})
    whole = restore_model(path, card, {**learnt, "selected": np.array([0, 1])})
    np.testing.assert_array_equal(whole.predict([X]), fit(X[:, :2], y).predict([X[:, :2]]))


def test_classes_are_no_number(tmp_path):
    """A card of a number does not fit what learnt classes, nor the other way round."""
    path = tmp_path / "m.skops"
    X, y = make_rows(2)
    number = Target("made", Range(0, 1))
    for model, target in ((fit(X, y), number), (fit(X, y / 1, target=number), of_classes(2))):
        write(path, model, target, X.shape[1])
        with pytest.raises(SchemaError, match="holds no SVM as mer train svm makes it"):
            restore(path, *read_model(path))


def test_other_arrays_are_refused(tmp_path):
    path = tmp_path / "m.skops"
    write_model(path, make_card(of_classes(3), 5), {"coef": np.zeros(5)}, ".skops")
    with pytest.raises(SchemaError, match="holds no SVM as mer train svm makes it"):
        restore(path, *read_model(path))

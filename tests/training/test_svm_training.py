"""Nested cross-validation of an SVM, beside pipelines that a user of scikit-learn would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_plans import card_of, make_number_tracks, make_plan, make_tracks, model_of, run
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from in_process import here
from made_segments import write_segments
from mertools.artifacts.model_file import read_model, write_model
from mertools.dataset.folds import assign_folds
from mertools.errors import UsageError
from mertools.models.model import restore_model
from mertools.models.registry import find_architecture
from mertools.training.plan import Plan
from mertools.training.protocol import Trained
from mertools.training.scores import summarise
from mertools.training.search import make_space

GRID = {"C": (1.0, 10.0), "gamma": (0.02, 0.1)}


def summary(trained: Trained, level: str = "track") -> Any:
    return summarise(trained.results[0].levels)[level]


def couple(log_odds: dict[tuple[int, int], np.ndarray[Any, Any]], n_classes: int) -> Any:
    """Posteriors whose log ratios fit those of the pairs best: the least squares, solved."""
    differences = np.zeros((len(log_odds), n_classes))
    for row, (i, j) in zip(differences, log_odds, strict=True):
        row[i], row[j] = 1, -1
    logits = np.linalg.lstsq(differences, np.stack(list(log_odds.values())), rcond=None)[0]
    shares = np.exp(logits.T)
    return shares / shares.sum(axis=1, keepdims=True)


def split(folds: np.ndarray[Any, Any]) -> list[tuple[Any, Any]]:
    return [
        (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold))
        for fold in range(folds.max() + 1)
    ]


def by_hand(plan: Plan) -> Any:
    """Out-of-fold posteriors of tracks by a pipeline as a user of scikit-learn would write it."""
    assert plan.vectors is not None
    X, y = plan.vectors.features[0].astype(float), plan.dataset.labels.y
    ids, n_classes = np.array(plan.dataset.track_ids), len(plan.dataset.classes)
    n_folds, seed = plan.settings.n_folds, plan.settings.seed
    posteriors = np.zeros((len(X), n_classes))
    for learnt, held_out in split(assign_folds(ids.tolist(), y, n_folds, seed)):
        inner = split(assign_folds(ids[learnt].tolist(), y[learnt], n_folds, seed))
        svm = make_pipeline(
            MinMaxScaler(clip=True),
            StandardScaler(),
            SVC(class_weight="balanced", decision_function_shape="ovo"),
        )
        grid = {f"svc__{name}": values for name, values in GRID.items()}
        search = GridSearchCV(svm, grid, scoring="f1_macro", cv=inner).fit(X[learnt], y[learnt])
        best = search.best_estimator_
        calibrating = cross_val_predict(
            best, X[learnt], y[learnt], cv=inner, method="decision_function"
        ).reshape(len(learnt), -1)
        margins = best.decision_function(X[held_out]).reshape(len(held_out), -1)
        weight = np.sqrt(len(learnt) / n_classes / np.bincount(y[learnt]))
        log_odds = {}
        pairs = [(i, j) for i in range(n_classes) for j in range(i + 1, n_classes)]
        for place, (i, j) in enumerate(pairs):
            rows = np.isin(y[learnt], (i, j))
            sigmoid = LogisticRegression().fit(
                calibrating[rows][:, [place]],
                y[learnt][rows] == i,
                sample_weight=weight[y[learnt][rows]],
            )
            log_odds[i, j] = sigmoid.decision_function(margins[:, [place]])
        posteriors[held_out] = couple(log_odds, n_classes)
    return posteriors


@pytest.mark.parametrize("counts", [(14, 9, 17), (20, 12)])
def test_out_of_fold_posteriors_are_those_of_a_pipeline_written_by_hand(counts):
    data, X = make_tracks(counts)
    plan = make_plan(data, X, grid=GRID)
    expected = by_hand(plan)
    trained = run(plan, then_refit=False)
    out_of_fold = trained.results[0].levels[0]["track"]
    np.testing.assert_allclose(out_of_fold.outputs, expected, atol=1e-9)
    figures, y = summary(trained), data.labels.y
    predicted = expected.argmax(axis=1)
    assert figures["macro_f1"]["pooled"] == pytest.approx(
        f1_score(y, predicted, average="macro"), abs=1e-9
    )
    of_folds = [
        accuracy_score(y[held_out], predicted[held_out]) for _, held_out in split(plan.folds[0])
    ]
    assert figures["accuracy"]["mean"] == pytest.approx(np.mean(of_folds))
    assert figures["accuracy"]["std"] == pytest.approx(np.std(of_folds, ddof=1))


@pytest.mark.parametrize("objective", ["mse", "mae"])
def test_out_of_fold_numbers_are_those_of_a_pipeline_written_by_hand(objective):
    data, X = make_number_tracks()
    plan = make_plan(data, X, grid=GRID, objective=objective)
    trained = run(plan, then_refit=False)
    numbers, ids = data.labels.numbers[:, 0], np.array(data.track_ids)
    unit, expected = (numbers - 1) / 8, np.zeros(len(numbers))
    loss = "neg_mean_squared_error" if objective == "mse" else "neg_mean_absolute_error"
    for learnt, held_out in split(plan.folds[0]):
        inner = split(assign_folds(ids[learnt].tolist(), data.strata()[learnt], 3, 0))
        svm = make_pipeline(MinMaxScaler(clip=True), StandardScaler(), SVR())
        grid = {f"regressor__svr__{name}": values for name, values in GRID.items()}
        search = GridSearchCV(
            TransformedTargetRegressor(svm, transformer=StandardScaler()),
            grid,
            scoring=loss,
            cv=inner,
        ).fit(X[learnt].astype(float), unit[learnt])
        expected[held_out] = search.predict(X[held_out].astype(float))
    expected = np.clip(1 + 8 * expected, 1, 9)
    out_of_fold = trained.results[0].levels[0]["track"]
    np.testing.assert_allclose(out_of_fold.outputs[:, 0], expected, atol=1e-7)
    figures = summary(trained)
    assert figures["mse"]["pooled"] == pytest.approx(mean_squared_error(numbers, expected))
    assert figures["r2"]["pooled"] == pytest.approx(r2_score(numbers, expected))
    guesses = np.zeros(len(numbers))
    for learnt, held_out in split(plan.folds[0]):
        guesses[held_out] = numbers[learnt].mean()
    assert figures["mse"]["baseline"] == pytest.approx(mean_squared_error(numbers, guesses))
    assert figures["r2"]["pooled"] > 0.4 > 0.1 > figures["r2"]["baseline"]


def test_guessing_the_most_frequent_class_stands_beside_the_scores():
    figures = summary(run(make_plan(*make_tracks((14, 9, 17)), grid=GRID), then_refit=False))
    assert figures["accuracy"]["majority"] == pytest.approx(17 / 40)
    assert figures["macro_f1"]["majority"] == pytest.approx(2 * 17 / (40 + 17) / 3)
    assert figures["macro_f1"]["pooled"] > figures["macro_f1"]["majority"] + 0.2


def test_segments_of_a_track_are_never_on_both_sides():
    # Each track's segments are alike and its class is chance, so that any leak would show.
    data, X = make_tracks((20, 20), per_track=4, signal=0.0)
    plan = make_plan(data, X, grid={"C": (10.0,), "gamma": (0.5,)}, n_folds=5)
    trained = run(plan)
    for level in ("track", "segment"):
        assert summary(trained, level)["accuracy"]["pooled"] < 0.7
    levels = trained.results[0].levels[0]
    np.testing.assert_allclose(levels["segment"].outputs.sum(axis=1), 1)
    np.testing.assert_allclose(
        levels["track"].outputs, levels["segment"].outputs.reshape(40, 4, 2).mean(axis=1)
    )
    in_sample = model_of(plan, trained).predict([X]).argmax(axis=1)
    assert (in_sample == data.labels.y[data.groups]).mean() > 0.95


def test_segments_are_predicted_where_tracks_are_learnt_from_segments():
    plan = make_plan(*make_tracks(per_track=3), grid=GRID)
    trained = run(plan)
    levels = trained.results[0].levels[0]
    assert len(levels["segment"].reference) == 3 * len(levels["track"].reference) == 120
    card = card_of(plan, trained)
    assert set(card.scores["levels"]) == {"track", "segment"}
    assert [fold["n_tracks"] for fold in card.scores["folds"]] == [14, 13, 13]


@pytest.mark.parametrize("pool", ["mode", "max"])
def test_tracks_follow_from_their_segments_as_asked(pool):
    data, X = make_tracks(per_track=3)
    grid = {"C": (1.0,), "gamma": (0.1,)}
    trained = run(make_plan(data, X, grid=grid, pool=pool), then_refit=False)
    levels = trained.results[0].levels[0]
    of_segments = levels["segment"].outputs.reshape(40, 3, 3)
    if pool == "max":
        expected = of_segments.max(axis=1)
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(levels["track"].outputs, expected)
        return
    votes = np.stack([(of_segments.argmax(axis=2) == k).sum(axis=1) for k in range(3)], axis=1)
    decided = votes.max(axis=1) > 1
    predicted = levels["track"].outputs.argmax(axis=1)
    assert (predicted == votes.argmax(axis=1))[decided].all()
    tied = of_segments.mean(axis=1).argmax(axis=1)
    assert (predicted == tied)[~decided].all()


def test_a_rare_class_is_still_predicted():
    trained = run(make_plan(*make_tracks((5, 60, 60), signal=1.5), grid=GRID), then_refit=False)
    assert (trained.results[0].levels[0]["track"].outputs.argmax(axis=1) == 0).any()


@pytest.mark.slow
def test_the_number_of_processes_does_not_matter(tmp_path: Path):
    plan = make_plan(*make_tracks(), grid=GRID)
    files = [tmp_path / "one.skops", tmp_path / "three.skops"]
    for path, jobs in zip(files, (1, 3), strict=True):
        trained = run(plan, jobs=jobs)
        write_model(path, card_of(plan, trained), trained.final[0].arrays, ".skops")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_model_of_all_tracks_is_written_and_predicts_as_it_did(tmp_path: Path):
    data, X = make_tracks()
    plan = make_plan(data, X, grid=GRID)
    trained = run(plan)
    path = tmp_path / "m.skops"
    write_model(path, card_of(plan, trained), trained.final[0].arrays, ".skops")
    card, learnt = read_model(path)
    np.testing.assert_array_equal(
        restore_model(path, card, learnt).predict([X]), model_of(plan, trained).predict([X])
    )
    assert card.search["chosen"] == dict(trained.final[0].point)
    assert card.training["tracks"] == {"weak": 14, "neutral": 9, "strong": 17}
    assert card.training["digest"] == data.digest
    assert card.search["nested"] is True


def test_progress_sees_every_fit():
    seen: list[object] = []

    def progress(fits, total):
        assert total == 4
        for fit in fits:
            seen.append(fit)
            yield fit

    run(make_plan(*make_tracks(), grid=GRID), progress=progress)
    assert len(seen) == 3 + 1


def test_the_default_grid_follows_the_number_of_columns():
    parameters = find_architecture("svm").parameters
    hundred = make_space(parameters, {}, {"C": (7.0,)}, None, 1, 0, 100).grid
    one = make_space(parameters, {}, {"C": (7.0,)}, None, 1, 0, 1).grid
    assert hundred["C"] == (7.0,)
    np.testing.assert_allclose(hundred["gamma"], np.array(one["gamma"]) / 100)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("degree=2", "degree: is no parameter: choose from C, gamma"),
        ("C=", "is not of the form PARAM=VALUE"),
        ("C=1,0", "C=0.0: makes no sense: give a number above 0"),
        ("gamma=nan", "gamma=nan: makes no sense"),
        ("gamma=inf", "gamma=inf: makes no sense"),
    ],
)
def test_a_grid_that_cannot_be_searched_is_refused(tmp_path, monkeypatch, grid, message):
    write_segments(tmp_path, kinds=("mel",))
    monkeypatch.chdir(tmp_path)
    data = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
    train = ("train", "svm", *data, "--kind", "mel", "--cv", 3, "--grid", grid, "-o", "m.skops")
    assert message in here(*train, status=2).stderr


def test_a_class_with_too_few_tracks_is_named():
    with pytest.raises(UsageError, match="class neutral has only 2 tracks"):
        make_plan(*make_tracks((14, 2, 17)), grid=GRID)

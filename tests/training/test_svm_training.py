from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mertools.dataset.data import TrainingSet, Unit
from mertools.training.svm import FittedSvm, SvmSettings, fit_svm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from mertools.artifacts.model_file import read_model, write_model
from mertools.dataset.folds import assign_folds, split_rows
from mertools.errors import SchemaError, UsageError
from mertools.models.registry import find_model

CLASSES = ("weak", "neutral", "strong")
QUICK = SvmSettings(n_folds=3, grid={"C": (1.0, 10.0), "gamma": (0.02, 0.1)})


def make_training_set(
    counts: tuple[int, ...] = (14, 9, 17),
    n_columns: int = 6,
    per_track: int = 1,
    signal: float = 1.2,
    seed: int = 0,
) -> TrainingSet:
    """Tracks whose first two columns tell the class, more or less."""
    rng = np.random.default_rng(seed)
    n_tracks = sum(counts)
    y_of_track = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    of_tracks = rng.standard_normal((n_tracks, n_columns))
    of_tracks[:, 0] += signal * y_of_track
    of_tracks[:, 1] -= signal * y_of_track
    groups = np.repeat(np.arange(n_tracks), per_track)
    X = of_tracks[groups] + 0.1 * rng.standard_normal((len(groups), n_columns))
    unit: Unit = "track" if per_track == 1 else "segment"
    return TrainingSet(
        target="arousal",
        classes=CLASSES[: len(counts)],
        unit=unit,
        columns=tuple(f"column_{i}" for i in range(n_columns)),
        row_ids=tuple(f"{g:03}-{i}" for i, g in enumerate(groups)),
        track_ids=tuple(f"{t:03}" for t in range(n_tracks)),
        X=(1000 + 3 * X).astype(np.float32),
        y=y_of_track[groups],
        groups=groups,
        starts=np.zeros(len(groups)),
        durations=np.full(len(groups), 10.0),
    )


def whole_card(fitted: FittedSvm) -> dict[str, Any]:
    card = fitted.card()
    shape = [fitted.training_set.X.shape[1]]
    return card | {
        "features": [{"kind": "made", "params": {}, "params_digest": "0", "shape": shape}],
        "audio": {"sample_rate": 8000, "length_s": 10.0, "hop_s": 10.0, "last": "auto"},
        "training": card["training"] | {"left_out": {"test": 0}},
    }


def couple(log_odds: dict[tuple[int, int], np.ndarray[Any, Any]], n_classes: int) -> Any:
    """Posteriors whose log ratios fit those of the pairs best: the least squares, solved."""
    differences = np.zeros((len(log_odds), n_classes))
    for row, (i, j) in zip(differences, log_odds, strict=True):
        row[i], row[j] = 1, -1
    logits = np.linalg.lstsq(differences, np.stack(list(log_odds.values())), rcond=None)[0]
    shares = np.exp(logits.T)
    return shares / shares.sum(axis=1, keepdims=True)


def by_hand(training_set: TrainingSet, settings: SvmSettings) -> Any:
    """Out-of-fold posteriors of tracks by a pipeline as a user of scikit-learn would write it."""
    X, y = training_set.X.astype(float), training_set.y
    ids, n_classes = np.array(training_set.track_ids), len(training_set.classes)
    posteriors = np.zeros((len(X), n_classes))
    folds = assign_folds(ids.tolist(), y, settings.n_folds, settings.seed)
    for fold in range(settings.n_folds):
        learnt, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        inner = split_rows(
            assign_folds(ids[learnt].tolist(), y[learnt], settings.n_folds, settings.seed),
            np.arange(len(learnt)),
        )
        svm = make_pipeline(
            MinMaxScaler(clip=True),
            StandardScaler(),
            SVC(class_weight="balanced", decision_function_shape="ovo"),
        )
        grid = {f"svc__{name}": values for name, values in settings.grid.items()}
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
    training_set = make_training_set(counts)
    fitted = fit_svm(training_set, QUICK, jobs=1)
    expected = by_hand(training_set, QUICK)
    out_of_fold = fitted.levels["track"]
    np.testing.assert_allclose(out_of_fold.posteriors, expected, atol=1e-9)
    figures = out_of_fold.summarise()
    predicted = expected.argmax(axis=1)
    assert figures["macro_f1"]["pooled"] == pytest.approx(
        f1_score(training_set.y, predicted, average="macro"), abs=1e-9
    )
    of_folds = [
        accuracy_score(training_set.y[held_out], predicted[held_out])
        for held_out in (np.flatnonzero(out_of_fold.folds == fold) for fold in range(3))
    ]
    assert figures["accuracy"]["mean"] == pytest.approx(np.mean(of_folds))
    assert figures["accuracy"]["std"] == pytest.approx(np.std(of_folds, ddof=1))


def test_guessing_the_most_frequent_class_stands_beside_the_scores():
    fitted = fit_svm(make_training_set((14, 9, 17)), QUICK, jobs=1)
    figures = fitted.levels["track"].summarise()
    assert figures["accuracy"]["majority"] == pytest.approx(17 / 40)
    assert figures["macro_f1"]["majority"] == pytest.approx(2 * 17 / (40 + 17) / 3)
    assert figures["macro_f1"]["pooled"] > figures["macro_f1"]["majority"] + 0.2


def test_segments_of_a_track_are_never_on_both_sides():
    # Each track's segments are alike and its class is chance, so that any leak would show.
    training_set = make_training_set((20, 20), per_track=4, signal=0.0)
    fitted = fit_svm(training_set, SvmSettings(grid={"C": (10.0,), "gamma": (0.5,)}), jobs=1)
    for level in ("track", "segment"):
        assert fitted.levels[level].summarise()["accuracy"]["pooled"] < 0.7
    of_segments, of_tracks = fitted.levels["segment"], fitted.levels["track"]
    np.testing.assert_allclose(of_segments.posteriors.sum(axis=1), 1)
    np.testing.assert_allclose(
        of_tracks.posteriors, of_segments.posteriors.reshape(40, 4, 2).mean(axis=1)
    )
    in_sample = fitted.estimator.predict(training_set.X.astype(float))
    assert (in_sample == training_set.y).mean() > 0.95


def test_segments_are_predicted_where_tracks_are_learnt_from_segments():
    training_set = make_training_set(per_track=3)
    fitted = fit_svm(training_set, QUICK, jobs=1)
    assert len(fitted.levels["segment"].y) == 3 * len(fitted.levels["track"].y) == 120
    card = whole_card(fitted)
    assert set(card["scores"]["levels"]) == {"track", "segment"}
    assert [fold["n_tracks"] for fold in card["scores"]["folds"]] == [14, 13, 13]


def test_a_rare_class_is_still_predicted():
    fitted = fit_svm(make_training_set((5, 60, 60), signal=1.5), QUICK, jobs=1)
    assert (fitted.levels["track"].posteriors.argmax(axis=1) == 0).any()


@pytest.mark.slow
def test_the_number_of_processes_does_not_matter(tmp_path: Path):
    training_set = make_training_set()
    files = [tmp_path / "one.skops", tmp_path / "three.skops"]
    for path, jobs in zip(files, (1, 3), strict=True):
        fitted = fit_svm(training_set, QUICK, jobs=jobs)
        write_model(path, whole_card(fitted), fitted.estimator)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_model_of_all_tracks_is_written_and_predicts_as_it_did(tmp_path: Path):
    training_set = make_training_set()
    fitted = fit_svm(training_set, QUICK, jobs=1)
    write_model(tmp_path / "m.skops", whole_card(fitted), fitted.estimator)
    card, learnt = read_model(tmp_path / "m.skops")
    model = find_model(card["model"]).load_module().restore(tmp_path / "m.skops", card, learnt)
    np.testing.assert_allclose(
        model.posteriors([training_set.X]),
        fitted.estimator.predict_proba(training_set.X.astype(float)),
        atol=1e-9,
    )
    assert card["search"]["chosen"] == fitted.chosen
    assert card["training"]["tracks"] == {"weak": 14, "neutral": 9, "strong": 17}
    assert card["training"]["digest"] == training_set.digest()


def test_progress_sees_every_fit():
    seen: list[object] = []

    def progress(fits):
        for fit in fits:
            seen.append(fit)
            yield fit

    fit_svm(make_training_set(), QUICK, jobs=1, progress=progress)
    assert len(seen) == QUICK.n_folds + 1


def test_the_default_grid_follows_the_number_of_columns():
    settings = SvmSettings(grid={"C": (7.0,)})
    assert settings.grid_for(100)["C"] == (7.0,)
    np.testing.assert_allclose(
        settings.grid_for(100)["gamma"], np.array(settings.grid_for(1)["gamma"]) / 100
    )


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"degree": (2.0,)}, "degree: is no parameter: choose from C, gamma"),
        ({"C": ()}, "needs values above 0"),
        ({"C": (1.0, 0.0)}, "needs values above 0"),
        ({"gamma": (float("nan"),)}, "needs values above 0"),
    ],
)
def test_a_grid_that_cannot_be_searched_is_refused(grid, message):
    with pytest.raises(UsageError, match=message):
        SvmSettings(grid=grid)


def test_a_class_with_too_few_tracks_is_named():
    with pytest.raises(UsageError, match="class neutral has only 2 tracks"):
        fit_svm(make_training_set((14, 2, 17)), QUICK, jobs=1)


def test_a_feature_that_is_no_number_is_named_by_its_row():
    training_set = make_training_set()
    X = training_set.X.copy()
    X[7, 2] = np.nan
    with pytest.raises(SchemaError, match=r"007-7.*no finite numbers"):
        fit_svm(dataclasses.replace(training_set, X=X), QUICK, jobs=1)

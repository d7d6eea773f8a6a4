from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_outcomes import answers, make_outcomes, outcomes
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier

from mertools.evaluation.metrics import (
    average_precision,
    count_cells,
    expected_scores,
    precision_recall_curve,
    precision_recall_f1,
    roc_auc,
    roc_curve,
    score_classes,
    score_ratings,
)
from mertools.evaluation.outcomes import ClassOutcomes

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def once(made: ClassOutcomes) -> np.ndarray:
    return np.ones((1, len(made.track_ids)))


def auc_of(made: ClassOutcomes, k: int) -> float:
    weights = np.ones((1, len(made.track)))
    return float(roc_auc(made.reference == k, made.posteriors[:, k], weights)[0])


def expand(made: ClassOutcomes, counts: np.ndarray) -> ClassOutcomes:
    """Repeat each track's rows as often as the track counts."""
    rows = np.repeat(np.arange(len(made.track)), counts[made.track])
    return ClassOutcomes(
        tuple(map(str, range(len(rows)))),
        np.arange(len(rows)),
        made.segment[rows],
        made.folds[rows],
        made.classes,
        made.reference[rows],
        made.estimated[rows],
        made.posteriors[rows],
        made.ratings[rows],
        made.values[rows],
    )


@given(outcomes())
def test_confusion_equals_scikit_learn(made: ClassOutcomes) -> None:
    n_classes = len(made.classes)
    confusion = count_cells(made).sum(axis=0).reshape(n_classes, n_classes)
    expected = sk.confusion_matrix(made.reference, made.estimated, labels=range(n_classes))
    assert np.array_equal(confusion, expected)


@given(outcomes())
def test_class_scores_equal_scikit_learn(made: ClassOutcomes) -> None:
    n_classes = len(made.classes)
    confusion = count_cells(made).sum(axis=0).reshape(n_classes, n_classes)
    expected = sk.precision_recall_fscore_support(
        made.reference, made.estimated, labels=range(n_classes), zero_division=0
    )
    for values, theirs in zip(precision_recall_f1(confusion), expected[:3], strict=True):
        assert values == pytest.approx(theirs, **CLOSE)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@given(made=outcomes())
def test_averaged_scores_equal_scikit_learn(average: str, made: ClassOutcomes) -> None:
    scores = score_classes(made, once(made))
    expected = sk.precision_recall_fscore_support(
        made.reference, made.estimated, average=average, zero_division=0
    )
    names = [f"{average}_{score}" for score in ("precision", "recall", "f1")]
    assert [scores[name][0] for name in names] == pytest.approx(expected[:3], **CLOSE)
    assert scores["accuracy"][0] == pytest.approx(
        sk.accuracy_score(made.reference, made.estimated), **CLOSE
    )


@given(outcomes())
def test_auc_of_a_class_equals_scikit_learn_and_is_undefined_without_either_kind(
    made: ClassOutcomes,
) -> None:
    for k in range(len(made.classes)):
        positive = made.reference == k
        if positive.all() or not positive.any():
            assert math.isnan(auc_of(made, k))
        else:
            expected = sk.roc_auc_score(positive, made.posteriors[:, k])
            assert auc_of(made, k) == pytest.approx(expected, **CLOSE)


@given(outcomes(min_classes=3))
def test_macro_auc_equals_scikit_learn_where_every_class_occurs(made: ClassOutcomes) -> None:
    value = score_classes(made, once(made))["macro_auc"][0]
    if len(set(made.reference)) < len(made.classes):
        assert math.isnan(value)
        return
    expected = sk.roc_auc_score(made.reference, made.posteriors, multi_class="ovr")
    assert value == pytest.approx(expected, **CLOSE)


@given(outcomes())
def test_roc_points_equal_scikit_learn(made: ClassOutcomes) -> None:
    positive, scores = made.reference == 0, made.posteriors[:, 0]
    assume(positive.any() and not positive.all())
    curve = roc_curve(positive, scores)
    for values, theirs in zip(curve, sk.roc_curve(positive, scores), strict=True):
        assert values.tolist() == pytest.approx(theirs.tolist(), **CLOSE)


@given(outcomes())
def test_precision_recall_points_equal_scikit_learn(made: ClassOutcomes) -> None:
    positive, scores = made.reference == 0, made.posteriors[:, 0]
    assume(positive.any())
    curve = precision_recall_curve(positive, scores)
    precision, recall, thresholds = sk.precision_recall_curve(
        positive, scores, drop_intermediate=True
    )
    assert curve.x.tolist() == pytest.approx(recall.tolist(), **CLOSE)
    assert curve.y.tolist() == pytest.approx(precision.tolist(), **CLOSE)
    assert curve.thresholds.tolist() == [*thresholds.tolist(), math.inf]


@given(outcomes())
def test_average_precision_equals_scikit_learn(made: ClassOutcomes) -> None:
    positive, scores = made.reference == 0, made.posteriors[:, 0]
    if not positive.any():
        assert math.isnan(average_precision(positive, scores))
        return
    expected = sk.average_precision_score(positive, scores)
    assert average_precision(positive, scores) == pytest.approx(expected, **CLOSE)


def test_perfect_answers_score_one_even_where_a_class_does_not_occur() -> None:
    made = make_outcomes([0, 0, 2, 2], answers([0, 0, 2, 2], 3))
    scores = score_classes(made, once(made))
    assert {name: values[0] for name, values in scores.items() if name != "macro_auc"} == {
        "accuracy": 1,
        "macro_precision": 1,
        "macro_recall": 1,
        "macro_f1": 1,
        "weighted_precision": 1,
        "weighted_recall": 1,
        "weighted_f1": 1,
    }


def test_tied_posteriors_rank_as_chance() -> None:
    made = make_outcomes([0, 1, 1, 0, 1], np.full((5, 2), 0.5))
    assert auc_of(made, 0) == 0.5


@given(outcomes(), st.data())
def test_a_track_that_counts_twice_scores_as_if_its_rows_stood_twice(
    made: ClassOutcomes, data: st.DataObject
) -> None:
    sizes = {"min_size": len(made.track_ids), "max_size": len(made.track_ids)}
    counts = np.array(data.draw(st.lists(st.integers(0, 3), **sizes)))
    assume(counts.any())
    repeated = expand(made, counts)
    weighted = score_classes(made, counts[np.newaxis].astype(float))
    for name, values in score_classes(repeated, once(repeated)).items():
        assert weighted[name] == pytest.approx(values, nan_ok=True, **CLOSE)


ratings = st.lists(
    st.tuples(st.integers(1, 9).map(lambda k: k / 3), st.floats(-9, 9)), min_size=2, max_size=30
)


@given(ratings)
def test_rating_scores_equal_scikit_learn_and_numpy(pairs: list[tuple[float, float]]) -> None:
    reference, estimated = np.array(pairs).T
    made = make_outcomes(
        [0] * len(pairs), np.ones((len(pairs), 1)), ratings=reference, values=estimated
    )
    scores = {name: float(values[0]) for name, values in score_ratings(made, once(made)).items()}
    assert scores["mae"] == pytest.approx(sk.mean_absolute_error(reference, estimated), **CLOSE)
    assert scores["rmse"] == pytest.approx(
        sk.root_mean_squared_error(reference, estimated), **CLOSE
    )
    if np.ptp(reference) == 0:
        assert math.isnan(scores["r2"])
        assert math.isnan(scores["pearson_r"])
        return
    assert scores["r2"] == pytest.approx(sk.r2_score(reference, estimated), rel=1e-9, abs=1e-9)
    if np.ptp(estimated) > 1e-3:
        expected = np.corrcoef(reference, estimated)[0, 1]
        assert scores["pearson_r"] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_correlation_is_undefined_where_one_track_was_drawn_again_and_again() -> None:
    made = make_outcomes(
        [0, 0, 0], np.ones((3, 1)), ratings=[1.1, 1.7, 2.3], values=[1.3, 1.9, 2.9]
    )
    scores = score_ratings(made, np.array([[0.0, 7.0, 0.0]]))
    assert math.isnan(scores["pearson_r"][0])
    assert math.isnan(scores["r2"][0])
    assert scores["mae"][0] == pytest.approx(0.2)


def test_rows_without_a_value_are_left_out_of_the_rating_scores() -> None:
    made = make_outcomes([0, 0, 0], np.ones((3, 1)), ratings=[1, 2, 3], values=[1.5, math.nan, 3.5])
    assert score_ratings(made, once(made))["mae"][0] == pytest.approx(0.5)


@pytest.mark.parametrize("probabilities", [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.3, 0.2], [1, 0, 0]])
@pytest.mark.parametrize("support", [[1, 1, 1], [2, 1, 1], [3, 1, 2]])
def test_chance_scores_are_the_mean_over_all_possible_answers(
    support: list[int], probabilities: list[float]
) -> None:
    reference = np.repeat(range(3), support)
    expected = dict.fromkeys(("macro_precision", "macro_recall", "macro_f1", "weighted_f1"), 0.0)
    for estimated in itertools.product(range(3), repeat=len(reference)):
        chance = math.prod(probabilities[k] for k in estimated)
        made = make_outcomes(reference, answers(estimated, 3))
        if chance:
            scores = score_classes(made, once(made))
            expected = {name: sum_ + chance * scores[name][0] for name, sum_ in expected.items()}
    scores = expected_scores(np.array(support, dtype=float), np.array(probabilities))
    assert {name: scores[name] for name in expected} == pytest.approx(expected, **CLOSE)
    assert scores["accuracy"] == pytest.approx(np.dot(support, probabilities) / sum(support))


def test_majority_scores_equal_the_dummy_classifiers_on_many_rows() -> None:
    reference = np.repeat(range(3), [30_000, 20_000, 10_000])
    rows = np.zeros((len(reference), 1))
    estimated = DummyClassifier(strategy="most_frequent").fit(rows, reference).predict(rows)
    scores = expected_scores(np.array([3e4, 2e4, 1e4]), np.array([1.0, 0.0, 0.0]))
    for average in ("macro", "weighted"):
        expected = sk.f1_score(reference, estimated, labels=[0, 1, 2], average=average)
        assert scores[f"{average}_f1"] == pytest.approx(expected, **CLOSE)


def test_chance_scores_of_many_rows_approach_the_limit_of_large_numbers() -> None:
    scores = expected_scores(np.array([50_000.0, 50_000.0]), np.array([0.5, 0.5]))
    assert scores["macro_f1"] == pytest.approx(0.5, abs=1e-5)
    assert scores["macro_precision"] == pytest.approx(0.5, rel=1e-12)

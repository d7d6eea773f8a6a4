from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.errors import UsageError
from mertools.labels.classes import (
    EVERY_TARGET,
    LabelRule,
    Scales,
    default_thresholds,
)
from mertools.targets.scale import Classes, Range, Target, class_names


def test_class_names_are_the_known_ones_only_where_their_number_fits() -> None:
    assert class_names("arousal", 3) == ("weak", "neutral", "strong")
    assert class_names("valence", 3) == ("negative", "neutral", "positive")
    assert class_names("valence", 5) == ("1", "2", "3", "4", "5")
    assert class_names("dominance", 2) == ("1", "2")


@pytest.mark.parametrize(
    ("n_classes", "thresholds"),
    [
        (2, (1.5,)),
        (3, (1.66, 2.33)),
        (4, (1.75, 2.5, 3.25)),
        (5, (1.8, 2.6, 3.4, 4.2)),
        (7, (1.85, 2.71, 3.57, 4.42, 5.28, 6.14)),
    ],
)
def test_default_thresholds(n_classes: int, thresholds: tuple[float, ...]) -> None:
    assert default_thresholds(n_classes) == thresholds


@pytest.mark.parametrize(
    ("mean", "label"),
    [
        (1.0, 1),
        (1.6599999, 1),
        (83 / 50, 2),  # 1.66 itself
        (5 / 3, 2),
        (2.0, 2),
        (233 / 100, 2),  # 2.33 itself
        (7 / 3, 3),
        (3.0, 3),
    ],
)
def test_three_classes_of_the_mean(mean: float, label: int) -> None:
    scale = Scales().rule("arousal", 3)
    assert scale.classify(np.array([mean])).tolist() == [label]


@pytest.mark.parametrize(
    ("n_classes", "labels_on_thresholds"), [(2, [2]), (4, [2, 3, 3]), (5, [2, 3, 3, 4])]
)
def test_a_mean_on_a_threshold_goes_towards_the_middle(
    n_classes: int, labels_on_thresholds: list[int]
) -> None:
    scale = Scales().rule("mood", n_classes)
    assert scale.classify(np.array(scale.thresholds)).tolist() == labels_on_thresholds


@given(st.integers(2, 20), st.lists(st.floats(0, 1), min_size=1))
def test_classes_rise_with_the_mean_from_first_to_last(n: int, parts: list[float]) -> None:
    scale = Scales().rule("mood", n)
    means = 1 + (n - 1) * np.sort([0.0, *parts, 1.0])
    labels = scale.classify(means)
    assert (labels[0], labels[-1]) == (1, n)
    assert (np.diff(labels) >= 0).all()


@given(st.integers(2, 20))
def test_a_unanimous_rating_is_its_own_class(n: int) -> None:
    levels = np.arange(1, n + 1)
    assert Scales().rule("mood", n).classify(levels.astype(float)).tolist() == levels.tolist()


def test_what_is_said_of_a_target_settles_its_scale() -> None:
    scales = Scales({"mood": ("calm", "tense")}, {"valence": (2.0, 3.0, 4.0)})
    assert scales.rule("mood", 2) == LabelRule(
        Target("mood", Classes(("calm", "tense"))), (1.5,), Range(1, 2), are_levels=True
    )
    valence = scales.rule("valence", 3)
    assert (valence.classes, valence.thresholds) == (("1", "2", "3", "4"), (2.0, 3.0, 4.0))
    assert scales.rule("arousal", 2).classes == ("weak", "neutral", "strong")
    assert scales.rule("tempo", 4).classes == ("1", "2", "3", "4")
    assert scales.rule("unanimous", 1).classes == ("1", "2")


def test_thresholds_for_every_target_give_way_to_a_target_s_own() -> None:
    scales = Scales(thresholds={EVERY_TARGET: (1.5, 2.5), "valence": (1.2, 2.8)})
    assert scales.rule("arousal", 3).thresholds == (1.5, 2.5)
    assert scales.rule("valence", 3).thresholds == (1.2, 2.8)


@pytest.mark.parametrize("cuts", [(2.33, 1.66), (1.5, 1.5), (0.5, 2.0), (1.5, 3.5), (1.5, 1e999)])
def test_thresholds_that_leave_a_class_empty_are_refused(cuts: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="not rising numbers between 1 and 3"):
        Scales(thresholds={"arousal": cuts})


def test_thresholds_that_do_not_fit_the_classes_are_refused() -> None:
    classes = {"mood": ("calm", "tense")}
    with pytest.raises(UsageError, match="2 classes of mood"):
        Scales(classes, {"mood": (1.66, 2.33)})
    with pytest.raises(UsageError, match="2 classes of mood"):
        Scales(classes, {EVERY_TARGET: (1.66, 2.33)}).rule("mood", 2)


@pytest.mark.parametrize(
    ("target", "value"),
    [("arousal", 4), ("arousal", 2.5), ("arousal", 0), ("arousal", float("nan")), ("year", 1990)],
)
def test_what_is_no_rating_is_refused(target: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"not a rating of {target}"):
        Scales().check(target, value)

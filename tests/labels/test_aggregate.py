from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_ratings import annotations, annotations_of, collect

from mertools.artifacts.rows import Label
from mertools.errors import SchemaError, UsageError
from mertools.labels.aggregate import aggregate, label_rows
from mertools.labels.classes import EVERY_TARGET, Scales
from mertools.labels.ratings import Rating, collect_ratings


def labels_of(rows: list[Rating], scales: Scales | None = None, **max_mad: float) -> list[Label]:
    ratings = collect(rows)
    return list(label_rows(ratings, list(aggregate(ratings, scales or Scales(), max_mad)), None))


def test_statistics_of_one_track() -> None:
    (label,) = labels_of(annotations_of({"arousal": {"song": [1, 1, 2, 3]}}))
    assert label == Label(
        track_id="song",
        target="arousal",
        n_annotators=4,
        mean=1.75,
        std=sqrt((2 * 0.75**2 + 0.25**2 + 1.25**2) / 4),
        mad=(2 * 0.75 + 0.25 + 1.25) / 4,
        label=2,
        class_name="neutral",
        kept=True,
        distribution=(0.5, 0.25, 0.25),
        split=None,
        scale="ordered",
    )


def test_one_annotator_is_certain() -> None:
    (label,) = labels_of([Rating("song", "a", "valence", 3)])
    assert (label.mean, label.std, label.mad, label.class_name) == (3, 0, 0, "positive")
    assert label.distribution == (0, 0, 1)


def test_a_deviation_equal_to_the_limit_is_kept() -> None:
    # Nine 1s and five 3s and so on: deviations whose floating-point sums miss the exact value.
    rated = {"arousal": {"x": [1] * 3 + [3] * 7, "y": [1] * 13 + [2] * 7}}
    rows = annotations_of(rated)
    limits = {label.track_id: label.mad for label in labels_of(rows)}
    assert limits == {"x": 0.84, "y": 0.455}
    assert [label.kept for label in labels_of(rows, arousal=0.84)] == [True, True]
    assert [label.kept for label in labels_of(rows, arousal=0.455)] == [False, True]


def test_limits_are_of_one_target_or_of_all() -> None:
    rows = annotations_of({"arousal": {"x": [1, 3]}, "valence": {"x": [1, 3]}})
    assert [label.kept for label in labels_of(rows, arousal=0.7)] == [False, True]
    assert [label.kept for label in labels_of(rows, **{EVERY_TARGET: 0.7})] == [False, False]
    both = labels_of(rows, **{EVERY_TARGET: 0.7, "valence": 1.0})
    assert [label.kept for label in both] == [False, True]


def test_rows_stand_by_track_and_target_and_scales_may_differ() -> None:
    rated = {"tension": {"b": [4, 5], "a": [1]}, "arousal": {"b": [1], "c": [2, 2]}}
    labels = labels_of(annotations_of(rated))
    assert [(label.track_id, label.target) for label in labels] == [
        ("a", "tension"),
        ("b", "arousal"),
        ("b", "tension"),
        ("c", "arousal"),
    ]
    assert [len(label.distribution) for label in labels] == [5, 3, 5, 3]
    assert labels[2].class_name == "5"


def test_a_rating_given_twice_is_refused_and_told_where() -> None:
    again = Rating("song", "ada", "arousal", 2)
    other = Rating("song", "ada", "valence", 2)
    problem = "annotator ada rates track song for arousal again"
    with pytest.raises(SchemaError, match=problem) as within:
        collect_ratings([("a.csv", [again, other, again])])
    assert (within.value.subject, "first in a.csv" in within.value.problem) == ("a.csv", True)
    with pytest.raises(SchemaError, match=problem) as across:
        collect_ratings([("a.csv", [again]), ("empty.csv", []), ("b.csv", [other, again])])
    assert (across.value.subject, "first in a.csv" in across.value.problem) == ("b.csv", True)


def test_contradicting_options_are_refused() -> None:
    scales = Scales({"mood": ("calm", "tense")}, {EVERY_TARGET: (1.66, 2.33)})
    with pytest.raises(UsageError):
        labels_of([Rating("song", "a", "mood", 1)], scales)


@given(annotations())
def test_statistics_are_those_of_the_ratings(rows: list[Rating]) -> None:
    labels = labels_of(rows)
    assert len(labels) == len({(row.track_id, row.target) for row in rows})
    for label in labels:
        values = [
            Fraction(int(row.value))
            for row in rows
            if (row.track_id, row.target) == (label.track_id, label.target)
        ]
        n = len(values)
        mean = sum(values) / n
        assert label.n_annotators == n
        assert label.mean == float(mean)
        assert label.mad == float(sum(abs(value - mean) for value in values) / n)
        assert label.std == pytest.approx(np.std([float(value) for value in values]), abs=1e-12)
        assert label.mad <= label.std + 1e-12
        assert sum(label.distribution) == pytest.approx(1)
        assert label.distribution == tuple(values.count(Fraction(k)) / n for k in (1, 2, 3))
        assert sum(k * p for k, p in enumerate(label.distribution, 1)) == pytest.approx(label.mean)
        expected = 1 if mean < Fraction(166, 100) else 2 if mean <= Fraction(233, 100) else 3
        assert label.label == expected


@given(annotations(), st.randoms(use_true_random=False))
def test_the_order_of_ratings_does_not_matter(rows: list[Rating], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert labels_of(shuffled, arousal=0.5) == labels_of(rows, arousal=0.5)
    halves = [("a.csv", shuffled[::2]), ("b.csv", shuffled[1::2])]
    np.testing.assert_array_equal(collect_ratings(halves).value, collect(rows).value)

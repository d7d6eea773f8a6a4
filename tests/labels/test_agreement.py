from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from made_ratings import annotations, annotations_of, collect

from mertools.labels.aggregate import aggregate
from mertools.labels.agreement import TargetSummary, krippendorff_alpha, summarise
from mertools.labels.classes import Scales
from mertools.labels.ratings import Rating


def summaries_of(
    rows: list[Rating], test: list[bool] | None = None, **max_mad: float
) -> list[TargetSummary]:
    ratings = collect(rows)
    labels = list(aggregate(ratings, Scales(), max_mad))
    return list(
        summarise(ratings, labels, None if test is None else np.where(test, "test", "train"))
    )


def test_alpha_of_the_textbook() -> None:
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C and D: four
    # observers, twelve units, ordinal alpha 0.815. A unit a column, missing values None.
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    rows = [
        Rating(f"unit{unit}", f"observer{place}", "quality", value)
        for place, values in enumerate(observers)
        for unit, value in enumerate(values)
        if value is not None
    ]
    (summary,) = summaries_of(rows)
    assert summary.krippendorff_alpha == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize(
    "counts",
    [
        [[1, 0, 0], [0, 1, 0]],  # nobody rates a track in common
        [[3, 0, 0], [2, 0, 0]],  # all say the same
        [[3, 0, 0], [0, 1, 0]],  # the only other rating has none beside it
    ],
)
def test_alpha_is_not_defined_where_nothing_could_disagree(counts: list[list[int]]) -> None:
    assert krippendorff_alpha(np.array(counts)) is None


@given(annotations())
def test_alpha_from_counts_is_alpha_from_the_table_of_ratings(rows: list[Rating]) -> None:
    for summary in summaries_of(rows):
        if summary.krippendorff_alpha is None:
            continue
        table = np.full((6, 8), np.nan)
        for row in rows:
            if row.target == summary.target:
                table[int(row.annotator_id[1:]), int(row.track_id[1:])] = row.value
        reference = krippendorff.alpha(
            table, value_domain=[1, 2, 3], level_of_measurement="ordinal"
        )
        assert summary.krippendorff_alpha == pytest.approx(reference)


def test_disagreement_is_the_mean_over_all_ratings() -> None:
    (summary,) = summaries_of(annotations_of({"arousal": {"x": [1, 3, 3], "y": [2, 2]}}))
    assert summary.mean_disagreement == pytest.approx((4 / 3 + 2 / 3 + 2 / 3) / 5)
    assert summary.annotators == pytest.approx({"a0": 2 / 3, "a1": 1 / 3, "a2": 2 / 3})


def test_counts_are_of_kept_tracks_and_by_part() -> None:
    rated = {"arousal": {"w": [1, 3], "x": [1, 1], "y": [3], "z": [3]}, "valence": {"x": [1]}}
    arousal, valence = summaries_of(
        annotations_of(rated), test=[True, True, False, True], arousal=0.7
    )
    assert (arousal.n_tracks, arousal.n_kept, arousal.n_dropped) == (4, 3, 1)
    assert (arousal.n_ratings, arousal.n_annotators) == (6, 2)
    assert arousal.class_counts == {
        "train": {"weak": 0, "neutral": 0, "strong": 1},
        "test": {"weak": 1, "neutral": 0, "strong": 1},
    }
    assert valence.max_mad is None
    assert valence.class_counts["test"] == {"negative": 1, "neutral": 0, "positive": 0}

"""Quadrants and words of Russell's circumplex."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.targets.plane import WORDS, find_quadrant, find_word, mean_rating

distributions = st.lists(st.floats(0.01, 1), min_size=2, max_size=5).map(
    lambda values: [value / sum(values) for value in values]
)


@pytest.mark.parametrize(
    ("valence", "arousal", "name"),
    [
        ([0.1, 0.2, 0.7], [0.1, 0.2, 0.7], "Q1"),
        ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7], "Q2"),
        ([0.7, 0.2, 0.1], [0.7, 0.3], "Q3"),
        ([0.1, 0.2, 0.7], [0.7, 0.2, 0.1], "Q4"),
    ],
)
def test_the_quadrant_is_the_side_that_most_ratings_fall_to(
    valence: list[float], arousal: list[float], name: str
) -> None:
    assert find_quadrant(valence, arousal).name == name


@given(distributions, distributions)
def test_the_likeliest_of_four_quadrants_has_a_quarter_at_least(
    valence: list[float], arousal: list[float]
) -> None:
    assert 0.25 - 1e-9 <= find_quadrant(valence, arousal).probability <= 1 + 1e-9


@given(distributions)
def test_the_mean_rating_lies_on_the_scale_and_turns_with_it(posterior: list[float]) -> None:
    assert -1 <= mean_rating(posterior) <= 1
    assert mean_rating(posterior[::-1]) == pytest.approx(-mean_rating(posterior))


def test_words_stand_an_eighth_of_a_turn_apart() -> None:
    around = [find_word(math.cos(k * math.tau / 8), math.sin(k * math.tau / 8)) for k in range(8)]
    assert tuple(around) == WORDS
    assert find_word(0.01, -0.02) == "neutral"
    assert (find_word(1, 1), find_word(-1, 1)) == ("excited", "distressed")
    assert (find_word(-1, -1), find_word(1, -1)) == ("depressed", "content")

"""Quadrants and words of Russell's circumplex."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mertools.targets.plane import (
    QUADRANTS,
    WORDS,
    find_quadrant,
    find_word,
    mean_rating,
    quadrant_probability,
)


def distributions_of(least: int, most: int) -> st.SearchStrategy[list[float]]:
    shares = st.lists(st.floats(0.01, 1), min_size=least, max_size=most)
    return shares.map(lambda values: [value / sum(values) for value in values])


distributions = distributions_of(2, 5)


@pytest.mark.parametrize(
    ("valence", "arousal", "name"),
    [
        ([0.1, 0.2, 0.7], [0.1, 0.2, 0.7], "Q1"),
        ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7], "Q2"),
        ([0.7, 0.2, 0.1], [0.7, 0.3], "Q3"),
        ([0.1, 0.2, 0.7], [0.7, 0.2, 0.1], "Q4"),
        ([0.5, 0.5], [0.2, 0.6, 0.2], "Q1"),
    ],
)
def test_the_quadrant_is_the_side_of_the_means(
    valence: list[float], arousal: list[float], name: str
) -> None:
    assert find_quadrant(mean_rating(valence), mean_rating(arousal)) == name


@given(distributions, distributions)
def test_the_probabilities_of_the_quadrants_sum_to_one(
    valence: list[float], arousal: list[float]
) -> None:
    assert sum(quadrant_probability(q, valence, arousal) for q in QUADRANTS) == pytest.approx(1)


@given(distributions_of(2, 3), distributions_of(2, 3))
def test_up_to_three_classes_the_quadrant_of_the_means_is_the_likeliest(
    valence: list[float], arousal: list[float]
) -> None:
    means = mean_rating(valence), mean_rating(arousal)
    assume(all(abs(mean) > 1e-9 for mean in means))
    likeliest = max(QUADRANTS, key=lambda q: quadrant_probability(q, valence, arousal))
    assert find_quadrant(*means) == likeliest


@given(distributions)
def test_the_mean_rating_lies_on_the_scale_and_turns_with_it(posterior: list[float]) -> None:
    assert -1 <= mean_rating(posterior) <= 1
    assert mean_rating(posterior[::-1]) == pytest.approx(-mean_rating(posterior))


def test_words_stand_an_eighth_of_a_turn_apart() -> None:
    around = [find_word(math.cos(k * math.tau / 8), math.sin(k * math.tau / 8)) for k in range(8)]
    assert tuple(around) == WORDS
    assert find_word(0.01, -0.02) == "neutral"
    corners = [find_word(*corner) for corner in QUADRANTS.values()]
    assert corners == ["excited", "distressed", "depressed", "content"]

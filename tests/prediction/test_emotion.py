"""Predictions of targets of any scale, gathered by track."""

from __future__ import annotations

import math

import pytest

from mertools.artifacts.rows import Prediction
from mertools.prediction.emotion import flatten, format_on, gather_emotions, order_targets
from mertools.targets.scale import parse_range


def ordered(target: str, posterior: tuple[float, ...], track: str = "a") -> Prediction:
    names = "abcdefg"[: len(posterior)]
    value = sum((k + 1) * p for k, p in enumerate(posterior))
    predicted = names[posterior.index(max(posterior))]
    return Prediction(
        "track", track, None, 0.0, 30.0, target, "|".join(names), posterior, predicted, value
    )


def unordered(target: str, **posterior: float) -> Prediction:
    predicted = max(posterior, key=lambda name: posterior[name])
    classes, shares = "|".join(posterior), tuple(posterior.values())
    return Prediction(
        "track", "a", None, None, None, target, classes, shares, predicted, scale="unordered"
    )


def number(target: str, value: float, scale: str = "0..1") -> Prediction:
    return Prediction("track", "a", None, 0.0, 30.0, target, value=value, scale=scale)


def test_ordered_classes_have_a_mean_a_value_and_a_spread() -> None:
    (emotion,) = gather_emotions([ordered("arousal", (0.2, 0.3, 0.5))])
    rating = emotion["arousal"]
    assert (rating.predicted, rating.probability) == ("c", 0.5)
    assert rating.mean == pytest.approx(0.3)
    assert rating.value == pytest.approx(2.3)
    assert rating.spread == pytest.approx(math.sqrt(0.2 * 1.3**2 + 0.3 * 0.3**2 + 0.5 * 0.7**2))
    assert rating.posteriors == {"a": 0.2, "b": 0.3, "c": 0.5}
    assert str(rating) == "arousal +0.30 c 50%"


def test_unordered_classes_have_neither_mean_nor_value() -> None:
    (emotion,) = gather_emotions([unordered("genre", rock=0.2, pop=0.8)])
    rating = emotion["genre"]
    assert (rating.predicted, rating.value, rating.mean, rating.spread) == ("pop", None, None, None)
    assert str(rating) == "genre pop 80%"
    assert emotion.duration is None


@pytest.mark.parametrize(
    ("scale", "value", "mean", "text"),
    [
        ("0..1", 0.62, 0.24, "0.62"),
        ("1..9", 5.0, 0.0, "5.00"),
        ("-1..1", -0.004, -0.004, "0.00"),
        ("0..100", 100.0, 1.0, "100"),
    ],
)
def test_a_number_has_a_value_on_its_scale_and_a_position_in_it(
    scale: str, value: float, mean: float, text: str
) -> None:
    (emotion,) = gather_emotions([number("arousal", value, scale)])
    rating = emotion["arousal"]
    assert (rating.value, rating.posterior, rating.predicted) == (value, (), None)
    assert rating.mean == pytest.approx(mean)
    assert rating.spread is None
    assert rating.format_mean() == text
    assert str(rating) == f"arousal {text} of {scale}"


def test_the_word_and_the_quadrant_follow_the_means_and_not_the_likeliest_classes() -> None:
    # Strong is the likeliest class, but as many listeners would say weak as strong.
    split = ordered("arousal", (0.44, 0.1, 0.46))
    (emotion,) = gather_emotions([split, ordered("valence", (0.35, 0.3, 0.35))])
    assert emotion["arousal"].predicted == "c"
    assert (emotion.word, emotion.quadrant.name) == ("neutral", "Q1")  # type: ignore[union-attr]


def test_numbers_lie_in_the_plane_by_the_middle_of_their_range() -> None:
    (emotion,) = gather_emotions([number("arousal", 2.0, "1..9"), number("valence", 0.5)])
    assert emotion.quadrant is not None
    assert (emotion.quadrant.name, emotion.quadrant.probability) == ("Q4", None)
    assert emotion.word == "sleepy"
    mixed = [number("arousal", 0.9), ordered("valence", (0.8, 0.1, 0.1))]
    (emotion,) = gather_emotions(mixed)
    assert emotion.quadrant is not None
    assert (emotion.quadrant.name, emotion.quadrant.probability) == ("Q2", None)


def test_a_model_of_the_quadrant_decides_it() -> None:
    direct = unordered("quadrant", Q1=0.1, Q2=0.2, Q3=0.6, Q4=0.1)
    (emotion,) = gather_emotions([number("arousal", 0.9), number("valence", 0.9), direct])
    assert emotion.quadrant is not None
    assert (emotion.quadrant.name, emotion.quadrant.probability) == ("Q3", 0.6)
    assert emotion.word == "depressed"
    (alone,) = gather_emotions([unordered("quadrant", joy=0.4, sorrow=0.6)])
    assert (alone.quadrant, alone.word) == (None, None)


def test_a_track_is_laid_out_in_columns_and_in_a_few_words() -> None:
    rows = [number("dominance", 0.5), ordered("arousal", (0.2, 0.8)), unordered("genre", rock=1.0)]
    (emotion,) = gather_emotions(rows)
    assert flatten(emotion) == {
        "dominance": 0.5,
        "arousal": "b",
        "arousal_mean": pytest.approx(0.6),
        "arousal_a": 0.2,
        "arousal_b": 0.8,
        "genre": "rock",
        "genre_rock": 1.0,
        "unlike": None,
    }
    assert repr(emotion) == (
        "Emotion('a', dominance 0.50 of 0..1, arousal +0.60 b 80%, genre rock 100%)"
    )
    assert order_targets(emotion.ratings) == ["arousal", "dominance", "genre"]


def test_numbers_are_written_to_a_hundredth_of_their_scale() -> None:
    assert format_on(parse_range("0..0.1"), 0.0531) == "0.053"
    assert format_on(parse_range("0..1000"), 531.4) == "531"
    assert format_on(parse_range("-1..1"), -0.5) == "-0.50"

"""Where on Russell's circumplex of affect a track lies: its quadrant, and a word for it.

J. A. Russell, "A circumplex model of affect", Journal of Personality and Social Psychology 39(6),
1980: eight words an eighth of a turn apart, from pleasure counter-clockwise, with valence to the
right and arousal upwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TARGETS = ("valence", "arousal")
"""The targets that the plane's axes show, horizontally and vertically."""

NEUTRAL = "neutral"
NEUTRAL_RADIUS = 0.1
"""How near the middle of the plane, whose axes reach from -1 to 1, no direction is told."""

WORDS = (
    "pleased",
    "excited",
    "aroused",
    "distressed",
    "miserable",
    "depressed",
    "sleepy",
    "content",
)


@dataclass(frozen=True)
class Quadrant:
    """A quadrant of the plane: its name, Q1 to Q4 counter-clockwise, and its probability."""

    name: str
    probability: float


def mean_rating(posterior: Sequence[float]) -> float:
    """Scale the mean of a distribution over the ratings from 1 up to -1 to 1."""
    return sum(p * rating for p, rating in zip(posterior, _ratings(posterior), strict=True))


def rating_spread(posterior: Sequence[float]) -> float:
    """Give the standard deviation of a distribution over the ratings, scaled to -1 to 1."""
    mean = mean_rating(posterior)
    squares = ((rating - mean) ** 2 for rating in _ratings(posterior))
    return math.sqrt(sum(p * square for p, square in zip(posterior, squares, strict=True)))


def _ratings(posterior: Sequence[float]) -> list[float]:
    last = len(posterior) - 1
    return [2 * k / last - 1 for k in range(len(posterior))]


def find_quadrant(valence: Sequence[float], arousal: Sequence[float]) -> Quadrant:
    """Find the most likely quadrant from two distributions over ratings from the lowest up.

    Both targets are taken to be independent, and neutral ratings to fall to either side alike.
    """
    right, up = _upper(valence), _upper(arousal)
    probabilities = {
        "Q1": right * up,
        "Q2": (1 - right) * up,
        "Q3": (1 - right) * (1 - up),
        "Q4": right * (1 - up),
    }
    name = max(probabilities, key=lambda quadrant: probabilities[quadrant])
    return Quadrant(name, probabilities[name])


def _upper(posterior: Sequence[float]) -> float:
    n = len(posterior)
    middle = posterior[n // 2] / 2 if n % 2 else 0.0
    return sum(posterior[(n + 1) // 2 :]) + middle


def find_word(valence: float, arousal: float) -> str:
    """Find Russell's word for a point of the plane, both from -1 to 1."""
    if math.hypot(valence, arousal) < NEUTRAL_RADIUS:
        return NEUTRAL
    turns = math.atan2(arousal, valence) / math.tau
    return WORDS[round(turns * len(WORDS)) % len(WORDS)]

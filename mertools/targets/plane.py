"""The valence-arousal plane: its quadrants, and Russell's words for directions in it.

J. A. Russell, "A circumplex model of affect", Journal of Personality and Social Psychology 39(6),
1980: eight words an eighth of a turn apart, from pleasure counter-clockwise, with valence to the
right and arousal upwards. Both axes reach from -1 to 1 here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGETS = ("valence", "arousal")
"""The targets of the plane's axes, horizontal and vertical."""

DIMENSIONS = ("arousal", "valence", "dominance")
"""The dimensions of emotion, in the order in which they are shown."""

QUADRANT = "quadrant"
"""The target of models that predict the quadrant itself; its classes are Q1 to Q4."""

QUADRANTS: Mapping[str, tuple[int, int]] = {
    "Q1": (1, 1),
    "Q2": (-1, 1),
    "Q3": (-1, -1),
    "Q4": (1, -1),
}
"""The quadrants counter-clockwise, each with its corner of the plane: valence and arousal."""

NEUTRAL = "neutral"
NEUTRAL_RADIUS = 0.1
"""Closer than this to the middle of the plane a point has no direction, and the word `neutral`."""

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
    """A quadrant of the plane, Q1 to Q4; its probability is None where models predict numbers."""

    name: str
    probability: float | None


def mean_rating(posterior: Sequence[float]) -> float:
    """Give the mean of a distribution over ordered classes, the lowest at -1, the highest at 1."""
    return sum(p * rating for p, rating in zip(posterior, _ratings(posterior), strict=True))


def rating_spread(posterior: Sequence[float]) -> float:
    """Give the standard deviation of a distribution over ordered classes, scaled likewise."""
    mean = mean_rating(posterior)
    squares = ((rating - mean) ** 2 for rating in _ratings(posterior))
    return math.sqrt(sum(p * square for p, square in zip(posterior, squares, strict=True)))


def _ratings(posterior: Sequence[float]) -> list[float]:
    last = len(posterior) - 1
    return [2 * k / last - 1 for k in range(len(posterior))]


def find_quadrant(valence: float, arousal: float) -> str:
    """Name the quadrant of a point; as in labels, the axes belong to the upper and right side."""
    corner = (1 if valence >= 0 else -1, 1 if arousal >= 0 else -1)
    return next(name for name, other in QUADRANTS.items() if other == corner)


def quadrant_probability(name: str, valence: Sequence[float], arousal: Sequence[float]) -> float:
    """Give a quadrant's probability from two distributions over ordered classes.

    Valence and arousal count as independent, and half of a middle class falls to either side.
    """
    sides = zip(QUADRANTS[name], (_upper_half(valence), _upper_half(arousal)), strict=True)
    return math.prod(upper if side > 0 else 1 - upper for side, upper in sides)


def _upper_half(posterior: Sequence[float]) -> float:
    n = len(posterior)
    middle = posterior[n // 2] / 2 if n % 2 else 0.0
    return sum(posterior[(n + 1) // 2 :]) + middle


def find_word(valence: float, arousal: float) -> str:
    """Find Russell's word for a point of the plane."""
    if math.hypot(valence, arousal) < NEUTRAL_RADIUS:
        return NEUTRAL
    turns = math.atan2(arousal, valence) / math.tau
    # Turns run from -1/2 to 1/2; the modulo counts those below the axis from the last word back.
    return WORDS[round(turns * len(WORDS)) % len(WORDS)]

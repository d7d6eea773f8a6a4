"""Quadrants of the valence-arousal plane, where both are numbers that the same rows predict.

They show whether a model does more than classify: one that knows only a track's quadrant can do no
better than predict the quadrant's mean. Q1 is high arousal and positive valence, Q2 high and
negative, Q3 low and negative, Q4 low and positive; the middle of a scale counts as high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mertools.evaluation.join import WINDOW, JoinedTarget
from mertools.evaluation.outcomes import ClassOutcomes, FloatArray, IndexArray, NumberOutcomes
from mertools.targets.scale import Range

AXES = ("valence", "arousal")
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")


Centres = Literal["train", "test", "geometric"]
"""What the centre of a quadrant is: the mean of its training tracks, or of those that are scored,
or the middle of the quadrant."""


@dataclass(frozen=True)
class Plane:
    """Rows whose valence and arousal are both predicted, and the quadrants that they are in."""

    quadrants: ClassOutcomes
    """True and predicted quadrant of each row."""
    centres: FloatArray
    """Mean valence and arousal of the tracks in each quadrant, (4, 2)."""
    source: str
    """What the centres are the means of: `train` or `scored`; or `geometric`."""

    def true_centres(self, target: str) -> FloatArray:
        """Predict the centre of each row's true quadrant, (n,): an oracle."""
        column: FloatArray = self.centres[:, AXES.index(target)]
        return column[self.quadrants.reference]

    def predicted_centres(self, target: str) -> FloatArray:
        """Predict the centre of the quadrant that the model predicts, (n,)."""
        column: FloatArray = self.centres[:, AXES.index(target)]
        return column[self.quadrants.estimated]


def find_quadrants(valence: FloatArray, arousal: FloatArray, middle: FloatArray) -> IndexArray:
    """Find the quadrant of each point, (n,), as an index of `QUADRANTS`; middle: (2,)."""
    right, up = valence >= middle[0], arousal >= middle[1]
    index: IndexArray = np.where(up, np.where(right, 0, 1), np.where(right, 3, 2))
    return index


def find_plane(
    joined: Mapping[str, JoinedTarget], level: str, centres: Centres = "train"
) -> Plane | None:
    """Find the quadrants of rows; None unless both axes are numbers predicted for the same rows.

    Where no label is marked train, centres are those of the scored rows.
    """
    if not set(AXES) <= joined.keys():
        return None
    valence, arousal = (joined[target].levels.get(level) for target in AXES)
    if not isinstance(valence, NumberOutcomes) or not isinstance(arousal, NumberOutcomes):
        return None
    if not valence.has_rows_of(arousal):
        return None
    ranges = (valence.scale, arousal.scale)
    middle = np.array([scale.middle for scale in ranges])
    reference = find_quadrants(valence.reference, arousal.reference, middle)
    estimated = find_quadrants(valence.estimated, arousal.estimated, middle)
    points: FloatArray = np.empty((0, 2))
    source = str(centres)
    # Centres of the scored tracks themselves would know part of the answer.
    if centres == "train":
        points = _training_points(joined, level)
    if centres != "geometric" and not len(points):
        points, source = np.column_stack([valence.reference, arousal.reference]), "scored"
    unknown = np.full(len(reference), np.nan)
    quadrants = ClassOutcomes(
        valence.track_ids,
        valence.track,
        valence.segment,
        valence.folds,
        QUADRANTS,
        reference,
        estimated,
        np.eye(len(QUADRANTS))[estimated],
        unknown,
        unknown,
    )
    return Plane(quadrants, _centres(points, middle, ranges), source)


def _training_points(joined: Mapping[str, JoinedTarget], level: str) -> FloatArray:
    """Give valence and arousal, (m, 2), of what both labels mark train."""
    valence, arousal = (joined[target].training for target in AXES)
    # Windows have the labels of stretches, whose key has a start.
    keys = sorted(
        (
            key
            for key in valence.keys() & arousal.keys()
            if (key[1] is not None) == (level == WINDOW)
        ),
        key=lambda key: (key[0], key[1] or 0.0),
    )
    return np.array([(valence[key], arousal[key]) for key in keys]).reshape(-1, 2)


def _centres(points: FloatArray, middle: FloatArray, ranges: tuple[Range, Range]) -> FloatArray:
    """Average the points of each quadrant, (4, 2); one without points has its geometric centre."""
    index = find_quadrants(points[:, 0], points[:, 1], middle)
    quarter = np.array([(scale.high - scale.low) / 4 for scale in ranges])
    signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    centres: FloatArray = middle + signs * quarter
    for k in range(len(QUADRANTS)):
        if (index == k).any():
            centres[k] = points[index == k].mean(axis=0)
    return centres

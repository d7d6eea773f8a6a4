"""The rows of explanations.csv, which `mer predict --explain` writes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from mertools.artifacts.rows import COLUMN, Row
from mertools.targets.scale import UNORDERED

BASELINE = "baseline"
"""The part that is the same for all music: what is predicted for that of training on average."""

REST = "rest"
"""The part that no block of features adds: what keeping to the scale changes."""


@dataclass(frozen=True, slots=True)
class Explanation(Row):
    """A row of explanations.csv: what a part of a model, or a stretch of music, has to say.

    `contribution` is on the scale of what is predicted: the mean from -1 to 1 of ordered classes,
    the number, or the posterior of `class_name`, the predicted one of classes without an order.
    `attention` is there in its stead where the model attends to stretches, which `start` and
    `duration` then are of. All else is as in `Prediction`.
    """

    table: ClassVar[str] = "explanations"
    level: str
    track_id: str
    segment_id: str | None
    start: float | None
    duration: float | None
    target: str
    class_name: str | None = dataclasses.field(metadata={COLUMN: "class"})
    part: str
    contribution: float | None = None
    attention: float | None = None
    scale: str | None = None
    model: str | None = None

    def find_problem(self) -> str | None:
        """Say what the row lacks."""
        if (self.contribution is None) == (self.attention is None):
            return "has not just one of contribution and attention"
        if self.attention is not None and (self.start is None or self.duration is None):
            return "has attention to a stretch without start and duration"
        if self.scale == UNORDERED and self.contribution is not None and self.class_name is None:
            return "names no class, which a target without order needs"
        return None

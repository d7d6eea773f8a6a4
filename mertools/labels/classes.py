"""Rating scales: the levels 1 to K of a target, their class names, and the class of a mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.targets.scale import CLASS_NAMES, class_names

MAX_INFERRED_LEVELS = 20
"""How far ratings may reach on a scale nobody described: beyond it, a year was read as a rating."""

EVERY_TARGET = ""
"""Stands for all targets that are not named, as a key of what is set per target."""

T = TypeVar("T")


def default_thresholds(n_classes: int) -> tuple[float, ...]:
    """Cut the scale from 1 to K into K equal parts, at 1 + k (K - 1) / K cut to two decimals.

    For three classes these are the thesis' 1.66 and 2.33.
    """
    hundredths = (100 * (n_classes + k * (n_classes - 1)) // n_classes for k in range(1, n_classes))
    return tuple(cut / 100 for cut in hundredths)


def for_target(settings: Mapping[str, T], target: str) -> T | None:
    """Look up what is set for a target, or else for `EVERY_TARGET`."""
    return settings.get(target, settings.get(EVERY_TARGET))


@dataclass(frozen=True)
class Scale:
    """How one target is rated: K levels, a class for each, K - 1 rising thresholds between."""

    target: str
    classes: tuple[str, ...]
    thresholds: tuple[float, ...]

    def classify(self, mean: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give the class number, from 1, of each mean rating.

        A mean equal to a threshold belongs to the class nearer the middle of the scale (to the
        upper one at the middle itself): with three classes, both thresholds are neutral.
        """
        half = len(self.classes) // 2
        lower, upper = self.thresholds[:half], self.thresholds[half:]
        reached = np.searchsorted(lower, mean, side="right")
        passed = np.searchsorted(upper, mean, side="left")
        return (1 + reached + passed).astype(np.int64)


@dataclass(frozen=True)
class Scales:
    """What is known of the scales before any rating is read.

    `classes` names a target's classes from the lowest level up; `thresholds` holds cuts per target
    or for `EVERY_TARGET`. Raises UsageError where they contradict each other.
    """

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for target, cuts in self.thresholds.items():
            highest = len(cuts) + 1
            if list(cuts) != sorted(set(cuts)) or cuts[0] < 1 or cuts[-1] > highest:
                raise UsageError(
                    f"thresholds {','.join(map(str, cuts))}",
                    f"are not rising numbers between 1 and {highest}",
                    f"{len(cuts)} of them cut a scale of {highest} ratings into {highest} classes",
                )
            if target in self.classes:
                self._check_number(target, cuts)

    def names(self, target: str) -> tuple[str, ...] | None:
        """Name a target's classes; None where only its ratings can tell how many there are."""
        cuts = for_target(self.thresholds, target)
        if target in self.classes:
            if cuts is not None:
                self._check_number(target, cuts)
            return self.classes[target]
        if cuts is not None:
            return class_names(target, len(cuts) + 1)
        return CLASS_NAMES.get(target)

    def check(self, target: str, value: float) -> None:
        """Raise ValueError, saying why, where `value` is no rating on the target's scale."""
        names = self.names(target)
        highest = MAX_INFERRED_LEVELS if names is None else len(names)
        if not 1 <= value <= highest or value != int(value):
            number = str(value).removesuffix(".0")
            raise ValueError(
                f"is {number}, not a rating of {target} (a whole number from 1 to {highest})"
            )

    def scale(self, target: str, highest: int) -> Scale:
        """Settle a target's scale; `highest` is the highest rating given."""
        names = self.names(target) or class_names(target, max(highest, 2))
        cuts = for_target(self.thresholds, target) or default_thresholds(len(names))
        return Scale(target, names, cuts)

    def _check_number(self, target: str, cuts: tuple[float, ...]) -> None:
        n_classes = len(self.classes[target])
        if len(cuts) != n_classes - 1:
            raise UsageError(
                f"thresholds {','.join(map(str, cuts))}",
                f"do not fit the {n_classes} classes of {target}",
                f"give {n_classes - 1} for {target}",
            )

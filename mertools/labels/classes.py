"""How ratings become labels: the scale they are given on, and the classes or numbers they make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import CLASS_SEPARATOR
from mertools.errors import UsageError
from mertools.targets.scale import (
    CLASS_NAMES,
    Classes,
    Range,
    Scale,
    Target,
    class_names,
    format_number,
)

MAX_INFERRED_LEVELS = 20
"""The highest level accepted on a scale nobody described; anything higher is likely no rating."""

EVERY_TARGET = ""
"""The key for all targets that are not named, in settings per target."""

T = TypeVar("T")


def default_thresholds(n_classes: int) -> tuple[float, ...]:
    """Cut the scale from 1 to K into K equal parts, at 1 + k (K - 1) / K cut to two decimals.

    For three classes these are the thesis' 1.66 and 2.33.
    """
    # In whole numbers, as rounding of floats could cut a threshold to the hundredth below.
    hundredths = (100 * (n_classes + k * (n_classes - 1)) // n_classes for k in range(1, n_classes))
    return tuple(cut / 100 for cut in hundredths)


def equal_thresholds(scale: Range, n_classes: int) -> tuple[float, ...]:
    """Cut a range of numbers into equal parts, one a class."""
    step = (scale.high - scale.low) / n_classes
    return tuple(scale.low + k * step for k in range(1, n_classes))


def for_target(settings: Mapping[str, T], target: str) -> T | None:
    """Look up the setting of a target, or else of `EVERY_TARGET`."""
    return settings.get(target, settings.get(EVERY_TARGET))


@dataclass(frozen=True)
class LabelRule:
    """How the ratings of one target become labels.

    target: the labels' name and scale. thresholds: the K - 1 rising cuts between ordered classes,
    on the ratings' own scale. ratings: the range of the ratings; None where they are words.
    are_levels: whether each rating is the number of a class already.
    """

    target: Target
    thresholds: tuple[float, ...] = ()
    ratings: Range | None = None
    are_levels: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; none where labels are numbers."""
        return self.target.classes

    @property
    def is_unordered(self) -> bool:
        """Whether labels are classes without an order."""
        scale = self.target.scale
        return isinstance(scale, Classes) and not scale.ordered

    def classify(self, ratings: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give the class number, from 1, of ratings or of mean ratings.

        A rating equal to a threshold belongs to the class nearer the middle of the scale (to the
        upper one at the middle itself): with three classes, both thresholds are neutral.
        """
        half = len(self.classes) // 2
        lower, upper = self.thresholds[:half], self.thresholds[half:]
        # The two searches differ in where a rating equal to a threshold goes.
        reached = np.searchsorted(lower, ratings, side="right")
        passed = np.searchsorted(upper, ratings, side="left")
        return (1 + reached + passed).astype(np.int64)

    def rescale(self, ratings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map ratings linearly from their own range to that of the labels."""
        scale = self.target.scale
        if not isinstance(scale, Range) or self.ratings in (None, scale):
            return ratings
        return scale.from_unit(self.ratings.to_unit(ratings))


@dataclass(frozen=True)
class Scales:
    """What is known of targets' scales before any rating is read.

    classes: names of a target's classes, from the lowest level up. thresholds: cuts between
    classes, on the ratings' own scale. scales: the scale of the ratings, where it was given.
    rescaled: the range that ratings are mapped to. All but `classes` may have `EVERY_TARGET`.

    Raises UsageError where they contradict each other.
    """

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    rescaled: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for target in set(self.thresholds) - {EVERY_TARGET}:
            self._check_cuts(target)

    def names(self, target: str) -> tuple[str, ...] | None:
        """Name a target's classes; None where their number follows from the ratings only."""
        self._check_cuts(target)
        cuts = for_target(self.thresholds, target)
        if target in self.classes:
            return self.classes[target]
        if cuts is not None:
            return class_names(target, len(cuts) + 1)
        return CLASS_NAMES.get(target)

    def range(self, target: str) -> Range | None:
        """Give the range of a target's ratings, where one was given."""
        scale = for_target(self.scales, target)
        return scale if isinstance(scale, Range) else None

    def parse(self, target: str, text: str, *, are_ordered: bool = False) -> float | str:
        """Turn the text of a rating into a number, or into a word of unordered classes.

        `are_ordered` says that the target's classes have an order although nothing here does; the
        name of an ordered class becomes its level. Raises ValueError, saying why, where the text is
        no rating on the target's scale.
        """
        text = text.strip()
        scale = for_target(self.scales, target)
        if isinstance(scale, Classes) and not scale.ordered:
            return self._word(target, text)
        # A number is a level or a number even of a target with named classes.
        number = _parse_number(text)
        if number is not None:
            self.check(target, number)
            return number
        if isinstance(scale, Range):
            raise ValueError(f"is {text!r}, not a number on the scale {scale} of {target}")
        cuts = for_target(self.thresholds, target)
        if not (are_ordered or scale is not None or cuts is not None or target in CLASS_NAMES):
            return self._word(target, text)
        names = [name.casefold() for name in self.names(target) or ()]
        if text.casefold() not in names:
            raise ValueError(f"is {text!r}, which is no class of {target}")
        return float(names.index(text.casefold()) + 1)

    def check(self, target: str, value: float) -> None:
        """Raise ValueError, saying why, where a number is no rating on the target's scale."""
        scale = self.range(target)
        if scale is not None:
            if value not in scale:
                raise ValueError(f"is {value:g}, outside the scale {scale} of {target}")
            return
        names = self.names(target)
        highest = MAX_INFERRED_LEVELS if names is None else len(names)
        if not 1 <= value <= highest or value != int(value):
            number = str(value).removesuffix(".0")
            raise ValueError(
                f"is {number}, not a rating of {target} (a whole number from 1 to {highest})"
            )

    def word_rule(self, target: str, words: Sequence[str]) -> LabelRule:
        """Return the rule for a target rated in words; `words` are those that occur."""
        if target in self.rescaled:
            raise UsageError(
                f"--rescale {target}={self.rescaled[target]}",
                f"{target} is rated in words",
                "rescale numbers only",
            )
        names = self.classes.get(target) or tuple(words)
        return LabelRule(Target(target, Classes(names, ordered=False)))

    def rule(self, target: str, highest: float) -> LabelRule:
        """Return the rule for a target rated in numbers; `highest` is the highest rating.

        Raises UsageError where options contradict each other.
        """
        given = self.range(target)
        cuts = for_target(self.thresholds, target)
        rescaled = for_target(self.rescaled, target)
        has_classes = cuts is not None or target in self.classes
        names = self.names(target)
        if rescaled is not None and (cuts is not None or (has_classes and given is not None)):
            raise UsageError(
                f"--rescale {target}={rescaled}",
                f"makes numbers of {target}, but its thresholds or classes make classes",
                "choose one",
            )
        if given is not None and not has_classes:
            return LabelRule(Target(target, rescaled or given), ratings=given)
        if rescaled is not None:
            if names is None:
                raise UsageError(
                    f"--rescale {target}={rescaled}",
                    f"the scale on which {target} was rated is not known",
                    f"give it with --scale {target}=LOW..HIGH",
                )
            return LabelRule(Target(target, rescaled), ratings=Range(1, len(names)))
        if names is None:
            # A scale has two levels or more, even where every rating happens to be 1.
            names = class_names(target, max(int(highest), 2))
        n_classes = len(names)
        if given is not None:
            cuts = cuts or equal_thresholds(given, n_classes)
            return LabelRule(Target(target, Classes(names)), cuts, given)
        cuts = cuts or default_thresholds(n_classes)
        levels = Range(1, max(n_classes, 2))
        return LabelRule(Target(target, Classes(names)), cuts, levels, are_levels=True)

    def _check_cuts(self, target: str) -> None:
        """Refuse thresholds that leave a class empty, or do not fit the number of classes."""
        cuts = for_target(self.thresholds, target)
        if cuts is None:
            return
        given = self.range(target)
        scale = given or Range(1, len(cuts) + 1)
        if list(cuts) != sorted(set(cuts)) or cuts[0] not in scale or cuts[-1] not in scale:
            n_classes = len(cuts) + 1
            remedy = f"{len(cuts)} of them cut a scale of {n_classes} ratings into {n_classes} "
            raise UsageError(
                f"thresholds {','.join(map(str, cuts))}",
                f"are not rising numbers between {format_number(scale.low)} and "
                f"{format_number(scale.high)}",
                f"{remedy}classes, or give the scale of the ratings with --scale"
                if given is None
                else "give them on the scale of the ratings",
            )
        n_classes = len(self.classes.get(target, range(len(cuts) + 1)))
        if len(cuts) != n_classes - 1:
            raise UsageError(
                f"thresholds {','.join(map(str, cuts))}",
                f"do not fit the {n_classes} classes of {target}",
                f"give {n_classes - 1} for {target}",
            )

    def _word(self, target: str, text: str) -> str:
        if CLASS_SEPARATOR in text:
            raise ValueError(f"is {text!r}, whose {CLASS_SEPARATOR} separates classes elsewhere")
        classes = self.classes.get(target)
        if classes is not None and text not in classes:
            raise ValueError(f"is {text!r}, none of the classes {', '.join(classes)} of {target}")
        return text


def _parse_number(text: str) -> float | None:
    """Parse a number; None where the text is a word. Raises ValueError for nan and infinity."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        raise ValueError(f"is {text}, not a finite number")
    return number

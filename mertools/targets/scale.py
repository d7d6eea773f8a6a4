"""The scale of a target: named classes, with or without an order, or numbers in a range.

A scale is written as one word in tables and model cards: `ordered`, `unordered`, or `LOW..HIGH`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORDERED = "ordered"
UNORDERED = "unordered"
TARGET_SEPARATOR = ","
"""Between the names of targets that one model predicts together."""

CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    "arousal": ("weak", "neutral", "strong"),
    "valence": ("negative", "neutral", "positive"),
}
"""Classes of the targets known by name, lowest first. Other targets' classes are their levels."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


@dataclass(frozen=True)
class Classes:
    """Named classes; `ordered` ones go from the lowest level, 1, to the highest."""

    names: tuple[str, ...]
    ordered: bool = True

    @property
    def n_outputs(self) -> int:
        """Number of values that a model predicts: one posterior a class."""
        return len(self.names)

    def __str__(self) -> str:
        return ORDERED if self.ordered else UNORDERED


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    @property
    def n_outputs(self) -> int:
        """Number of values that a model predicts: the number itself."""
        return 1

    @property
    def middle(self) -> float:
        """The number halfway between both ends."""
        return (self.low + self.high) / 2

    def to_unit(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map numbers of the scale to 0..1."""
        unit: NDArray[np.float64] = (values.astype("float64") - self.low) / (self.high - self.low)
        return unit

    def from_unit(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map 0..1 to numbers of the scale; what lies outside is clipped to its ends."""
        unit: NDArray[np.float64] = values.astype("float64").clip(0.0, 1.0)
        return self.low + unit * (self.high - self.low)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{format_number(self.low)}..{format_number(self.high)}"


Scale = Classes | Range


@dataclass(frozen=True)
class Target:
    """What is predicted: a name and a scale."""

    name: str
    scale: Scale

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; none where the target is a number."""
        return self.scale.names if isinstance(self.scale, Classes) else ()


def parse_range(text: str) -> Range:
    """Parse LOW..HIGH. Raises ValueError where it is none."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no range of numbers such as 0..1 or -1..1")
    low, high = float(match[1]), float(match[2])
    # An infinite end, which a number may be written as, has no middle.
    if not low < high < math.inf or low == -math.inf:
        raise ValueError(f"{text!r} does not rise from a number to a larger one")
    return Range(low, high)


def parse_scale(text: str | None, names: Sequence[str] = ()) -> Scale:
    """Parse a scale as tables have it; None is `ordered`. `names` are the classes' names.

    Raises ValueError where it is none.
    """
    if text in (None, ORDERED, UNORDERED):
        return Classes(tuple(names), text != UNORDERED)
    try:
        return parse_range(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is no scale: ordered, unordered, or LOW..HIGH") from None


def class_names(target: str, n_classes: int) -> tuple[str, ...]:
    """Name a target's ordered classes: by `CLASS_NAMES` where the number fits, else "1" to "K"."""
    names = CLASS_NAMES.get(target, ())
    return names if len(names) == n_classes else tuple(str(k + 1) for k in range(n_classes))


def format_number(value: float) -> str:
    """Write a number as short as it can be read back."""
    return repr(float(value)).removesuffix(".0")

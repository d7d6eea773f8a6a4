"""Options that are set per target, as [TARGET=]VALUE."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from mertools.artifacts.rows import CLASS_SEPARATOR
from mertools.errors import UsageError
from mertools.labels.classes import EVERY_TARGET
from mertools.targets.scale import ORDERED, UNORDERED, Classes, Scale, parse_range

T = TypeVar("T")


def parse_per_target(
    option: str, entries: Sequence[str] | None, parse: Callable[[str], T], *, for_all: bool = True
) -> dict[str, T]:
    """Parse entries of the form TARGET=VALUE, or VALUE for every target where `for_all` is set.

    Raises UsageError for an entry of another form, and where a target has two.
    """
    values: dict[str, T] = {}
    for entry in entries or ():
        target, _, text = entry.rpartition("=")
        if not (target or for_all):
            raise UsageError(f"{option} {entry}", "names no target", "write TARGET= before it")
        try:
            value = parse(text)
        except ValueError as error:
            raise UsageError(f"{option} {entry}", str(error), f"see {option} in --help") from None
        if target in values:
            scope = "every target" if target == EVERY_TARGET else target
            raise UsageError(option, f"is given twice for {scope}", "give it once")
        values[target] = value
    return values


def parse_class_names(text: str) -> tuple[str, ...]:
    """Parse NAME,NAME,... Raises ValueError where they cannot be classes."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise ValueError("does not name two classes or more, all different")
    if any(CLASS_SEPARATOR in name for name in names):
        raise ValueError(f"has a {CLASS_SEPARATOR} in a name, which stands between names elsewhere")
    return names


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Parse X,X,... Raises ValueError where one is no number."""
    return tuple(float(number) for number in text.split(","))


def parse_rating_scale(text: str) -> Scale:
    """Parse ordered, unordered or LOW..HIGH. Raises ValueError where it is none."""
    return Classes((), text == ORDERED) if text in (ORDERED, UNORDERED) else parse_range(text)


def parse_limit(text: str) -> float:
    """Parse a deviation, 0 or more. Raises ValueError where it is none."""
    limit = float(text)
    if not limit >= 0:
        raise ValueError(f"{text} is no deviation, which is 0 or more")
    return limit


def parse_number(text: str) -> float:
    """Parse a finite number. Raises ValueError where it is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def parse_columns(entries: Sequence[str] | None) -> dict[str, str]:
    """Parse [TARGET=]COLUMN; a column alone is named like its target. Gives columns by target.

    Raises UsageError where a name is empty or a target has two columns.
    """
    columns: dict[str, str] = {}
    for entry in entries or ():
        target, equals, column = entry.partition("=")
        column = column if equals else target
        if not (target and column):
            raise UsageError(
                f"--column {entry}", "names no column", "write COLUMN, or TARGET=COLUMN"
            )
        if target in columns:
            raise UsageError("--column", f"is given twice for {target}", "give it once")
        columns[target] = column
    return columns


def parse_label_values(entries: Sequence[str] | None) -> dict[tuple[str, str], int]:
    """Parse TARGET:LABEL=RATING, or LABEL=RATING for every target, into ratings by both.

    Raises UsageError for an entry of another form.
    """
    values: dict[tuple[str, str], int] = {}
    for entry in entries or ():
        label, _, rating = entry.rpartition("=")
        target, colon, name = label.partition(":")
        if not colon:
            target, name = EVERY_TARGET, label
        if not (name.strip() and rating.isdecimal()):
            raise UsageError(
                f"--map {entry}", "is not a label and its rating", "write it as 'Very calm=1'"
            )
        values[target, name.strip().casefold()] = int(rating)
    return values

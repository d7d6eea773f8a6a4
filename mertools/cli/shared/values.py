"""Parsing what options of several commands hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from mertools.audio.settings import Last, SegmentSettings
from mertools.errors import UsageError, choose_from

T = TypeVar("T")

LONGEST_S = 86_400.0
"""A day, in seconds: longer than any track."""


def parse_assignments(option: str, texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Parse NAME.KEY=VALUE into values by name and key.

    Raises UsageError for a text of another form.
    """
    values: dict[str, dict[str, str]] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        name, dot, key = left.partition(".")
        if not (equals and dot and name and key):
            raise UsageError(f"{option} {text}", "is not of the form KIND.PARAM=VALUE", "mend it")
        values.setdefault(name, {})[key] = value
    return values


def parse_grid(
    option: str, texts: Iterable[str], types: Mapping[str, Callable[[str], T]]
) -> dict[str, tuple[T, ...]]:
    """Parse PARAM=VALUE,VALUE,... into the values of each parameter, by the types of all there are.

    Raises UsageError for a text of another form, and for a parameter that does not exist.
    """
    grid: dict[str, tuple[T, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if equals and name not in types:
            raise UsageError(f"{option} {name}", "is no parameter", choose_from(types, name))
        try:
            grid[name] = tuple(types[name](value) for value in values.split(","))
        except (KeyError, ValueError):
            raise UsageError(
                f"{option} {text}", "is not of the form PARAM=VALUE,...", "give numbers where due"
            ) from None
    return grid


def segment_settings(length_s: float, hop_s: float | None, last: Last) -> SegmentSettings:
    """Put together how tracks are cut.

    Raises UsageError for a length or hop that is no length of time.
    """
    for option, seconds in (("--length", length_s), ("--hop", hop_s)):
        if seconds is not None and not 0 < seconds <= LONGEST_S:
            raise UsageError(
                option,
                f"{seconds} s is no length of a segment",
                f"give more than 0 and at most {LONGEST_S:g}",
            )
    return SegmentSettings(length_s, hop_s, last)

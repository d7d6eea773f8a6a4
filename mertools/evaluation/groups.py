"""Groups of tracks by a column of any table, to see for which music a model is good.

Words make a group each. Numbers are cut into fifths of the scored tracks; equal numbers stay in one
group. Where a column has at most five different numbers, each makes a group.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError, UsageError

KEY = "track_id"
N_PARTS = 5
MAX_GROUPS = 50
"""With more words than this, a column names tracks rather than groups of them."""


@dataclass(frozen=True)
class Group:
    """Tracks that have something in common: a word, or a number from `low` to `high`."""

    name: str
    track_ids: frozenset[str]
    low: float | None = None
    high: float | None = None


def split_column(source: str) -> tuple[str, str | None]:
    """Take TABLE or TABLE:COLUMN apart; a file whose name has a colon is a table."""
    # From the right: a folder or drive may have a colon of its own.
    table, colon, column = source.rpartition(":")
    if not colon or Path(source).exists():
        return source, None
    return table, column


def read_column(table: str, column: str | None) -> tuple[str, dict[str, str]]:
    """Read a column by track: its name, and the values that are not empty.

    Without a name, the only column beside track_id is taken. Raises UsageError where it is not
    clear which is meant, SchemaError where the table has no such column or two values for a track.
    """
    with open_table(table) as stream:
        try:
            rows = list(csv.DictReader(stream, restval=""))
        except (csv.Error, UnicodeError) as error:
            raise SchemaError(table, f"is not CSV ({error})", "give a CSV table in UTF-8") from None
    names = [name for name in (rows[0] if rows else ()) if name is not None]
    if KEY not in names:
        raise SchemaError(table, f"has no rows with a {KEY}", f"give a table with a column {KEY}")
    others = [name for name in names if name != KEY]
    if column is None and len(others) != 1:
        raise UsageError(
            table,
            f"has {len(others)} columns beside {KEY} ({', '.join(others)[:100]})",
            f"name one: --by {table}:COLUMN",
        )
    column = others[0] if column is None else column
    if column not in others:
        raise SchemaError(
            table, f"has no column {column}", f"name one of {', '.join(others)[:100]}"
        )
    values: dict[str, str] = {}
    for row in rows:
        value = row[column]
        # The same value again is harmless: labels.csv, for one, has a row for each target.
        if value and values.setdefault(row[KEY], value) != value:
            raise SchemaError(
                table,
                f"has two values of {column} for track {row[KEY]}: {values[row[KEY]]} and {value}",
                "give a table with one row a track",
            )
    return column, values


def group_tracks(values: Mapping[str, str], scored: Set[str], source: str) -> list[Group]:
    """Group the scored tracks that have a value.

    Raises UsageError where there are none, or too many words.
    """
    values = {track_id: value for track_id, value in sorted(values.items()) if track_id in scored}
    if not values:
        raise UsageError(source, "has no value for a scored track", "give a table of these tracks")
    numbers = _parse_numbers(values)
    # Of five different numbers or fewer, each is a group, as quintiles could coincide.
    if numbers is not None and len(set(numbers.values())) > N_PARTS:
        return _cut(numbers)
    # Numbers are sorted as numbers, so that 10 comes after 9.
    words = sorted(set(values.values()), key=lambda word: (_sort_number(word), word))
    if len(words) > MAX_GROUPS:
        raise UsageError(
            source, f"has {len(words)} different words", f"give a column of {MAX_GROUPS} at most"
        )
    return [
        Group(word, frozenset(track for track, value in values.items() if value == word))
        for word in words
    ]


def _parse_numbers(values: Mapping[str, str]) -> dict[str, float] | None:
    """Parse all values; None where one is no finite number."""
    try:
        numbers = {track_id: float(value) for track_id, value in values.items()}
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers.values())) else None


def _sort_number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.inf


def _cut(numbers: Mapping[str, float]) -> list[Group]:
    """Cut numbers at their quintiles, each of which belongs to the lower group."""
    array = np.array(list(numbers.values()))
    edges = np.quantile(array, np.arange(1, N_PARTS) / N_PARTS)
    # Equal numbers fall on the same side of an edge, so that no value is in two groups.
    part = np.searchsorted(edges, array, side="left")
    groups = []
    for k in range(N_PARTS):
        inside = array[part == k]
        if len(inside):
            members = frozenset(name for name, own in zip(numbers, part, strict=True) if own == k)
            low, high = float(inside.min()), float(inside.max())
            groups.append(Group(f"fifth {k + 1}", members, low, high))
    return groups

"""Tracks that belong together: of one artist, album or song, or copies of one original."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError
from mertools.labels.records import read_records

TRACK_ID = "track_id"
ORIGINAL = "original"


@dataclass
class Relatives:
    """Which tracks belong together, as tables by track_id say.

    column: the column of groups, where one was asked for. groups: each track's group. originals:
    the original of each augmented copy.
    """

    column: str | None = None
    groups: dict[str, str] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)

    def are_in(self, header: Sequence[str]) -> bool:
        """Check whether a table with this header has groups or originals of tracks."""
        return TRACK_ID in header and (ORIGINAL in header or self.column in header)

    def read_file(self, source: str) -> None:
        """Read a table by track_id. Raises SchemaError where it lacks the column of groups."""
        name = "standard input" if source == STANDARD_STREAM else source
        with open_table(source) as stream:
            header = self.read(stream, name)
        for column in (TRACK_ID, self.column):
            if column is not None and column not in header:
                raise SchemaError(
                    name,
                    f"has no column {column} (found: {', '.join(header)[:100]})",
                    "give a table with the columns track_id and the one that --group names",
                )

    def read(self, lines: Iterable[str], name: str) -> list[str]:
        """Read the lines of a table, `name` naming it in errors; give its columns.

        Raises SchemaError where a track is in two groups or has two originals.
        """
        header: list[str] = []
        for line, record in read_records(lines, name):
            header = header or list(record)
            # Nothing is known of tracks here; `read_file` reports the missing column.
            if TRACK_ID not in record:
                break
            track_id = record[TRACK_ID]
            for column, known in ((self.column, self.groups), (ORIGINAL, self.originals)):
                value = record.get(column, "") if column else ""
                if value and known.setdefault(track_id, value) != value:
                    raise SchemaError(
                        name,
                        f"line {line} gives track {track_id} the {column} {value}, "
                        f"but it has {known[track_id]}",
                        f"correct column {column}",
                    )
        return header

    def find_original(self, track_id: str) -> str:
        """Follow a copy, and copies of copies, to their original."""
        # A table may name copies in a circle; a track seen before ends the walk.
        passed = {track_id}
        while (original := self.originals.get(track_id, track_id)) not in passed:
            passed.add(original)
            track_id = original
        return track_id

    def find_units(self, track_ids: Sequence[str]) -> NDArray[np.int64]:
        """Find the unit of each track, which a split may not divide: (n_tracks,), numbers from 0.

        A unit is a group; where a track has none, the track and its copies.
        """
        units: dict[tuple[str, str], int] = {}
        found = []
        for track_id in track_ids:
            original = self.find_original(track_id)
            # A copy is in its original's group, whatever its own row says or leaves empty.
            group = self.groups.get(original, self.groups.get(track_id))
            # Tagged, so that a track and a group of the same name stay two units.
            key = (TRACK_ID, original) if group is None else ("group", group)
            found.append(units.setdefault(key, len(units)))
        return np.array(found, np.int64)

"""Which tracks belong together: augmented copies with their originals, and groups such as artists.

Nothing made from a track may stand on the other side of a split or fold from it, and copies are
only learnt from. Every command that splits tracks asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import FeatureRow
from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError, choose_from
from mertools.labels.records import read_records


def find_originals(rows: Iterable[FeatureRow]) -> dict[str, str]:
    """Map each track to the one that it was made from in the end; an original to itself.

    Raises SchemaError where a track has two originals, or copies are made from each other in a
    circle.
    """
    parents: dict[str, str] = {}
    for row in rows:
        original = "" if row.original == row.track_id else row.original
        # Of several files with a track, one may not say that it is a copy.
        known = parents.get(row.track_id) or original
        if original and original != known:
            raise SchemaError(
                row.track_id,
                f"is said to be a copy of {known} and of {original}",
                "mend the column original",
            )
        parents[row.track_id] = known
    originals: dict[str, str] = {}
    for track_id in parents:
        ancestor, seen = track_id, {track_id}
        while parent := parents.get(ancestor):
            if parent in seen:
                raise SchemaError(
                    track_id, "is named as a copy of its own copy", "mend the column original"
                )
            seen.add(parent)
            ancestor = parent
        originals[track_id] = ancestor
    return originals


def number_units(
    originals: Sequence[str], groups: Mapping[str, str] | None = None
) -> NDArray[np.int64]:
    """Give tracks that stay together in splits and folds the same number: (n_tracks,).

    `originals` names the original of each track. Tracks of one original have the same number, and
    so have originals that `groups` maps to the same name; one that it does not name is alone.
    """
    keys = [
        ("group", groups[original]) if groups and original in groups else ("track", original)
        for original in originals
    ]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys], np.int64)


def read_groups(source: str, column: str) -> dict[str, str]:
    """Read which group each track belongs to from a table by track_id; empty cells are no group.

    Raises UsageError where the table cannot be read, SchemaError where it has no such column or
    puts a track into two groups.
    """
    groups: dict[str, str] = {}
    with open_table(source) as stream:
        for line, record in read_records(stream, source):
            for name in ("track_id", column):
                if name not in record:
                    raise SchemaError(source, f"has no column {name}", choose_from(record, name))
            track_id, group = record["track_id"], record[column]
            if group and groups.setdefault(track_id, group) != group:
                raise SchemaError(
                    source,
                    f"line {line} puts track {track_id} into {group} and {groups[track_id]}",
                    "give a track one group",
                )
    return groups

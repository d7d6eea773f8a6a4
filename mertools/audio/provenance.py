"""What was done to sound: the manifest columns `original`, `transform` and `peak`.

Every command hands them on from row to row, so that a copy can be kept on its original's side of a
split, and a song to predict be brought to the level that a model learnt from.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import TypeVar

from mertools.artifacts.rows import Segment, Track
from mertools.audio.sources import PROVENANCE, Source
from mertools.errors import InputError

R = TypeVar("R", Track, Segment)
Sources = list[Source] | Iterator[Source]


def with_provenance(row: R, source: Track | Segment) -> R:
    """Give `row`, which was computed from `source`, with the provenance of that."""
    return dataclasses.replace(row, **{name: getattr(source, name) for name in PROVENANCE})


def provenance_columns(sources: Sources) -> tuple[list[str], Sources]:
    """Name the columns that a table of these sources needs; give them back, none used up.

    They are the columns that any source fills. Of a manifest that is still coming they are those
    in its header, since the table begins before the last row is known.
    """
    if isinstance(sources, list):
        return [c for c in PROVENANCE if any(_value(source, c) for source in sources)], sources
    read: list[Source] = []
    for source in sources:
        read.append(source)
        if not isinstance(source, InputError):
            break
    columns = [c for c in PROVENANCE if read and _value(read[-1], c) is not None]
    return columns, itertools.chain(read, sources)


def _value(source: Source, column: str) -> str | float | None:
    return None if isinstance(source, InputError) else getattr(source, column)

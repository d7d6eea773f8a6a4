"""Reading lyrics.csv and the text files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mertools.artifacts.files import STANDARD_STREAM, file_mode
from mertools.artifacts.rows import Lyrics
from mertools.artifacts.tables import read_table
from mertools.errors import InputError, SchemaError

LONGEST_BYTES = 1 << 24
"""A text file that is longer holds no words of a song."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a track, empty where it has none, or why they cannot be read."""

    track_id: str
    text: str
    error: InputError | None = None


def read_lyrics(source: str) -> Iterator[Words]:
    """Yield the words of each track of a lyrics.csv, or of standard input for "-", in its order.

    Raises UsageError where the table cannot be read, SchemaError where it breaks its schema or has
    neither a column text nor one path.
    """
    folder = Path() if source == STANDARD_STREAM else Path(source).parent
    rows = list(read_table(source, Lyrics))
    if not any(row.text or row.path for row in rows):
        raise SchemaError(source, "has no words", "give a table with a column text or path")
    return (
        Words(row.track_id, row.text or "") if row.path is None else _read_file(row, folder)
        for row in rows
    )


def _read_file(row: Lyrics, folder: Path) -> Words:
    """Read a text file, whose path is taken as those of sound files in tracks.csv are."""
    path = Path(str(row.path))
    if not file_mode(path) and file_mode(folder / path):
        path = folder / path
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST_BYTES + 1)
        if len(content) > LONGEST_BYTES:
            raise InputError(path, f"is longer than {LONGEST_BYTES} bytes", "give a song's words")
        return Words(row.track_id, content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = f"cannot be read ({reason})"
        return Words(row.track_id, "", InputError(path, problem, "give a text file in UTF-8"))
    except InputError as error:
        return Words(row.track_id, "", error)

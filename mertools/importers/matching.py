"""Finding the track that a row of any table is about: by artist and title, or by file name.

Names are compared in a normal form, so that spelling does not keep them apart; a row that fits
several tracks is matched with none.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from mertools.artifacts.tables import open_table
from mertools.audio.sources import AUDIO_SUFFIXES
from mertools.errors import SchemaError
from mertools.importers.published import simplify_name

ARTIST_COLUMNS = ("artist", "artist_name", "artists", "performer")
TITLE_COLUMNS = ("title", "song_title", "track_title", "track_name", "song_name", "song", "track")
FILE_COLUMNS = ("path", "file", "file_name", "filename", "audio")
"""Names of columns, simplified, by which rows are matched; the first that a table has counts."""

FEATURING = re.compile(
    r"[(\[]\s*(?:feat|ft|featuring)\b[^)\]]*[)\]]|\s(?:feat|ft|featuring)\b[^()\[\]]*"
)
"""Guests of an artist or title, in brackets or not."""

TRACK_NUMBER = re.compile(r"\d{1,2}-\d{2}(?:\s*[.)_-]\s*|\s+)|\d{1,3}\s*[.)_-]\s*|0\d\s+")
"""A track number before a file's name: "01 - ", "1. ", "1-05 ", "03 "; not the one of "50 Cent"."""

DASH = re.compile(r"\s+[-\u2013\u2014]\s+")
"""What stands between artist and title in a file's name."""

N_NAMED = 3
"""How many of the tracks that a row fits a message names."""

Key = tuple[str, ...]
"""("file", name) or ("song", artist, title) in normal form, or ("exact", name) as it stands."""


@dataclass(frozen=True)
class Table:
    """Any table of text: its header and rows."""

    source: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Match:
    """A row of a table, and the track it is about, or why there is none."""

    row: Sequence[str]
    track_id: str | None
    problem: str = ""


def read_any_table(source: str) -> Table:
    """Read a table whatever its columns are; "-" is standard input.

    Raises UsageError where it cannot be read, SchemaError where it is no table.
    """
    with open_table(source) as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header, *rows = [row for row in reader if row] or [[]]
        except csv.Error as error:
            raise SchemaError(
                source, f"line {reader.line_num} is not CSV ({error})", "give a CSV table"
            ) from None
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise SchemaError(
                source,
                f"row {number + 1} has {len(row)} cells, the header {len(header)}",
                "mend the table",
            )
    return Table(source, header, rows)


def match_tracks(table: Table, tracks: Table) -> Iterator[Match]:
    """Match each row of a table with a row of tracks.csv, in order.

    Raises SchemaError where the table has no columns to match by, or already has a track_id, and
    where the tracks have no track_id.
    """
    if "track_id" in table.header:
        raise SchemaError(table.source, "has a track_id already", "rename or remove the column")
    if "track_id" not in tracks.header:
        raise SchemaError(tracks.source, "has no column track_id", "give a tracks.csv")
    wanted, offered = _Columns(table), _Columns(tracks)
    id_column = tracks.header.index("track_id")
    known: dict[Key, set[str]] = {}
    for row in tracks.rows:
        # A set, as two tracks of one name have to be noticed rather than one of them taken.
        for key in offered.exact(row) | offered.keys(row):
            known.setdefault(key, set()).add(row[id_column])
    for row in table.rows:
        # A file of just this name is the one meant, whatever else looks alike.
        found = _tracks(wanted.exact(row), known) or _tracks(wanted.keys(row), known)
        if len(found) == 1:
            yield Match(row, *found)
        elif found:
            names = ", ".join(sorted(found)[:N_NAMED]) + (", ..." if len(found) > N_NAMED else "")
            yield Match(row, None, f"fits {len(found)} tracks: {names}")
        else:
            yield Match(row, None, "fits no track")


def _tracks(keys: Iterable[Key], known: Mapping[Key, set[str]]) -> set[str]:
    return {track_id for key in keys for track_id in known.get(key, ())}


class _Columns:
    """The columns of a table that its rows are matched by."""

    def __init__(self, table: Table) -> None:
        names = [simplify_name(name) for name in table.header]

        # Candidates are in order of trust: "track" is a title only where nothing is called one.
        def find(candidates: Sequence[str]) -> int | None:
            return next((names.index(name) for name in candidates if name in names), None)

        self._artist, self._title = find(ARTIST_COLUMNS), find(TITLE_COLUMNS)
        self._file = find(FILE_COLUMNS)
        if self._file is None and (self._artist is None or self._title is None):
            raise SchemaError(
                table.source,
                f"has neither artist and title nor a file name (found: "
                f"{', '.join(table.header)[:100]})",
                "name the columns artist and title, or path",
            )

    def exact(self, row: Sequence[str]) -> set[Key]:
        """Give the key of a row's file as it is named, without folder and suffix."""
        if self._file is None or not row[self._file]:
            return set()
        return {("exact", _stem(row[self._file]))}

    def keys(self, row: Sequence[str]) -> set[Key]:
        """Give the keys that a row may be known by."""
        keys: set[Key] = set()
        if self._artist is not None and self._title is not None:
            artist, title = normalise(row[self._artist]), normalise(row[self._title])
            # An empty artist would match every song whose artist is not known either.
            if artist and title:
                keys.add(("song", artist, title))
        if self._file is not None and row[self._file]:
            keys |= file_keys(row[self._file])
        return keys


def file_keys(path: str) -> set[Key]:
    """Give the keys of a sound file's name: the name, and artist and title that it may consist of.

    A number before the name may be a track's, or the artist's ("311 - Amber"); both are tried.
    """
    name = _stem(path)
    keys: set[Key] = set()
    number = TRACK_NUMBER.match(name)
    for readable in {name, name[number.end() :] if number else name}:
        keys.add(("file", normalise(readable)))
        # Only the first dash parts them, since titles hold dashes more often than artists do.
        artist, *title = DASH.split(readable, maxsplit=1)
        if title and normalise(artist) and normalise(title[0]):
            keys.add(("song", normalise(artist), normalise(title[0])))
    return {key for key in keys if all(key)}


def normalise(name: str) -> str:
    """Give a name's normal form: what stays of it without case, punctuation and guests.

    Unicode NFKC makes one of letters that look alike; marks and apostrophes are dropped, `&` is
    `and`. A name of nothing but punctuation stays as it is.
    """
    # Folding case can undo NFKC (as of some ligatures with accents), so it is applied twice.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()
    words = FEATURING.sub("", folded).replace("&", " and ")
    # Apostrophes go without a trace: "dont" is how many write "don't".
    words = re.sub(r"['\u2019\u2018`\u00b4]", "", words)
    return " ".join(re.sub(r"[\W_]+", " ", words).split()) or folded


def _stem(path: str) -> str:
    """Give a file's name without folder, and without a suffix that stands for sound."""
    # Tables from Windows part folders by backslashes.
    name = PurePath(path.replace("\\", "/")).name
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else name

"""Reading ratings from annotations.csv, a Label Studio export, or columns of any table.

Whether a file holds annotations or an export shows in its content.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Annotation
from mertools.artifacts.tables import open_table, parse_table
from mertools.errors import SchemaError
from mertools.labels.groups import TRACK_ID, Relatives
from mertools.labels.label_studio import (
    STRETCH,
    Conversion,
    is_export_header,
    read_csv,
    read_json,
)
from mertools.labels.ratings import Rating
from mertools.labels.records import read_records

ANNOTATOR_ID = "annotator_id"
CACHED_RATINGS = 4096


@dataclass
class Reader:
    """Reads the ratings of several files.

    conversion: what ratings mean. columns: for each target, the column of its ratings, where files
    are other tables than annotations. relatives: gathers which tracks belong together, where a file
    says so.
    """

    conversion: Conversion
    columns: Mapping[str, str] = field(default_factory=dict)
    relatives: Relatives | None = None
    _n_rows: Counter[str] = field(default_factory=Counter)
    _rating: Callable[[str, str], float | str] = field(init=False)

    def __post_init__(self) -> None:
        # Most ratings are among few values, and converting one takes as long as reading its row.
        self._rating = lru_cache(CACHED_RATINGS)(self.conversion.rating)

    def read(self, source: str) -> Iterator[Rating]:
        """Yield the ratings in a file, or on standard input for "-".

        Raises UsageError where it cannot be read, SchemaError naming the line or task that breaks
        its format.
        """
        name = "standard input" if source == STANDARD_STREAM else source
        with open_table(source) as stream:
            # The first line shows the format. It is put back, as standard input cannot be read
            # twice.
            first = next((line for line in stream if line.strip()), "")
            lines: Iterable[str] = chain([first] if first else [], stream)
            header = _parse_header(first)
            if self.relatives is not None and self.relatives.are_in(header):
                # Read twice: once for the groups and once for the ratings.
                lines = list(lines)
                self.relatives.read(lines, name)
            if self.columns:
                yield from self._read_columns(lines, name, header)
            elif first.lstrip().startswith(("[", "{")):
                yield from read_json("".join(lines), name, self.conversion)
            elif is_export_header(header):
                yield from read_csv(lines, name, self.conversion)
            else:
                yield from self._read_annotations(lines, name)

    def _read_annotations(self, lines: Iterable[str], name: str) -> Iterator[Rating]:
        counted = _CountedLines(lines)
        for row in parse_table(counted, Annotation, name):
            if not self.conversion.is_wanted(row.target):
                continue
            where = f"line {counted.n_read}, column value"
            value = self._convert(row.target, row.value or "", name, where)
            yield Rating(row.track_id, row.annotator_id, row.target, value, row.start, row.duration)

    def _read_columns(
        self, lines: Iterable[str], name: str, header: Sequence[str]
    ) -> Iterator[Rating]:
        """Yield a rating a row and target.

        Without a column annotator_id, a track's rows are by as many annotators. A stretch needs
        both of its columns: `duration` alone is the length of a file.
        """
        for column in (TRACK_ID, *self.columns.values()):
            if column not in header:
                raise SchemaError(
                    name,
                    f"has no column {column} (found: {', '.join(header)[:100]})",
                    "give a table with the columns track_id and those that --column names",
                )
        has_stretches = set(STRETCH) <= set(header)
        for line, record in read_records(lines, name):
            track_id = record[TRACK_ID]
            self._n_rows[track_id] += 1
            annotator = record.get(ANNOTATOR_ID) or str(self._n_rows[track_id])
            if not track_id:
                raise SchemaError(name, f"line {line}, column track_id is empty", "fill it in")
            stretch = _parse_stretch(record, name, line) if has_stretches else (None, None)
            for target, column in self.columns.items():
                if not self.conversion.is_wanted(target):
                    continue
                value = self._convert(target, record[column], name, f"line {line}, column {column}")
                yield Rating(track_id, annotator, target, value, *stretch)

    def _convert(self, target: str, text: str, name: str, where: str) -> float | str | None:
        """Turn a cell into a rating; None where it is empty. `where` names it in errors."""
        if not text.strip():
            return None
        try:
            return self._rating(target, text)
        except ValueError as error:
            raise SchemaError(
                name,
                f"{where} {error}",
                f"correct it, name the classes of {target} with --classes, or give its scale with "
                f"--scale {target}=LOW..HIGH",
            ) from None


def read_ratings(source: str, conversion: Conversion) -> Iterator[Rating]:
    """Yield the ratings in annotations.csv or an export of Label Studio; see `Reader.read`."""
    return Reader(conversion).read(source)


def _parse_header(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []  # whatever it is, the reader of tables says what is wrong with it


def _parse_stretch(
    record: Mapping[str, str], name: str, line: int
) -> tuple[float, float] | tuple[None, None]:
    texts = [record[column].strip() for column in STRETCH]
    if not any(texts):
        return None, None
    try:
        start, duration = (float(text) for text in texts)
        if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
            raise ValueError
    except ValueError:
        raise SchemaError(
            name,
            f"line {line} has the start {texts[0]!r} and the duration {texts[1]!r}",
            "give both in seconds, from 0 up, or none for the whole track",
        ) from None
    return start, duration


class _CountedLines:
    """Counts the lines it hands on, so that a row just parsed can be traced to its line."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.n_read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.n_read += 1
        return line

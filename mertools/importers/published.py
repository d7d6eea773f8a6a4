"""Reading tables that others published: any order of columns, spelling of names and encoding."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mertools.errors import InputError, SchemaError, UsageError
from mertools.targets.scale import Range

UNKNOWN = frozenset(("", "nan", "n/a", "null", "none"))
"""Cells that stand for a number that is not known, in lower case."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a published table: its cells by simplified column name (see `simplify_name`)."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Give a cell's text. Raises InputError where it is empty."""
        if not self.cells.get(column):
            raise self.error(f"has no {column}")
        return self.cells[column]

    def key(self, column: str) -> str:
        """Give the key of a track; numbers that another program wrote as 12.0 are 12."""
        return self.text(column).removesuffix(".0")

    def number(self, column: str, scale: Range | None = None) -> float | None:
        """Give a cell's number, None where it is not known.

        Raises InputError where it is no number, or lies outside the scale.
        """
        cell = self.cells.get(column, "")
        if cell.lower() in UNKNOWN:
            return None
        try:
            value = float(cell)
        except ValueError:
            raise self.error(f"has the {column} {cell!r}, which is no number") from None
        if scale is not None and value not in scale:
            raise self.error(f"has the {column} {cell}, outside {scale}")
        return value

    def error(self, problem: str) -> InputError:
        """Describe what is wrong with this row."""
        return InputError(self.path, f"line {self.line} {problem}", "take the file as published")


def read_published(path: Path, columns: Sequence[str] = ()) -> Iterator[Record]:
    """Read a published table's rows. Cells beyond the header are dropped, blanks stripped.

    Raises UsageError where it cannot be read, SchemaError where it lacks one of `columns`.
    """
    # Blanks after commas come before quotes, too, which csv otherwise takes for part of the cell.
    reader = csv.reader(read_text(path).splitlines(keepends=True), skipinitialspace=True)
    try:
        header = [simplify_name(name) for name in next(reader, [])]
        if missing := [column for column in columns if column not in header]:
            raise SchemaError(
                path,
                f"has no column {missing[0]} (found: {', '.join(header)[:100]})",
                "take the file as published",
            )
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                # Some published rows have more cells than the header has names.
                yield Record(path, reader.line_num, dict(zip(header, cells, strict=False)))
    except csv.Error as error:
        raise SchemaError(
            path, f"line {reader.line_num} is not CSV ({error})", "take the file as published"
        ) from None


def parse_each(
    records: Iterator[Record], parse: Callable[[Record], T], failures: list[InputError]
) -> Iterator[T]:
    """Parse each record; one that cannot be is added to `failures`, and the others go on."""
    for record in records:
        try:
            yield parse(record)
        except InputError as error:
            failures.append(error)


def simplify_name(name: str) -> str:
    """Simplify a column's name: `Arousal(mean)` and ` arousal mean` are `arousal_mean`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def read_text(path: Path) -> str:
    """Read a published text: UTF-8, else Latin-1.

    Raises UsageError where it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            path, f"cannot be read ({error.strerror})", "take the file as published"
        ) from None
    # Latin-1 gives some text for any bytes: an accent may be wrong, the numbers are not.
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")

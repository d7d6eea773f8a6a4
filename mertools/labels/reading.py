"""Reading ratings from the project's own table or a Label Studio export, told apart by content."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Annotation
from mertools.artifacts.tables import open_table, parse_table
from mertools.errors import SchemaError
from mertools.labels.label_studio import Conversion, is_export_header, read_csv, read_json


def read_ratings(source: str, conversion: Conversion) -> Iterator[Annotation]:
    """Yield the ratings in a file, or on standard input for "-".

    Raises UsageError where it cannot be read, SchemaError naming the place that breaks its format.
    """
    name = "standard input" if source == STANDARD_STREAM else source
    with open_table(source) as stream:
        first = next((line for line in stream if line.strip()), "")
        lines = chain([first] if first else [], stream)
        if first.lstrip().startswith(("[", "{")):
            yield from read_json("".join(lines), name, conversion)
        elif is_export_header(_header(first)):
            yield from read_csv(lines, name, conversion)
        else:
            yield from _read_table(lines, name, conversion)


def _header(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []  # whatever it is, the reader of tables says what is wrong with it


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


def _read_table(lines: Iterable[str], name: str, conversion: Conversion) -> Iterator[Annotation]:
    counted = _CountedLines(lines)
    for row in parse_table(counted, Annotation, name):
        if not conversion.is_wanted(row.target):
            continue
        try:
            conversion.scales.check(row.target, row.value)
        except ValueError as error:
            raise SchemaError(
                name,
                f"line {counted.n_read}, column value {error}",
                f"correct it, or name the classes of {row.target} with --classes",
            ) from None
        yield row

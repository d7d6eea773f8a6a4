"""Rows of CSV tables that have no schema here: an export of another program, a list of splits."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from mertools.errors import SchemaError


def read_records(lines: Iterable[str], name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row by its columns, with the number of its last line; `name` is for errors.

    Raises SchemaError naming the line that is not CSV, or has not a cell for each column.
    """
    reader = csv.DictReader(lines, strict=True)
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            problem = f"line {reader.line_num + 1} is not CSV ({error})"
            raise SchemaError(name, problem, "give a CSV table in UTF-8") from None
        if record is None:
            return
        if None in record or None in record.values():
            problem = f"line {reader.line_num} has not as many cells as the header"
            raise SchemaError(name, problem, "quote cells that hold commas")
        yield reader.line_num, record

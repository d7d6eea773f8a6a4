"""Tables that a command makes: CSV in a file or on a pipe, drawn on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mertools.artifacts.files import STANDARD_STREAM, open_output
from mertools.artifacts.tables import Row, TableWriter, row_cells, table_header
from mertools.cli import console


@contextmanager
def open_table_output(
    target: str, row_type: type[Row], n_classes: int = 0
) -> Iterator[Callable[[Row], None]]:
    """Give a function that writes a row to `target`, at once where somebody reads a pipe."""
    if target == STANDARD_STREAM and sys.stdout.isatty():
        rows: list[list[str]] = []
        yield lambda row: rows.append(row_cells(row, n_classes))
        console.print_table("", table_header(row_type, n_classes), rows, stdout=True)
        return
    with open_output(target) as stream:
        writer = TableWriter(stream, row_type, n_classes)

        def write(row: Row) -> None:
            writer.write(row)
            if target == STANDARD_STREAM:
                stream.flush()

        stream.flush()
        yield write

"""Tables that a command makes: CSV in a file or on a pipe, drawn on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

from mertools.artifacts.files import STANDARD_STREAM, open_output
from mertools.artifacts.tables import (
    Row,
    TableWriter,
    format_cell,
    round_number,
    row_values,
    table_header,
)
from mertools.cli.console import draw_table

Format = Literal["table", "csv", "json"]
Write = Callable[[Row], None]


@contextmanager
def open_table_output(
    target: str, row_type: type[Row], n_classes: int = 0, form: Format | None = None
) -> Iterator[Write]:
    """Give a function that writes a row to `target`, at once where somebody reads a pipe.

    Without `form` rows are drawn as a table on a terminal and are CSV elsewhere.
    """
    if form is None:
        on_terminal = target == STANDARD_STREAM and sys.stdout.isatty()
        form = "table" if on_terminal else "csv"
    writer = {"table": _write_table, "csv": _write_csv, "json": _write_json}[form]
    with open_output(target) as stream, writer(stream, row_type, n_classes) as write:
        yield write


@contextmanager
def _write_csv(stream: TextIO, row_type: type[Row], n_classes: int) -> Iterator[Write]:
    writer = TableWriter(stream, row_type, n_classes)
    stream.flush()

    def write(row: Row) -> None:
        writer.write(row)
        if stream is sys.stdout:
            stream.flush()

    yield write


@contextmanager
def _write_json(stream: TextIO, row_type: type[Row], n_classes: int) -> Iterator[Write]:
    """Write an array of objects whose keys are the table's columns."""
    columns = table_header(row_type, n_classes)
    separator = "["

    def write(row: Row) -> None:
        nonlocal separator
        values = (
            round_number(value, row.any_size) if isinstance(value, float) else value
            for value in row_values(row, n_classes)
        )
        content = dict(zip(columns, values, strict=True))
        stream.write(f"{separator}\n  {json.dumps(content, ensure_ascii=False)}")
        separator = ","

    yield write
    stream.write("\n]\n" if separator == "," else "[]\n")


@contextmanager
def _write_table(stream: TextIO, row_type: type[Row], n_classes: int) -> Iterator[Write]:
    rows: list[Row] = []
    yield rows.append
    cells = [
        [
            format(value, ".3g" if row.any_size else ".3f")
            if isinstance(value, float)
            else format_cell(value)
            for value in row_values(row, n_classes)
        ]
        for row in rows
    ]
    columns = table_header(row_type, n_classes)
    draw_table("", columns, cells, stream)

"""Tables that a command makes: CSV in a file or on a pipe, drawn on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO

from mertools.artifacts.files import STANDARD_STREAM, open_output
from mertools.artifacts.rows import Row
from mertools.artifacts.tables import (
    TableWriter,
    format_cell,
    round_number,
    row_values,
    table_header,
)
from mertools.cli.shared.console import draw_table
from mertools.cli.shared.options import Form

Write = Callable[[Row], None]
Draw = Callable[[list[Any], TextIO], None]
"""Draws rows on a stream, once all are known."""


@contextmanager
def open_table_output(
    target: str,
    row_type: type[Row],
    n_classes: int = 0,
    form: Form | None = None,
    *,
    optional: Collection[str] = (),
    draw: Draw | None = None,
) -> Iterator[Write]:
    """Give a function that writes a row to `target`, at once where somebody reads a pipe.

    Without `form` rows are drawn as a table on a terminal and are CSV elsewhere. `draw` draws them
    otherwise than with the columns that they have in CSV; `optional` is as in `TableWriter`.
    """
    if form is None:
        on_terminal = target == STANDARD_STREAM and sys.stdout.isatty()
        form = "table" if on_terminal else "csv"
    with open_output(target) as stream:
        if form == "table":
            rows: list[Row] = []
            yield rows.append
            (draw or partial(_draw_columns, row_type, n_classes, optional))(rows, stream)
            return
        writer = _write_csv if form == "csv" else _write_json
        with writer(stream, row_type, n_classes, optional) as write:
            yield write


@contextmanager
def _write_csv(
    stream: TextIO, row_type: type[Row], n_classes: int, optional: Collection[str]
) -> Iterator[Write]:
    writer = TableWriter(stream, row_type, n_classes, optional)
    stream.flush()

    def write(row: Row) -> None:
        writer.write(row)
        if stream is sys.stdout:
            stream.flush()

    yield write


@contextmanager
def _write_json(
    stream: TextIO, row_type: type[Row], n_classes: int, optional: Collection[str]
) -> Iterator[Write]:
    """Write an array of objects whose keys are the table's columns."""
    columns = table_header(row_type, n_classes, optional)
    separator = "["

    def write(row: Row) -> None:
        nonlocal separator
        values = (
            round_number(value, row.any_size) if isinstance(value, float) else value
            for value in row_values(row, n_classes, optional)
        )
        content = dict(zip(columns, values, strict=True))
        stream.write(f"{separator}\n  {json.dumps(content, ensure_ascii=False)}")
        separator = ","

    yield write
    stream.write("\n]\n" if separator == "," else "[]\n")


def _draw_columns(
    row_type: type[Row], n_classes: int, optional: Collection[str], rows: list[Row], stream: TextIO
) -> None:
    cells = [
        [
            format(value, ".3g" if row.any_size else ".3f")
            if isinstance(value, float)
            else format_cell(value)
            for value in row_values(row, n_classes, optional)
        ]
        for row in rows
    ]
    columns = table_header(row_type, n_classes, optional)
    draw_table("", columns, cells, stream)

"""Tables that a command makes: CSV or JSON in a file or on a pipe, drawn on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mertools.artifacts.files import STANDARD_STREAM, open_output
from mertools.artifacts.rows import Row
from mertools.artifacts.tables import (
    TableWriter,
    format_cell,
    round_number,
    row_values,
    table_header,
    write_cells,
)
from mertools.cli.shared.console import draw_table
from mertools.cli.shared.options import Form

Write = Callable[[Row], None]
Draw = Callable[[list[Any], TextIO], None]
"""Draws rows on a stream, once all are known."""

ENDINGS: Mapping[str, Form] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}
"""The forms that the ending of an output's name decides."""


@contextmanager
def open_table_output(
    target: str,
    row_type: type[Row],
    n_classes: int = 0,
    form: Form | None = None,
    *,
    optional: Collection[str] = (),
    draw: Draw | None = None,
    describe: Callable[[Any], Mapping[str, object]] | None = None,
) -> Iterator[Write]:
    """Give a function that writes a row to `target`, at once where somebody reads a pipe.

    `form` is as `choose_form` has it. `draw` draws rows otherwise than with the columns that they
    have in CSV; `describe` gives what a row has in JSON beside these columns; `optional` is as in
    `TableWriter`.
    """
    form = choose_form(target, form)
    with open_output(target) as stream:
        if form == "table":
            rows: list[Row] = []
            yield rows.append
            (draw or partial(_draw_columns, row_type, n_classes, optional))(rows, stream)
            return
        if form == "csv":
            with _write_csv(stream, row_type, n_classes, optional) as write:
                yield write
            return
        columns = table_header(row_type, n_classes, optional)
        with write_json(stream, lines=form == "jsonl") as write_object:

            def write_row(row: Row) -> None:
                values = (
                    round_number(value, row.any_size) if isinstance(value, float) else value
                    for value in row_values(row, n_classes, optional)
                )
                more = describe(row) if describe is not None else {}
                write_object(dict(zip(columns, values, strict=True)) | dict(more))

            yield write_row


def choose_form(target: str, form: Form | None) -> Form:
    """Choose the form of rows: what is asked for, else what the ending of `target` says.

    A name of another ending is CSV; on a terminal rows are drawn as a table.
    """
    if form is not None:
        return form
    if target == STANDARD_STREAM:
        return "table" if sys.stdout.isatty() else "csv"
    return ENDINGS.get(Path(target).suffix.lower(), "csv")


@contextmanager
def _write_csv(
    stream: TextIO, row_type: type[Row], n_classes: int, optional: Collection[str]
) -> Iterator[Write]:
    writer = TableWriter(stream, row_type, n_classes, optional)
    # At once, so that a reader of the pipe knows the columns before the first row.
    stream.flush()

    def write(row: Row) -> None:
        writer.write(row)
        # A pipe is read while rows come; a file is written faster in whole buffers.
        if stream is sys.stdout:
            stream.flush()

    yield write


@contextmanager
def write_json(stream: TextIO, *, lines: bool) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Give a function that writes an object: a line each, or else together an array."""
    separator = "["

    def write(content: Mapping[str, object]) -> None:
        nonlocal separator
        text = json.dumps(content, ensure_ascii=False)
        stream.write(f"{text}\n" if lines else f"{separator}\n  {text}")
        separator = ","
        if lines and stream is sys.stdout:
            stream.flush()

    yield write
    if not lines:
        stream.write("\n]\n" if separator == "," else "[]\n")


def write_cells_as(
    target: str, form: Form | None, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write a table whose columns no row type names; `form` is as `choose_form` has it."""
    chosen = choose_form(target, form)
    with open_output(target) as stream:
        if chosen == "table":
            draw_table("", header, rows, stream)
        elif chosen == "csv":
            write_cells(stream, [header, *rows])
        else:
            with write_json(stream, lines=chosen == "jsonl") as write_object:
                for row in rows:
                    write_object(dict(zip(header, row, strict=True)))


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

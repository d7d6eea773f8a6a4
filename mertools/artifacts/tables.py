"""Reading and writing CSV tables, a row at a time, each checked against its schema."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, TypeVar

from mertools.artifacts.files import STANDARD_STREAM, standard_input
from mertools.artifacts.foreign import find_foreign, find_nearest
from mertools.artifacts.rows import COLUMN, OPTIONAL, Row
from mertools.artifacts.schema import REPEATED, Field, TableSchema, load_table_schema
from mertools.errors import SchemaError, UsageError

NUMBER_DECIMALS = 9
"""Numbers are written rounded to this: a nanosecond, a billionth of a probability."""

SIGNIFICANT_DIGITS = 9
"""Where numbers may be of any size, they are written rounded to this instead."""

QUOTE = '"'

R = TypeVar("R", bound=Row)


@contextmanager
def open_table(source: str) -> Iterator[TextIO]:
    """Open a CSV file, or standard input for "-", to read.

    Raises UsageError where it cannot be read.
    """
    if source == STANDARD_STREAM:
        yield text_stream(standard_input())
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115, as errors of the reader are not ours
    except OSError as error:
        raise UsageError(
            source, f"cannot be read ({error.strerror})", "give the path of a CSV table"
        ) from error
    with stream:
        yield text_stream(stream)


def text_stream(stream: IO[bytes]) -> TextIO:
    """Read bytes as the text of a table, as `open_table` does."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_table(source: str, row_type: type[R]) -> Iterator[R]:
    """Read a table's rows from a path or "-", checking each against the schema.

    Raises SchemaError naming the row and column that break it.
    """
    with open_table(source) as stream:
        yield from parse_table(stream, row_type, source)


def parse_table(
    stream: Iterable[str],
    row_type: type[R],
    source: str,
    report: Callable[[SchemaError], None] | None = None,
) -> Iterator[R]:
    """Parse rows from lines of CSV; `source` names them in errors. Further columns are ignored.

    Raises SchemaError naming the row and column that break the schema; where `report` is given, it
    is called with the error instead, and the row left out.
    """
    schema = load_table_schema(row_type.table)
    name = "standard input" if source == STANDARD_STREAM else source
    lines = iter(stream)
    first = next(lines, "")
    reader = csv.reader(itertools.chain([first] if first else [], lines), strict=True)
    try:
        header = _next_record(reader, name)
        if header is None:
            article = "an" if schema.name[0] in "aeiou" else "a"
            remedy = f"give {article} {schema.name} table"
            raise SchemaError(name, "is empty, without even a header", remedy)
        cells = _cells(schema, header, name)
    except SchemaError:
        if foreign := find_foreign(first):
            raise SchemaError(name, *foreign) from None
        raise
    attributes = _attributes(row_type)
    absent = _absent_values(row_type, cells)
    key_columns = [header.index(column) for column in schema.primary_key if column in header]
    seen: set[tuple[str, ...]] = set()
    while (record := _next_record(reader, name)) is not None:
        if not record:
            continue
        try:
            values = absent | _parse_record(record, cells, len(header))
            key = tuple(record[column_index] for column_index in key_columns)
            if key and key in seen:
                raise ValueError(f"has the key {', '.join(filter(None, key))} again")
            row = row_type(**{attributes[column]: value for column, value in values.items()})
            if problem := row.find_problem():
                raise ValueError(problem)
        except ValueError as error:
            broken = SchemaError(
                name, f"line {reader.line_num} {error}", f"see schemas/{schema.name}.schema.json"
            )
            if report is None:
                raise broken from None
            report(broken)
            continue
        # Only whole rows count, so that a broken one corrected below it is no repetition.
        seen.add(key)
        yield row


def _absent_values(
    row_type: type[Row], cells: Sequence[tuple[Field, Sequence[int]]]
) -> dict[str, Any]:
    """Give the value of each column that the table does not have and a row needs: None."""
    present = {field.name for field, _ in cells}
    required = {
        attribute.metadata.get(COLUMN, attribute.name)
        for attribute in dataclasses.fields(row_type)
        if attribute.default is dataclasses.MISSING
    }
    return dict.fromkeys(required - present)


def _parse_record(
    record: Sequence[str], cells: Sequence[tuple[Field, Sequence[int]]], n_columns: int
) -> dict[str, Any]:
    """Parse a record's cells by column; raise ValueError, naming the column that is wrong."""
    if len(record) != n_columns:
        raise ValueError(f"has {len(record)} cells, the header {n_columns}")
    if any("\0" in cell for cell in record):
        raise ValueError("has a NUL character, which no text has")
    values: dict[str, Any] = {}
    for field, columns in cells:
        repeated = REPEATED in field.name
        parsed = []
        for number, column_index in enumerate(columns):
            try:
                # Targets with fewer classes than others leave their last cells empty.
                optional = repeated and record[column_index] == ""
                parsed.append(None if optional else field.parse(record[column_index]))
            except ValueError as error:
                column = field.name.replace(REPEATED, str(number + 1))
                raise ValueError(f"column {column} {error}") from None
        if repeated:
            values[field.name] = _without_empty_end(field.name, parsed)
        else:
            values[field.name] = parsed[0]
    return values


def _without_empty_end(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Leave out what is empty at the end; raise ValueError where an empty cell is among others."""
    filled = tuple(itertools.takewhile(lambda value: value is not None, values))
    if any(value is not None for value in values[len(filled) :]):
        raise ValueError(f"column {name.replace(REPEATED, str(len(filled) + 1))} is empty")
    return filled


class TableWriter:
    """Writes rows of one table as CSV, the header at once and each row as it comes.

    `optional` names the columns to write of those that are only written where they are asked for;
    `n_classes` is how often a column that repeats stands.
    """

    def __init__(
        self,
        stream: TextIO,
        row_type: type[Row],
        n_classes: int = 0,
        optional: Collection[str] = (),
    ) -> None:
        self._stream = stream
        self._n_classes = n_classes
        self._optional = optional
        stream.write(_format_record(table_header(row_type, n_classes, optional)))

    def write(self, row: Row) -> None:
        """Write a row."""
        self._stream.write(_format_record(row_cells(row, self._n_classes, self._optional)))


def table_header(
    row_type: type[Row], n_classes: int = 0, optional: Collection[str] = ()
) -> list[str]:
    """Name a table's columns; the arguments are as in `TableWriter`."""
    left_out = _left_out(row_type, optional)
    return [c for c in load_table_schema(row_type.table).header(n_classes) if c not in left_out]


def row_cells(row: Row, n_classes: int = 0, optional: Collection[str] = ()) -> list[str]:
    """Write a row's values as cells, in the order of `table_header`."""
    return [format_cell(value, row.any_size) for value in row_values(row, n_classes, optional)]


def row_values(row: Row, n_classes: int = 0, optional: Collection[str] = ()) -> list[object]:
    """Give a row's values in the order of `table_header`; None is an empty cell."""
    values: list[object] = []
    attributes = _attributes(type(row))
    left_out = _left_out(type(row), optional)
    for field in load_table_schema(row.table).fields:
        if field.name in left_out:
            continue
        value = getattr(row, attributes[field.name])
        if REPEATED in field.name:
            values += [*value, *[None] * (n_classes - len(value))]
        else:
            values.append(value)
    return values


def _left_out(row_type: type[Row], optional: Collection[str]) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(row_type)
        if OPTIONAL in field.metadata and field.name not in optional
    ]


def write_table(
    stream: TextIO,
    row_type: type[R],
    rows: Iterable[R],
    n_classes: int = 0,
    optional: Collection[str] = (),
) -> None:
    """Write a whole table; the arguments are as in `TableWriter`."""
    writer = TableWriter(stream, row_type, n_classes, optional)
    for row in rows:
        writer.write(row)


def write_cells(stream: TextIO, records: Iterable[Sequence[str]]) -> None:
    """Write lines of cells, as of a table with further columns than its schema has."""
    for cells in records:
        stream.write(_format_record(cells))


def format_cell(value: object, any_size: bool = False) -> str:
    """Write a value as the cell of a table; a number of any size keeps significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(round_number(value, any_size))
    return str(value)


def round_number(value: float, any_size: bool = False) -> float:
    """Round a number as it is written in a table."""
    # Not a numpy number, whose repr names its type; and no negative zero.
    value = float(value)
    rounded = (
        float(f"{value:.{SIGNIFICANT_DIGITS}g}") if any_size else round(value, NUMBER_DECIMALS)
    )
    return rounded + 0.0


def _format_record(cells: Sequence[str]) -> str:
    """Join cells to a line; csv.writer would leave a lone carriage return without quotes."""
    quoted = (
        f'"{cell.replace(QUOTE, QUOTE * 2)}"' if any(c in cell for c in ',"\r\n') else cell
        for cell in cells
    )
    return ",".join(quoted) + "\n"


def _next_record(reader: Any, name: str) -> list[str] | None:
    try:
        record: list[str] | None = next(reader, None)
    except (csv.Error, UnicodeError) as error:
        raise SchemaError(
            name,
            f"line {max(1, reader.line_num)} is not CSV ({error})",
            "give a CSV table in UTF-8",
        ) from None
    return record


def _cells(
    schema: TableSchema, header: Sequence[str], name: str
) -> list[tuple[Field, Sequence[int]]]:
    """Find each field's columns in the header; a field that may be absent is left out."""
    cells: list[tuple[Field, Sequence[int]]] = []
    for field in schema.fields:
        if header.count(field.name) > 1:
            raise SchemaError(name, f"has two columns {field.name}", "rename or remove one")
        if REPEATED in field.name:
            columns: list[int] = []
            while (numbered := field.name.replace(REPEATED, str(len(columns) + 1))) in header:
                columns.append(header.index(numbered))
        else:
            columns = [header.index(field.name)] if field.name in header else []
        if columns:
            cells.append((field, columns))
        elif field.required:
            missing = field.name.replace(REPEATED, "1")
            unknown = set(header) - {known.name for known in schema.fields}
            near = find_nearest(missing, unknown)
            raise SchemaError(
                name,
                f"has no column {missing} (found: {', '.join(header)[:100]})",
                f"rename its column {near}"
                if near
                else f"give a table as schemas/{schema.name}.schema.json has it",
            )
    return cells


def _attributes(row_type: type[Row]) -> dict[str, str]:
    """Map a row type's columns to its attributes."""
    return {
        attribute.metadata.get(COLUMN, attribute.name): attribute.name
        for attribute in dataclasses.fields(row_type)
    }

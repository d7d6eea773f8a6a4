"""Checking any artifact against its schema, whatever program wrote it."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.features_check import HDF5_MAGIC, find_problems, open_hdf5
from mertools.artifacts.foreign import find_foreign, find_nearest
from mertools.artifacts.model_file import HEAD_BYTES, is_model, read_card_json, read_model
from mertools.artifacts.rows import (
    Alignment,
    Annotation,
    Congruence,
    CrossValidation,
    Failure,
    Fold,
    History,
    Label,
    Lyrics,
    Model,
    Note,
    Prediction,
    Ranking,
    Row,
    Segment,
    Tag,
    TagCoverage,
    Track,
)
from mertools.artifacts.schema import load_schema, load_table_schema
from mertools.artifacts.tables import open_table, parse_table
from mertools.errors import SchemaError, UsageError

ROW_TYPES: tuple[type[Row], ...] = (
    Segment,
    Explanation,
    Prediction,
    Label,
    Annotation,
    Alignment,
    Congruence,
    Ranking,
    Note,
    Failure,
    Fold,
    History,
    CrossValidation,
    Model,
    TagCoverage,
    Tag,
    Lyrics,
    Track,
)
"""The more particular before the more general: a table of segments has all columns of tracks."""

JSON_SCHEMAS = {
    "metrics": "metrics.json",
    "alignment": "alignment.json",
    "congruence": "congruence.json",
}
"""By what a JSON file says that it is."""

NEVER_EMPTY: tuple[type[Row], ...] = (
    Segment,
    Prediction,
    Label,
    Annotation,
    Fold,
    Track,
    Tag,
    Lyrics,
)
"""Tables that commands read, and refuse where there is nothing in them."""


def artifact_kind(path: Path) -> str:
    """Tell what an artifact is by its content: "features", "model", "json" or a table's name.

    Raises UsageError where the file cannot be read, SchemaError where it is no artifact.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UsageError(path, f"cannot be read ({error.strerror})", "check the path") from None
    if not head:
        raise SchemaError(path, "is empty", "make it again")
    if head.startswith(HDF5_MAGIC):
        return "features"
    if is_model(head):
        return "model"
    if head.lstrip()[:1] == b"{":
        return "json"
    return find_row_type(path).table


def find_row_type(path: Path) -> type[Row]:
    """Tell which table a CSV file is by its header.

    Raises SchemaError where it is none.
    """
    with open_table(str(path)) as stream:
        first = stream.readline()
        try:
            header = next(csv.reader(itertools.chain([first], stream)), [])
        except csv.Error:
            header = []
    for row_type in ROW_TYPES:
        fields = load_table_schema(row_type.table).fields
        required = {field.name.replace("{k}", "1") for field in fields if field.required}
        required |= set(row_type.known_by)
        # A table of segments that lacks a column is no table of tracks.
        if required <= set(header) and not (row_type is Track and "segment_id" in header):
            return row_type
    if foreign := find_foreign(first):
        raise SchemaError(path, *foreign)
    raise SchemaError(
        path,
        f"is no artifact of mer: no table has just the columns {', '.join(header)[:200]}",
        _nearest_table(header) or "see schemas/ for the columns that each needs",
    )


def _nearest_table(header: Sequence[str]) -> str | None:
    """Say which column to rename, where one of a table's columns is misspelt."""
    for row_type in ROW_TYPES:
        fields = load_table_schema(row_type.table).fields
        required = {field.name.replace("{k}", "1") for field in fields if field.required}
        missing = required - set(header)
        unknown = set(header) - {field.name for field in fields}
        column = missing.pop() if len(missing) == 1 else ""
        if near := find_nearest(column, unknown):
            return f"rename its column {near} to {column} ({row_type.table})"
    return None


def problems_of(path: Path) -> Iterator[str]:
    """Yield what breaks an artifact's schema, naming the row, column or dataset.

    Raises UsageError where the file cannot be read, SchemaError where it is no artifact.
    """
    kind = artifact_kind(path)
    if kind == "features":
        with open_hdf5(path) as file:
            yield from find_problems(file, thorough=True)
    elif kind == "model":
        read_model(path)
        yield from _json_problems(read_card_json(path), "model.card.json")
    elif kind == "json":
        yield from _json_file_problems(path)
    else:
        yield from _table_problems(path)


def _table_problems(path: Path) -> Iterator[str]:
    row_type = find_row_type(path)
    problems: list[str] = []
    agreement = _Agreement()
    is_empty = True
    with open_table(str(path)) as stream:
        for row in parse_table(
            stream, row_type, str(path), lambda error: problems.append(error.problem)
        ):
            is_empty = False
            if problem := agreement.find_problem(row):
                problems.append(problem)
            yield from problems
            problems.clear()
    if is_empty and not problems and row_type in NEVER_EMPTY:
        yield "has a header, but no rows"
    yield from problems


class _Agreement:
    """Checks that all rows of a target have the same scale and classes."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[object, ...]] = {}
        self._classes: dict[tuple[str, int], str | None] = {}

    def find_problem(self, row: Row) -> str | None:
        """Say how a row differs from the first one of its target."""
        if isinstance(row, Label):
            found: tuple[object, ...] = (row.scale, len(row.distribution))
        elif isinstance(row, Prediction):
            found = (row.scale, row.classes)
        else:
            return None
        first = self._first.setdefault(row.target, found)
        if found == first:
            return self._class_problem(row) if isinstance(row, Label) else None
        what = "classes" if found[0] == first[0] else "a scale"
        return f"track {row.track_id}: has other {what} of {row.target} than the rows before"

    def _class_problem(self, row: Label) -> str | None:
        """Say that a label is another class here than in a row before."""
        if row.label is None:
            return None
        name = self._classes.setdefault((row.target, row.label), row.class_name)
        if name == row.class_name:
            return None
        return (
            f"track {row.track_id}: has {row.class_name!r} as class {row.label} of {row.target}, "
            f"the rows before have {name!r}"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises SchemaError where it is cut off, no JSON, or nested deeper than any of ours.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SchemaError(path, f"is no whole JSON ({error})", "make it again") from None
    if not isinstance(content, dict):
        raise SchemaError(path, "holds no JSON object", "give metrics.json or alignment.json")
    return content


def _json_file_problems(path: Path) -> Iterator[str]:
    content = read_json(path)
    schema_file = JSON_SCHEMAS.get(str(content.get("schema")))
    if schema_file is None:
        known = " or ".join(JSON_SCHEMAS)
        raise SchemaError(path, f"does not say under schema that it is {known}", "make it again")
    yield from _json_problems(content, schema_file)


def _json_problems(content: object, schema_file: str) -> Iterator[str]:
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(load_schema(schema_file)).iter_errors(content):
        yield f"{error.json_path}: {error.message[:200]}"

"""Checking any artifact against its schema, whatever program made it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from mertools.artifacts.features_check import HDF5_MAGIC, find_problems, open_hdf5
from mertools.artifacts.model_file import HEAD_BYTES, is_model, read_card_json, read_model
from mertools.artifacts.rows import (
    Alignment,
    Annotation,
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
    Prediction,
    Label,
    Annotation,
    Alignment,
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

JSON_SCHEMAS = {"metrics": "metrics.json", "alignment": "alignment.json"}
"""By what a JSON file says that it is."""

DISTRIBUTION_TOLERANCE = 1e-6


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
        try:
            header = next(csv.reader(stream), [])
        except csv.Error:
            header = []
    for row_type in ROW_TYPES:
        fields = load_table_schema(row_type.table).fields
        required = {field.name.replace("{k}", "1") for field in fields if field.required}
        required |= set(row_type.known_by)
        if required <= set(header):
            return row_type
    raise SchemaError(
        path,
        f"is no artifact of mer: no table has just the columns {', '.join(header)[:200]}",
        "see schemas/ for the columns that each needs",
    )


def problems_of(path: Path) -> Iterator[str]:
    """Yield what breaks an artifact's schema, naming the row, column or dataset.

    Raises UsageError where the file cannot be read, SchemaError where nothing can be made of it.
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
    with open_table(str(path)) as stream:
        for row in parse_table(
            stream, row_type, str(path), lambda error: problems.append(error.problem)
        ):
            if isinstance(row, (Label, Prediction)):
                shares = row.distribution if isinstance(row, Label) else row.posteriors
                if shares and abs(sum(shares) - 1) > DISTRIBUTION_TOLERANCE * len(shares):
                    n = len(shares)
                    problems.append(f"track {row.track_id}: p_1 to p_{n} add up to {sum(shares)}")
            yield from problems
            problems.clear()
    yield from problems


def _json_file_problems(path: Path) -> Iterator[str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SchemaError(path, f"is no whole JSON ({error})", "make it again") from None
    schema_file = JSON_SCHEMAS.get(str(content.get("schema")))
    if schema_file is None:
        known = " or ".join(JSON_SCHEMAS)
        raise SchemaError(path, f"does not say under schema that it is {known}", "make it again")
    yield from _json_problems(content, schema_file)


def _json_problems(content: object, schema_file: str) -> Iterator[str]:
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(load_schema(schema_file)).iter_errors(content):
        yield f"{error.json_path}: {error.message[:200]}"

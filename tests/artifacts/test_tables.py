from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.artifacts.explanation_rows import Explanation
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
from mertools.artifacts.schema import TABLES, load_table_schema
from mertools.artifacts.tables import parse_table, table_header, write_table
from mertools.errors import SchemaError

ROW_TYPES: list[type[Row]] = [
    Track,
    Segment,
    Annotation,
    Label,
    Prediction,
    Explanation,
    Alignment,
    Congruence,
    Ranking,
    Note,
    Fold,
    History,
    CrossValidation,
    Model,
    Failure,
    Lyrics,
    Tag,
    TagCoverage,
]

# A carriage return alone is a line end in CSV, NUL cannot stand in one.
names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1)


def test_every_table_has_a_row_type() -> None:
    assert sorted(row_type.table for row_type in ROW_TYPES) == sorted(TABLES)


@pytest.mark.parametrize("row_type", ROW_TYPES)
def test_schemas_and_row_types_name_the_same_columns(row_type: type[Row]) -> None:
    schema = load_table_schema(row_type.table)
    columns = [f.metadata.get("column", f.name) for f in dataclasses.fields(row_type)]
    assert sorted(columns) == sorted(field.name for field in schema.fields)


@given(st.lists(st.tuples(names, names), min_size=1, unique_by=lambda pair: pair[0]))
def test_any_name_survives_writing_and_reading(pairs: list[tuple[str, str]]) -> None:
    rows = [Track(track_id, path, 8000, 1, 5, 0.000625, None) for track_id, path in pairs]
    stream = io.StringIO(newline="")
    write_table(stream, Track, rows)
    stream.seek(0)
    assert list(parse_table(stream, Track, "t.csv")) == rows


def test_columns_that_repeat_may_be_fewer_for_some_targets() -> None:
    rows = [
        Label("1", "a", 2, 1.5, 0.5, 0.5, 1, "low", True, (0.5, 0.5), "test"),
        Label("1", "b", 2, 2.0, 0.0, 0.0, 2, "mid", False, (0.0, 1.0, 0.0), None),
    ]
    stream = io.StringIO(newline="")
    write_table(stream, Label, rows, 3)
    header, first, second = stream.getvalue().splitlines()
    assert header.endswith("class,kept,p_1,p_2,p_3,split,scale")
    assert first.endswith("true,0.5,0.5,,test,")
    assert second.endswith("false,0.0,1.0,0.0,,")
    stream.seek(0)
    assert list(parse_table(stream, Label, "l.csv")) == rows


def test_columns_may_stand_in_any_order_among_others() -> None:
    lines = ["value,extra,target,annotator_id,track_id\n", "2,x,arousal,a,7\n"]
    assert list(parse_table(lines, Annotation, "a.csv")) == [Annotation("7", "a", "arousal", "2")]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,a,arousal,2,much,1", "line 2 column start is 'much', not a number"),
        ("1,a,arousal,2,nan,1", "not a finite number"),
        ("1,a,arousal,2,-1,1", "below 0"),
        ("1,a,arousal,2,1e10,1", "above 1e"),
        ("1,,arousal,2,0,1", "column annotator_id is empty"),
        ('1,"a,arousal,2,0,1', "not CSV|cells"),
    ],
)
def test_a_broken_cell_is_named(row: str, problem: str) -> None:
    lines = ["track_id,annotator_id,target,value,start,duration\n", f"{row}\n"]
    with pytest.raises(SchemaError, match=problem):
        list(parse_table(lines, Annotation, "a.csv"))


def test_a_report_goes_on_after_a_problem() -> None:
    header = "track_id,annotator_id,target,value,start\n"
    lines = [header, "1,a,t,1,x\n", "1,a,t,2,\n", "1,,t,2,\n"]
    problems: list[str] = []
    rows = list(parse_table(lines, Annotation, "a.csv", lambda e: problems.append(e.problem)))
    assert [row.value for row in rows] == ["2"]
    assert problems == [
        "line 2 column start is 'x', not a number",
        "line 4 column annotator_id is empty",
    ]


def test_headers_are_plain_csv() -> None:
    header = table_header(Prediction, 3)
    assert next(csv.reader([",".join(header)])) == header
    assert header[7:10] == ["p_1", "p_2", "p_3"]

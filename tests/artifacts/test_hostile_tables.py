"""Tables and JSON that are damaged or something else: each is a named breach of the schema."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.artifacts.journal import Journal
from mertools.artifacts.rows import Label, Prediction
from mertools.artifacts.schema import load_table_schema
from mertools.artifacts.tables import parse_table
from mertools.artifacts.validate import ROW_TYPES
from mertools.errors import SchemaError

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

SEGMENTS = "segment_id,track_id,path,start,duration,sample_rate\n"
PREDICTIONS = "level,track_id,segment_id,start,duration,target,classes,p_1,p_2,predicted,value\n"
LABELS = "track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,p_3,split\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (SEGMENTS.replace(",", ";") + "1;1;a.wav;0;1;8000\n", "is separated by semicolons"),
        (SEGMENTS.replace(",", "\t"), "is separated by tabs"),
        ((SEGMENTS + "1,1,a.wav,0,1,8000\n").encode("utf-16"), "is UTF-16"),
        (SEGMENTS.encode("utf-16-le"), "is UTF-16"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "is a sound file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a picture"),
        (b"PK\x03\x04\x14\0", "is a ZIP archive|is cut off or damaged"),
        (b"%PDF-1.4\n", "is a PDF"),
        (SEGMENTS.replace("duration", "durations"), "rename its column durations"),
        (SEGMENTS.replace("track_id", "trackid"), "rename its column trackid"),
        ("x" * 131_073 + "\n", "131072|no artifact|no column"),
        (SEGMENTS + "1,1,a.wav,0," + "1" * 131_073 + ",8000\n", "line 2 is not CSV"),
        (SEGMENTS + "1,1,a.wav,0," + "1" * 10_000 + ",8000\n", "duration"),
        (SEGMENTS + "1,1,a.wav,0,1," + "8" * 5_000 + "\n", "column sample_rate"),
        (SEGMENTS + "1,1,a.wav,,1,8000\n", "column start is empty"),
        (SEGMENTS + "1,1,a.wav,0,1.7e308,8000\n", "column duration is 1.7e308, above"),
        (SEGMENTS + "1,1,a.wav,nan,1,8000\n", "column start is 'nan'"),
        (SEGMENTS + '"1,1,a.wav,0,1,8000\n', "not CSV"),
        (SEGMENTS, "names no segment|no rows"),
    ],
)
def test_what_a_manifest_is_not(
    tmp_path: Path, mer: Mer, content: str | bytes, problem: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / "s.csv").write_bytes(data)
    for done in (
        mer("featurize", "s.csv", "-o", "f.h5", status=2),
        mer("validate", "s.csv", status=2),
    ):
        text = done.stdout + done.stderr
        assert any(part in text for part in problem.split("|")), text[:300]
        assert "fault" not in text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (PREDICTIONS, "no rows"),
        (PREDICTIONS + "track,1,,0,1,a,x|y|z,0.5,0.5,x,1\n", "2 posteriors for the 3 classes"),
        (PREDICTIONS + "track,1,,0,1,a,x|y,,1,x,1\n", "column p_1 is empty"),
        (
            PREDICTIONS + "track,1,,0,1,a,x|y,0.5,0.5,x,1\ntrack,2,,0,1,a,x|z,0.5,0.5,x,1\n",
            "other classes of a",
        ),
        (LABELS, "no rows"),
        (LABELS + "1,a,1,1,0,0,,low,true,1,0,0,\n", "lacks label"),
        (LABELS + "1,a,1,,0,0,1,low,true,1,0,0,\n", "no mean"),
        (LABELS + "1,a,1,1,0,0,4,low,true,1,0,0,\n", "label 4 of 3"),
        (LABELS + "1,a,1,1,0,0,1,low,true,1,0,0,\n2,a,1,1,0,0,1,low,true,1,0,,\n", "other classes"),
        (LABELS + "1,a,99999999999999999999,1,0,0,1,low,true,1,0,0,\n", "beyond"),
    ],
)
def test_what_validate_does_not_pass(tmp_path: Path, mer: Mer, content: str, problem: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    assert problem in mer("validate", "t.csv", status=2).stdout


@pytest.mark.parametrize("row_type", ROW_TYPES)
def test_no_cell_that_must_be_filled_may_be_empty(row_type: type) -> None:
    schema = load_table_schema(row_type.table)
    header = schema.header(2)
    lines = [",".join(header) + "\n", "," * (len(header) - 1) + "\n"]
    if any(field.required for field in schema.fields):
        with pytest.raises(SchemaError):
            list(parse_table(lines, row_type, "t.csv"))


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema": "metrics", "targets": ',
        '{"schema": ' + "9" * 10_000 + "}",
        '{"schema": ["metrics"]}',
        '{"schema": "metrics", "x": \xff}',
        "{" + "\0" * 100,
    ],
)
def test_damaged_json_is_a_breach_of_the_schema(tmp_path: Path, mer: Mer, content: str) -> None:
    (tmp_path / "m.json").write_bytes(content.encode("latin-1"))
    assert "m.json: " in mer("validate", "m.json", status=2).stdout
    done = mer("inspect", "m.json", status=None)
    assert done.returncode in (0, 2), done.stderr
    assert "fault" not in mer("aggregate-labels", "m.json", status=2).stderr


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("kind", ["zeros", "shape", "list", "noise", "fields"])
def test_no_journal_blocks_a_rerun(
    tmp_path: Path, mer: Mer, write_tone: WriteTone, kind: str, force: tuple[str, ...]
) -> None:
    write_tone(tmp_path / "a.wav", 2.0)
    (tmp_path / "in").mkdir()

    def record(header: object, data: bytes = b"") -> bytes:
        text = json.dumps(header).encode()
        checksum = zlib.crc32(data, zlib.crc32(text))
        return struct.pack("<IIQ", checksum, len(text), len(data)) + text + data

    row = {"segment_id": "a_0000", "track_id": "a", "start": 0.0, "colour": "red"}
    content = {
        "zeros": bytes(4096),
        "shape": record({"what": "else"}) + record({"kind": "notes"}),
        "list": record([1, 2]),
        "noise": random.Random(1).randbytes(5000),
        "fields": record({"kind": "handcrafted", "digest": "", "engine": "", "row": row}),
    }[kind]
    mer("featurize", "a.wav", "-o", "f.h5")
    expected = (tmp_path / "f.h5").read_bytes()
    (tmp_path / "f.h5").unlink()
    (tmp_path / ".f.h5.journal").write_bytes(content)
    mer("featurize", "a.wav", "-o", "f.h5", *force)
    assert (tmp_path / "f.h5").read_bytes() == expected
    (tmp_path / ".p.csv.journal").write_bytes(content)
    mer("predict", "a.wav", "-o", "p.csv")
    assert not list(tmp_path.glob(".*"))


def test_a_journal_goes_on_behind_what_is_whole(tmp_path: Path) -> None:
    with Journal(tmp_path / "x") as journal:
        journal.append({"n": 1}, b"abc")
    with (tmp_path / ".x.journal").open("ab") as stream:
        stream.write(bytes(1000))  # a power cut
    with Journal(tmp_path / "x") as journal:
        [(header, place)] = journal.records()
        assert (header, journal.read(place, 3)) == ({"n": 1}, b"abc")
        journal.append({"n": 2}, b"d")
        assert [header["n"] for header, _ in journal.records()] == [1, 2]
    assert (tmp_path / ".x.journal").stat().st_size < 100


def test_labels_and_predictions_of_fewer_classes_are_read() -> None:
    lines = [PREDICTIONS.replace("p_2", "p_2,p_3"), "track,1,,0,1,a,x|y,0.5,0.5,,x,1\n"]
    [row] = parse_table(lines, Prediction, "p.csv")
    assert row.posteriors == (0.5, 0.5)
    [label] = parse_table([LABELS, "1,a,1,1,0,0,1,low,true,1,0,,\n"], Label, "l.csv")
    assert label.distribution == (1.0, 0.0)


RATINGS = "track_id,annotator_id,target,value,start,duration\n"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("t,x,arousal,2.5,,\n", "line 2, column value is 2.5, not a rating of arousal"),
        ("t,x,arousal,1,,\nu,x,arousal,4,,\n", "line 3, column value is 4, not a rating"),
        ("t,x,arousal,happy,,\n", "'happy', which is no class of arousal"),
        ("t,x,mood,happy,,\nu,x,mood,1,,\n", "rates mood in numbers and in words"),
        ("t,x,arousal,2,,\nt,x,arousal,3,,\n", "again"),
        ("t,x,arousal,2,1.0,\n", "only one of start and duration"),
        ("", "no rows|no ratings"),
    ],
)
def test_validate_refuses_the_ratings_that_aggregate_labels_refuses(
    tmp_path: Path, mer: Mer, rows: str, problem: str
) -> None:
    (tmp_path / "a.csv").write_text(RATINGS + rows)
    for text in (
        mer("validate", "a.csv", status=2).stdout,
        mer("aggregate-labels", "a.csv", "-o", "l.csv", status=2).stderr,
    ):
        assert any(words in text for words in problem.split("|")), text


def test_ratings_are_valid_on_their_own_scale(tmp_path: Path, mer: Mer) -> None:
    (tmp_path / "a.csv").write_text(RATINGS + "t,x,arousal,2.5,,\nt,x,mood,7,,\n")
    mer("validate", "a.csv", "--scale", "arousal=1..9")
    mer("validate", "a.csv", "--scale", "arousal=1..2", status=2)
    mer("validate", "a.csv", "--scale", "arousal=x", status=2)


def test_a_class_has_one_name_in_all_rows(tmp_path: Path, mer: Mer) -> None:
    rows = "a,arousal,1,1,0,0,1,weak,true,1,0,0,\nb,arousal,1,1,0,0,1,calm,true,1,0,0,\n"
    (tmp_path / "l.csv").write_text(LABELS + rows)
    problem = "track b: has 'calm' as class 1 of arousal, the rows before have 'weak'"
    assert problem in mer("validate", "l.csv", status=2).stdout


@pytest.mark.parametrize("header", ["track_id,tag", "track_id,text"])
def test_a_header_alone_is_no_table(tmp_path: Path, mer: Mer, header: str) -> None:
    (tmp_path / "t.csv").write_text(header + "\n")
    assert "no rows" in mer("validate", "t.csv", status=2).stdout

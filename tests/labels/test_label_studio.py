from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.errors import SchemaError, UsageError
from mertools.labels.classes import EVERY_TARGET, Scales
from mertools.labels.label_studio import Conversion, read_csv, read_json
from mertools.labels.ratings import Rating
from mertools.labels.reading import read_ratings

EXPORTS = Path(__file__).parent / "exports"

CALM = {(EVERY_TARGET, "very calm"): 1, ("arousal", "in between"): 2}
RATED = frozenset({"arousal", "valence", "energy"})

ADA, BJORK, CLARA = "ada@example.org", "björk@example.org", "clara@example.org"
RATINGS = {
    (track, annotator, target): value
    for track, annotator, values in [
        ("slow_song", ADA, (1, 1, 2)),
        ("slow_song", BJORK, (1, 2, 1)),
        ("slow_song", CLARA, (2, 1, 2)),
        ("Loud_ones", ADA, (3, 3, 5)),
        ("Loud_ones", BJORK, (3, 3, 5)),
        ("Loud_ones", CLARA, (2, None, 4)),
        ("nächtlich", ADA, (2, 2, 3)),
        ("nächtlich", BJORK, (1, 2, None)),
        ("nächtlich", CLARA, (3, 2, 3)),
    ]
    for target, value in zip(("arousal", "valence", "energy"), values, strict=True)
    if value is not None
}


def by_key(rows: list[Rating]) -> dict[tuple[str, str, str], float]:
    ratings = {(row.track_id, row.annotator_id, row.target): row.value for row in rows}
    assert len(ratings) == len(rows)
    return ratings


@pytest.mark.parametrize("name", ["project.json", "project-min.json", "project.csv"])
def test_the_three_exports_of_one_project_say_the_same(name: str) -> None:
    conversion = Conversion(values=CALM, targets=RATED)
    assert by_key(list(read_ratings(str(EXPORTS / name), conversion))) == RATINGS


@pytest.mark.parametrize("name", ["project-min.json", "project.csv"])
def test_flat_exports_are_searched_for_targets_known_or_rated(name: str) -> None:
    # genre and comment are told from no other text, and year from no other number.
    rows = list(read_ratings(str(EXPORTS / name), Conversion(values=CALM)))
    assert {row.target for row in rows} == RATED


def test_other_choices_of_a_project_are_not_passed_over_in_silence() -> None:
    with pytest.raises(SchemaError, match="task 11, annotation 101, genre has 2 choices") as error:
        list(read_ratings(str(EXPORTS / "project.json"), Conversion(values=CALM)))
    assert "--target" in error.value.remedy


def test_a_label_without_a_rating_is_named() -> None:
    conversion = Conversion(targets=frozenset({"arousal"}))
    problem = "annotation 101, arousal is 'Very calm', which is no class of arousal"
    with pytest.raises(SchemaError, match=problem) as error:
        list(read_ratings(str(EXPORTS / "project.json"), conversion))
    assert "--map 'arousal:Very calm=1'" in error.value.remedy
    with pytest.raises(SchemaError, match="line 2, arousal is 'In between'"):
        list(read_ratings(str(EXPORTS / "project.csv"), conversion))


@pytest.mark.parametrize(
    ("label", "rating"),
    [("weak", 1), (" Strong ", 3), ("2", 2), ("calm", 1), ("CALM", 1), (3, 3), (2.0, 2)],
)
def test_labels_become_ratings(label: str | float, rating: int) -> None:
    conversion = Conversion(values={("arousal", "calm"): 1, (EVERY_TARGET, "calm"): 2})
    assert conversion.rating("arousal", label) == rating


@pytest.mark.parametrize("label", ["loud", "4", "-1", "1.5", 0, 2.5, float("nan"), 10**400])
def test_labels_that_are_no_rating(label: str | float) -> None:
    with pytest.raises(ValueError, match="is "):
        Conversion().rating("arousal", label)


def test_classes_named_for_a_target_are_its_labels() -> None:
    conversion = Conversion(Scales({"mood": ("Calm", "Tense")}))
    assert conversion.rating("mood", "tense", classes_are_ordered=True) == 2
    with pytest.raises(ValueError, match="from 1 to 2"):
        conversion.rating("mood", 3, classes_are_ordered=True)


def task(data: Any, *annotations: Any, **fields: Any) -> dict[str, Any]:
    return {"id": 7, "data": data, "annotations": list(annotations), **fields}


def annotation(completed_by: Any, *results: Any, **fields: Any) -> dict[str, Any]:
    return {"id": 70, "completed_by": completed_by, "result": list(results), **fields}


def choice(label: Any, target: str = "arousal") -> dict[str, Any]:
    return {"from_name": target, "to_name": "s", "type": "choices", "value": {"choices": [label]}}


def read(content: Any, **conversion: Any) -> list[Rating]:
    return list(read_json(json.dumps(content), "export.json", Conversion(**conversion)))


SONG = {"audio": "song.wav"}


@pytest.mark.parametrize(
    ("data", "track_id"),
    [
        ({"audio": "/data/upload/3/4f0c2a1b-slow_song.ogg"}, "slow_song"),
        ({"audio": "/data/upload/4f0c2a1b-slow_song.ogg"}, "slow_song"),
        ({"audio": "http://localhost:8080/data/upload/3/4f0c2a1b-a.b.ogg"}, "a.b"),
        ({"audio": "/data/upload/3/no-digits.ogg"}, "no-digits"),
        ({"audio": "/data/local-files/?d=rock/n%C3%A4chtlich%20%231.wav"}, "nächtlich #1"),
        ({"audio": "/data/local-files/?d=rock%5C001.wav"}, "001"),
        ({"url": "https://example.org/songs/a%20b.mp3?signature=x/y.z"}, "a b"),
        ({"audio": "s3://bucket/songs/100%25.flac"}, "100%25"),
        ({"audio": "s3://bucket/4f0c2a1b-song.flac"}, "4f0c2a1b-song"),
        ({"path": "rock/deadbeef-1.ogg"}, "deadbeef-1"),
        ({"path": "what? no #2.ogg"}, "what? no #2"),
        ({"audio": "http://[broken/song.ogg"}, "song"),
        ({"audio": "a.wav", "track_id": "rock/001"}, "rock/001"),
        ({"audio": "a.wav", "track_id": 17}, "17"),
        ({"audio": "a.wav", "track_id": ""}, "a"),
    ],
)
def test_the_track_of_a_task(data: Any, track_id: str) -> None:
    assert read([task(data, annotation(1, choice("weak")))]) == [
        Rating(track_id, "1", "arousal", 1.0)
    ]


@pytest.mark.parametrize(
    ("value", "track_id"),
    [("rock/001.v2", "rock/001.v2"), ("/data/upload/1/00000000-a.ogg", "a"), ("s3://b/c.ogg", "c")],
)
def test_a_track_by_a_named_field(value: str, track_id: str) -> None:
    rows = read([task({**SONG, "song": value}, annotation(1, choice("weak")))], track_field="song")
    assert [row.track_id for row in rows] == [track_id]


def test_two_files_of_one_name_are_not_one_track() -> None:
    tasks = [
        task({"audio": f"/data/local-files/?d={folder}/001.wav"}, annotation(1, choice("weak")))
        for folder in ("rock", "pop")
    ]
    with pytest.raises(SchemaError, match=r"'pop/001\.wav' and 'rock/001.wav' are two files"):
        read(tasks)
    # One song uploaded twice is the song, however.
    again = [
        task({"audio": f"/data/upload/3/{digits}-a.ogg"}, annotation(annotator, choice("weak")))
        for annotator, digits in enumerate(("00000000", "11111111"))
    ]
    assert {row.track_id for row in read(again)} == {"a"}


def test_annotators_are_told_by_address_or_number() -> None:
    by = [{"id": 4, "email": "ada@example.org"}, {"id": 5, "email": ""}, 6]
    rows = read([task(SONG, *(annotation(who, choice("weak")) for who in by))])
    assert [row.annotator_id for row in rows] == ["ada@example.org", "5", "6"]


def test_one_task_by_itself_and_what_is_not_a_rating() -> None:
    results = [
        {"from_name": "words", "type": "textarea", "value": {"text": ["weak"]}},
        {"from_name": "valence", "type": "choices", "value": {"choices": []}},
        {"from_name": "valence", "type": "rating", "value": {"rating": 2}},
        {"id": "x", "type": "relation", "from_id": "a", "to_id": "b"},
    ]
    assert read(task(SONG, annotation(1, *results), annotation(2))) == [
        Rating("song", "1", "valence", 2.0)
    ]


def test_only_the_wanted_targets_are_read() -> None:
    content = [task({"nothing": 1}, annotation(None, choice("any", "mood")))]
    assert read(content, targets=frozenset({"arousal"})) == []


def test_a_choice_named_like_a_target_in_json_min() -> None:
    record = {"audio": "a.wav", "mood": "tense", "annotator": 3, "annotation_id": 9}
    assert read([record]) == []
    assert read([record], values={("mood", "tense"): 2}) == [Rating("a", "3", "mood", 2.0)]
    assert read([record], values={("", "tense"): 2}, targets=frozenset({"mood"})) == [
        Rating("a", "3", "mood", 2.0)
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('[{"id": 1}]', "item 1 is neither a task"),
        ("[3]", "item 1 is neither a task"),
        ('{"tasks": []}', "item 1 is neither a task"),
        ([task(SONG, 5)], "task 7, annotations is not a list of objects"),
        ([task(SONG, annotation(1) | {"result": None})], "annotation 70, result is not a list"),
        ([task(None, annotation(1, choice("weak")))], "data is missing"),
        ([task({"a": 1, "b": 2}, annotation(1, choice("weak")))], r"\(found: a, b\)"),
        ([task({"audio": "/"}, annotation(1, choice("weak")))], "'/' names no file"),
        ([task({"audio": {"x": 1}}, annotation(1, choice("weak")))], "has no track_id or audio"),
        ([task(SONG, annotation(None, choice("weak")))], "annotator is not told"),
        ([task(SONG, annotation({}, choice("weak")))], "annotator is not told"),
        ([task(SONG, annotation(1, choice({"x": 1})))], "holds no label"),
        ([task(SONG, annotation(1, choice(True)))], "holds no label"),
        ([task(SONG, annotation(1, choice(7)))], "arousal is 7, not a rating of arousal"),
    ],
)
def test_broken_exports_are_told(content: Any, problem: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(SchemaError, match=problem) as error:
        list(read_json(text, "export.json", Conversion()))
    assert error.value.subject == "export.json"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["annotations", "annotation_id", "annotator", "data", "result", "value", "type"]
                + ["choices", "rating", "from_name", "arousal", "audio", "completed_by"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        read(content)
    except SchemaError as error:
        assert error.subject == "export.json"


@given(st.text(alphabet='ab,"\n{[]}:1', max_size=40))
def test_any_csv_is_read_or_refused(text: str) -> None:
    lines = ["annotator,annotation_id,audio,arousal\n", *text.splitlines(keepends=True)]
    try:
        list(read_csv(lines, "export.csv", Conversion()))
    except SchemaError as error:
        assert error.subject == "export.csv"


def test_long_tables_name_the_line_of_a_broken_rating(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    header = "track_id,annotator_id,target,value\n"
    table.write_text(f'{header}x,a,arousal,3\n\n"two\nlines",a,arousal,4\n')
    with pytest.raises(SchemaError, match=r"line 5, column value is 4, not a rating of arousal"):
        list(read_ratings(str(table), Conversion()))
    table.write_text(f"{header}x,a,mood,2.5\n")
    with pytest.raises(SchemaError, match=r"line 2, column value is 2\.5"):
        list(read_ratings(str(table), Conversion()))
    assert list(read_ratings(str(table), Conversion(targets=frozenset({"arousal"})))) == []


def test_files_are_told_apart_by_content_alone(tmp_path: Path) -> None:
    misnamed = tmp_path / "export.csv"
    misnamed.write_text("\ufeff\n  " + json.dumps([task(SONG, annotation(1, choice("weak")))]))
    assert len(list(read_ratings(str(misnamed), Conversion()))) == 1
    for content in ("", "\n\n", "\x00\x01", "a,b\n1,2\n"):
        misnamed.write_text(content)
        with pytest.raises(SchemaError):
            list(read_ratings(str(misnamed), Conversion()))
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_ratings(str(tmp_path / "none.json"), Conversion()))

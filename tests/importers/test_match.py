"""Any table of songs, matched with tracks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.importers.matching import Table, file_keys, match_tracks, normalise

Mer = Callable[..., object]


def table(*rows: str) -> Table:
    header, *rest = [row.split("|") for row in rows]
    return Table("t.csv", header, rest)


def found(wanted: Table, tracks: Table) -> list[str | None]:
    return [match.track_id for match in match_tracks(wanted, tracks)]


TRACKS = table(
    "track_id|path",
    "1|music/01 - Beyoncé - Halo.mp3",
    "2|music/Simon & Garfunkel - The Boxer (feat. Nobody) [Live].flac",
    "3|music/50 Cent - In Da Club.ogg",
    "4|music/311 - Amber.mp3",
    "5|music/1-05 Don\u2019t Stop.mp3",
    "6|music/Björk \u2013 Jóga.wav",
    "7|music/÷.wav",
)


@pytest.mark.parametrize(
    ("artist", "title", "track"),
    [
        ("BEYONCE\u0301", "Halo!", "1"),
        ("Ｂｅｙｏｎｃé", "halo", "1"),
        ("Simon and Garfunkel", "The Boxer [live]", "2"),
        ("simon & garfunkel feat. x", "the boxer - live", "2"),
        ("Simon & Garfunkel", "The Boxer", None),
        ("50 cent", "In da club (ft. Somebody)", "3"),
        ("Cent", "In da club", None),
        ("311", "Amber", "4"),
        ("björk", "jóga", "6"),
        ("Halo", "Beyoncé", None),
        ("", "Halo", None),
    ],
)
def test_artist_and_title_are_found_in_file_names(
    artist: str, title: str, track: str | None
) -> None:
    assert found(table("Artist|Title", f"{artist}|{title}"), TRACKS) == [track]


@pytest.mark.parametrize(
    ("name", "track"),
    [
        ("01 - Beyoncé - Halo.mp3", "1"),
        ("beyoncé_halo.wav", "1"),
        ("C:\\music\\Beyoncé - Halo.MP3", "1"),
        ("Dont stop", "5"),
        ("÷.mp3", "7"),
        ("halo.mp3", None),
        ("", None),
    ],
)
def test_files_are_found_by_name(name: str, track: str | None) -> None:
    assert found(table("file name", name), TRACKS) == [track]


def test_columns_of_tracks_come_before_nothing() -> None:
    tracks = table("track_id|path|artist|title", "a|1.mp3|Adele|Hello", "b|2.mp3|Adele|Skyfall")
    wanted = table("song|performer|x", "Skyfall|ADELE|1", "hello|adele|2", "Hello|Lionel|3")
    assert found(wanted, tracks) == ["b", "a", None]
    assert found(table("path", "other/2.mp3"), tracks) == ["b"]


def test_what_fits_several_tracks_is_refused() -> None:
    tracks = table("track_id|path", "a|x/Adele - Hello.mp3", "b|y/adele - hello!.wav", "c|c.wav")
    matches = list(match_tracks(table("artist|title", "Adele|Hello"), tracks))
    assert [(match.track_id, match.problem) for match in matches] == [(None, "fits 2 tracks: a, b")]
    # An exact name of a file is the one meant.
    assert found(table("path", "adele - hello!.wav"), tracks) == ["b"]


def test_rows_go_out_as_they_came(mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "tracks.csv").write_text(
        "track_id,path,artist,title\n1,a.wav,Adele,Hello\n2,b.wav,Queen,Jealousy\n"
    )
    rows = [["Title", "artist", "note"], ["hello", "ADELE", 'a "b",\r\nc'], ["x", "y", "z"]]
    rows.append(["Jealousy", "Queen", "\r"])
    with (tmp_path / "songs.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(rows)
    done = mer("match", "songs.csv", "tracks.csv", "--unmatched", "rest.csv")
    assert list(csv.reader(done.stdout.splitlines(keepends=True))) == [
        ["track_id", *rows[0]],
        ["1", *rows[1]],
        ["2", *rows[3]],
    ]
    assert (tmp_path / "rest.csv").read_text() == "Title,artist,note,problem\nx,y,z,fits no track\n"
    assert "2 of 3 rows matched" in done.stderr
    stdin = (tmp_path / "songs.csv").read_bytes()
    mer("match", "-", "tracks.csv", "-o", "m.csv", stdin=stdin)
    assert (tmp_path / "m.csv").read_text() == done.stdout.replace("\r\n", "\n").replace("\r", "\n")


def test_nothing_matched_is_a_failure(mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("track_id,path\n1,a.wav\n")
    (tmp_path / "s.csv").write_text("artist,title\nA,B\n")
    assert mer("match", "s.csv", "t.csv", status=4).stdout == "track_id,artist,title\n"


@pytest.mark.parametrize(
    ("songs", "tracks", "problem"),
    [
        ("artist,year\nA,1\n", "track_id,path\n1,a\n", "has neither artist and title nor a file"),
        ("track_id,artist,title\n1,A,B\n", "track_id,path\n1,a\n", "has a track_id already"),
        ("artist,title\nA,B\n", "id,path\n1,a\n", "has no column track_id"),
        ("artist,title\nA\n", "track_id,path\n1,a\n", "row 1 has 1 cells, the header 2"),
        ("", "track_id,path\n1,a\n", "has neither artist and title"),
    ],
)
def test_tables_that_cannot_be_matched_are_refused(
    mer: Mer, tmp_path: Path, songs: str, tracks: str, problem: str
) -> None:
    (tmp_path / "t.csv").write_text(tracks)
    (tmp_path / "s.csv").write_text(songs)
    assert problem in mer("match", "s.csv", "t.csv", "-o", "m.csv", status=2).stderr
    assert not (tmp_path / "m.csv").exists()


def test_imported_vectors_by_file_name_are_learnt_from_by_track(mer: Mer, tmp_path: Path) -> None:
    """The three commands chain: tracks, a table by file name, features by track_id."""
    (tmp_path / "t.csv").write_text("track_id,path\n001,x/one.wav\n002,x/two.wav\n")
    (tmp_path / "v.csv").write_text("file,x\ntwo.mp3,2\none.mp3,1\n")
    mer("match", "v.csv", "t.csv", "-o", "m.csv")
    done = mer("import", "features", "m.csv", "--kind", "x", "-o", "f.h5")
    assert "left out, as they are no numbers: file" in done.stderr
    mer("validate", "f.h5")


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("AC/DC", "ac dc"),
        ("Don't  Stop", "dont stop"),
        ("Straße", "strasse"),
        ("Jay-Z ft. Alicia Keys", "jay z"),
        ("Song (feat. A) [Live]", "song live"),
        ("ft. worth", "ft worth"),
        ("???", "???"),
        ("が", "が"),
    ],
)
def test_normal_forms(name: str, normal: str) -> None:
    assert normalise(name) == normal
    assert normalise(normal) == normal


def test_numbers_before_names_may_be_tracks_or_artists() -> None:
    songs = {key[1:] for key in file_keys("x/1-02 Adele - Hello.mp3") if key[0] == "song"}
    assert ("adele", "hello") in songs
    assert {key[1:] for key in file_keys("311 - Amber.mp3") if key[0] == "song"} == {
        ("311", "amber")
    }

"""Corpora laid out as they are published, with sound of our own."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.artifacts.rows import Annotation, Label, Lyrics, Tag, Track
from mertools.artifacts.tables import read_table
from mertools.importers.emotify import SIGNS, rate
from mertools.importers.pmemo import strip_stamps
from mertools.importers.registry import CORPORA

SHARED = Path(__file__).resolve().parents[3] / "shared" / "corpora"

GEMS = (
    "amazement, solemnity, tenderness, nostalgia, calmness, power, joyful_activation, tension, "
    "sadness"
)
DEAM = Path("annotations") / "annotations averaged per song"

Write = Callable[..., Path]


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def emotify(tmp_path: Path, write_tone: Write) -> Path:
    """Two tracks of rock and pop, rated by two listeners and one."""
    folder = tmp_path / "emotify"
    write_tone(folder / "rock" / "7.mp3", sample_rate=22050)
    write_tone(folder / "pop" / "100.mp3", sample_rate=22050)
    write(
        folder / "data.csv",
        f" track id, genre, {GEMS}, mood, liked, disliked, age, gender, mother tongue",
        "107, rock, 0, 0, 0, 0, 0, 1, 1, 0, 0, 3, 1, 0, 21, 1, English",
        "107, rock, 0, 0, 0, 0, 1, 0, 0, 1, 1, 3, 1, 0, 35, 0, Dutch",
        "400, pop, 1, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 27, 1, English",
    )
    return folder


@pytest.fixture
def deam(tmp_path: Path, write_tone: Write) -> Path:
    """Three songs of two editions; one has no ratings over time, ratings end before the columns."""
    folder = tmp_path / "deam"
    for song in (2, 10, 2001):
        write_tone(folder / "MEMD_audio" / f"{song}.mp3", sample_rate=22050)
    write(
        folder / DEAM / "song_level" / "static_annotations_averaged_songs_1_2000.csv",
        "song_id, valence_mean, valence_std, arousal_mean, arousal_std",
        "2, 3.1, 0.94, 3, 0.63",
        "10, 4, 1.67, 4.7, 1.85",
    )
    write(
        folder / DEAM / "song_level" / "static_annotations_averaged_songs_2000_2058.csv",
        "song_id, valence_mean, valence_std, valence_max_mean, arousal_std, arousal_mean",
        "2001, 5.5, 1.5, 6, 1.25, 6.5",
    )
    for target, values in (("arousal", "0.25, -0.5, "), ("valence", "0.1, NaN, ")):
        write(
            folder / DEAM / "dynamic (per second annotations)" / f"{target}.csv",
            "song_id, sample_15000ms, sample_15500ms, sample_16000ms",
            f"2, {values}",
        )
    write(
        folder / "metadata" / "metadata_2013.csv",
        "song_id,file_name,Artist,Song title,start of the segment (min.sec),Genre",
        '2,2.mp3,"The Kilimanjaro\t","Tiny Grass, Is Dreaming",0.2,Jazz',
        "10,10.mp3,Motörhead,Ace,0.2,Rock",
        encoding="latin-1",
    )
    write(
        folder / "metadata" / "metadata_2015.csv",
        "id,Filename,title,artist,album,genre",
        "2001,x.mp3,Nothing Rhymes,Orange Peel,Best,Pop,and,more",
    )
    return folder


@pytest.fixture
def pmemo(tmp_path: Path, write_tone: Write) -> Path:
    folder = tmp_path / "PMEmo2019"
    for song in (1, 4):
        write_tone(folder / "chorus" / f"{song}.mp3", sample_rate=22050)
    write(
        folder / "annotations" / "static_annotations.csv",
        "musicId,Arousal(mean),Valence(mean)",
        "1,0.4,0.575",
        "4,0.25,0.2625",
    )
    write(
        folder / "annotations" / "static_annotations_std.csv",
        "musicId,Arousal(std),Valence(std)",
        "1,0.15625,0.125",
    )
    write(
        folder / "annotations" / "dynamic_annotations.csv",
        "musicId,frameTime,Arousal(mean),Valence(mean)",
        "1,15.0,0.1,0.5",
        "1,15.5,0.2,0.75",
    )
    write(
        folder / "metadata.csv",
        "musicId,fileName,title,artist,album,duration,chorus_start_time,chorus_end_time",
        "1,1.mp3,Good Drank,2 Chainz,,,02:00,02:30",
        '4,4.mp3,"Hello, Again",Sofía,X,,00:10,00:20',
    )
    write(
        folder / "lyrics" / "1.lrc",
        "[ti:Good Drank]",
        '[00:12.50]First, "quoted" line',
        "[00:20.00][01:20.00]<00:20.00>Second <00:21.00>line",
        "[00:30.00]",
    )
    return folder


def test_emotify_becomes_annotations_and_tags(mer: Callable[..., object], emotify: Path) -> None:
    done = mer("import", "emotify", emotify, "-o", "w")
    folder = emotify.parent / "w"
    assert list(read_table(str(folder / "annotations.csv"), Annotation)) == [
        Annotation("107", "107-01", "arousal", "3"),
        Annotation("107", "107-01", "valence", "3"),
        Annotation("107", "107-02", "arousal", "1"),
        Annotation("107", "107-02", "valence", "1"),
        Annotation("400", "400-01", "arousal", "2"),
        Annotation("400", "400-01", "valence", "3"),
    ]
    assert Tag("107", "power", 1.0) in list(read_table(str(folder / "tags.csv"), Tag))
    tracks = cells(folder / "tracks.csv")
    assert [(row["track_id"], row["genre"]) for row in tracks] == [("107", "rock"), ("400", "pop")]
    assert tracks[1]["path"] == str(emotify / "pop" / "100.mp3")
    assert not (folder / "labels.csv").exists()
    mer("validate", *folder.iterdir())
    assert "annotations.csv: 6 rows" in done.stderr


def test_emotify_numbers_tracks_within_genres_too(
    mer: Callable[..., object], emotify: Path
) -> None:
    table = emotify / "data.csv"
    mer("import", "emotify", emotify, "-o", "one")
    table.write_text(table.read_text().replace("107,", "7,").replace("400,", "100,"))
    mer("import", "emotify", emotify, "-o", "other")
    for name in ("tracks.csv", "annotations.csv", "tags.csv"):
        one, other = (emotify.parent / folder / name for folder in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.corpus
def test_emotify_as_published_gives_the_shared_annotations(
    mer: Callable[..., object], corpus: Path, tmp_path: Path
) -> None:
    """Lay the 300 shared tracks out as published: same ratings, listener by listener."""
    folder = tmp_path / "emotify"
    rows = cells(corpus / "gems.csv")
    names = [name for name in rows[0] if name != "annotator_id"]
    write(
        folder / "data.csv",
        ", ".join(f" {name.replace('_', ' ')}" for name in names),
        *(", ".join(row[name] for name in names) for row in rows),
    )
    for track in cells(corpus / "tracks.csv"):
        link = folder / track["genre"] / f"{(int(track['track_id']) - 1) % 100 + 1}.ogg"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(corpus / track["path"])
    mer("import", "emotify", folder, "-o", "published")
    mer("import", "emotify", corpus, "-o", "shared")
    for name in ("published", "shared"):
        made = tmp_path / name / "annotations.csv"
        assert made.read_bytes() == (corpus / "annotations.csv").read_bytes()
        assert len(cells(tmp_path / name / "tracks.csv")) == 300
    genres = [(row["track_id"], row["genre"]) for row in cells(tmp_path / "shared" / "tracks.csv")]
    assert genres == [(row["track_id"], row["genre"]) for row in cells(corpus / "tracks.csv")]


@pytest.mark.parametrize(
    ("felt", "arousal", "valence"),
    [
        ([], 2, 2),
        (["power"], 3, 2),
        (["sadness"], 1, 1),
        (["joyful_activation", "calmness"], 2, 3),
        (["tension", "sadness", "power"], 3, 1),
        (["solemnity", "nostalgia"], 2, 2),
        (["amazement", "tension"], 3, 2),
    ],
)
def test_felt_emotions_are_rated_by_the_rule(felt: list[str], arousal: int, valence: int) -> None:
    assert (rate(felt, SIGNS["arousal"]), rate(felt, SIGNS["valence"])) == (arousal, valence)


def test_deam_keeps_both_scales_apart(mer: Callable[..., object], deam: Path) -> None:
    write(deam / "train.txt", "2")
    write(deam / "deam-validation.txt", "10")
    write(deam / "test.txt", "2001")
    mer("import", "deam", deam, "-o", "w")
    folder = deam.parent / "w"
    labels = list(read_table(str(folder / "labels.csv"), Label))
    assert [(row.track_id, row.target, row.mean, row.std, row.split) for row in labels] == [
        ("2", "arousal", 3.0, 0.63, "train"),
        ("2", "valence", 3.1, 0.94, "train"),
        ("10", "arousal", 4.7, 1.85, "validation"),
        ("10", "valence", 4.0, 1.67, "validation"),
        ("2001", "arousal", 6.5, 1.25, "test"),
        ("2001", "valence", 5.5, 1.5, "test"),
    ]
    assert {row.scale for row in labels} == {"1..9"}
    dynamic = list(read_table(str(folder / "dynamic.csv"), Label))
    assert [(row.target, row.start, row.duration, row.mean) for row in dynamic] == [
        ("arousal", 15.0, 0.5, 0.25),
        ("arousal", 15.5, 0.5, -0.5),
        ("valence", 15.0, 0.5, 0.1),
    ]
    assert {(row.scale, row.split) for row in dynamic} == {("-1..1", "train")}
    tracks = cells(folder / "tracks.csv")
    assert [tuple(row.values())[2:] for row in tracks] == [
        ("The Kilimanjaro", "Tiny Grass, Is Dreaming", "", "Jazz"),
        ("Motörhead", "Ace", "", "Rock"),
        ("Orange Peel", "Nothing Rhymes", "Best", "Pop"),
    ]
    mer("validate", *folder.iterdir())


@pytest.mark.corpus
def test_deam_keeps_all_songs_and_their_split(mer: Callable[..., object], tmp_path: Path) -> None:
    """Lay the shared averages out as published, with blanks after commas, and no sound."""
    shared = SHARED / "va-annotations"
    if not shared.is_dir():
        pytest.skip("there are no shared annotations (../shared/corpora/va-annotations)")
    folder = tmp_path / "deam"
    text = (shared / "deam-static.csv").read_text().replace(",", ", ")
    name = "static_annotations_averaged_songs_1_2000.csv"
    write(folder / DEAM / "song_level" / name, text.strip())
    for path in shared.glob("deam-*.txt"):
        shutil.copy(path, folder)
    done = mer("import", "deam", folder, "-o", "w", status=3)
    assert "lacks 1802 of 1802 sound files (2.mp3, 3.mp3, 4.mp3, ...)" in done.stderr
    assert "https://" in done.stderr
    labels = list(read_table(str(tmp_path / "w" / "labels.csv"), Label))
    wanted = {row["song_id"]: row for row in cells(shared / "deam-static.csv")}
    assert len(labels) == 2 * len(wanted)
    for row in labels:
        assert row.mean == float(wanted[row.track_id][f"{row.target}_mean"])
        listed = (shared / f"deam-{row.split}.txt").read_text().split()
        assert row.track_id in listed


def test_pmemo_has_ratings_metadata_and_lyrics(mer: Callable[..., object], pmemo: Path) -> None:
    mer("import", "pmemo", pmemo, "-o", "w")
    folder = pmemo.parent / "w"
    labels = list(read_table(str(folder / "labels.csv"), Label))
    assert [(row.track_id, row.target, row.mean, row.std, row.scale) for row in labels] == [
        ("1", "arousal", 0.4, 0.15625, "0..1"),
        ("1", "valence", 0.575, 0.125, "0..1"),
        ("4", "arousal", 0.25, None, "0..1"),
        ("4", "valence", 0.2625, None, "0..1"),
    ]
    dynamic = list(read_table(str(folder / "dynamic.csv"), Label))
    assert [(row.target, row.start, row.mean) for row in dynamic] == [
        ("arousal", 15.0, 0.1),
        ("arousal", 15.5, 0.2),
        ("valence", 15.0, 0.5),
        ("valence", 15.5, 0.75),
    ]
    words = 'First, "quoted" line\nSecond line'
    assert list(read_table(str(folder / "lyrics.csv"), Lyrics)) == [
        Lyrics("1", words, None, "2 Chainz", "Good Drank")
    ]
    assert cells(folder / "tracks.csv")[1] == {
        "track_id": "4",
        "path": str(pmemo / "chorus" / "4.mp3"),
        "artist": "Sofía",
        "title": "Hello, Again",
        "album": "X",
    }
    mer("validate", *folder.iterdir())


def test_labels_are_drawn(mer: Callable[..., object], pmemo: Path, emotify: Path) -> None:
    pytest.importorskip("mertools.labels.plots")
    mer("import", "pmemo", pmemo, "-o", "w", "--plots", "pictures")
    for folder in (pmemo.parent / "pictures", pmemo.parent / "pictures" / "dynamic"):
        names = {path.stem for path in folder.glob("*.png")}
        assert {"arousal_histogram", "valence_histogram", "plane"} <= names
    done = mer("import", "emotify", emotify, "-o", "e", "--plots", "none")
    assert "mer aggregate-labels" in done.stderr


def test_emopia_reads_names_and_asks_for_sound(
    mer: Callable[..., object], tmp_path: Path, write_tone: Write
) -> None:
    folder = tmp_path / "emopia"
    clips = ("Q1_0vLPYiPN7qY_0", "Q4_a_b-c_d-e_f_12", "Q4_a_b-c_d-e_f_2")
    for clip in clips:
        write(folder / "midis" / f"{clip}.mid", "MThd")
    write(folder / "midis" / "README.mid", "no clip")
    done = mer("import", "emopia", folder, "-o", "w", "--failures", "f.csv", status=3)
    assert "lacks 3 of 3 sound files" in done.stderr
    assert "fluidsynth" in done.stderr
    assert len(cells(tmp_path / "f.csv")) == 1
    for clip in clips:
        write_tone(folder / "audio" / f"{clip}.wav")
    mer("import", "emopia", folder, "-o", "w")
    assert [row["song"] for row in cells(tmp_path / "w" / "tracks.csv")] == [
        "0vLPYiPN7qY",
        "a_b-c_d-e_f",
        "a_b-c_d-e_f",
    ]
    labels = list(read_table(str(tmp_path / "w" / "labels.csv"), Label))
    assert [(row.label, row.class_name, row.scale) for row in labels] == [
        (1, "Q1", "unordered"),
        (4, "Q4", "unordered"),
        (4, "Q4", "unordered"),
    ]
    assert labels[1].distribution == (0.0, 0.0, 0.0, 1.0)
    assert labels[1].mean is None
    mer("validate", "w/tracks.csv", "w/labels.csv")


@pytest.mark.corpus
def test_emopia_agrees_with_the_shared_quadrants(
    mer: Callable[..., object], tmp_path: Path
) -> None:
    shared = SHARED / "emopia"
    if not shared.is_dir():
        pytest.skip("EMOPIA is not beside this checkout (../shared/corpora/emopia)")
    mer("import", "emopia", shared, "-o", "w", status=3)
    labels = read_table(str(tmp_path / "w" / "labels.csv"), Label)
    assert {row.track_id: row.class_name for row in labels} == {
        row["track_id"]: row["quadrant"] for row in cells(shared / "quadrants.csv")
    }


@pytest.mark.parametrize("corpus", ["emotify", "deam", "pmemo"])
def test_the_chain_goes_on_from_an_import(
    mer: Callable[..., object], corpus: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(corpus)
    mer("import", corpus, folder.name, "-o", "w")  # relative paths, from the working folder
    tracks = [row.track_id for row in read_table(str(folder.parent / "w" / "tracks.csv"), Track)]
    (folder.parent / "s.csv").write_text(
        mer("segment", "w/tracks.csv", "--length", "1", "--hop", "1").stdout
    )
    assert {row["track_id"] for row in cells(folder.parent / "s.csv")} == set(tracks)
    mer("featurize", "s.csv", "--kind", "handcrafted", "--jobs", 1, "-o", "f.h5")
    mer("validate", "s.csv", "f.h5")


def test_missing_sound_and_broken_rows_are_failures_of_their_own(
    mer: Callable[..., object], deam: Path
) -> None:
    (deam / "MEMD_audio" / "10.mp3").unlink()
    name = deam / DEAM / "song_level" / "static_annotations_averaged_songs_1_2000.csv"
    write(name, name.read_text().replace("3.1", "31"), "x, 1, 1, 1, 1", "11, ?, 1, 1, 1")
    done = mer("import", "deam", deam, "-o", "w", "--failures", "f.csv", status=3)
    problems = [row["problem"] for row in cells(deam.parent / "f.csv")]
    assert problems == [
        "line 2 has the valence_mean 31, outside 1..9",
        "line 5 has the song_id 'x', which is no number",
        "line 6 has the valence_mean '?', which is no number",
        "lacks 1 of 3 sound files (10.mp3)",
    ]
    assert done.stderr.count("mer: ") == 4
    labels = read_table(str(deam.parent / "w" / "labels.csv"), Label)
    assert {row.track_id for row in labels} == {"10", "2001"}
    assert [row["track_id"] for row in cells(deam.parent / "w" / "tracks.csv")] == ["2", "2001"]
    mer("validate", "f.csv", "w/labels.csv")


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_folder_with_nothing_in_it_is_wrong_usage(
    mer: Callable[..., object], tmp_path: Path, corpus: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = mer("import", corpus, "empty", "-o", "w", status=2)
    assert "http" in done.stderr
    assert not (tmp_path / "w").exists()
    assert "is no folder" in mer("import", corpus, "absent", "-o", "w", status=2).stderr


def test_the_corpus_own_folder_is_not_written_to(mer: Callable[..., object], pmemo: Path) -> None:
    before = sorted(pmemo.rglob("*"))
    assert "own folder" in mer("import", "pmemo", pmemo, "-o", pmemo.name, status=2).stderr
    assert sorted(pmemo.rglob("*")) == before


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("track_id,text,path", "1,la,", "2,,2.txt"), 0),
        (("text,track_id", '"one\ntwo, three",1'), 0),
        (("track_id,text,path", "1,,"), 0),
        (("track_id,text,path", "1,la,1.txt"), 2),
        (("track_id,text", "1,a", "1,b"), 2),
        (("tag,track_id", "sad,1", "sad,1"), 0),
        (("track_id,tag,weight", "1,sad,-2"), 0),
        (("track_id,tag,weight", "1,sad,much"), 2),
        (("track_id,tag,weight", "1,,2"), 2),
    ],
)
def test_lyrics_and_tags_are_validated(
    mer: Callable[..., object], tmp_path: Path, lines: tuple[str, ...], status: int
) -> None:
    mer("validate", write(tmp_path / "t.csv", *lines), status=status)


def test_columns_that_are_not_there_are_named(mer: Callable[..., object], pmemo: Path) -> None:
    path = pmemo / "annotations" / "static_annotations.csv"
    write(path, "musicId,Arousal", "1,0.5")
    done = mer("import", "pmemo", pmemo, "-o", "w", status=2)
    assert "has no column arousal_mean (found: musicid, arousal)" in done.stderr


def test_a_track_in_two_parts_is_refused(mer: Callable[..., object], deam: Path) -> None:
    write(deam / "train.txt", "2")
    write(deam / "test.txt", "2", "10")
    done = mer("import", "deam", deam, "-o", "w", status=2)
    assert "has track 2 of part train" in done.stderr


def test_of_two_files_with_one_name_none_is_taken(
    mer: Callable[..., object], pmemo: Path, write_tone: Write
) -> None:
    write_tone(pmemo / "chorus" / "wav" / "4.wav")
    done = mer("import", "pmemo", pmemo, "-o", "w", status=3)
    assert "has the same name as" in done.stderr
    assert [row["track_id"] for row in cells(pmemo.parent / "w" / "tracks.csv")] == ["1"]


def test_stamps_of_lyrics_are_stripped() -> None:
    assert strip_stamps("\ufeff[ar:x]\n[00:01]a [b] c\n[1:02.345]\n\n[00:03:20]d\r\n") == (
        "\ufeff[ar:x]\na [b] c\nd"
    )
    assert strip_stamps("[ar:x]\n[00:00.00]") == ""

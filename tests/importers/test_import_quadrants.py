"""4QAED and MERGE, laid out as they are published, with sound of our own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Mer
from mertools.artifacts.rows import Label, Lyrics, Tag
from mertools.artifacts.tables import read_table

Write = Callable[..., Path]


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def four(tmp_path: Path, write_tone: Write) -> Path:
    folder = tmp_path / "4qaed"
    songs = {f"MT000004000{k}": f"Q{k}" for k in (1, 2, 3, 4)}
    for song, quadrant in songs.items():
        write_tone(folder / quadrant / f"{song}.wav", 0.5)
    lines = [f'"{song}",{quadrant}' for song, quadrant in songs.items()]
    write(folder / "panda_dataset_taffc_annotations.csv", "Song,Quadrant", *lines)
    write(
        folder / "panda_dataset_taffc_metadata.csv",
        "Song,Artist,Title,Quadrant,MoodsStrSplit,GenresStr",
        'MT0000040001,"Céline, A.",One,Q1,"Happy; Cheerful","Pop,Rock"',
        "MT0000040002,B,Two,Q2,Angry,Metal",
    )
    return folder


def test_4qaed_has_quadrants_moods_and_metadata(mer: Mer, four: Path) -> None:
    mer("import", "4qaed", four, "-o", "w")
    made = four.parent / "w"
    mer("validate", made / "tracks.csv", made / "labels.csv", made / "tags.csv")
    tracks = cells(made / "tracks.csv")
    assert (tracks[0]["artist"], tracks[0]["genres"]) == ("Céline, A.", "Pop,Rock")
    labels = list(read_table(str(made / "labels.csv"), Label))
    assert [(row.class_name, row.scale, row.split) for row in labels] == [
        (f"Q{k}", "unordered", None) for k in (1, 2, 3, 4)
    ]
    tags = [(row.track_id, row.tag) for row in read_table(str(made / "tags.csv"), Tag)]
    assert tags == [
        ("MT0000040001", "Happy"), ("MT0000040001", "Cheerful"), ("MT0000040002", "Angry"),
    ]  # fmt: skip


def test_4qaed_says_what_is_missing_or_wrong(mer: Mer, four: Path) -> None:
    (four / "Q3" / "MT0000040003.wav").unlink()
    with (four / "panda_dataset_taffc_annotations.csv").open("a") as stream:
        stream.write("MT0000040009,Q5\n")
    done = mer("import", "4qaed", four, "-o", "w", status=3)
    assert "lacks 1 of 4 sound files (MT0000040003.mp3)" in done.stderr
    assert "line 6 has the quadrant 'Q5'" in done.stderr


def merge_tables(folder: Path, sort: str, header: str, songs: list[tuple[str, ...]]) -> None:
    """Write MERGE's tables of songs: (keys, quadrant, artist, part) each."""
    write(
        folder / f"merge_{sort}_metadata.csv",
        f"{header},Quadrant,Artist,Title,Year",
        *(f"{keys},{quadrant},{artist},T,1970-??-??" for keys, quadrant, artist, _ in songs),
    )
    write(
        folder / f"merge_{sort}_av_values.csv",
        f"{header},Arousal,Valence",
        *(f"{keys},0.{k}5,0.2" for k, (keys, *_) in enumerate(songs)),
    )
    for part in ("train", "validate", "test"):
        for share in ("70_15_15", "40_30_30"):
            # The other split names other parts, so that it is seen if it is taken.
            chosen = [
                f"{keys.split(',')[0]},{quadrant}"
                for keys, quadrant, _, of in songs
                if (of == part) == (share == "70_15_15")
            ]
            write(
                folder / "tvt_dataframes" / f"tvt_{share}" / f"tvt_{share}_{part}_{sort}.csv",
                "Song,Quadrant",
                *chosen,
            )


@pytest.fixture
def audio(tmp_path: Path, write_tone: Write) -> Path:
    folder = tmp_path / "MERGE_Audio_Complete"
    songs = [
        ("A001", "Q1", "Ann", "train"),
        ("A061-66", "Q2", "Ann", "test"),
        ("MT0000004637", "Q3", "Bob", "validate"),
        ("A004", "Q4", "Cyd", "train"),
    ]
    for song, quadrant, _, _ in songs:
        write_tone(folder / quadrant / f"{song}.wav", 0.5)
    merge_tables(folder, "audio_complete", "Song", songs)
    return folder


def test_merge_audio_keeps_its_split_and_numbers(mer: Mer, audio: Path) -> None:
    done = mer("import", "merge", audio, "-o", "w")
    assert "1 of 3 artists have songs in several parts" in done.stderr
    made = audio.parent / "w"
    mer("validate", made / "tracks.csv", made / "labels.csv")
    labels = list(read_table(str(made / "labels.csv"), Label))
    quadrants = {row.track_id: row for row in labels if row.target == "quadrant"}
    assert {name: (row.class_name, row.split) for name, row in quadrants.items()} == {
        "A001": ("Q1", "train"),
        "A061-66": ("Q2", "test"),
        "MT0000004637": ("Q3", "validation"),
        "A004": ("Q4", "train"),
    }
    arousal = {row.track_id: (row.mean, row.scale) for row in labels if row.target == "arousal"}
    assert arousal["A061-66"] == (0.15, "0..1")
    assert {row.mean for row in labels if row.target == "valence"} == {0.2}
    assert {row["artist"] for row in cells(made / "tracks.csv")} == {"Ann", "Bob", "Cyd"}


def test_merge_bimodal_pairs_sound_with_lyrics(mer: Mer, tmp_path: Path, write_tone: Write) -> None:
    folder = tmp_path / "b"
    songs = [("A001,L001", "Q1", "Ann", "train"), ("A002,L009", "Q2", "Bob", "test")]
    for keys, quadrant, _, _ in songs:
        sound, lyrics = keys.split(",")
        write_tone(folder / "audio" / quadrant / f"{sound}.wav", 0.5)
        write(folder / "lyrics" / quadrant / f"{lyrics}.txt", f"words of {lyrics}")
    merge_tables(folder, "bimodal_complete", "Audio_Song,Lyric_Song", songs)
    # A split's song may be named by its lyrics.
    test = "tvt_dataframes/tvt_70_15_15/tvt_70_15_15_test_bimodal_complete.csv"
    write(folder / test, "Song,Quadrant", "L009,Q2")
    mer("import", "merge", folder, "-o", "w")
    made = tmp_path / "w"
    mer("validate", made / "tracks.csv", made / "labels.csv", made / "lyrics.csv")
    lyrics = {row.track_id: row for row in read_table(str(made / "lyrics.csv"), Lyrics)}
    assert Path(lyrics["A002"].path or "").read_text() == "words of L009\n"
    parts = {row.track_id: row.split for row in read_table(str(made / "labels.csv"), Label)}
    assert parts == {"A001": "train", "A002": "test"}


@pytest.fixture
def bimodal(tmp_path: Path, write_tone: Write) -> Path:
    folder = tmp_path / "MERGE_Bimodal_Complete"
    songs = [
        ("A001,L001", "Q1", "Ann", "train"),
        ("A002,L002", "Q2", "ann", "test"),
        ("MT03,MT04", "Q3", "Bob", "validate"),
    ]
    for keys, quadrant, _, _ in songs:
        sound, lyrics = keys.split(",")
        write_tone(folder / "audio" / quadrant / f"{sound}.wav", 0.5)
        write(folder / "lyrics" / quadrant / f"{lyrics}.txt", "The  same\nWORDS")
    merge_tables(folder, "bimodal_complete", "Audio_Song,Lyric_Song", songs)
    write(
        folder / "merge_bimodal_complete_av_values.csv",
        "Audio_Song,Lyric_Song,Arousal,Valence",
        *("A001,L001,0.5,0.3", "A002,L002,-0.4,-0.25", "MT03,MT04,0,0"),
    )
    return folder


def test_merge_maps_signed_values_and_counts_what_contradicts_itself(
    mer: Mer, bimodal: Path
) -> None:
    said = mer("import", "merge", bimodal, "-o", "w").stderr
    assert "valence and arousal are from -1 to 1" in said
    # Q2 with low arousal, and Q3 in the middle, which counts as high.
    assert "2 songs have valence and arousal of another quadrant" in said
    assert "1 of 2 artists have songs in several parts" in said
    assert "1 lyrics are the same words in several parts" in said
    labels = read_table(str(bimodal.parent / "w" / "labels.csv"), Label)
    numbers = {(row.track_id, row.target): row.mean for row in labels if row.mean is not None}
    assert numbers == {
        ("A001", "arousal"): 0.75,
        ("A001", "valence"): 0.65,
        ("A002", "arousal"): 0.3,
        ("A002", "valence"): 0.375,
        ("MT03", "arousal"): 0.5,
        ("MT03", "valence"): 0.5,
    }


@pytest.mark.parametrize(
    ("song", "problem"),
    [("A009", "line 2 names A009, which is no song's name"), ("L001", "has L001 again")],
)
def test_merge_refuses_a_split_of_other_songs(
    mer: Mer, bimodal: Path, song: str, problem: str
) -> None:
    part = "tvt_dataframes/tvt_70_15_15/tvt_70_15_15_test_bimodal_complete.csv"
    write(bimodal / part, "Song,Quadrant", f"{song},Q1")
    assert problem in mer("import", "merge", bimodal, "-o", "w", status=2).stderr


def test_merge_says_what_is_missing(mer: Mer, audio: Path) -> None:
    (audio / "Q4" / "A004.wav").unlink()
    assert "lacks 1 of 4 sound files (A004.mp3)" in mer(
        "import", "merge", audio, "-o", "w", status=3
    ).stderr  # fmt: skip
    write(audio / "merge_lyrics_complete_metadata.csv", "Song,Quadrant", "L001,Q1")
    assert "give the folder of one" in mer("import", "merge", audio, "-o", "w", status=2).stderr


def test_from_the_corpus_to_a_prediction_of_its_test_part(mer: Mer, audio: Path) -> None:
    folder = audio.parent
    mer("import", "merge", audio, "-o", "w")
    mer("featurize", "w/tracks.csv", "--kind", "handcrafted", "--length", "0.5", "-o", "f.h5")
    train = ("train", "forest", "--features", "f.h5", "--labels", "w/labels.csv", "--cv", "0")
    mer(*train, "--target", "arousal", "--set", "n_estimators=5", "-o", "m.safetensors")
    (folder / "p.csv").write_text(mer("predict", "-m", "m.safetensors", "f.h5").stdout)
    assert {row["track_id"] for row in cells(folder / "p.csv")} >= {"A061-66"}

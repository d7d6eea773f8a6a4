"""MERGE: clips of 30 seconds and lyrics, each of one quadrant, with valence and arousal.

P. L. Louro and others, MERGE: a bimodal dataset for static music emotion recognition, 2024
(https://zenodo.org/records/13939205, CC BY-NC 4.0). Of its archives Audio, Lyrics and Bimodal,
each complete or balanced, one is imported at a time. Of the splits that it publishes the one of
70, 15 and 15 % is taken, on which its authors report. Valence and arousal from -1 to 1 are mapped
to 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mertools.artifacts.rows import Lyrics
from mertools.errors import UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    class_label,
    find_files,
    missing_files,
    number_label,
    sounds_by_name,
)
from mertools.importers.four_quadrants import QUADRANTS
from mertools.importers.published import Record, parse_each, read_published, read_text
from mertools.targets.scale import Range

SOURCE = "https://zenodo.org/records/13939205"

SPLIT = "tvt_70_15_15"
PARTS: Mapping[str, str] = {"train": "train", "validate": "validation", "test": "test"}
"""The parts as the corpus' files and as ours are called."""
SCALE = Range(0, 1)
SIGNED = Range(-1, 1)
MIDDLE = 0.5
AXES = ("arousal", "valence")
FURTHER = ("artist", "title")
KEYS = ("audio_song", "lyric_song", "song")
"""Columns that name a song; the bimodal corpus has the first two."""


@dataclass(frozen=True)
class Song:
    """A song by the names of its sound and of its lyrics, either of which may be missing."""

    audio: str
    lyrics: str
    quadrant: str
    record: Record

    @property
    def track_id(self) -> str:
        """The name that stands for it."""
        return self.audio or self.lyrics

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what there is of it, the sound's first."""
        return tuple(name for name in (self.audio, self.lyrics) if name)


def read(folder: Path) -> Imported:
    """Read quadrants, valence and arousal, the split, and the sound and lyrics that are there.

    Raises UsageError where there is no table of songs.
    """
    tables = find_files(folder, "merge_*_metadata.csv")
    if not tables:
        raise UsageError(folder, "has no merge_*_metadata.csv", f"see {SOURCE}")
    if len(tables) > 1:
        raise UsageError(
            folder, f"holds {tables[0].name} and {tables[1].name}", "give the folder of one of them"
        )
    imported = Imported()
    sounds = sounds_by_name(folder, "audio", imported.failures)
    texts = {path.stem: path for path in find_files(folder, "*.txt")}
    records = read_published(tables[0], ("quadrant",))
    songs = list(parse_each(records, _parse_song, imported.failures))
    values, split = _read_values(folder, imported), _read_split(folder, songs)
    contradicted = 0
    for song in sorted(songs, key=lambda song: song.track_id):
        part = split.get(song.track_id)
        label = class_label(song.track_id, "quadrant", song.quadrant, QUADRANTS, part)
        imported.labels.append(label)
        numbers = next((values[name] for name in song.names if name in values), {})
        contradicted += len(numbers) == 2 and song.quadrant != _quadrant_of(numbers)
        for target, value in numbers.items():
            imported.labels.append(number_label(song.track_id, target, value, None, SCALE, part))
        further = {name: song.record.cells.get(name, "") for name in FURTHER}
        if song.audio in sounds:
            imported.tracks.append(ImportedTrack(song.track_id, sounds[song.audio], further))
        if song.lyrics in texts:
            artist, title = (further[name] or None for name in FURTHER)
            path = str(texts[song.lyrics])
            imported.lyrics.append(Lyrics(song.track_id, None, path, artist, title))
    _report_missing(imported, folder, songs, sounds, texts)
    if contradicted:
        imported.remarks.append(
            f"{contradicted} songs have valence and arousal of another quadrant than theirs; the "
            "corpus' own quadrant is kept"
        )
    if split and (n_in_no_part := sum(song.track_id not in split for song in songs)):
        imported.remarks.append(f"{n_in_no_part} songs are in no part of the published split")
    imported.remarks += _find_crossing(songs, split, texts)
    return imported


def _parse_song(record: Record) -> Song:
    song, audio, lyrics = (record.cells.get(key, "") for key in ("song", *KEYS[:2]))
    # The tables of Audio and Lyrics have one column; the names of lyrics begin with an L.
    if song and not (audio or lyrics):
        audio, lyrics = ("", song) if song.upper().startswith("L") else (song, "")
    quadrant = record.key("quadrant").upper()
    if quadrant not in QUADRANTS:
        raise record.error(f"has the quadrant {quadrant!r}")
    if not (audio or lyrics):
        raise record.error("names no song")
    return Song(audio, lyrics, quadrant, record)


def _names_in(record: Record) -> Iterator[str]:
    return (record.cells[key] for key in KEYS if record.cells.get(key))


def _quadrant_of(numbers: Mapping[str, float]) -> str:
    """Give the quadrant of valence and arousal in 0..1; the middle counts as high."""
    right, up = numbers["valence"] >= MIDDLE, numbers["arousal"] >= MIDDLE
    return ("Q1" if right else "Q2") if up else ("Q4" if right else "Q3")


def _read_values(folder: Path, imported: Imported) -> dict[str, dict[str, float]]:
    """Read valence and arousal, in 0..1, by the name of a song's sound or lyrics."""
    records = [
        record
        for path in find_files(folder, "merge_*_av_values.csv")[:1]
        for record in read_published(path, AXES)
    ]
    # Which of the two ranges a file is in only its negative values tell.
    is_signed = any(
        record.cells.get(axis, "").startswith("-") for record in records for axis in AXES
    )
    scale = SIGNED if is_signed else SCALE
    if is_signed:
        imported.remarks.append("valence and arousal are from -1 to 1, and are mapped to 0..1")

    def parse(record: Record) -> tuple[list[str], dict[str, float]]:
        found = {axis: record.number(axis, scale) for axis in AXES}
        numbers = {
            axis: (value - scale.low) / (scale.high - scale.low)
            for axis, value in found.items()
            if value is not None
        }
        return list(_names_in(record)), numbers

    values: dict[str, dict[str, float]] = {}
    for names, numbers in parse_each(iter(records), parse, imported.failures):
        values |= dict.fromkeys(names, numbers)
    return values


def _read_split(folder: Path, songs: list[Song]) -> dict[str, str]:
    """Read the part of each song by its track_id.

    A song is named by its sound or else by its lyrics. Raises UsageError where a name is no song's,
    or a song is named twice: a test part that is not the published one scores something else.
    """
    by_name = {song.lyrics: song for song in songs if song.lyrics}
    by_name |= {song.audio: song for song in songs if song.audio}
    split: dict[str, str] = {}
    for published, part in PARTS.items():
        for path in find_files(folder, f"{SPLIT}_{published}_*.csv"):
            for record in read_published(path):
                names = list(_names_in(record))
                song = next((by_name[name] for name in names if name in by_name), None)
                if song is None:
                    problem = f"line {record.line} names {' '.join(names)}, which is no song's name"
                    raise UsageError(path, problem, "take the file as published")
                if song.track_id in split:
                    problem = f"has {names[0]} again, which is of part {split[song.track_id]}"
                    raise UsageError(path, problem, "take the file as published")
                split[song.track_id] = part
    return split


def _report_missing(
    imported: Imported,
    folder: Path,
    songs: list[Song],
    sounds: Mapping[str, Path],
    texts: Mapping[str, Path],
) -> None:
    missing = sorted(song.audio for song in songs if song.audio and song.audio not in sounds)
    if missing:
        n_audio = sum(bool(song.audio) for song in songs)
        names = [f"{name}.mp3" for name in missing]
        imported.failures.append(missing_files(folder, names, n_audio, SOURCE))
    without = sum(bool(song.lyrics) and song.lyrics not in texts for song in songs)
    if without:
        imported.remarks.append(f"{folder}: {without} songs have no lyrics/Qn/ID.txt")


def _find_crossing(
    songs: list[Song], split: Mapping[str, str], texts: Mapping[str, Path]
) -> Iterator[str]:
    """Say what is in several parts: artists or words that a test part shares make it easier."""
    of_artists: dict[str, set[str]] = {}
    of_words: dict[str, set[str]] = {}
    for song in songs:
        part = split.get(song.track_id)
        if part is None:
            continue
        if artist := song.record.cells.get("artist", "").casefold():
            of_artists.setdefault(artist, set()).add(part)
        if song.lyrics in texts:
            words = " ".join(read_text(texts[song.lyrics]).casefold().split())
            of_words.setdefault(words, set()).add(part)
    if crossing := sum(len(parts) > 1 for parts in of_artists.values()):
        yield (
            f"{crossing} of {len(of_artists)} artists have songs in several parts of the published "
            "split; mer train --group artist keeps them together in folds"
        )
    if crossing := sum(len(parts) > 1 for parts in of_words.values()):
        yield f"{crossing} lyrics are the same words in several parts of the published split"

"""MERGE: clips of 30 seconds and lyrics, each of one quadrant, with valence and arousal.

P. L. Louro and others, MERGE: a bimodal dataset for static music emotion recognition, 2024
(https://zenodo.org/records/13939205, CC BY-NC 4.0). Of its archives Audio, Lyrics and Bimodal,
each complete or balanced, one is imported at a time. Of the splits that it publishes the one of
70, 15 and 15 % is taken, on which its authors report.
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
from mertools.importers.published import Record, parse_each, read_published
from mertools.targets.scale import Range

SOURCE = "https://zenodo.org/records/13939205"

SPLIT = "tvt_70_15_15"
PARTS: Mapping[str, str] = {"train": "train", "validate": "validation", "test": "test"}
"""The parts as the corpus' files and as ours are called."""
SCALE = Range(0, 1)
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
    values, split = _read_values(folder, imported), _read_split(folder)
    for song in sorted(songs, key=lambda song: song.track_id):
        names = [name for name in (song.audio, song.lyrics) if name]
        part = next((split[name] for name in names if name in split), None)
        label = class_label(song.track_id, "quadrant", song.quadrant, QUADRANTS, part)
        imported.labels.append(label)
        for target, value in next((values[name] for name in names if name in values), {}).items():
            imported.labels.append(number_label(song.track_id, target, value, None, SCALE, part))
        further = {name: song.record.cells.get(name, "") for name in FURTHER}
        if song.audio in sounds:
            imported.tracks.append(ImportedTrack(song.track_id, sounds[song.audio], further))
        if song.lyrics in texts:
            artist, title = (further[name] or None for name in FURTHER)
            path = str(texts[song.lyrics])
            imported.lyrics.append(Lyrics(song.track_id, None, path, artist, title))
    _report_missing(imported, folder, songs, sounds, texts)
    imported.remarks += _find_crossing(songs, split)
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


def _read_values(folder: Path, imported: Imported) -> dict[str, dict[str, float]]:
    """Read valence and arousal by the name of a song's sound or lyrics."""

    def parse(record: Record) -> tuple[list[str], dict[str, float]]:
        found = {target: record.number(target, SCALE) for target in ("arousal", "valence")}
        numbers = {target: value for target, value in found.items() if value is not None}
        return list(_names_in(record)), numbers

    values: dict[str, dict[str, float]] = {}
    for path in find_files(folder, "merge_*_av_values.csv")[:1]:
        records = read_published(path, ("arousal", "valence"))
        for names, numbers in parse_each(records, parse, imported.failures):
            values |= dict.fromkeys(names, numbers)
    return values


def _read_split(folder: Path) -> dict[str, str]:
    """Read the part of each song by the name of its sound or lyrics."""
    split: dict[str, str] = {}
    for published, part in PARTS.items():
        for path in find_files(folder, f"{SPLIT}_{published}_*.csv"):
            for record in read_published(path):
                for name in _names_in(record):
                    if split.setdefault(name, part) != part:
                        raise UsageError(
                            path, f"has {name} of part {split[name]}", "take the file as published"
                        )
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


def _find_crossing(songs: list[Song], split: Mapping[str, str]) -> Iterator[str]:
    """Say how many artists have songs in several parts: they make a test easier than it looks."""
    parts: dict[str, set[str]] = {}
    for song in songs:
        artist = song.record.cells.get("artist", "").casefold()
        for name in (song.audio, song.lyrics):
            if artist and name in split:
                parts.setdefault(artist, set()).add(split[name])
    crossing = sum(len(of_artist) > 1 for of_artist in parts.values())
    if crossing:
        yield (
            f"{crossing} of {len(parts)} artists have songs in several parts of the published "
            "split; mer train --group artist keeps them together in folds"
        )

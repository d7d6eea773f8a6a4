"""DEAM: songs with valence and arousal on scales of 1 to 9, and twice a second of -1 to 1.

A. Aljanaki, Y.-H. Yang and M. Soleymani, Developing a benchmark for emotional analysis of music,
PLOS ONE, 2017.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mertools.artifacts.rows import Label
from mertools.errors import InputError, UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    find_files,
    missing_files,
    number_label,
    read_split,
    sounds_by_name,
)
from mertools.importers.published import Record, parse_each, read_published
from mertools.targets.scale import Range

SOURCE = "https://cvml.unige.ch/databases/DEAM/"

STATIC_SCALE = Range(1, 9)
DYNAMIC_SCALE = Range(-1, 1)
TARGETS = ("arousal", "valence")

SAMPLE = re.compile(r"sample_(\d+)ms")
STEP_S = 0.5
"""Seconds between ratings over time, and how long each one holds."""

METADATA = {
    "artist": ("artist",),
    "title": ("song_title", "title", "track"),
    "album": ("album",),
    "genre": ("genre",),
}
"""Columns that are added to tracks.csv, and their names in the metadata of the three years."""


def read(folder: Path) -> Imported:
    """Read the averaged ratings of songs and over time, and the songs' sound and metadata.

    Raises UsageError where there are no ratings.
    """
    imported = Imported()
    split = read_split(folder, "deam")
    for path in find_files(folder, "static_annotations_averaged_songs*.csv"):
        columns = ("song_id", *(f"{target}_mean" for target in TARGETS))
        for labels in parse_each(
            read_published(path, columns), lambda r: _static(r, split), imported.failures
        ):
            imported.labels += labels
    for target in TARGETS:
        for path in find_files(folder, f"{target}.csv"):
            imported.dynamic += _read_dynamic(path, target, split, imported.failures)
    if not imported.labels and not imported.dynamic:
        raise UsageError(
            folder,
            "has no static_annotations_averaged_songs_1_2000.csv, arousal.csv or valence.csv",
            f"get the annotations from {SOURCE}",
        )
    # The songs of 2015 are in a table of their own, and targets over time in one each.
    imported.labels.sort(key=lambda row: (int(row.track_id), row.target))
    imported.dynamic.sort(key=lambda row: (int(row.track_id), row.target, row.start))
    _add_sounds(imported, folder)
    return imported


def _static(record: Record, split: Mapping[str, str]) -> list[Label]:
    track_id = _song(record)
    labels = []
    for target in TARGETS:
        mean = record.number(f"{target}_mean", STATIC_SCALE)
        if mean is not None:
            std = record.number(f"{target}_std")
            part = split.get(track_id)
            labels.append(number_label(track_id, target, mean, std, STATIC_SCALE, part))
    return labels


def _read_dynamic(
    path: Path, target: str, split: Mapping[str, str], failures: list[InputError]
) -> Iterator[Label]:
    """Read one target's ratings over time: a row a song, a column a time."""

    def parse(record: Record) -> list[Label]:
        track_id = _song(record)
        labels = []
        for column in record.cells:
            match = SAMPLE.fullmatch(column)
            mean = record.number(column, DYNAMIC_SCALE) if match else None
            # Songs differ in length; a row's cells beyond its song's end are empty.
            if match and mean is not None:
                start = int(match[1]) / 1000
                part = split.get(track_id)
                labels.append(
                    number_label(track_id, target, mean, None, DYNAMIC_SCALE, part, start, STEP_S)
                )
        return labels

    for labels in parse_each(read_published(path, ("song_id",)), parse, failures):
        yield from labels


def _song(record: Record) -> str:
    song = record.key("song_id")
    if not song.isdecimal():
        raise record.error(f"has the song_id {song!r}, which is no number")
    return song


def _add_sounds(imported: Imported, folder: Path) -> None:
    sounds = sounds_by_name(folder, "MEMD_audio", imported.failures)
    metadata = _read_metadata(folder)
    songs = sorted({row.track_id for row in (*imported.labels, *imported.dynamic)}, key=int)
    imported.tracks = [
        ImportedTrack(song, sounds[song], metadata.get(song, {}))
        for song in songs
        if song in sounds
    ]
    if missing := [f"{song}.mp3" for song in songs if song not in sounds]:
        imported.failures.append(missing_files(folder, missing, len(songs), SOURCE))


def _read_metadata(folder: Path) -> dict[str, dict[str, str]]:
    """Read artist, title, album and genre, which three files have under different names."""
    metadata = {}
    for path in find_files(folder, "metadata_20*.csv"):
        for record in read_published(path):
            # A table may have its ids as floats, such as 2001.0.
            song = (record.cells.get("song_id") or record.cells.get("id", "")).removesuffix(".0")
            metadata[song] = {
                column: next((record.cells[name] for name in names if name in record.cells), "")
                for column, names in METADATA.items()
            }
    return metadata

"""PMEmo: choruses of pop songs with valence and arousal of 0 to 1, whole and twice a second.

K. Zhang, H. Zhang, S. Li, C. Yang and L. Sun, The PMEmo dataset for music emotion recognition,
ICMR 2018. Read as the edition of 2019 lays it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mertools.artifacts.rows import Label, Lyrics
from mertools.errors import UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    find_files,
    missing_files,
    number_label,
    read_split,
    sounds_by_name,
)
from mertools.importers.published import Record, parse_each, read_published, read_text
from mertools.targets.scale import Range

SOURCE = "https://github.com/HuiZhangDB/PMEmo"

SCALE = Range(0, 1)
TARGETS = ("arousal", "valence")
STEP_S = 0.5
"""Seconds between ratings over time, and how long each one holds."""

METADATA = ("artist", "title", "album")
"""Columns of metadata.csv that are added to tracks.csv."""

STAMP = re.compile(r"\[\d+:\d+(?:[.:]\d+)?\]|<\d+:\d+(?:[.:]\d+)?>")
"""The time of a line, or of a word, of lyrics in LRC."""

HEADER = re.compile(r"\[[a-zA-Z#]+:.*\]")
"""A line of LRC that is about the song, such as [ar:Adele]."""


def read(folder: Path) -> Imported:
    """Read the ratings of choruses and over time, the lyrics, and the choruses' sound.

    Raises UsageError where there are no ratings.
    """
    imported = Imported()
    split = read_split(folder, "pmemo")
    imported.labels = list(_read_labels(folder, "static_annotations", split, imported))
    imported.dynamic = list(_read_labels(folder, "dynamic_annotations", split, imported))
    if not imported.labels and not imported.dynamic:
        raise UsageError(
            folder,
            "has no static_annotations.csv or dynamic_annotations.csv",
            f"get the annotations from {SOURCE}",
        )
    metadata = {
        record.key("musicid"): {column: record.cells.get(column, "") for column in METADATA}
        for path in find_files(folder, "metadata.csv")[:1]
        for record in read_published(path, ("musicid",))
    }
    imported.lyrics = list(_read_lyrics(folder, metadata))
    sounds = sounds_by_name(folder, "chorus", imported.failures)
    songs = sorted({row.track_id for row in (*imported.labels, *imported.dynamic)}, key=_order)
    imported.tracks = [
        ImportedTrack(song, sounds[song], metadata.get(song, {}))
        for song in songs
        if song in sounds
    ]
    if missing := [f"{song}.mp3" for song in songs if song not in sounds]:
        imported.failures.append(missing_files(folder, missing, len(songs), SOURCE))
    return imported


def _read_labels(
    folder: Path, name: str, split: Mapping[str, str], imported: Imported
) -> Iterator[Label]:
    """Read a table of mean ratings, and beside it, where it is there, that of their spread."""
    # Joined by song and time, not by row: the tables need not list songs in the same order.
    spreads = _read_spreads(folder, name)

    def parse(record: Record) -> list[Label]:
        track_id, start = _moment(record)
        labels = []
        for target in TARGETS:
            mean = record.number(f"{target}_mean", SCALE)
            if mean is not None:
                std = spreads.get((track_id, start, target))
                duration = None if start is None else STEP_S
                part = split.get(track_id)
                labels.append(
                    number_label(track_id, target, mean, std, SCALE, part, start, duration)
                )
        return labels

    columns = ("musicid", *(f"{target}_mean" for target in TARGETS))
    labels = [
        label
        for path in find_files(folder, f"{name}.csv")[:1]
        for of_record in parse_each(read_published(path, columns), parse, imported.failures)
        for label in of_record
    ]
    yield from sorted(labels, key=lambda row: (_order(row.track_id), row.target, row.start or 0))


def _read_spreads(folder: Path, name: str) -> dict[tuple[str, float | None, str], float | None]:
    """Read standard deviations by song, start and target."""
    spreads = {}
    for path in find_files(folder, f"{name}_std.csv")[:1]:
        for record in read_published(path, ("musicid",)):
            song, start = _moment(record)
            for target in TARGETS:
                spreads[song, start, target] = record.number(f"{target}_std")
    return spreads


def _moment(record: Record) -> tuple[str, float | None]:
    """Give a rating's song, and where it starts, in seconds, if it is one over time."""
    return record.key("musicid"), record.number("frametime")


def _read_lyrics(folder: Path, metadata: Mapping[str, Mapping[str, str]]) -> Iterator[Lyrics]:
    for path in sorted(find_files(folder, "*.lrc"), key=lambda path: _order(path.stem)):
        if text := strip_stamps(read_text(path)):
            song = metadata.get(path.stem, {})
            yield Lyrics(
                path.stem, text, None, song.get("artist") or None, song.get("title") or None
            )


def strip_stamps(lyrics: str) -> str:
    """Give the words of lyrics in LRC, a line each, without times and lines about the song."""
    # A chorus has several stamps on one line, and an instrumental break a stamp without words.
    lines = (
        STAMP.sub("", line).strip()
        for line in lyrics.splitlines()
        if not HEADER.fullmatch(line.strip())
    )
    return "\n".join(line for line in lines if line)


def _order(song: str) -> tuple[int, str]:
    """Sort songs by their number."""
    return (int(song) if song.isdecimal() else 0, song)

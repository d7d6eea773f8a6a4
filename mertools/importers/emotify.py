"""Emotify: excerpts of music, and which of nine emotions each listener felt.

A. Aljanaki, F. Wiering and R. C. Veltkamp, Studying emotion induced by music through a
crowdsourcing game, Information Processing & Management, 2015. The emotions are those of the Geneva
Emotional Music Scale (GEMS).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mertools.artifacts.rows import Annotation, Tag
from mertools.errors import UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    find_files,
    find_sounds,
    missing_files,
)
from mertools.importers.published import Record, parse_each, read_published

SOURCE = "http://www2.projects.science.uu.nl/memotion/emotifydata/"

GENRES = ("classical", "rock", "electronic", "pop")
TRACKS_OF_A_GENRE = 100

EMOTIONS = (
    "amazement",
    "solemnity",
    "tenderness",
    "nostalgia",
    "calmness",
    "power",
    "joyful_activation",
    "tension",
    "sadness",
)

SIGNS: Mapping[str, Mapping[str, int]] = {
    "arousal": {
        "power": 1,
        "joyful_activation": 1,
        "tension": 1,
        "calmness": -1,
        "tenderness": -1,
        "sadness": -1,
    },
    "valence": {
        "joyful_activation": 1,
        "calmness": 1,
        "tenderness": 1,
        "amazement": 1,
        "tension": -1,
        "sadness": -1,
    },
}
"""How each emotion that a listener felt counts for a target; the others do not."""


def read(folder: Path) -> Imported:
    """Read the ratings as annotations and tags, and the sound of the tracks that were rated.

    Raises UsageError where there are no ratings.
    """
    tables = find_files(folder, "data.csv") or find_files(folder, "gems.csv")
    if not tables:
        raise UsageError(folder, "has no data.csv", f"get the ratings from {SOURCE}")
    imported = Imported()
    genres: dict[str, str] = {}
    felt: dict[str, Counter[str]] = {}
    records = read_published(tables[0], ("track_id", "genre", *EMOTIONS))
    for track_id, record, emotions in parse_each(records, _parse, imported.failures):
        genres[track_id] = record.cells["genre"].lower()
        counts = felt.setdefault(track_id, Counter())
        counts["listeners"] += 1
        counts.update(emotions)
        # data.csv does not say who a listener is, so listeners are counted track by track.
        unnamed = f"{track_id}-{counts['listeners']:02d}"
        annotator = record.cells.get("annotator_id") or unnamed
        for target, signs in SIGNS.items():
            level = rate(emotions, signs)
            imported.annotations.append(Annotation(track_id, annotator, target, str(level)))
    for track_id in sorted(felt):
        imported.tags += [
            Tag(track_id, emotion, float(felt[track_id][emotion]))
            for emotion in EMOTIONS
            if felt[track_id][emotion]
        ]
    _add_sounds(imported, folder, genres)
    return imported


def rate(emotions: list[str], signs: Mapping[str, int]) -> int:
    """Rate a target from 1 (weak, negative) to 3 by the emotions that a listener felt."""
    total = sum(signs.get(emotion, 0) for emotion in emotions)
    return 2 + (total > 0) - (total < 0)


def _parse(record: Record) -> tuple[str, Record, list[str]]:
    """Give a rating's track_id, and the emotions that were felt."""
    genre = record.text("genre").lower()
    number = record.key("track_id")
    if genre not in GENRES or not number.isdecimal():
        raise record.error(f"has the track {number} of the genre {genre}, which is none of Emotify")
    # A listener is left out whole: with an emotion missing, the sums would mean something else.
    for emotion in EMOTIONS:
        if record.cells.get(emotion) not in ("0", "1"):
            raise record.error(f"has the {emotion} {record.cells.get(emotion)!r}, not 0 or 1")
    track_id = f"{GENRES.index(genre) * TRACKS_OF_A_GENRE + _within_genre(int(number)):03d}"
    return track_id, record, [emotion for emotion in EMOTIONS if record.cells[emotion] == "1"]


def _within_genre(number: int) -> int:
    """Give a track's number in its genre; data.csv numbers them so or through all genres."""
    return (number - 1) % TRACKS_OF_A_GENRE + 1


def _add_sounds(imported: Imported, folder: Path, genres: Mapping[str, str]) -> None:
    """Add the tracks with sound: GENRE/N.mp3 as published, or audio/NNN in one folder."""
    # Files of all genres are called 1.mp3 to 100.mp3, so the folder is part of the key.
    sounds = {
        (path.parent.name.lower(), int(path.stem)): path
        for path in find_sounds(folder)
        if path.stem.isdecimal()
    }
    missing = []
    for track_id, genre in sorted(genres.items()):
        number = _within_genre(int(track_id))
        path = sounds.get((genre, number)) or sounds.get(("audio", int(track_id)))
        if path is None:
            missing.append(f"{genre}/{number}.mp3")
        else:
            imported.tracks.append(ImportedTrack(track_id, path, {"genre": genre}))
    if missing:
        imported.failures.append(missing_files(folder, missing, len(genres), SOURCE))

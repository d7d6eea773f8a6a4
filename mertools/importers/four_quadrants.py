"""4QAED: clips of 30 seconds, each of one quadrant of emotion, agreed on by tags and listeners.

R. Panda, R. Malheiro and R. P. Paiva, Novel audio features for music emotion recognition, IEEE
Transactions on Affective Computing, 2020 ("Original-4QAED": 900 clips, 225 a quadrant).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mertools.artifacts.rows import Tag
from mertools.errors import UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    class_label,
    find_files,
    missing_files,
    read_split,
    sounds_by_name,
)
from mertools.importers.published import Record, parse_each, read_published

SOURCE = "http://mir.dei.uc.pt/downloads.html"

QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
ANNOTATIONS = "panda_dataset_taffc_annotations.csv"
METADATA = "panda_dataset_taffc_metadata.csv"
COLUMNS: Mapping[str, str] = {"artist": "artist", "title": "title", "genresstr": "genres"}
"""Columns of the metadata, and what they are called in tracks.csv."""


def read(folder: Path) -> Imported:
    """Read the quadrants, the moods as tags, and the sound of the clips that have any.

    Raises UsageError where there are no annotations.
    """
    annotations = find_files(folder, ANNOTATIONS)
    if not annotations:
        raise UsageError(folder, f"has no {ANNOTATIONS}", f"see {SOURCE}")
    imported = Imported()
    sounds = sounds_by_name(folder, "audio", imported.failures)
    split = read_split(folder, "4qaed")
    metadata = {
        record.key("song"): record
        for path in find_files(folder, METADATA)[:1]
        for record in read_published(path, ("song",))
    }
    records = read_published(annotations[0], ("song", "quadrant"))
    found = dict(parse_each(records, parse_quadrant, imported.failures))
    for song, quadrant in sorted(found.items()):
        imported.labels.append(class_label(song, "quadrant", quadrant, QUADRANTS, split.get(song)))
        cells = metadata[song].cells if song in metadata else {}
        for mood in re.split(r"[;,]", cells.get("moodsstrsplit", "")):
            if mood.strip():
                imported.tags.append(Tag(song, mood.strip(), 1.0))
        if song in sounds:
            further = {name: cells.get(column, "") for column, name in COLUMNS.items() if cells}
            imported.tracks.append(ImportedTrack(song, sounds[song], further))
    if missing := [f"{song}.mp3" for song in sorted(found) if song not in sounds]:
        imported.failures.append(missing_files(folder, missing, len(found), SOURCE))
    return imported


def parse_quadrant(record: Record) -> tuple[str, str]:
    """Give a song and its quadrant, of which some tables have the number alone."""
    quadrant = record.key("quadrant").upper()
    name = quadrant if quadrant.startswith("Q") else f"Q{quadrant}"
    if name not in QUADRANTS:
        raise record.error(f"has the quadrant {quadrant!r}")
    return record.key("song"), name

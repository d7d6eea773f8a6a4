"""Finding what a command is to work on: files, folders, manifests and lists of paths."""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mertools.artifacts.files import STANDARD_STREAM, read_lines
from mertools.artifacts.rows import Segment, Track
from mertools.artifacts.tables import open_table, parse_table
from mertools.audio.settings import IdFrom
from mertools.errors import InputError, UsageError

AUDIO_SUFFIXES = frozenset(
    (".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".avi", ".caf")
    + (".flac", ".flv", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpc")
    + (".oga", ".ogg", ".ogv", ".opus", ".rf64", ".snd", ".tta", ".w64", ".wav", ".webm", ".wma")
    + (".wmv", ".wv")
)
"""What is taken for sound in a folder. A file that is named is always taken."""

MANIFEST_COLUMNS = frozenset({"path", "track_id", "segment_id"})
HEADER_BYTES = 1 << 16

PROVENANCE = ("original", "transform")
"""Columns that say what an augmented copy was made from; a manifest without copies has none."""

Source = Track | Segment | InputError


def find_sources(
    inputs: Sequence[str], *, null_separated: bool = False, id_from: IdFrom = "stem"
) -> Iterator[Source]:
    """Yield tracks and segments in the order of the inputs, and an InputError for what fails.

    An input is a sound file, a folder (searched recursively, in sorted order), a manifest (a .csv
    file) or "-": standard input, a manifest if its first line is a header, else paths. Rows of a
    manifest come as they are read. The tracks of files and folders get their track_id from the
    file's name (see `name_tracks`).

    Raises UsageError where there is no input, SchemaError where a manifest breaks its schema.
    """
    named: list[tuple[Path, Path] | InputError] = []
    manifests: list[Iterator[Source]] = []
    for entry in inputs:
        if entry == STANDARD_STREAM:
            found = _from_standard_input(null_separated)
            if isinstance(found, list):
                named += [place for path in found for place in _expand(path)]
            else:
                manifests.append(found)
        elif entry.lower().endswith(".csv"):
            manifests.append(_read_manifest(entry))
        else:
            named += _expand(Path(entry))
    if not named and not manifests:
        raise UsageError("standard input", "names no file", "give files, folders or a manifest")
    yield from name_tracks(named, id_from)
    for manifest in manifests:
        yield from manifest


def name_tracks(
    places: Sequence[tuple[Path, Path] | InputError], id_from: IdFrom
) -> Iterator[Track | InputError]:
    """Give each file, paired with the folder it was found under, a track_id of its own.

    "stem": the file's name without suffix; files that would share one get "path" instead, the path
    within their folder without suffix. Where that too is shared, files given by name get the path
    below the folder they have in common, and at last the suffix is kept.
    """
    files = list(dict.fromkeys(place for place in places if not isinstance(place, InputError)))
    paths = [path.absolute() for path, _ in files]
    shared = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    candidates = [
        (
            *((path.stem,) if id_from == "stem" else ()),
            path.absolute().relative_to(folder.absolute()).with_suffix("").as_posix(),
            path.absolute().relative_to(shared).with_suffix("").as_posix(),
            path.absolute().relative_to(shared).as_posix(),
        )
        for path, folder in files
    ]
    chosen = [0] * len(files)
    while True:
        ids = [names[rank] for names, rank in zip(candidates, chosen, strict=True)]
        taken = Counter(ids)
        clashes = [
            index
            for index, name in enumerate(ids)
            if taken[name] > 1 and chosen[index] + 1 < len(candidates[index])
        ]
        if not clashes:
            break
        for clash in clashes:
            chosen[clash] += 1
    names = {path: name for (path, _), name in zip(files, ids, strict=True)}
    for place in dict.fromkeys(places):
        yield place if isinstance(place, InputError) else Track(names[place[0]], str(place[0]))


def _expand(path: Path) -> list[tuple[Path, Path] | InputError]:
    if not path.is_dir():
        return [(path, path.parent)]
    found = sorted(
        Path(folder) / name
        for folder, folders, names in os.walk(path)
        for name in names
        if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")
    )
    if not found:
        return [InputError(path, "holds no sound file", "give a folder that does")]
    return [(file, path) for file in found]


def _from_standard_input(null_separated: bool) -> list[Path] | Iterator[Source]:
    stream = sys.stdin.buffer
    separator = b"\0" if null_separated else b"\n"
    if null_separated:
        return [Path(name) for name in read_lines(stream, separator)]
    header = stream.readline(HEADER_BYTES)
    if not header:
        raise UsageError("standard input", "is empty", "pipe paths or a manifest into it")
    text = os.fsdecode(header.removeprefix(b"\xef\xbb\xbf"))
    columns = set(next(csv.reader([text.strip()])))
    if MANIFEST_COLUMNS & columns and not Path(text.strip()).exists():
        lines = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        return _parse_manifest(itertools.chain([text], lines), columns, STANDARD_STREAM)
    rest = read_lines(stream, separator)
    first = text.rstrip("\r\n")
    return [Path(name.rstrip("\r")) for name in ([first] if first else []) + list(rest)]


def _read_manifest(source: str) -> Iterator[Source]:
    with open_table(source) as stream:
        header = stream.readline()
        columns = set(next(csv.reader([header.strip()]), []))
        yield from _parse_manifest(
            itertools.chain([header] if header else [], stream), columns, source
        )


def _parse_manifest(lines: Iterator[str], columns: set[str], source: str) -> Iterator[Source]:
    folder = Path() if source == STANDARD_STREAM else Path(source).parent
    row_type: type[Track] | type[Segment] = Segment if "segment_id" in columns else Track
    for row in parse_table(lines, row_type, source):
        # Text, if empty, where the table has the column: who reads it as it comes must know.
        if "original" in columns:
            row = replace(row, original=row.original or "")
        if "transform" in columns:
            row = replace(row, transform=row.transform or "")
        beside = folder / row.path
        here = Path(row.path).exists() or not beside.exists()
        yield row if here else replace(row, path=str(beside))

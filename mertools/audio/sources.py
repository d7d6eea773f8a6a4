"""Finding what a command is to work on: files, folders, manifests and lists of paths."""

from __future__ import annotations

import atexit
import csv
import io
import itertools
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import BinaryIO

from mertools.artifacts.files import STANDARD_STREAM, file_mode, read_lines, standard_input
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
SPOOL_BYTES = 1 << 32
"""More than ten hours of CD's sound: a stream that goes on is none."""


PROVENANCE = ("original", "transform", "peak")
"""Columns that say what an augmented copy comes from, and what level sound was brought to; a
manifest without such sound has none."""

Source = Track | Segment | InputError


def find_sources(
    inputs: Sequence[str], *, null_separated: bool = False, id_from: IdFrom = "stem"
) -> Iterator[Source]:
    """Yield tracks and segments in the order of the inputs, and an InputError for what fails.

    An input is a sound file, a folder (searched recursively, in sorted order), a manifest (a .csv
    file), or "-" or a pipe: sound itself, a manifest if the first line is a header, else paths.
    Rows of a manifest come as they are read. The tracks of files and folders get their track_id
    from the file's name (see `name_tracks`); sound on standard input is the track "stdin".

    Raises UsageError where there is no input, SchemaError where a manifest breaks its schema.
    """
    named: list[tuple[Path, Path] | InputError] = []
    manifests: list[Iterator[Source]] = []
    for entry in inputs:
        found: list[Path] | Iterator[Source]
        if entry == STANDARD_STREAM:
            found = _from_stream(standard_input(), entry, null_separated)
        elif _is_pipe(entry):
            found = _from_pipe(entry, null_separated)
        elif entry.lower().endswith(".csv"):
            found = _read_manifest(entry)
        else:
            found = [Path(entry)] if entry else []
        if isinstance(found, list):
            named += [file for path in found for file in _expand(path)]
        else:
            manifests.append(found)
    if not named and not manifests:
        raise UsageError("standard input", "names no file", "give files, folders or a manifest")
    yield from name_tracks(named, id_from)
    for manifest in manifests:
        yield from manifest


def name_tracks(
    found: Sequence[tuple[Path, Path] | InputError], id_from: IdFrom
) -> Iterator[Track | InputError]:
    """Give each file, paired with the folder it was found under, a track_id of its own.

    "stem": the file's name without suffix; files that would share one get "path" instead, the path
    within their folder without suffix. Where that too is shared, files given by name get the path
    below the folder they have in common, and at last the suffix is kept.
    """
    files = list(dict.fromkeys(file for file in found if not isinstance(file, InputError)))
    # Without "..", which would lead out of the folder where files are named by track_id.
    paths = [Path(os.path.abspath(path)) for path, _ in files]  # noqa: PTH100, links stay
    shared = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    candidates = [
        (
            *((path.stem,) if id_from == "stem" else ()),
            PurePath(os.path.relpath(path, folder)).with_suffix("").as_posix(),
            path.relative_to(shared).with_suffix("").as_posix(),
            path.relative_to(shared).as_posix(),
        )
        for path, (_, folder) in zip(paths, files, strict=True)
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
        # A longer name may clash with one that was alone so far: count again until none does.
        if not clashes:
            break
        for clash in clashes:
            chosen[clash] += 1
    names = {path: name for (path, _), name in zip(files, ids, strict=True)}
    for file in dict.fromkeys(found):
        yield file if isinstance(file, InputError) else Track(names[file[0]], str(file[0]))


def _expand(path: Path) -> list[tuple[Path, Path] | InputError]:
    """Find the sound files in a folder; anything else is taken to be one."""
    if not stat.S_ISDIR(file_mode(path)):
        return [(path, path.parent)]
    refused: list[OSError] = []
    found = sorted(
        Path(folder) / name
        for folder, folders, names in os.walk(path, onerror=refused.append)
        for name in names
        if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")
    )
    errors = [
        InputError(error.filename, f"cannot be read ({error.strerror})", "check its permissions")
        for error in refused
    ]
    if not found and not errors:
        return [InputError(path, "holds no sound file", "give a folder that does")]
    return [*((file, path) for file in found), *errors]


def _is_pipe(entry: str) -> bool:
    """Tell a pipe, such as a shell makes of `<(command)`."""
    return stat.S_ISFIFO(file_mode(entry))


def _from_pipe(entry: str, null_separated: bool) -> list[Path] | Iterator[Source]:
    # Left open, as rows of a manifest are read one by one.
    return _from_stream(Path(entry).open("rb"), entry, null_separated)


def _from_stream(
    stream: BinaryIO, entry: str, null_separated: bool
) -> list[Path] | Iterator[Source]:
    """Read a stream: the paths it lists, the file that its sound is put into, or a manifest."""
    separator = b"\0" if null_separated else b"\n"
    if null_separated:
        return [Path(name) for name in read_lines(stream, separator)]
    head = stream.readline(HEADER_BYTES)
    if not head:
        name = "standard input" if entry == STANDARD_STREAM else entry
        raise UsageError(name, "is empty", "pipe paths, a manifest or sound into it")
    if _begins_sound(head):
        return [_spool(head, stream, "stdin" if entry == STANDARD_STREAM else Path(entry).name)]
    text = os.fsdecode(head.removeprefix(b"\xef\xbb\xbf"))
    columns = _columns(text)
    if MANIFEST_COLUMNS & columns and not file_mode(text.strip()):
        lines = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        return _parse_manifest(itertools.chain([text], lines), columns, entry)
    names = (name.rstrip("\r\n") for name in itertools.chain([text], read_lines(stream, separator)))
    return [Path(name) for name in names if name]


def _begins_sound(head: bytes) -> bool:
    """Tell sound from names by its first bytes, up to a newline: no name has a NUL."""
    is_mpeg = head[:1] == b"\xff" and head[1:2] >= b"\xe0" and head[1:2] != b"\xfe"
    return is_mpeg or b"\0" in head or head.rstrip() in (b"RIFF", b"FORM")


def _spool(head: bytes, stream: BinaryIO, name: str) -> Path:
    """Put a stream of sound into a temporary file, which goes when the program ends.

    Sound is read more than once, and by several processes.
    Raises UsageError where it does not end.
    """
    folder = Path(tempfile.mkdtemp(prefix="mer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / name
    n_bytes = len(head)
    with path.open("wb") as file:
        file.write(head)
        while block := stream.read(1 << 20):
            n_bytes += len(block)
            if n_bytes > SPOOL_BYTES:
                raise UsageError(name, f"goes on beyond {SPOOL_BYTES} bytes", "give it as a file")
            file.write(block)
    return path


def _columns(header: str) -> set[str]:
    """Name the columns in a table's first line; none where it is no line of CSV."""
    try:
        return set(next(csv.reader([header.strip()]), []))
    except csv.Error:
        return set()


def _read_manifest(source: str) -> Iterator[Source]:
    with open_table(source) as stream:
        header = stream.readline()
        lines = itertools.chain([header] if header else [], stream)
        yield from _parse_manifest(lines, _columns(header), source)


def _parse_manifest(lines: Iterator[str], columns: set[str], source: str) -> Iterator[Source]:
    beside_it = source != STANDARD_STREAM and not _is_pipe(source)
    folder = Path(source).parent if beside_it else Path()
    row_type: type[Track] | type[Segment] = Segment if "segment_id" in columns else Track
    for row in parse_table(lines, row_type, source):
        # Text, if empty, where the table has the column: who reads it as it comes must know.
        if "original" in columns:
            row = replace(row, original=row.original or "")
        if "transform" in columns:
            row = replace(row, transform=row.transform or "")
        beside = folder / row.path
        here = file_mode(row.path) or not file_mode(beside)
        yield row if here else replace(row, path=str(beside))

"""Telling what a file is that is no table: its first line shows the likely mistake."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_MAGIC = {
    b"RIFF": "sound file",
    b"fLaC": "sound file",
    b"OggS": "sound file",
    b"ID3": "sound file",
    b"\xff\xfb": "sound file",
    b"\xff\xf3": "sound file",
    b"FORM": "sound file",
    b"\x89PNG": "picture",
    b"\xff\xd8\xff": "picture",
    b"GIF8": "picture",
    b"<svg": "picture",
    b"%PDF": "PDF",
    b"\x89HDF": "HDF5 file",
    b"PK\x03\x04": "ZIP archive, as Excel writes",
    b"\x1f\x8b": "gzip archive",
    b"{": "JSON file",
    b"[": "JSON file",
    b"<": "HTML or XML file",
}
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def find_foreign(line: str) -> tuple[str, str] | None:
    """Say what a file is by its first line, and what to do about it; None where that is unclear.

    `line` is read as every table is, with `surrogateescape`.
    """
    head = line[:64].encode("utf-8", "surrogateescape").lstrip()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[1:4:2] == b"\0\0":
        return "is UTF-16", "save it as CSV in UTF-8"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return f"is a {what}, no table", "give a CSV table"
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in line and "," not in line:
            return f"is separated by {name}", "save it with commas between the columns"
    if b"\0" in head:
        return "is no text", "give a CSV table"
    return None


def find_nearest(name: str, others: Collection[str]) -> str | None:
    """Find the name that is meant by a misspelt one, if any is near."""
    near = difflib.get_close_matches(name.lower(), [other.lower() for other in others], 1, 0.7)
    return next((other for other in others if near and other.lower() == near[0]), None)

"""No command replaces what it reads: one check of all options, before any of them is used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from mertools.artifacts.files import STANDARD_STREAM, check_output, file_mode
from mertools.errors import UsageError

OUTPUTS = frozenset(
    {"output", "failures", "notes", "summary", "plot", "html", "explain", "report", "config"}
    | {"predictions", "cv_table", "history", "unmatched", "failures_file"}
)
"""Options that name a file to write. An argument of that name is an input, and so is every other
option that names a file, unless it stands in `BOTH`."""

BOTH = frozenset({"folds"})
"""Options that name a file to read where it exists, and to write elsewhere."""

FOLDER = "DIR"
"""Metavar of the options that name a folder, in which files are written."""

SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aif", ".aiff", ".wma")


def check_overwriting(parameters: Mapping[str, Parameter], arguments: Mapping[str, object]) -> None:
    """Raise UsageError where a command would write to one of its inputs, or to one file twice.

    An output that has the name of a sound file is refused where that exists, as it may stand in a
    folder or list of inputs.
    """
    outputs = {
        name: str(value) for name, value in arguments.items() if value and _writes(name, parameters)
    }
    inputs = {
        identity
        for name, value in arguments.items()
        if name not in outputs and name not in BOTH
        for text in _texts(value)
        if (identity := _identity(text)) is not None
    }
    written: set[str] = set()
    for name, target in outputs.items():
        if target == STANDARD_STREAM:
            continue
        if name == "output":
            check_output(Path(target))
        identity = _identity(target)
        if identity is not None and identity in inputs:
            raise UsageError(target, "is an input that would be replaced", "choose another name")
        if identity is not None and target.lower().endswith(SOUND_SUFFIXES):
            raise UsageError(
                target, "is a sound file that would be replaced", "choose another name"
            )
        # New files have no inode yet, so outputs are compared with each other by path.
        path = os.path.realpath(target)
        if path in written:
            raise UsageError(target, "is to be written twice", "give each output its own name")
        if identity is not None or not file_mode(path):
            written.add(path)


def _writes(name: str, parameters: Mapping[str, Parameter]) -> bool:
    """Check whether an option names a file to write."""
    metadata: tuple[Any, ...] = getattr(parameters[name].annotation, "__metadata__", ())
    return name in OUTPUTS and any(
        isinstance(info, OptionInfo) and info.metavar != FOLDER for info in metadata
    )


def _texts(value: object) -> Iterator[str]:
    """Yield all that an argument may name."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str | os.PathLike):
        yield os.fspath(value)


def _identity(target: str) -> tuple[int, int] | None:
    """Identify a regular file by device and inode, whatever its name; None for all else."""
    try:
        found = os.fstat(0) if target == STANDARD_STREAM else Path(target).stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None

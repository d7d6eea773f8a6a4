"""Names of files that are built from ids: no id leads out of its folder or stops a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mertools.artifacts.files import replacing
from mertools.errors import InputError, MerError

LONGEST_NAME_BYTES = 255
"""What file systems allow a file's or folder's name to take."""


def output_path(folder: Path, name: str, suffix: str) -> Path:
    """Name the file in `folder`, or below it, that belongs to a track or segment.

    Raises InputError for an id that leads out of the folder or cannot be a file's name.
    """
    relative = PurePosixPath(f"{name}.{suffix}")
    if relative.is_absolute() or ".." in relative.parts:
        raise InputError(name, "is an id that leads out of the folder", "rename it")
    if "\0" in name:
        raise InputError(name, "is an id with a NUL, which no file can have", "rename it")
    if any(len(os.fsencode(part)) > LONGEST_NAME_BYTES for part in relative.parts):
        raise InputError(name, f"is too long for a file's name (.{suffix})", "rename it")
    return folder / relative


@contextmanager
def replacing_named(path: Path) -> Iterator[Path]:
    """Write a file that `output_path` has named as `replacing` does; make its folder, too.

    Raises InputError where a file has the folder's name, or a folder the file's: `a.wav` of the id
    `a` and `a.wav/b.wav` of the id `a.wav/b` cannot both be there.
    """
    clash = InputError(path, "cannot be beside the files of other ids", "rename one of the ids")
    if path.is_dir():
        raise clash
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            yield part
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise clash from None
    except InputError:
        raise
    except MerError:
        if path.is_dir():  # another process has created it meanwhile
            raise clash from None
        raise

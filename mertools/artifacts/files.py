"""Writing files whole or not at all, and the digests that tell whether an input has changed."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import resource
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

from mertools.errors import MerError, UsageError

STANDARD_STREAM = "-"
PART_SUFFIX = ".part"
DIGEST_BYTES = 16
PART_STEM_BYTES = 200
"""What a temporary file's name takes of the output's name at most; file systems allow 255 bytes."""

WORKERS_OUTLIVE_S = 1.0
"""How long the workers of a killed run may live on, and hold what the run had locked."""

SPARE_FILES = 128
"""More than a process has open beside the shards of features."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a temporary file, whose content becomes `path` if the block succeeds.

    The temporary file lies beside the output and takes its name. It is locked while it is written,
    so that a later run can tell a part that a killed run left (see `remove_stale_parts`) from one
    that another run is still writing. An output that is a link is followed. A device or a pipe is
    never replaced: it gets a copy of the temporary file.

    Raises UsageError where `path` cannot be written, MerError on a full disk.
    """
    check_output(path)
    if not is_replaced(str(path)):
        with _copying(path) as part:
            yield part
        return
    target = Path(os.path.realpath(path))
    part, descriptor = _create_part(target)
    try:
        with _naming(target):
            yield part
            written = os.open(part, os.O_RDONLY)
            try:
                os.fsync(written)
            finally:
                os.close(written)
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def open_output(target: str) -> Iterator[TextIO]:
    """Open `target` to write text: standard output for "-", else a file written whole or not.

    Raises UsageError where it cannot be written, MerError on a full disk.
    """
    if target == STANDARD_STREAM:
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(target)
    check_output(path)
    if not is_replaced(target):
        with _naming(path), path.open("w", **TEXT) as stream:
            yield stream
        return
    remove_stale_parts(path.parent, path.name)
    with replacing(path) as part, part.open("w", **TEXT) as stream:
        yield stream


def standard_input() -> BinaryIO:
    """Give standard input to read bytes from. Raises UsageError where the caller has closed it."""
    try:
        descriptor = sys.stdin.fileno()
    except UnsupportedOperation:  # a program that calls mer has put bytes of its own there
        return sys.stdin.buffer
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        raise UsageError("standard input", "is closed", "pipe something into it")
    return sys.stdin.buffer


def file_mode(path: str | Path) -> int:
    """Give the mode of what has this name (`st_mode`), 0 where there is nothing to be seen.

    That is so, too, for a name that no file can have, and in a folder that may not be read; pathlib
    raises there.
    """
    try:
        return Path(path).stat().st_mode
    except (OSError, ValueError):
        return 0


def is_replaced(target: str) -> bool:
    """Tell a file, which is replaced, from a stream, device or pipe, which is written to."""
    mode = file_mode(target)
    return target != STANDARD_STREAM and (stat.S_ISREG(mode) or not mode)


def check_output(path: Path) -> None:
    """Raise UsageError where an output is a folder."""
    if stat.S_ISDIR(file_mode(path)):
        raise UsageError(path, "is a folder", "give the name of a file")


TEXT: Mapping[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
"""How every text file is opened: names of files that are not UTF-8 pass through unchanged."""


def remove_stale_parts(folder: Path, name: str | None = None) -> None:
    """Delete the temporary files of runs that were killed while they wrote to `folder`.

    With `name` only those of that file, which may be a link to one in another folder.
    """
    pattern = "*"
    if name is not None:
        target = Path(os.path.realpath(folder / name))
        folder, pattern = target.parent, glob.escape(_part_stem(target.name))
    deadline = time.monotonic() + WORKERS_OUTLIVE_S
    for part in folder.glob(f".{pattern}.*{PART_SUFFIX}"):
        try:
            descriptor = os.open(part, os.O_RDWR)  # NFS locks no other
        except OSError:
            continue  # another run has just finished or removed it, or it is another person's
        try:
            if lock_before(deadline, descriptor):
                part.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def lock_before(deadline: float, descriptor: int) -> bool:
    """Lock an open file or folder; say whether its holder let it go before `deadline`.

    The deadline is a time of the monotonic clock. A first attempt is made in any case.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def read_lines(stream: IO[bytes], separator: bytes) -> Iterator[str]:
    """Yield the file names in a stream, each ended by `separator`; empty ones are passed over."""
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(separator)
        yield from (os.fsdecode(name) for name in whole if name)
    if rest:
        yield os.fsdecode(rest)


def digest_file(path: Path) -> str:
    """Digest a file's contents (BLAKE2b, 128 bit, hexadecimal)."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_json(value: object) -> str:
    """Digest anything that JSON can hold; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(canonical.encode(), digest_size=DIGEST_BYTES).hexdigest()


def raise_write_error(path: Path) -> None:
    """Raise the OSError that keeps a file from growing, which a library has not passed on."""
    with path.open("ab") as stream:
        stream.write(bytes(1 << 16))


def reserve(path: Path, n_bytes: int) -> None:
    """Raise OSError where the disk has no room for a file of `n_bytes`; the file is left empty.

    HDF5 does not outlive a disk that fills up while it writes.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("wb") as stream:
            # Unlike a sparse file, this takes the room on the disk.
            os.posix_fallocate(stream.fileno(), 0, n_bytes)
            stream.truncate(0)


_n_allowed = SPARE_FILES


@contextmanager
def allowing_open_files(n_files: int) -> Iterator[None]:
    """Let this process have so many more files open within the block.

    Raises UsageError where the machine does not: HDF5 might take a shard that it cannot open for
    one that is not there, and read zeros.
    """
    global _n_allowed
    _n_allowed += n_files
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            if soft != resource.RLIM_INFINITY and soft < _n_allowed:
                resource.setrlimit(resource.RLIMIT_NOFILE, (_n_allowed, hard))
        except (OSError, ValueError):
            raise UsageError(
                f"{n_files} files",
                f"are more than may be open at once ({hard})",
                "raise the limit (ulimit -Hn), or make fewer shards",
            ) from None
        yield
    finally:
        _n_allowed -= n_files


def prepare_folder(folder: Path) -> None:
    """Make a folder that files are written to, and delete what killed runs left in and below it.

    Raises UsageError where that is not possible.
    """
    make_folder(folder)
    for subfolder, _, _ in os.walk(folder):
        remove_stale_parts(Path(subfolder))


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they are missing.

    Raises UsageError where that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            path, f"cannot be created ({error.strerror})", "choose another -o"
        ) from error


@contextmanager
def _copying(path: Path) -> Iterator[Path]:
    """Give a temporary file that is copied to a device or pipe at the end."""
    with tempfile.TemporaryDirectory(prefix="mer-") as folder:
        part = Path(folder) / "output"
        part.touch()
        yield part
        with _naming(path), part.open("rb") as source, path.open("wb") as stream:
            shutil.copyfileobj(source, stream)


def _part_stem(name: str) -> str:
    """Name the output in its temporary file's name, as far as names may be long."""
    encoded = os.fsencode(name)
    if len(encoded) <= PART_STEM_BYTES:
        return name
    return hashlib.blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()


def _create_part(path: Path) -> tuple[Path, int]:
    while True:
        name = f".{_part_stem(path.name)}.{secrets.token_hex(4)}{PART_SUFFIX}"
        part = path.with_name(name)
        try:
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except OSError as error:
            raise UsageError(
                path, f"cannot be written ({error.strerror})", "choose another -o"
            ) from error
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Between making and locking it, another run may have taken the part for a stale one.
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
        os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors of the operating system that name none, such as a full disk."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(path)):
            raise
        raise MerError(
            path, f"cannot be written ({error.strerror})", "free some space or choose another -o"
        ) from error

"""A record of work done so far, which survives the death of the process that writes it.

Records are only appended. A record that a killed process left half written ends the journal and is
cut off when it is next opened.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mertools.artifacts.files import check_output, is_replaced
from mertools.errors import UsageError

_RECORD = struct.Struct("<IIQ")
"""Checksum of what follows, bytes of the header, bytes of the data."""

Header = Mapping[str, Any]


class Journal:
    """The journal of the file that a command is about to write.

    Only one process holds it at a time: a second one waits until the first is done. A device or
    pipe cannot be resumed; its journal is forgotten at the end.
    """

    def __init__(self, target: Path) -> None:
        """Open the journal of `target`, or begin one beside it.

        Raises UsageError where the folder cannot be written to, or `target` is a folder.
        """
        check_output(target)
        self.path: Path | None = None
        if not is_replaced(str(target)):
            self._stream: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115, closed on exit
            return
        self.path = target.with_name(f".{target.name}.journal")
        try:
            descriptor = _open_locked(self.path)
        except OSError as error:
            raise UsageError(
                target, f"cannot be written ({error.strerror})", "choose another -o"
            ) from error
        self._stream = os.fdopen(descriptor, "r+b")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A run that ended before its first record leaves nothing behind.
        if self.path is not None and self._size() == 0:
            self.path.unlink(missing_ok=True)
        self._stream.close()

    def records(self) -> Iterator[tuple[Header, int]]:
        """Yield each record's header and the offset of its data; call this before `append`."""
        self._stream.seek(0)
        while True:
            begin = self._stream.tell()
            prefix = self._stream.read(_RECORD.size)
            if len(prefix) < _RECORD.size:
                break
            checksum, n_header, n_data = _RECORD.unpack(prefix)
            # A killed run leaves half a record, whose lengths must not be believed.
            if n_header + n_data > self._size() - self._stream.tell():
                break
            content = self._stream.read(n_header + n_data)
            header = _parse_header(content[:n_header])
            if zlib.crc32(content) != checksum or header is None:
                break
            end = self._stream.tell()
            yield header, end - n_data
            self._stream.seek(end)
        # What follows the last whole record would hide the records that are appended next.
        self._stream.seek(begin)
        self._stream.truncate()

    def append(self, header: Header, data: bytes) -> int:
        """Add a record and give the offset of its data."""
        self._stream.seek(0, os.SEEK_END)
        text = json.dumps(header).encode()
        checksum = zlib.crc32(data, zlib.crc32(text))
        self._stream.write(_RECORD.pack(checksum, len(text), len(data)) + text + data)
        self._stream.flush()
        return self._stream.tell() - len(data)

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Read data from its offset."""
        self._stream.seek(offset)
        return self._stream.read(n_bytes)

    def clear(self) -> None:
        """Remove all records."""
        self._stream.seek(0)
        self._stream.truncate()

    def discard(self) -> None:
        """Delete the journal: its target is written."""
        if self.path is not None:
            self.path.unlink()

    def _size(self) -> int:
        return os.fstat(self._stream.fileno()).st_size


def _parse_header(text: bytes) -> Header | None:
    """Parse a record's header; None where it is none, as in the zeros that a power cut leaves.

    Their checksum is right: that of nothing is zero.
    """
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The process waited for may have finished and deleted the journal.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)

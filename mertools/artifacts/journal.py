"""A record of work done so far, which survives the death of the process that writes it.

Records are only appended. A record that a killed process left half written ends the journal and is
cut off when it is next opened.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mertools.errors import UsageError

_RECORD = struct.Struct("<IIQ")
"""Checksum of what follows, bytes of the header, bytes of the data."""

Header = Mapping[str, Any]


class Journal:
    """The journal of the file that a command is about to make.

    Only one process holds it at a time: a second one waits until the first is done.
    """

    def __init__(self, target: Path) -> None:
        """Open the journal of `target`, or begin one beside it.

        Raises UsageError where the folder cannot be written to.
        """
        self.path = target.with_name(f".{target.name}.journal")
        try:
            self._descriptor = _open_locked(self.path)
        except OSError as error:
            raise UsageError(
                target, f"cannot be written ({error.strerror})", "choose another place for it"
            ) from error
        self._stream = os.fdopen(self._descriptor, "r+b")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A run that ended before it made anything leaves nothing behind.
        if os.fstat(self._descriptor).st_size == 0:
            self.path.unlink(missing_ok=True)
        self._stream.close()

    def records(self) -> Iterator[tuple[Header, int]]:
        """Yield each record's header and the place of its data; call this before `append`."""
        self._stream.seek(0)
        while True:
            begin = self._stream.tell()
            prefix = self._stream.read(_RECORD.size)
            if len(prefix) < _RECORD.size:
                break
            checksum, n_header, n_data = _RECORD.unpack(prefix)
            left = os.fstat(self._descriptor).st_size - self._stream.tell()
            if n_header + n_data > left:
                break
            content = self._stream.read(n_header + n_data)
            if zlib.crc32(content) != checksum:
                break
            end = self._stream.tell()
            yield json.loads(content[:n_header]), end - n_data
            self._stream.seek(end)
        self._stream.seek(begin)
        self._stream.truncate()

    def append(self, header: Header, data: bytes) -> int:
        """Add a record and give the place of its data."""
        self._stream.seek(0, os.SEEK_END)
        text = json.dumps(header).encode()
        checksum = zlib.crc32(data, zlib.crc32(text))
        self._stream.write(_RECORD.pack(checksum, len(text), len(data)) + text + data)
        self._stream.flush()
        return self._stream.tell() - len(data)

    def read(self, place: int, n_bytes: int) -> bytes:
        """Read data from its place."""
        self._stream.seek(place)
        return self._stream.read(n_bytes)

    def clear(self) -> None:
        """Remove all records."""
        self._stream.seek(0)
        self._stream.truncate()

    def discard(self) -> None:
        """Delete the journal: its target is made."""
        self.path.unlink()


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The process waited for may have finished and deleted the journal.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)

"""Reading the variables of a TensorFlow checkpoint, which needs no package for it.

A checkpoint of version 2 (a tensor bundle, `tensorflow/core/util/tensor_bundle`) is two files: an
index, a sorted table in the format of LevelDB (`doc/table_format.md` there) whose values are
messages of `tensor_bundle.proto`, and the numbers, one variable after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tools.protobuf import read_fields, read_varint

FOOTER_BYTES = 48
TABLE_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
UNCOMPRESSED = 0

ENTRY_TYPE, ENTRY_SHAPE, ENTRY_OFFSET, ENTRY_SIZE = 1, 2, 4, 5
SHAPE_DIMENSION, DIMENSION_SIZE = 2, 1
FLOAT = 1


def read_variables(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read a checkpoint's variables of type float32 by name, views of `data`.

    Raises ValueError where these are not the files of a checkpoint. Its checksums are not looked
    at: who reads a checkpoint knows its digest.
    """
    variables = {}
    for key, value in _read_table(index):
        entry = dict(read_fields(value))
        if key and entry.get(ENTRY_TYPE) == FLOAT:
            offset, n_bytes = entry.get(ENTRY_OFFSET, 0), entry[ENTRY_SIZE]
            if not (isinstance(offset, int) and isinstance(n_bytes, int)):
                raise ValueError("a variable without a position")
            values = np.frombuffer(data, "<f4", n_bytes // 4, offset)
            variables[key.decode()] = values.reshape(_read_shape(entry.get(ENTRY_SHAPE, b"")))
    return variables


def _read_shape(content: int | bytes) -> list[int]:
    assert isinstance(content, bytes)  # noqa: S101
    shape = []
    for number, dimension in read_fields(content):
        if number == SHAPE_DIMENSION and isinstance(dimension, bytes):
            size = dict(read_fields(dimension)).get(DIMENSION_SIZE, 0)
            shape.append(int(size))
    return shape


def _read_table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a sorted table."""
    if content[-len(TABLE_MAGIC) :] != TABLE_MAGIC:
        raise ValueError("no sorted table")
    footer = content[-FOOTER_BYTES:]
    _, position = _read_handle(footer, 0)  # of the table's own description, which is empty
    index, _ = _read_handle(footer, position)
    for _, handle in _read_block(content, index):
        block, _ = _read_handle(handle, 0)
        yield from _read_block(content, block)


def _read_handle(content: bytes, position: int) -> tuple[slice, int]:
    """Read where a block lies; return that and where the handle ends."""
    offset, position = read_varint(content, position)
    n_bytes, position = read_varint(content, position)
    return slice(offset, offset + n_bytes), position


def _read_block(content: bytes, where: slice) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; each key says how much of the one before it keeps."""
    block = content[where]
    if content[where.stop] != UNCOMPRESSED:
        raise ValueError("a compressed table")
    (n_restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (n_restarts + 1)
    key, position = b"", 0
    while position < end:
        n_kept, position = read_varint(block, position)
        n_new, position = read_varint(block, position)
        n_value, position = read_varint(block, position)
        key = key[:n_kept] + block[position : position + n_new]
        position += n_new
        yield key, block[position : position + n_value]
        position += n_value

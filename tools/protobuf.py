"""Reading messages of protocol buffers, which needs no package for it.

The encoding is https://protobuf.dev/programming-guides/encoding: a message is fields, each with a
number that its definition names, and groups or definitions are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


def read_fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: each one's number and its value.

    Numbers of fixed width come as their bytes. Raises ValueError where the content is no message.
    """
    position = 0
    while position < len(content):
        key, position = read_varint(content, position)
        kind = key & 7
        if kind == VARINT:
            value, position = read_varint(content, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            n_bytes, position = read_varint(content, position)
        elif kind in (FIXED_32, FIXED_64):
            n_bytes = 4 if kind == FIXED_32 else 8
        else:
            raise ValueError(f"a field of kind {kind}, which no message has")
        if position + n_bytes > len(content):
            raise ValueError("a message cut off before its end")
        yield key >> 3, content[position : position + n_bytes]
        position += n_bytes


def read_varints(content: bytes) -> list[int]:
    """Read numbers that follow each other to the end."""
    position, values = 0, []
    while position < len(content):
        value, position = read_varint(content, position)
        values.append(value)
    return values


def read_varint(content: bytes, position: int) -> tuple[int, int]:
    """Read a number in groups of seven bits, the lowest first; return it and where it ends.

    Raises ValueError where the content ends before it does.
    """
    value = shift = 0
    while True:
        if position >= len(content):
            raise ValueError("a message cut off before its end")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7

"""Reading and writing messages of protocol buffers, which needs no package for it.

The encoding is https://protobuf.dev/programming-guides/encoding: a message is fields, each with a
number that its definition names, and groups or definitions are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5

Field = tuple[int, int | bytes | str]
"""A field's number and its value."""


def read_fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: each one's number and its value.

    Numbers of fixed width come as their bytes. Raises ValueError where the content is no message.
    """
    place = 0
    while place < len(content):
        key, place = read_varint(content, place)
        kind = key & 7
        if kind == VARINT:
            value, place = read_varint(content, place)
            yield key >> 3, value
            continue
        if kind == BYTES:
            n_bytes, place = read_varint(content, place)
        elif kind in (FIXED_32, FIXED_64):
            n_bytes = 4 if kind == FIXED_32 else 8
        else:
            raise ValueError(f"a field of kind {kind}, which no message has")
        if place + n_bytes > len(content):
            raise ValueError("a message cut off before its end")
        yield key >> 3, content[place : place + n_bytes]
        place += n_bytes


def read_varints(content: bytes) -> list[int]:
    """Read numbers that follow each other to the end."""
    place, values = 0, []
    while place < len(content):
        value, place = read_varint(content, place)
        values.append(value)
    return values


def read_varint(content: bytes, place: int) -> tuple[int, int]:
    """Read a number in groups of seven bits, the lowest first; return it and where it ends.

    Raises ValueError where the content ends before it does.
    """
    value = shift = 0
    while True:
        if place >= len(content):
            raise ValueError("a message cut off before its end")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def write_message(fields: Iterable[Field]) -> bytes:
    """Write a message of fields: each one's number and its value, no number below 0."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts += [_varint(number << 3 | VARINT), _varint(value)]
        else:
            content = value.encode() if isinstance(value, str) else value
            parts += [_varint(number << 3 | BYTES), _varint(len(content)), content]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)

"""Reading the constants of an ONNX model, which needs no package for it.

An ONNX file is a message of protocol buffers (https://protobuf.dev/programming-guides/encoding);
its fields' numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW_DATA = 1, 2, 8, 9
FLOAT = 1


def read_weights(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Read a model's constants of type float32 by name.

    Raises ValueError where the content is no such model.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    for number, graph in _fields(content):
        if number == MODEL_GRAPH and isinstance(graph, bytes):
            for number_within, tensor in _fields(graph):
                if number_within == GRAPH_INITIALIZER and isinstance(tensor, bytes):
                    weights |= _read_tensor(tensor)
    return weights


def _read_tensor(content: bytes) -> dict[str, NDArray[np.float32]]:
    fields = list(_fields(content))
    texts = {number: value for number, value in fields if isinstance(value, bytes)}
    if (TENSOR_TYPE, FLOAT) not in fields or TENSOR_RAW_DATA not in texts:
        return {}
    shape: list[int] = []
    for number, value in fields:
        if number == TENSOR_DIMS:
            # Writers may pack numbers that repeat into one field.
            shape += [value] if isinstance(value, int) else _varints(value)
    values = np.frombuffer(texts[TENSOR_RAW_DATA], "<f4").reshape(shape)
    return {texts[TENSOR_NAME].decode(): values.astype(np.float32)}


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: each one's number and its value."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        kind = key & 7
        if kind == VARINT:
            value, place = _varint(content, place)
            yield key >> 3, value
            continue
        if kind == BYTES:
            n_bytes, place = _varint(content, place)
        elif kind in (FIXED_32, FIXED_64):
            n_bytes = 4 if kind == FIXED_32 else 8
        else:
            raise ValueError(f"a field of kind {kind}, which no message has")
        if place + n_bytes > len(content):
            raise ValueError("a message cut off before its end")
        yield key >> 3, content[place : place + n_bytes]
        place += n_bytes


def _varints(content: bytes) -> list[int]:
    place, values = 0, []
    while place < len(content):
        value, place = _varint(content, place)
        values.append(value)
    return values


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Read a number in groups of seven bits, the lowest first; return it and where it ends."""
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

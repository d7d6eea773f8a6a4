"""Writing an ONNX model, which needs no package for it.

A model is a message of protocol buffers (https://protobuf.dev/programming-guides/encoding); the
numbers of its fields are those of `onnx.proto3`. The operators are described at
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.version import __version__

IR_VERSION = 8
OPERATORS = 17
"""Versions of the format and of the operators, which onnxruntime reads since 1.13."""

FLOAT, INT64 = 1, 7
EXTERNAL = 1
VARINT, BYTES = 0, 2
ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 2, 3, 7

Field = tuple[int, int | bytes | str]
"""A field's number and its value."""

Array = NDArray[np.float32] | NDArray[np.int64]
Arrays = dict[str, Array]
Attribute = int | str | Sequence[int]


class Graph:
    """A graph to which operators are added one after the other.

    With `external`, constants of float32 are not written into the model; `external` holds them by
    name, for `start_session`.
    """

    def __init__(self, *, external: bool = False) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._keeps_apart = external
        self.external: Arrays = {}

    def add(self, operator: str, *inputs: str | Array, **attributes: Attribute) -> str:
        """Add an operator; return its output's name. Inputs are names of outputs, or constants."""
        names = [item if isinstance(item, str) else self._constant(item) for item in inputs]
        output = f"{operator}_{len(self._nodes)}"
        fields: list[Field] = [(1, name) for name in names]
        fields += [(2, output), (4, operator)]
        fields += [(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(write_message(fields))
        return output

    def _constant(self, values: Array) -> str:
        name = f"constant_{len(self._constants)}"
        kind = INT64 if values.dtype == np.int64 else FLOAT
        fields: list[Field] = [(1, size) for size in values.shape]
        fields += [(2, kind), (8, name)]
        if self._keeps_apart and kind == FLOAT:
            self.external[name] = values
            # Where external data lie must be said, although they are handed over in memory.
            location = write_message([(1, "location"), (2, "memory")])
            fields += [(13, location), (14, EXTERNAL)]
        else:
            # The format is little-endian on every machine.
            fields.append((9, values.astype(values.dtype.newbyteorder("<")).tobytes()))
        self._constants[name] = write_message(fields)
        return name

    def model(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, tuple[str, Sequence[int]]]
    ) -> bytes:
        """Write the model, of float32 all.

        `inputs` are names with their shapes; `outputs` are names with what `add` returned and the
        shape. Shapes are without the first dimension, which is of any size.
        """
        for name, (output, _) in outputs.items():
            # Results are named after operators; an identity adds the name that callers know.
            self._nodes.append(write_message([(1, output), (2, name), (4, "Identity")]))
        graph = [(1, node) for node in self._nodes] + [(2, "graph")]
        graph += [(5, constant) for constant in self._constants.values()]
        graph += [(11, _value(name, shape)) for name, shape in inputs.items()]
        graph += [(12, _value(name, shape)) for name, (_, shape) in outputs.items()]
        return write_message(
            [
                (1, IR_VERSION),
                (2, "mertools"),
                (3, __version__),
                (7, write_message(graph)),
                (8, write_message([(1, ""), (2, OPERATORS)])),
            ]
        )


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return write_message([(1, name), (3, value), (20, ATTRIBUTE_INT)])
    if isinstance(value, str):
        return write_message([(1, name), (4, value), (20, ATTRIBUTE_STRING)])
    return write_message([(1, name), *((8, item) for item in value), (20, ATTRIBUTE_INTS)])


def _value(name: str, shape: Sequence[int]) -> bytes:
    """Describe an input or an output by its name, type and shape."""
    # A name of its own, as an output may be shorter than the input.
    dimensions = [(1, write_message([(2, f"n_{name}")]))]
    dimensions += [(1, write_message([(1, size)])) for size in shape]
    tensor = write_message([(1, FLOAT), (2, write_message(dimensions))])
    return write_message([(1, name), (2, write_message([(1, tensor)]))])


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
    """Write a number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)

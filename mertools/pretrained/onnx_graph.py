"""Writing an ONNX model, which needs no package for it.

The numbers of the fields are those of `onnx.proto3`; what the operators do is told at
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.protobuf import Field, write_message
from mertools.version import __version__

IR_VERSION = 8
OPERATORS = 17
"""Versions of the format and of the operators, which onnxruntime reads since 1.13."""

FLOAT, INT64 = 1, 7
ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 2, 3, 7

Array = NDArray[np.float32] | NDArray[np.int64]
Attribute = int | str | Sequence[int]


class Graph:
    """A graph of operators that is added to, one after the other."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}

    def add(self, operator: str, *inputs: str | Array, **attributes: Attribute) -> str:
        """Add an operator; return the name of what it gives. Its inputs are names or constants."""
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
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        fields: list[Field] = [(1, size) for size in values.shape]
        self._constants[name] = write_message([*fields, (2, kind), (8, name), (9, data)])
        return name

    def model(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, tuple[str, Sequence[int]]]
    ) -> bytes:
        """Write the model, of float32 all.

        `inputs` are names with their shapes; `outputs` are names with what `add` returned and the
        shape. Shapes are without the first dimension, which is of any size.
        """
        for name, (made, _) in outputs.items():
            self._nodes.append(write_message([(1, made), (2, name), (4, "Identity")]))
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
    dimensions = [(1, write_message([(2, "n")]))]
    dimensions += [(1, write_message([(1, size)])) for size in shape]
    tensor = write_message([(1, FLOAT), (2, write_message(dimensions))])
    return write_message([(1, name), (2, write_message([(1, tensor)]))])

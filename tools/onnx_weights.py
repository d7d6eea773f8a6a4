"""Reading the constants of an ONNX model, which needs no package for it.

An ONNX file is a message of protocol buffers; its fields' numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.protobuf import read_fields, read_varints

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW_DATA = 1, 2, 8, 9
FLOAT = 1


def read_weights(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Read a model's constants of type float32 by name.

    Raises ValueError where the content is no such model.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    for number, graph in read_fields(content):
        if number == MODEL_GRAPH and isinstance(graph, bytes):
            for number_within, tensor in read_fields(graph):
                if number_within == GRAPH_INITIALIZER and isinstance(tensor, bytes):
                    weights |= _read_tensor(tensor)
    return weights


def _read_tensor(content: bytes) -> dict[str, NDArray[np.float32]]:
    fields = list(read_fields(content))
    texts = {number: value for number, value in fields if isinstance(value, bytes)}
    if (TENSOR_TYPE, FLOAT) not in fields or TENSOR_RAW_DATA not in texts:
        return {}
    shape: list[int] = []
    for number, value in fields:
        if number == TENSOR_DIMS:
            # Writers may pack numbers that repeat into one field.
            shape += [value] if isinstance(value, int) else read_varints(value)
    values = np.frombuffer(texts[TENSOR_RAW_DATA], "<f4").reshape(shape)
    return {texts[TENSOR_NAME].decode(): values.astype(np.float32)}

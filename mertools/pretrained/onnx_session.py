"""Running ONNX models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray


def start_session(
    content: bytes, external: Mapping[str, NDArray[Any]] | None = None
) -> onnxruntime.InferenceSession:
    """Load a model for the CPU, with one thread, as files are already spread over processes.

    `external`: the constants that are stored outside the model, by name.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if external:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in external.values()]
        options.add_external_initializers(list(external), values)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

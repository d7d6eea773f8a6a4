"""Running ONNX models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray


def start_session(
    content: bytes, external: Mapping[str, NDArray[Any]] | None = None
) -> onnxruntime.InferenceSession:
    """Make a model ready to run on a CPU, with one thread: files are spread over processes.

    `external` are the constants that lie outside of the model, by name.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if external:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in external.values()]
        options.add_external_initializers(list(external), values)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

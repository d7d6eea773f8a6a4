"""Running ONNX models."""

from __future__ import annotations

import onnxruntime


def start_session(content: bytes) -> onnxruntime.InferenceSession:
    """Make a model ready to run on a CPU, with one thread: files are spread over processes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

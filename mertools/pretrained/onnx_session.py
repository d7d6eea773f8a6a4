"""Running ONNX models."""

from __future__ import annotations

import onnxruntime


def start_session(content: bytes) -> onnxruntime.InferenceSession:
    """Load a model for the CPU, with one thread, as files are already spread over processes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

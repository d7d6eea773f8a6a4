"""OpenL3 as an ONNX model."""

from __future__ import annotations

import numpy as np

from mertools.pretrained.onnx_graph import Arrays, Graph
from mertools.pretrained.openl3 import (
    LAST,
    N_BANDS,
    N_FRAMES,
    N_VALUES,
    POOLED_AFTER,
    fold_norms,
)
from mertools.pretrained.weight_files import Weights


def build_model(weights: Weights) -> tuple[bytes, Arrays]:
    """Build the model from the weights by name, and give the arrays that lie outside of it.

    Its input `S`, (n, 256, 199), and its output `embedding`, (n, 512), are those of
    `openl3_torch.Openl3`.
    """
    folded = fold_norms(weights)
    graph = Graph(external=True)
    x = graph.add("Mul", "S", folded["input.scale"])
    x = graph.add("Add", x, folded["input.offset"])
    x = graph.add("Unsqueeze", x, np.array([1]))
    for k in range(LAST + 1):
        weight, bias = (folded[f"convolution.{k}.{part}"] for part in ("weight", "bias"))
        x = graph.add("Conv", x, weight, bias, pads=[1, 1, 1, 1])
        if k != LAST:
            x = graph.add("Relu", x)
        if k in POOLED_AFTER:
            x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Flatten", graph.add("GlobalMaxPool", x), axis=1)
    model = graph.model({"S": (N_BANDS, N_FRAMES)}, {"embedding": (x, [N_VALUES])})
    return model, graph.external

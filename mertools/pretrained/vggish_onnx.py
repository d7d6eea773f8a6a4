"""VGGish as an ONNX model."""

from __future__ import annotations

import numpy as np

from mertools.pretrained.onnx_graph import Arrays, Graph
from mertools.pretrained.vggish import (
    CONVOLUTIONS,
    DENSE,
    N_BANDS,
    N_VALUES,
    PATCH_FRAMES,
    POOLED_AFTER,
)
from mertools.pretrained.weight_files import Weights


def build_model(weights: Weights) -> tuple[bytes, Arrays]:
    """Build the model from the weights by name, and give the arrays that lie outside of it.

    Its input `patches`, (n, 96, 64), and its output `embedding`, (n, 128), are those of
    `vggish_torch.Vggish`.
    """
    # 288 MB would be copied several times on their way into a model.
    graph = Graph(external=True)
    x = graph.add("Unsqueeze", "patches", np.array([1]))
    for number in CONVOLUTIONS:
        weight, bias = (weights[f"features.{number}.{part}"] for part in ("weight", "bias"))
        x = graph.add("Relu", graph.add("Conv", x, weight, bias, pads=[1, 1, 1, 1]))
        if number in POOLED_AFTER:
            x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Flatten", graph.add("Transpose", x, perm=[0, 2, 3, 1]), axis=1)
    last = max(DENSE)
    for number in DENSE:
        weight, bias = (weights[f"embeddings.{number}.{part}"] for part in ("weight", "bias"))
        x = graph.add("Gemm", x, weight, bias, transB=1)
        if number != last:
            x = graph.add("Relu", x)
    model = graph.model({"patches": (PATCH_FRAMES, N_BANDS)}, {"embedding": (x, [N_VALUES])})
    return model, graph.external

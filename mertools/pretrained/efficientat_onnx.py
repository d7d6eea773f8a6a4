"""EfficientAT's mn04_as as an ONNX model."""

from __future__ import annotations

import numpy as np

from mertools.pretrained.efficientat import (
    BLOCKS,
    FIRST,
    LAST,
    N_BANDS,
    N_VALUES,
    Block,
    convolutions,
    fold,
    squeeze_name,
)
from mertools.pretrained.onnx_graph import Arrays, Graph
from mertools.pretrained.weight_files import Weights

RELU, HARD_SWISH = "Relu", "HardSwish"


def build_model(weights: Weights) -> tuple[bytes, Arrays]:
    """Build the model from the weights by name; no array lies outside of it.

    Its input `frames`, (n_frames, 128), and its output `columns`, (n_columns, 384), are those of
    `efficientat_torch.EfficientAt`.
    """
    graph = Graph()
    x = graph.add("Unsqueeze", graph.add("Transpose", "frames", perm=[1, 0]), np.array([0, 1]))
    x = graph.add(HARD_SWISH, _convolve(graph, x, weights, FIRST, stride=2))
    for name, block in BLOCKS.items():
        convolved = _block(graph, x, weights, name, block)
        x = graph.add("Add", convolved, x) if block.is_residual else convolved
    x = graph.add(HARD_SWISH, _convolve(graph, x, weights, LAST))
    x = graph.add("ReduceMean", x, axes=[0, 2], keepdims=0)  # (384, n_columns)
    columns = graph.add("Transpose", x, perm=[1, 0])
    model = graph.model({"frames": [N_BANDS]}, {"columns": (columns, [N_VALUES])})
    return model, graph.external


def _convolve(
    graph: Graph, x: str, weights: Weights, name: str, stride: int = 1, groups: int = 1
) -> str:
    weight, bias = fold(weights, name)
    pad = weight.shape[2] // 2
    return graph.add(
        "Conv", x, weight, bias, pads=[pad] * 4, strides=[stride, stride], group=groups
    )


def _block(graph: Graph, x: str, weights: Weights, name: str, block: Block) -> str:
    activation = HARD_SWISH if block.hard_swish else RELU
    *expanding, by_channel, projecting = convolutions(name, block)
    for layer in expanding:
        x = graph.add(activation, _convolve(graph, x, weights, layer.name))
    x = _convolve(graph, x, weights, by_channel.name, block.stride, block.n_expanded)
    x = graph.add(activation, x)
    if block.squeezes:
        prefix = squeeze_name(name, block)
        level = graph.add("ReduceMean", x, axes=[2, 3], keepdims=0)
        level = graph.add("Relu", _product(graph, level, weights, f"{prefix}.fc1"))
        level = graph.add("Sigmoid", _product(graph, level, weights, f"{prefix}.fc2"))
        x = graph.add("Mul", x, graph.add("Unsqueeze", level, np.array([2, 3])))
    return _convolve(graph, x, weights, projecting.name)


def _product(graph: Graph, x: str, weights: Weights, name: str) -> str:
    return graph.add("Gemm", x, weights[f"{name}.weight"], weights[f"{name}.bias"], transB=1)

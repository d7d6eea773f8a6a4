"""MusiCNN as an ONNX model."""

from __future__ import annotations

import numpy as np

from mertools.pretrained.musicnn import (
    LIVE_CHANNELS,
    LIVE_MIDDLE,
    N_BANDS,
    N_FRONT,
    N_MIDDLE,
    PATCH_FRAMES,
    padding,
)
from mertools.pretrained.onnx_graph import Graph
from mertools.pretrained.weight_files import Weights


def build_model(weights: Weights) -> bytes:
    """Build the model from the weights that `load_weights` gives.

    Its input `patches`, (n, 187, 96), and its outputs `tags`, `mean_pool`, `max_pool` and
    `penultimate` are those of `musicnn_torch.Musicnn`.
    """
    graph = Graph()
    w = weights
    x = graph.add("Unsqueeze", "patches", np.array([1]))
    x = graph.add("Add", graph.add("Mul", x, w["input_scale"]), w["input_offset"])
    front = [_highest(graph, x, w, index) for index in range(N_FRONT)]
    x = graph.add("Squeeze", graph.add("Concat", *front, axis=1), np.array([3]))
    x = graph.add("Min", graph.add("Max", x, w["front_lowest"]), w["front_highest"])
    x = graph.add("Add", graph.add("Mul", x, w["front_scale"]), w["front_offset"])
    layers = [x]  # (n, 64, 187)
    # The first layer changes the number of channels in the original, so only later ones add x.
    for index in range(N_MIDDLE):
        convolved = _middle(graph, x, w, index)
        x = graph.add("Add", convolved, x) if index else convolved
        layers.append(x if index else graph.add("Gather", x, np.array(LIVE_MIDDLE), axis=1))
    channels = graph.add("Concat", *layers, axis=1)  # (n, 212, 187)
    max_pool = graph.add("ReduceMax", channels, axes=[2], keepdims=0)
    mean_pool = graph.add("ReduceMean", channels, axes=[2], keepdims=0)
    pooled = graph.add("Concat", max_pool, mean_pool, axis=1)
    dense = graph.add("Relu", _product(graph, pooled, w, "penultimate"))
    penultimate = _scaled(graph, dense, w, "penultimate")
    tags = graph.add("Sigmoid", _product(graph, penultimate, w, "tags"))
    return graph.model(
        {"patches": (PATCH_FRAMES, N_BANDS)},
        {
            "tags": (tags, w["tags_bias"].shape),
            "mean_pool": (mean_pool, [len(LIVE_CHANNELS)]),
            "max_pool": (max_pool, [len(LIVE_CHANNELS)]),
            "penultimate": (penultimate, w["penultimate_bias"].shape),
        },
    )


def _highest(graph: Graph, x: str, weights: Weights, index: int) -> str:
    """Convolve and take the highest of all bands: (n, n_channels, 187, 1)."""
    weight = weights[f"front_{index}_weight"]
    before, after = padding(weight.shape[2])
    pads = [before, 0, after, 0]
    x = graph.add("Conv", x, weight, weights[f"front_{index}_bias"], pads=pads)
    return graph.add("MaxPool", x, kernel_shape=[1, N_BANDS + 1 - weight.shape[3]])


def _middle(graph: Graph, x: str, weights: Weights, index: int) -> str:
    name = f"middle_{index}"
    weight = weights[f"{name}_weight"]
    pads = padding(weight.shape[2])
    x = graph.add("Relu", graph.add("Conv", x, weight, weights[f"{name}_bias"], pads=pads))
    return _scaled(graph, x, weights, name)


def _product(graph: Graph, x: str, weights: Weights, name: str) -> str:
    return graph.add("Gemm", x, weights[f"{name}_weight"], weights[f"{name}_bias"])


def _scaled(graph: Graph, x: str, weights: Weights, name: str) -> str:
    x = graph.add("Mul", x, weights[f"{name}_scale"])
    return graph.add("Add", x, weights[f"{name}_offset"])

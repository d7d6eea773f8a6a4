"""S-KEY as an ONNX model, its variable-Q transform included."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.onnx_graph import Arrays, Graph
from mertools.pretrained.skey import (
    BINS_PER_OCTAVE,
    CHANNELS,
    CLASSIFIER,
    HOP_LENGTH,
    IMAGINARY,
    KERNEL_LENGTH,
    KERNELS,
    LENGTHS,
    LOWEST_MAGNITUDE,
    LOWPASS,
    LOWPASS_LENGTH,
    N_BINS,
    N_HEARD,
    N_MODES,
    N_OCTAVES,
    NORM,
    NORM_FLOOR,
    RANGE_DB,
    REAL,
    block_name,
    halving_name,
)
from mertools.pretrained.weight_files import Weights


def build_model(weights: Weights) -> tuple[bytes, Arrays]:
    """Build the model from the weights by name; no array lies outside of it.

    Its input `samples`, (n_samples,), and its output `logits`, (2, 12), are those of
    `skey_torch.Skey`.
    """
    graph = Graph()
    x = _transform(graph, weights)
    x = graph.add("Slice", x, np.array([0]), np.array([N_HEARD]), np.array([1]))
    x = graph.add("Unsqueeze", x, np.array([0]))  # (1, 1, 84, n_frames)
    for index in range(len(KERNELS)):
        x = _convolve(graph, _standardised(graph, x), weights, halving_name(index), strides=[1, 2])
        x = _block(graph, _gelu(graph, x), weights, block_name(index))
    # Time and octaves are averaged: (1, 3, 12).
    x = graph.add("ReduceMean", x, axes=[3], keepdims=0)
    x = graph.add("Reshape", x, np.array([1, CHANNELS[-1], -1, BINS_PER_OCTAVE]))
    x = graph.add("ReduceMean", x, axes=[2], keepdims=0)
    x = _convolve(graph, graph.add("Unsqueeze", x, np.array([3])), weights, CLASSIFIER)
    x = graph.add("Reshape", x, np.array([N_MODES, BINS_PER_OCTAVE]))
    mean, variance = (weights[f"{NORM}.running_{part}"][:, None] for part in ("mean", "var"))
    x = graph.add("Div", graph.add("Sub", x, mean), np.sqrt(variance + np.float32(NORM_FLOOR)))
    model = graph.model({"samples": []}, {"logits": (x, [BINS_PER_OCTAVE])})
    return model, graph.external


def _transform(graph: Graph, weights: Weights) -> str:
    """Add the variable-Q transform in decibels, 80 of them from 0 to 1: (1, 99, n_frames)."""
    y, octaves = graph.add("Unsqueeze", "samples", np.array([0, 1])), []
    margin = KERNEL_LENGTH // 2
    for octave in range(N_OCTAVES):
        if octave:
            pads = [(LOWPASS_LENGTH - 1) // 2] * 2
            y = graph.add("Conv", y, weights[LOWPASS], pads=pads, strides=[2])
        around = graph.add("Pad", y, np.array([0, 0, margin, 0, 0, margin]), mode="reflect")
        squares = []
        for name in (REAL, IMAGINARY):
            part = graph.add("Conv", around, weights[name], strides=[HOP_LENGTH >> octave])
            squares.append(graph.add("Mul", part, part))
        octaves.append(graph.add("Sqrt", graph.add("Add", *squares)))
    bins = graph.add("Concat", *octaves[::-1], axis=1)
    end = np.iinfo(np.int64).max
    bins = graph.add("Slice", bins, np.array([-N_BINS]), np.array([end]), np.array([1]))
    bins = graph.add("Mul", bins, np.sqrt(weights[LENGTHS])[:, None])
    logarithm = graph.add("Log", graph.add("Max", bins, _constant(LOWEST_MAGNITUDE)))
    bins_db = graph.add("Mul", logarithm, _constant(10 / math.log(10)))
    floor = graph.add("Sub", graph.add("ReduceMax", bins_db), _constant(RANGE_DB))
    scaled = graph.add("Div", graph.add("Max", bins_db, floor), _constant(RANGE_DB))
    return graph.add("Add", scaled, _constant(1.0))


def _block(graph: Graph, x: str, weights: Weights, name: str) -> str:
    n, _, kernel, _ = weights[f"{name}.dwconv.weight"].shape
    before = [0, 0, kernel // 2, kernel // 2]
    around = graph.add("Pad", x, np.array(before * 2), mode="edge")
    convolved = _convolve(graph, around, weights, f"{name}.dwconv", group=n)
    convolved = _convolve(graph, _standardised(graph, convolved), weights, f"{name}.pwconv1")
    convolved = _convolve(graph, _gelu(graph, convolved), weights, f"{name}.pwconv2")
    scaled = graph.add("Mul", convolved, weights[f"{name}.gamma"][:, None, None])
    return graph.add("Add", x, scaled)


def _convolve(
    graph: Graph, x: str, weights: Weights, name: str, **attributes: int | list[int]
) -> str:
    weight = weights[f"{name}.weight"]
    if weight.ndim == 2:  # a layer of each position alone
        weight = weight[:, :, None, None]
    return graph.add("Conv", x, weight, weights[f"{name}.bias"], **attributes)


def _standardised(graph: Graph, x: str) -> str:
    """Add a standardisation over everything; opset 17's needs the length of the sound."""
    deviation = graph.add("Sub", x, graph.add("ReduceMean", x))
    variance = graph.add("ReduceMean", graph.add("Mul", deviation, deviation))
    root = graph.add("Sqrt", graph.add("Add", variance, _constant(NORM_FLOOR)))
    return graph.add("Div", deviation, root)


def _gelu(graph: Graph, x: str) -> str:
    probability = graph.add("Erf", graph.add("Div", x, _constant(math.sqrt(2))))
    doubled = graph.add("Mul", x, graph.add("Add", probability, _constant(1.0)))
    return graph.add("Mul", doubled, _constant(0.5))


def _constant(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)

"""Basic Pitch as an ONNX model, rearranged to be faster on a CPU than the package's own.

Arrays have frequency before time, so that what convolutions gather lies side by side in memory.
Those of the spectrogram have two dimensions, one of size 1, as the reference's: onnxruntime adds up
in another order with one dimension, and in bins far below the loudest there is only rounding left
to agree on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.basic_pitch import (
    BELS_PER_NEPER,
    BINS_PER_OCTAVE,
    CONTOUR_BINS_AT_ONCE,
    HARMONIC_SHIFTS,
    HOP_SAMPLES,
    KERNEL_SAMPLES,
    LEAST_POWER,
    N_BINS,
    N_CONTOUR_BINS,
    N_NOTES,
    N_OCTAVES,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    cut_harmonics,
)
from mertools.pretrained.onnx_graph import Graph
from mertools.pretrained.weight_files import Weights

BINS_AT_ONCE = 8
"""Divides the bins of a note's and a contour's posteriors; as many as fit a vector of AVX2."""


def build_model(weights: Weights) -> bytes:
    """Build the model from the weights that `load_weights` gives.

    Its input is `sound` at 22,050 Hz, (n, 43844); its outputs are the posteriors `note` and
    `onset`, (n, 172, 88), and `contour`, (n, 172, 264).
    """
    graph = Graph()
    w = weights
    S = _spectrogram(graph, w)
    x = graph.add("Relu", _contour_stack(graph, S, w))
    contour = graph.add(
        "Sigmoid", _convolve_to_one(graph, x, w["contour_weight"], w["contour_bias"])
    )
    x = graph.add("Relu", _convolve_thirds(graph, contour, w, "note_stack"))
    note = graph.add("Sigmoid", _convolve_to_one(graph, x, w["note_weight"], w["note_bias"]))
    x = graph.add("Relu", _convolve_thirds(graph, _stack_harmonics(graph, S), w, "onset_stack"))
    # A convolution of concatenated inputs is the sum of two, which spares the concatenation.
    from_note, from_stack = np.split(w["onset_weight"], [1], axis=1)
    onset = graph.add(
        "Add",
        _convolve_to_one(graph, note, from_note, w["onset_bias"]),
        _convolve_to_one(graph, x, from_stack, np.zeros(1, np.float32)),
    )
    onset = graph.add("Sigmoid", onset)
    outputs = {
        "note": (note, N_NOTES),
        "onset": (onset, N_NOTES),
        "contour": (contour, N_CONTOUR_BINS),
    }
    return graph.model(
        {"sound": (WINDOW_SAMPLES,)},
        {
            name: (_by_frame(graph, x), (WINDOW_FRAMES, n_bins))
            for name, (x, n_bins) in outputs.items()
        },
    )


def _spectrogram(graph: Graph, weights: Weights) -> str:
    """Compute the constant-Q spectrogram in decibels, scaled to its range: (n, 309, 172)."""
    y, n_samples = graph.add("Unsqueeze", "sound", np.array([1, 2])), WINDOW_SAMPLES
    # One set of kernels serves all octaves, as the sound's rate is halved from one to the next.
    kernels = weights["cqt_kernels"][:, None, None]
    octaves = []
    for octave in range(N_OCTAVES):
        if octave:
            y, n_samples = _halve_rate(graph, y, n_samples, weights["lowpass"]), n_samples // 2
        ends = np.array([0, 0, 0, KERNEL_SAMPLES // 2] * 2)
        padded = graph.add("Pad", y, ends, mode="reflect")
        products = graph.add("Conv", padded, kernels, strides=[1, HOP_SAMPLES >> octave])
        products = graph.add("Mul", products, products)
        cosines = _cut(graph, products, 1, 0, BINS_PER_OCTAVE)
        sines = _cut(graph, products, 1, BINS_PER_OCTAVE, 2 * BINS_PER_OCTAVE)
        octaves.append(graph.add("Add", cosines, sines))
    power = graph.add("Squeeze", graph.add("Concat", *octaves[::-1], axis=1), np.array([2]))
    n_left_out = N_OCTAVES * BINS_PER_OCTAVE - N_BINS
    power = _cut(graph, power, 1, n_left_out, N_OCTAVES * BINS_PER_OCTAVE)
    power = graph.add("Mul", power, weights["lengths"])
    # In the reference's order, as of a faint signal only the rounding differs between bins.
    x = graph.add("Log", graph.add("Add", power, _number(LEAST_POWER)))
    x = graph.add("Mul", graph.add("Mul", x, _number(BELS_PER_NEPER)), _number(10))
    x = graph.add("Sub", x, graph.add("ReduceMin", x, axes=[1, 2]))
    loudest = graph.add("ReduceMax", x, axes=[1, 2])
    # The range of silence is 0; divided by 1 it stays 0 and does not become NaN.
    silent = graph.add("Equal", loudest, _number(0))
    x = graph.add("Div", x, graph.add("Where", silent, _number(1), loudest))
    return graph.add("Add", graph.add("Mul", x, weights["scale"]), weights["offset"])


def _halve_rate(graph: Graph, y: str, n_samples: int, lowpass: NDArray[np.float32]) -> str:
    """Low-pass filter and take every other sample: (n, 1, 1, n_samples) to about half."""
    n_at_once, n_taps = lowpass.shape
    n_made = n_samples // 2
    n_blocks = -(-n_made // n_at_once)
    before, step = KERNEL_SAMPLES // 2 - 1, 2 * n_at_once
    after = step * (n_blocks - 1) + n_taps - before - n_samples
    blocks = graph.add(
        "Conv", y, lowpass[:, None, None], strides=[1, step], pads=[0, before, 0, after]
    )
    blocks = graph.add("Transpose", blocks, perm=[0, 2, 3, 1])
    outputs = graph.add("Reshape", blocks, np.array([0, 1, 1, -1]))
    return _cut(graph, outputs, 3, 0, n_made)


def _stack_harmonics(graph: Graph, S: str) -> str:
    """Shift each harmonic of a pitch to the pitch's own bin: (n, 309, t) to (n, 8, 264, t)."""
    stacked = []
    for shift in HARMONIC_SHIFTS:
        first, end = max(0, shift), min(N_BINS, shift + N_CONTOUR_BINS)
        ends = np.array([0, first - shift, 0, 0, shift + N_CONTOUR_BINS - end, 0])
        shifted = graph.add("Pad", _cut(graph, S, 1, first, end), ends)
        stacked.append(graph.add("Unsqueeze", shifted, np.array([1])))
    return graph.add("Concat", *stacked, axis=1)


def _contour_stack(graph: Graph, S: str, weights: Weights) -> str:
    """Convolve the stacked harmonics, towards contours: (n, 8, 264, 172).

    Bins are channels of convolutions over time, each of which makes some bins of the result from
    the band that they draw on. It takes a quarter of the time.
    """
    bias = np.repeat(weights["contour_stack_bias"], CONTOUR_BINS_AT_ONCE)
    outputs = []
    for begin, end, block in cut_harmonics(weights["contour_stack_weight"]):
        kernels = block.transpose(3, 2, 0, 1).reshape(len(bias), end - begin, -1)
        x = graph.add("Conv", _cut(graph, S, 1, begin, end), kernels, bias, pads=[1, 1])
        shape = np.array([0, -1, CONTOUR_BINS_AT_ONCE, WINDOW_FRAMES])
        outputs.append(graph.add("Reshape", x, shape))
    return graph.add("Concat", *outputs, axis=2)


def _convolve_thirds(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """Convolve and take every third bin: (n, n_in, 264, 172) to (n, 32, 88, 172)."""
    weight = weights[f"{name}_weight"].transpose(0, 1, 3, 2)
    n_bins, n_frames = weight.shape[2:]
    pads = [(n_bins - 3) // 2, n_frames // 2] * 2
    return graph.add("Conv", x, weight, weights[f"{name}_bias"], strides=[3, 1], pads=pads)


def _convolve_to_one(
    graph: Graph, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> str:
    """Convolve (n, n_channels, n_bins, 172) to a single channel: (n, 1, n_bins, 172).

    onnxruntime computes as many channels as a vector holds at once, so neighbouring bins are
    channels first.
    """
    weight = weight.transpose(0, 1, 3, 2)
    n_bins, n_frames = weight.shape[2:]
    lower = range(BINS_AT_ONCE)
    rows = [np.pad(weight[0], ((0, 0), (i, lower[-1] - i), (0, 0))) for i in lower]
    pads = [n_bins // 2, n_frames // 2] * 2
    bias = np.repeat(bias, BINS_AT_ONCE)
    x = graph.add("Conv", x, np.stack(rows), bias, strides=[BINS_AT_ONCE, 1], pads=pads)
    x = graph.add("Transpose", x, perm=[0, 2, 1, 3])
    return graph.add("Reshape", x, np.array([0, 1, -1, WINDOW_FRAMES]))


def _by_frame(graph: Graph, x: str) -> str:
    x = graph.add("Squeeze", x, np.array([1]))
    return graph.add("Transpose", x, perm=[0, 2, 1])


def _cut(graph: Graph, x: str, axis: int, first: int, end: int) -> str:
    return graph.add("Slice", x, np.array([first]), np.array([end]), np.array([axis]))


def _number(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)

"""Weights that Keras saved as HDF5, read by h5py alone.

A file lists its layers in the order of the network, and each layer its weights. Names differ
from one version and session of Keras to the next; the order does not, so it identifies layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mertools.errors import SchemaError

Array = NDArray[np.float32]

ROOT = "model_weights"
"""Where a file of a whole model, and not of its weights alone, has them."""
FRONT_END = "spectrogram"
"""In the name of layers that compute spectrograms, whose filters old files have as weights."""

NORM_EPSILON = 1e-3
"""Of a batch normalisation in our networks, as in Keras from 1.1 on."""
OLD_EPSILON = 1e-6


@dataclass(frozen=True)
class Layer:
    """A layer of a file: `name` in our network's weights, and what `form` of `FORMS` it is of."""

    name: str
    form: str


def read_layers(path: Path, layers: Sequence[Layer]) -> dict[str, Array]:
    """Read the weights of a network whose layers with weights are `layers`, in this order.

    Raises SchemaError where the file is no such HDF5 file, or has other layers.
    """
    found = _read(path)
    if len(found) != len(layers):
        raise SchemaError(
            path,
            f"has {len(found)} layers with weights, not {len(layers)}",
            "take the file as its authors publish it",
        )
    weights: dict[str, Array] = {}
    for layer, (name, arrays) in zip(layers, found, strict=True):
        try:
            parts = FORMS[layer.form](arrays)
        except (ValueError, IndexError):
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise SchemaError(
                path,
                f"has the layer {name} of {shapes}, which is no {layer.form}",
                "take the file as its authors publish it",
            ) from None
        weights |= {f"{layer.name}.{part}": array for part, array in parts.items()}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}


def _read(path: Path) -> list[tuple[str, list[NDArray[Any]]]]:
    """Read the weights of each layer that has any."""
    try:
        with h5py.File(path, "r") as file:
            root = file[ROOT] if isinstance(file.get(ROOT, getlink=True), h5py.HardLink) else file
            # Hard links alone: others could lead to any file of the reader's.
            items: dict[str, Any] = {}
            root.visititems(items.__setitem__)
            found = []
            for layer in _names(root, "layer_names"):
                names = _names(items[layer], "weight_names")
                arrays = [_array(items[f"{layer}/{name}"], name) for name in names]
                if arrays and FRONT_END not in layer:
                    found.append((layer, arrays))
            return found
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        line = str(error).partition("\n")[0]
        raise SchemaError(
            path, f"holds no weights of Keras ({line})", "take the file as published"
        ) from None


def _names(group: h5py.Group, attribute: str) -> list[str]:
    return [
        name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]
    ]


def _array(dataset: Any, name: str) -> NDArray[Any]:
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} is no plain dataset")
    array: NDArray[Any] = dataset[()]
    return array


def _convolution(arrays: Sequence[Array]) -> dict[str, Array]:
    """Keras has kernels as (*size, in, out), torch as (out, in, *size)."""
    kernel, bias = arrays
    return {"weight": np.moveaxis(kernel, (-1, -2), (0, 1)), "bias": bias}


def _kernels_first(arrays: Sequence[Array]) -> dict[str, Array]:
    kernel, bias = arrays
    return {"weight": kernel, "bias": bias}


def _dense(arrays: Sequence[Array]) -> dict[str, Array]:
    kernel, bias = arrays
    return {"weight": kernel.T, "bias": bias}


def _norm(arrays: Sequence[Array]) -> dict[str, Array]:
    gamma, beta, mean, variance = arrays
    return {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance}


def _deviation_norm(arrays: Sequence[Array]) -> dict[str, Array]:
    """Keras before 1.0.3 kept deviations: gamma (x - mean) / (deviation + 1e-6) + beta."""
    gamma, beta, mean, deviation = (array.astype(np.float64) for array in arrays)
    return {
        "weight": gamma * np.sqrt(deviation**2 + NORM_EPSILON) / (deviation + OLD_EPSILON),
        "bias": beta,
        "running_mean": mean,
        "running_var": deviation**2,
    }


def _gru(arrays: Sequence[Array]) -> dict[str, Array]:
    """Keras 1 has the update gate, the reset gate and the candidate one after the other."""
    of_input, of_state, bias = arrays[0::3], arrays[1::3], arrays[2::3]
    if len(arrays) != 9:
        raise ValueError
    return {
        "input.weight": np.concatenate(of_input, axis=1).T,
        "input.bias": np.concatenate(bias),
        "state.weight": np.concatenate(of_state, axis=1).T,
    }


FORMS: Mapping[str, Callable[[Sequence[Array]], dict[str, Array]]] = {
    "convolution": _convolution,
    "convolution with kernels first": _kernels_first,
    "dense layer": _dense,
    "batch normalisation": _norm,
    "batch normalisation by deviations": _deviation_norm,
    "GRU of Keras 1": _gru,
}

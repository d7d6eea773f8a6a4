"""Files as Keras saves weights: a group a layer, whose attributes list its datasets in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

Layers = Sequence[tuple[str, Sequence[np.ndarray]]]


def write_keras(path: Path, layers: Layers, root: str = "/") -> None:
    """Write layers; one without arrays, as an activation, has no weights."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root)
        group.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, arrays in layers:
            names = [f"{name}/weight_{k}:0" for k in range(len(arrays))]
            of_layer = group.create_group(name)
            of_layer.attrs["weight_names"] = [each.encode() for each in names]
            for each, array in zip(names, arrays, strict=True):
                of_layer[each] = np.asarray(array, np.float32)


def draw(rng: np.random.Generator, *shape: int, fan: int = 0) -> np.ndarray:
    """Draw weights for `fan` inputs; without, numbers about 0."""
    return (rng.normal(size=shape) * (np.sqrt(2 / fan) if fan else 0.1)).astype(np.float32)


def draw_norm(rng: np.random.Generator, size: int) -> list[np.ndarray]:
    """Draw gamma, beta, mean and variance (or deviation) of a batch normalisation."""
    spread = [rng.uniform(0.5, 1.5, size).astype(np.float32) for _ in range(2)]
    return [spread[0], draw(rng, size), draw(rng, size), spread[1]]

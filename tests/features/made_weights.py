"""Random weights of the published shapes, in files as the authors publish them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mertools.pretrained import user_network
from mertools.pretrained.user_weights import Shapes


def make_state(shapes: Shapes, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw weights under which signals neither vanish nor explode; variances are near 1."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        values = rng.normal(0, scale, shape)
        if name.endswith(("running_var", "lenghts")) or ".1.weight" in name:
            values = 1 + np.abs(values)
        state[name] = values.astype(np.float32)
    return state


def save_state(state: dict[str, np.ndarray], path: Path, key: str | None = None) -> None:
    """Save a state as torch does, under a key beside numbers of numpy where there is one."""
    import torch

    tensors = {name: torch.from_numpy(values) for name, values in state.items()}
    tensors["layer.num_batches_tracked"] = torch.tensor(3)
    torch.save(tensors if key is None else {key: tensors, "loss": np.float64(0.5)}, path)


def forget_networks() -> None:
    """Drop all weights and networks that are loaded: VGGish's take 288 MB."""
    for cached in ("_load_weights", "_load_session", "_load_module"):
        getattr(user_network, cached).cache_clear()

"""The weights of networks that come with mertools.

The repository holds none: `tools.build_weights` takes them from their authors' packages when a
wheel is built or a checkout installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError

Weights = Mapping[str, NDArray[np.float32]]

FOLDER = Path(__file__).with_name("weights")


def find_weights(name: str) -> Path:
    """Find the file of a network's weights.

    Raises UsageError where it is missing.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise UsageError(
            path,
            "is missing, the weights of a network that comes with mertools",
            "pip install --force-reinstall mertools; in a checkout, python -m tools.build_weights",
        )
    return path


def load_weights(name: str) -> Weights:
    """Load a network's weights; `tools` says what each is.

    Raises UsageError where they are missing.
    """
    from safetensors.numpy import load_file

    weights: Weights = load_file(find_weights(name))
    return weights

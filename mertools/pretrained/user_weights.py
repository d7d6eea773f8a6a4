"""Weights that a user brings: of networks that mertools runs but may not pass on.

`mer import weights NETWORK FILE` writes them as `NETWORK.safetensors`. They are looked for in

1. what `VARIABLE` names, files by network in JSON, as `mer featurize --weights` sets it;
2. the folder `weights` of each folder that `MER_MODELS` names;
3. the user's data folder, `$XDG_DATA_HOME/mertools/weights` or `~/.local/share/mertools/weights`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from mertools.artifacts import safetensors_file
from mertools.artifacts.files import digest_file
from mertools.errors import SchemaError, UsageError
from mertools.pretrained.weight_files import Weights

VARIABLE = "MER_WEIGHTS"
MODELS_VARIABLE = "MER_MODELS"
SUFFIX = ".safetensors"
DIGITS = 12
"""Of a file's digest, by which features remember the weights they were computed with."""

Shapes = Mapping[str, tuple[int, ...]]


def data_folder() -> Path:
    """Give the folder of the user's own weights, which need not exist."""
    base = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    return Path(base) / "mertools" / "weights"


def name_weights(files: Mapping[str, str]) -> None:
    """Let this process and those that it starts take the weights of networks from some files."""
    os.environ[VARIABLE] = json.dumps(
        {name: str(Path(file).resolve()) for name, file in files.items()}
    )


def has_weights(name: str) -> bool:
    """Return whether there is a file of a network's weights."""
    return any(path.is_file() for path in _candidates(name))


def find_weights(name: str) -> Path:
    """Find the file of a network's weights. Raises UsageError where there is none."""
    for path in _candidates(name):
        if path.is_file():
            return path
    raise UsageError(
        name,
        "has no weights here, as they do not come with mertools",
        f"mer import weights {name} FILE (mer models fetch gets some)",
    )


def _candidates(name: str) -> Iterator[Path]:
    named = json.loads(os.environ.get(VARIABLE, "{}"))
    if name in named:
        yield Path(named[name])
    for folder in filter(None, os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)):
        yield Path(folder) / "weights" / f"{name}{SUFFIX}"
    yield data_folder() / f"{name}{SUFFIX}"


@lru_cache(maxsize=4)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    return digest_file(path)[:DIGITS]


def digest_weights(name: str) -> str:
    """Give the first digits of the digest of a network's weights: they tell features apart.

    Raises UsageError where there are none.
    """
    path = find_weights(name)
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


def write_weights(folder: Path, name: str, weights: Weights) -> Path:
    """Write a network's weights in a folder, where they are found by its name; give the file."""
    path = folder / f"{name}{SUFFIX}"
    safetensors_file.write(path, f"weights of {name}", weights)
    return path


def load_weights(name: str, digest: str, required: Shapes, optional: Shapes) -> Weights:
    """Load a network's weights, of which `required` gives the shapes by name.

    `digest` is that of the weights which are meant. Raises UsageError where there are none or
    others, SchemaError where the file does not hold what it should.
    """
    path = find_weights(name)
    found = digest_weights(name)
    if digest != found:
        raise UsageError(
            path,
            f"holds other weights ({found}) than the features were computed with ({digest})",
            f"name those with --weights {name}=FILE",
        )
    weights = safetensors_file.read_learnt(path)
    check_weights(path, weights, required, optional)
    return weights


def check_weights(path: object, weights: Weights, required: Shapes, optional: Shapes) -> None:
    """Raise SchemaError where a weight is missing, unknown, of another shape, or not finite."""
    remedy = f"see docs/features.md for the weights' names ({', '.join(required)})"
    known = {**required, **optional}
    for name, shape in known.items():
        if name not in weights:
            if name in required:
                raise SchemaError(path, f"lacks the weight {name}", remedy)
            continue
        if weights[name].shape != shape:
            found = weights[name].shape
            raise SchemaError(path, f"has {name} of shape {found}, not {shape}", remedy)
        if weights[name].dtype != np.float32 or not np.isfinite(weights[name]).all():
            raise SchemaError(path, f"has {name} that is not finite float32", remedy)
    if unknown := sorted(weights.keys() - known.keys()):
        raise SchemaError(path, f"has {unknown[0]}, which is no weight of it", remedy)

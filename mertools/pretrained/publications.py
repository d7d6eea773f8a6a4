"""Networks whose weights a user may bring, and reading the files that their authors publish.

A row for each network; `mer import weights` lists them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts import safetensors_file
from mertools.errors import SchemaError, UsageError, choose_from
from mertools.pretrained import openl3, vggish
from mertools.pretrained.keras_file import Layer, read_layers
from mertools.pretrained.user_weights import Shapes, check_weights

READABLE = (".safetensors", ".npz", ".pt", ".pth")
OF_KERAS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Publication:
    """A network's published weights: their shapes by name, and where the files are from.

    `layers` are those of a file of Keras, where one is published.
    """

    name: str
    shapes: Shapes
    optional: Shapes
    source: str
    layers: tuple[Layer, ...] = ()


PUBLICATIONS: Mapping[str, Publication] = {
    row.name: row
    for row in (
        Publication(
            vggish.NAME,
            vggish.SHAPES,
            vggish.PCA_SHAPES,
            "vggish-10086976.pth, and vggish_pca_params-970ea276.pth for vggish.pca, of "
            "https://github.com/harritaylor/torchvggish",
        ),
        Publication(
            openl3.NAME,
            openl3.SHAPES,
            {},
            "openl3_audio_mel256_music.h5 of https://github.com/marl/openl3, branch models",
            openl3.LAYERS,
        ),
    )
}


def find_publication(name: str, others: Iterable[str] = ()) -> Publication:
    """Find a network by its name. Raises UsageError where there is none, which names `others`."""
    if name not in PUBLICATIONS:
        raise UsageError(
            name, "is no network to import", choose_from((*PUBLICATIONS, *others), name)
        )
    return PUBLICATIONS[name]


def read_published_weights(
    publication: Publication, paths: tuple[Path, ...]
) -> dict[str, NDArray[np.float32]]:
    """Read weights from files, which add to each other, and check that they are all there.

    Raises UsageError where a file cannot be read, SchemaError where it holds other weights.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    known = {**publication.shapes, **publication.optional}
    for path in paths:
        for name, values in _read(path, publication.layers).items():
            shape = known.get(name)
            # Some publish a vector as a column.
            if shape is not None and values.shape == (*shape, 1):
                values = values[..., 0]
            weights[name] = np.ascontiguousarray(values, np.float32)
    check_weights(paths[0], weights, publication.shapes, publication.optional)
    return weights


def _read(path: Path, layers: tuple[Layer, ...]) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise UsageError(path, "does not exist", "give the file as its authors publish it")
    if path.suffix == ".safetensors":
        return safetensors_file.read_learnt(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix in READABLE:
        return read_state(path)
    if layers and path.suffix in OF_KERAS:
        return dict(read_layers(path, layers))
    readable = (*READABLE, *(OF_KERAS if layers else ()))
    raise UsageError(path, "is of no known form", f"give one of {', '.join(readable)}")


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise SchemaError(path, f"is no NPZ of arrays ({error})", "write it again") from None


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """Read torch's state of a module: tensors alone, nothing else that its pickle may name."""
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {str(name): tensor.numpy() for name, tensor in state.items()}
    except (pickle.UnpicklingError, RuntimeError, AttributeError, TypeError, EOFError) as error:
        line = str(error).partition("\n")[0]
        raise SchemaError(
            path, f"holds no tensors by name ({line})", "take the file as published"
        ) from None

"""Networks whose weights a user may bring, and reading the files that their authors publish.

A row for each network; `mer import weights` lists them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts import safetensors_file
from mertools.errors import SchemaError, UsageError, choose_from
from mertools.pretrained import efficientat, openl3, skey, vggish
from mertools.pretrained.keras_file import Layer, read_layers
from mertools.pretrained.user_network import UserNetwork
from mertools.pretrained.user_weights import check_weights

READABLE = (".safetensors", ".npz", ".pt", ".pth")
OF_KERAS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Download:
    """A file that anybody may fetch: its address, size, SHA-256 (hexadecimal) and licence."""

    url: str
    n_bytes: int
    sha256: str
    licence: str


@dataclass(frozen=True)
class Publication:
    """A network's published weights, and where the files are from.

    `layers` are those of a file of Keras, where one is published. `state`: the key of the tensors
    by name in a torch file that holds more. `ignored` matches the names of weights that are left
    out, as the network does without. `download`: the file that `mer models fetch` fetches, where
    there is one that will stay as it is.
    """

    network: UserNetwork
    source: str
    layers: tuple[Layer, ...] = ()
    state: str | None = None
    ignored: str | None = None
    download: Download | None = None

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name


PUBLICATIONS: Mapping[str, Publication] = {
    row.name: row
    for row in (
        Publication(
            vggish.NETWORK,
            "vggish-10086976.pth, and vggish_pca_params-970ea276.pth for vggish.pca, of "
            "https://github.com/harritaylor/torchvggish",
        ),
        Publication(
            openl3.NETWORK,
            "openl3_audio_mel256_music.h5 of https://github.com/marl/openl3, branch models",
            openl3.LAYERS,
        ),
        Publication(
            efficientat.NETWORK,
            "mn04_as_mAP_432.pt of https://github.com/fschmid56/EfficientAT, release v0.0.1",
            # The classifier of AudioSet's sounds, and counters of training.
            ignored=r"classifier\..*|.*\.num_batches_tracked",
            download=Download(
                "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
                "mn04_as_mAP_432.pt",
                4_066_513,
                "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
                "MIT",
            ),
        ),
        Publication(
            skey.NETWORK,
            "skey/models/skey.pt of https://github.com/deezer/skey",
            state="stone",
            # Repetitions of the highest octave's kernels, and a counter of training.
            ignored=r"hcqt\.cqt_kernels_(real|imag)_[1-8]|.*\.num_batches_tracked",
            download=Download(
                "https://raw.githubusercontent.com/deezer/skey/"
                "918b83d273568d5041569bb8068843d19a335726/skey/models/skey.pt",
                765_465,
                "78dfd0ad4fa9434bf7cec70a25934b7c575bda9c80e994700140770ad3a5ead4",
                "MIT",
            ),
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
    network = publication.network
    known = {**network.shapes, **network.optional}
    ignored = re.compile(publication.ignored or "(?!)")
    for path in paths:
        for name, values in _read(path, publication).items():
            if ignored.fullmatch(name):
                continue
            shape = known.get(name)
            # Some publish a vector as a column.
            if shape is not None and values.shape == (*shape, 1):
                values = values[..., 0]
            weights[name] = np.ascontiguousarray(values, np.float32)
    check_weights(paths[0], weights, network.shapes, network.optional)
    return weights


def _read(path: Path, publication: Publication) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise UsageError(path, "does not exist", "give the file as its authors publish it")
    if path.suffix == ".safetensors":
        return safetensors_file.read_learnt(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix in READABLE:
        return read_state(path, publication.state)
    if publication.layers and path.suffix in OF_KERAS:
        return dict(read_layers(path, publication.layers))
    readable = (*READABLE, *(OF_KERAS if publication.layers else ()))
    raise UsageError(path, "is of no known form", f"give one of {', '.join(readable)}")


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise SchemaError(path, f"is no NPZ of arrays ({error})", "write it again") from None


def read_state(path: Path, key: str | None = None) -> dict[str, NDArray[Any]]:
    """Read torch's state of a module, or that under a key of a dictionary.

    Nothing is read but tensors and numbers, whatever else the file's pickle may name.
    """
    import pickle

    import torch

    # Numbers of numpy, which some files have beside the tensors.
    scalar: Any = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [np.dtype, type(np.dtype(np.float64)), type(np.dtype(np.int64))]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    try:
        with torch.serialization.safe_globals([*numbers, *names]):
            state = torch.load(path, map_location="cpu", weights_only=True)
        tensors = state if key is None else state[key]
        return {str(name): tensor.numpy() for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, RuntimeError, AttributeError, TypeError, EOFError) as error:
        line = str(error).partition("\n")[0]
        raise SchemaError(
            path, f"holds no tensors by name ({line})", "take the file as published"
        ) from None
    except KeyError:
        raise SchemaError(path, f"holds no {key}", "take the file as published") from None

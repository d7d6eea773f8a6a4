"""What the cards of all models have in common."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np

from mertools.artifacts.files import DIGEST_BYTES
from mertools.artifacts.model_card import Input
from mertools.dataset.dataset import Dataset, Joined
from mertools.targets.scale import Classes

TRACK_HASH_DIGITS = 8


def describe_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Say with which versions of Python and of some libraries a model was trained."""
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def hash_track(track_id: str) -> str:
    """Digest a track_id (BLAKE2b, 128 bit, hexadecimal)."""
    encoded = track_id.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()


def describe_inputs(data: Dataset) -> tuple[Input, ...]:
    """Say which kinds of feature a model needs."""
    return tuple(
        Input(kind.name, dict(kind.params), kind.params_digest, kind.shape, kind.level)
        for kind in data.stored.kinds
    )


def describe_training(joined: Joined, n_rows: int) -> dict[str, Any]:
    """Say what was learnt from: digests, tracks and what was left out."""
    data = joined.dataset
    originals = [t for t, c in zip(data.track_ids, data.is_copy, strict=True) if not c]
    of_ids = hashlib.blake2b(
        "\0".join(originals).encode("utf-8", "surrogateescape"), digest_size=16
    )
    if isinstance(data.targets[0].scale, Classes):
        counts = np.bincount(data.labels.y[~data.is_copy], minlength=len(data.classes)).tolist()
        tracks = dict(zip(data.classes, counts, strict=True))
    else:
        tracks = {"all": len(originals)}
    return {
        "digest": data.digest,
        "n_rows": n_rows,
        "n_tracks": len(originals),
        "tracks": tracks,
        "tracks_digest": of_ids.hexdigest(),
        "track_hashes": "".join(sorted(hash_track(t)[:TRACK_HASH_DIGITS] for t in originals)),
        "split": "all but test" if joined.n_test else "all",
        "left_out": {
            "test": joined.n_test,
            "disagreement": joined.n_dropped,
            "without_features": joined.n_without_features,
        },
    }

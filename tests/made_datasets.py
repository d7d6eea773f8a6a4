"""Datasets in memory, without any file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from made_segments import CLASSES, describe_vectors
from mertools.dataset.dataset import Dataset, TrackLabels
from mertools.dataset.relatives import number_units
from mertools.dataset.stored import StoredFeatures
from mertools.targets.scale import Classes, Range, Target


def make_dataset(
    ids: Sequence[str],
    y: NDArray[Any] | None = None,
    *,
    numbers: NDArray[Any] | None = None,
    low: float = 0.0,
    high: float = 1.0,
    classes: Sequence[str] = CLASSES,
    kept: NDArray[Any] | None = None,
    validation: NDArray[Any] | None = None,
    originals: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    per_track: int = 1,
    n_columns: int = 1,
) -> Dataset:
    """Make tracks of classes `y`, or of `numbers`, with `per_track` segments each."""
    n = len(ids)
    if numbers is None:
        assert y is not None
        target = Target("arousal", Classes(tuple(classes)))
        shares = np.eye(len(classes))[y]
        numbers = np.empty((n, 0))
    else:
        target, shares, y = Target("valence", Range(low, high)), np.empty((n, 0)), np.zeros(n, int)
        numbers = numbers[:, None]
    everything, nothing = np.ones(n, bool), np.zeros(n, bool)
    of = [(originals or {}).get(name, name) for name in ids]
    track_of_row = np.repeat(np.arange(n), per_track)
    labels = TrackLabels(
        y,
        shares,
        numbers,
        everything if kept is None else kept,
        nothing if validation is None else validation,
    )
    return Dataset(
        (target,),
        tuple(f"{ids[track]}-{row}" for row, track in enumerate(track_of_row)),
        track_of_row,
        np.zeros(n * per_track),
        np.full(n * per_track, 10.0),
        tuple(ids),
        labels,
        np.array([name != original for name, original in zip(ids, of, strict=True)]),
        number_units(of, groups),
        StoredFeatures((), (describe_vectors("made", n_columns),), ((),)),
        "0",
    )

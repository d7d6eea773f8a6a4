"""What features.h5 holds of a segment, and of a kind of feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32] | NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """What is known of a segment beside its features; `start` and `duration` in seconds."""

    segment_id: str
    track_id: str
    start: float
    duration: float
    silent: bool
    padded: bool
    source_digest: str


@dataclass(frozen=True)
class KindDescription:
    """What a dataset of features holds: (n_segments, *shape) of `dtype`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    dimensions: tuple[str, ...]
    columns: tuple[str, ...]
    unit: str
    params: Mapping[str, Any]
    params_digest: str
    engine: str

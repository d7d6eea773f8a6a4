"""What features.h5 holds of a segment, and of a kind of feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_TOKEN = -1
"""Fills tokens of lyrics up to their length."""

Features = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """What is known of a segment beside its features; `start` and `duration` in seconds.

    `original` is the track_id that an augmented copy comes from, and empty for an original.
    Features of level track have one row a track: segment_id = track_id, start and duration 0.
    Lyrics are `silent` where they have no words, and `truncated` where their end is left out.
    """

    segment_id: str
    track_id: str
    start: float
    duration: float
    silent: bool
    padded: bool
    source_digest: str
    original: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Cutting:
    """How whole tracks were cut into segments: length and hop in seconds.

    `last` is what became of a remainder shorter than a segment (see `audio.settings`).
    """

    length_s: float
    hop_s: float
    last: str


@dataclass(frozen=True)
class KindDescription:
    """What a dataset of features holds: (n_segments, *shape) of `dtype`.

    `level` is "segment", or "track" for what a track has as a whole; `source` is "sound" or
    "lyrics". `engine` is the implementation that computed them, and `device` where it ran.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    dimensions: tuple[str, ...]
    columns: tuple[str, ...]
    unit: str
    params: Mapping[str, Any]
    params_digest: str
    engine: str
    level: str = "segment"
    source: str = "sound"
    device: str = "cpu"

"""Labels over time: which rated stretch of a track a predicted segment is scored by.

A segment and a stretch match where they overlap by half or more of the shorter of both. So a long
window is scored by the many short ratings within it, and a short one by the long stretch around it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Label, Prediction

MIN_OVERLAP = 0.5
"""Share of the shorter of segment and stretch that both have in common."""


def match_windows(
    segments: Sequence[Prediction], stretches: Sequence[Label]
) -> list[tuple[Prediction, Label]]:
    """Pair the segments of a track with the label that each is scored by; others are left out.

    The mean rating is that of all matching stretches, weighted by their overlap with the segment;
    everything else, such as the class, is of the stretch with the longest overlap (the first of
    equals).
    """
    rows, labels = _spans(segments), _spans(stretches)
    starts = np.maximum(rows[:, None, 0], labels[None, :, 0])
    ends = np.minimum(rows[:, None, 0] + rows[:, None, 1], labels[None, :, 0] + labels[None, :, 1])
    overlap = np.maximum(ends - starts, 0)
    shorter = np.minimum(rows[:, None, 1], labels[None, :, 1])
    # Times are rounded in tables, so that a half may come out a little shorter.
    overlap[overlap < MIN_OVERLAP * shorter - 1e-9] = 0
    means = np.array([np.nan if label.mean is None else label.mean for label in stretches])
    pairs = []
    for segment, shares in zip(segments, overlap, strict=True):
        if shares.any():
            longest = stretches[int(shares.argmax())]
            mean = float((shares * means).sum() / shares.sum())
            mean_or_none = None if longest.mean is None else mean
            pairs.append((segment, dataclasses.replace(longest, mean=mean_or_none)))
    return pairs


def _spans(rows: Sequence[Prediction] | Sequence[Label]) -> NDArray[np.float64]:
    """Give start and duration in seconds, (n, 2); an unknown duration has no length."""
    return np.array([(row.start or 0.0, row.duration or 0.0) for row in rows], dtype=np.float64)

"""Predictions and sounds that tests show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mertools.artifacts.rows import Prediction

CLASSES = {"arousal": "weak|neutral|strong", "valence": "negative|neutral|positive"}
HOSTILE = "<!--<script></script x><b>\"Ça\" & 'ira' $x_$ 歌 \udcff"
"""A name with all that could break out of HTML, JSON or a formula, not all of it UTF-8."""

WriteTone = Callable[..., Path]


def made_rows(
    track_id: str,
    arousal: Sequence[float],
    valence: Sequence[float] = (),
    *,
    window: float = 2.0,
    hop: float = 1.0,
    whole: bool = True,
) -> list[Prediction]:
    """Make the rows of windows whose mean ratings, from -1 to 1, are given, and of their mean."""
    rows = []
    for target, means in (("arousal", arousal), ("valence", valence)):
        for k, mean in enumerate(means):
            segment_id = f"{track_id}_{k}"
            rows.append(_row("segment", track_id, segment_id, k * hop, window, target, mean))
        if means and whole:
            length = (len(means) - 1) * hop + window
            mean = sum(means) / len(means)
            rows.append(_row("track", track_id, None, 0.0, length, target, mean))
    return rows


def _row(
    level: str,
    track_id: str,
    segment_id: str | None,
    start: float,
    duration: float,
    target: str,
    mean: float,
) -> Prediction:
    # Half of the ratings are neutral, as far as the mean allows.
    neutral = (1 - abs(mean)) / 2
    posterior = ((1 - neutral - mean) / 2, neutral, (1 - neutral + mean) / 2)
    names = CLASSES[target].split("|")
    predicted = names[max(range(3), key=lambda k: posterior[k])]
    place = (level, track_id, segment_id, start, duration)
    return Prediction(*place, target, CLASSES[target], posterior, predicted, 2 + mean)

"""Predictions and sounds that tests show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.rows import Model, Prediction
from mertools.targets.scale import parse_range

CLASSES = {"arousal": "weak|neutral|strong", "valence": "negative|neutral|positive"}
MODELS = [
    Model("calm", "arousal", "svm", "mel", "weak|neutral|strong", "CC0-1.0", 1, "calm.skops"),
    Model(
        "glad", "valence", "cnn", "mel", "negative|neutral|positive", None, 1, "glad.safetensors"
    ),
]
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


def as_numbers(rows: Sequence[Prediction], scale: str = "1..9") -> list[Prediction]:
    """Make rows of numbers, on a scale, whose means from -1 to 1 are those of other rows."""
    span = parse_range(scale)
    half = span.high - span.middle
    return [
        replace(
            row,
            classes=None,
            posteriors=(),
            predicted=None,
            value=span.middle + half * ((row.value or 2) - 2),
            scale=scale,
        )
        for row in rows
    ]


def shares_rows(
    track_id: str, *posteriors: Sequence[float], classes: str = "Q1|Q2|Q3|Q4"
) -> list[Prediction]:
    """Make rows of windows of 2 s, one a second, of the unordered target `quadrant`, and of all."""
    names = classes.split("|")
    mean = [sum(column) / len(posteriors) for column in zip(*posteriors, strict=True)]
    rows = []
    for k, posterior in enumerate([*posteriors, mean]):
        is_whole = k == len(posteriors)
        rows.append(
            Prediction(
                "track" if is_whole else "segment",
                track_id,
                None if is_whole else f"{track_id}_{k}",
                0.0 if is_whole else float(k),
                len(posteriors) + 1.0 if is_whole else 2.0,
                "quadrant",
                classes,
                tuple(posterior),
                names[max(range(len(names)), key=lambda c: posterior[c])],
                scale="unordered",
            )
        )
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


def made_explanations(
    rows: Sequence[Prediction], baseline: float, **added: float
) -> list[Explanation]:
    """Explain whole tracks' rows by what blocks add; `__` in a block's name is a dot."""
    parts = {"baseline": baseline} | {name.replace("__", "."): x for name, x in added.items()}
    return [
        Explanation(
            row.level, row.track_id, None, row.start, row.duration, row.target,
            row.predicted if row.value is None else None, part, contribution, scale=row.scale,
        )
        for row in rows
        if row.level == "track"
        for part, contribution in parts.items()
    ]  # fmt: skip

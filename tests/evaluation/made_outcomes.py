"""Outcomes and tables that the tests of evaluation are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mertools.artifacts.rows import Label, Prediction, Row
from mertools.artifacts.tables import write_table
from mertools.evaluation.outcomes import ClassOutcomes

NAMES = ("weak", "neutral", "strong")


def make_outcomes(
    reference: Sequence[int],
    posteriors: Any,
    *,
    estimated: Sequence[int] | None = None,
    track: Sequence[int] | None = None,
    ratings: Sequence[float] | None = None,
    values: Sequence[float] | None = None,
) -> ClassOutcomes:
    """Make outcomes; every row is of a track of its own unless `track` says otherwise."""
    posteriors = np.asarray(posteriors, dtype=float)
    n, n_classes = posteriors.shape
    tracks = np.arange(n) if track is None else np.asarray(track)
    return ClassOutcomes(
        tuple(f"t{index:05}" for index in range(tracks.max() + 1)),
        tracks.astype(np.intp),
        np.full(n, ""),
        np.zeros((n, 2), dtype=np.intp),
        tuple(f"class{k}" for k in range(n_classes)),
        np.asarray(reference, dtype=np.intp),
        np.asarray(posteriors.argmax(axis=1) if estimated is None else estimated, dtype=np.intp),
        posteriors,
        np.zeros(n) if ratings is None else np.asarray(ratings, dtype=float),
        np.full(n, np.nan) if values is None else np.asarray(values, dtype=float),
    )


def answers(estimated: Sequence[int], n_classes: int) -> Any:
    """Make posteriors that are sure of the given classes."""
    return np.eye(n_classes)[list(estimated)]


@st.composite
def outcomes(draw: st.DrawFn, *, min_classes: int = 2) -> ClassOutcomes:
    """Draw outcomes with ties, classes that do not occur, several rows a track, or just one row."""
    n_classes = draw(st.integers(min_classes, 5))
    n = draw(st.integers(1, 40))
    occurring = draw(st.sets(st.integers(0, n_classes - 1), min_size=1))
    rows = st.lists(st.sampled_from(sorted(occurring)), min_size=n, max_size=n)
    numbers = st.lists(st.integers(0, 3), min_size=n_classes, max_size=n_classes)
    raw = np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype=float) + 0.25
    tracks = np.array(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    return make_outcomes(
        draw(rows),
        raw / raw.sum(axis=1, keepdims=True),
        track=np.unique(tracks, return_inverse=True)[1].tolist(),
    )


def label(track_id: str, number: int, **changes: Any) -> Label:
    """Make a label of arousal, class `number` from 1."""
    values: dict[str, Any] = {
        "track_id": track_id,
        "target": "arousal",
        "n_annotators": 10,
        "mean": float(number),
        "std": 0.5,
        "mad": 0.4,
        "label": number,
        "class_name": NAMES[number - 1],
        "kept": True,
        "distribution": tuple(float(k == number - 1) for k in range(3)),
        "split": None,
    }
    return Label(**values | changes)


def prediction(
    track_id: str, posteriors: Sequence[float], segment: int | None = None, **changes: Any
) -> Prediction:
    """Make a prediction of arousal for a track, or for its segment with the given index."""
    values: dict[str, Any] = {
        "level": "track" if segment is None else "segment",
        "track_id": track_id,
        "segment_id": None if segment is None else f"{track_id}_{segment}",
        "start": 10.0 * (segment or 0),
        "duration": 30.0 if segment is None else 10.0,
        "target": "arousal",
        "classes": "|".join(NAMES),
        "posteriors": tuple(posteriors),
        "predicted": NAMES[int(np.argmax(posteriors))],
        "value": float(np.dot(posteriors, range(1, len(posteriors) + 1))),
    }
    return Prediction(**values | changes)


def number_label(track_id: str, mean: float, **changes: Any) -> Label:
    """Make a label of valence from 0 to 1."""
    classes: dict[str, Any] = {"label": None, "class_name": None, "distribution": ()}
    values = {"target": "valence", "mean": mean, "scale": "0..1"} | classes
    return label(track_id, 1, **values | changes)


def number_prediction(
    track_id: str, value: float, segment: int | None = None, **changes: Any
) -> Prediction:
    """Make a prediction of valence from 0 to 1, for a track or for its segment of 10 s."""
    values: dict[str, Any] = {"target": "valence", "value": value, "scale": "0..1"}
    row = prediction(track_id, [1.0], segment, **values | changes)
    return dataclasses.replace(row, classes=None, posteriors=(), predicted=None)


def save(path: Path, row_type: type[Row], rows: Sequence[Row], optional: Sequence[str] = ()) -> str:
    """Write a table of three classes and give its path; `optional` are columns to write too."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_table(stream, row_type, rows, 3, optional)
    return str(path)


def plane_tables(
    n_tracks: int = 90, n_segments: int = 3, noise: float = 0.1
) -> tuple[list[Label], list[Prediction]]:
    """Make labels of valence and arousal, from 0 to 1, and predictions of segments."""
    generator = np.random.default_rng(n_tracks)
    labels, predictions = [], []
    for index in range(n_tracks):
        track_id = f"t{index:03}"
        split = ("train", "train", "test")[index % 3]
        for target in ("valence", "arousal"):
            side = generator.choice([0.25, 0.75])
            mean = float(np.clip(generator.normal(side, 0.1), 0, 1))
            labels.append(number_label(track_id, mean, target=target, split=split))
            for segment in range(n_segments):
                value = float(0.25 + 0.5 * mean + generator.normal(0, noise))
                predictions.append(number_prediction(track_id, value, segment, target=target))
    return labels, predictions


def corpus_tables(n_tracks: int = 60, skill: float = 0.9) -> tuple[list[Label], list[Prediction]]:
    """Make labels of some tracks, and predictions of their segments by a model of some skill."""
    generator = np.random.default_rng(n_tracks)
    labels, predictions = [], []
    for index in range(n_tracks):
        track_id, number = f"t{index:03}", int(generator.choice(3, p=[0.3, 0.3, 0.4])) + 1
        split = "test" if index % 3 == 0 else "train"
        mean = number + float(generator.normal(0, 0.2))
        labels.append(label(track_id, number, mean=mean, split=split, kept=index % 10 != 9))
        for segment in range(3):
            raw = np.exp(generator.normal(0, 1, 3) + skill * np.eye(3)[number - 1])
            posteriors = np.round(raw / raw.sum(), 9).tolist()
            predictions.append(prediction(track_id, posteriors, segment))
    return labels, predictions

"""Joining predictions with labels by track and target: the estimated beside the reference.

Every row that is not scored is counted, by the reason why.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Label, Prediction
from mertools.errors import SchemaError

SEGMENT, TRACK = "segment", "track"
POSTERIOR_TOLERANCE = 1e-3
"""How far a row's posteriors may sum from 1; tables from other programs round them."""

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Outcomes:
    """What was estimated and what is true, for the n scored rows of one target at one level.

    Rows are in the order of track, start and segment, whatever order they were read in, so that
    no figure depends on it. T is the number of tracks, K of classes.
    """

    classes: tuple[str, ...]
    """Names of the classes, K."""
    track_ids: tuple[str, ...]
    """Keys of the tracks, T, in ascending order."""
    track: IndexArray
    """Index of each row's track in `track_ids`, (n,)."""
    reference: IndexArray
    """Class according to the label, from 0, (n,)."""
    estimated: IndexArray
    """Class according to the prediction, from 0, (n,)."""
    posteriors: FloatArray
    """(n, K)."""
    ratings: FloatArray
    """Mean rating according to the label, (n,)."""
    values: FloatArray
    """Rating according to the prediction, (n,); NaN where there is none."""

    def of_tracks(self, track_ids: Set[str]) -> Outcomes:
        """Keep the rows of some of the tracks."""
        wanted = [name for name in self.track_ids if name in track_ids]
        new_index = {track_id: index for index, track_id in enumerate(wanted)}
        renumbered = np.array([new_index.get(name, -1) for name in self.track_ids], dtype=np.intp)
        rows = np.flatnonzero(renumbered[self.track] >= 0)
        return Outcomes(
            self.classes,
            tuple(wanted),
            renumbered[self.track[rows]],
            self.reference[rows],
            self.estimated[rows],
            self.posteriors[rows],
            self.ratings[rows],
            self.values[rows],
        )


@dataclass(frozen=True)
class Coverage:
    """How many tracks of one target were scored, and why the others were not."""

    scored: int
    """Tracks with both a prediction and a label to score it by."""
    averaged: int
    """Of them, those whose track-level posterior is made here, from their segments'."""
    predictions_without_label: int
    predictions_not_kept: int
    """Predicted tracks whose annotators disagree too much."""
    predictions_of_other_split: int
    labels_without_prediction: int
    """Kept labels of the split for which there is no prediction."""


@dataclass(frozen=True)
class JoinedTarget:
    """One target: its classes, its outcomes at each level that has any, and what was left out."""

    classes: tuple[str, ...]
    levels: Mapping[str, Outcomes]
    coverage: Coverage


def join_tables(
    predictions: Iterable[Prediction],
    labels: Iterable[Label],
    split: str | None = None,
    *,
    predictions_name: str = "predictions",
    labels_name: str = "labels",
) -> dict[str, JoinedTarget]:
    """Join predictions with the kept labels of a split (None: of all), target by target.

    A track that has no row of its own at track level gets the mean of its segments' posteriors.
    Labels of targets that are not predicted are passed over; predicted targets that have no label
    have no levels.

    Raises SchemaError where posteriors do not sum to 1, a track has two rows, or the classes of
    rows and labels disagree; the names say which table is meant.
    """
    predicted = _group_predictions(predictions, predictions_name)
    labelled: dict[str, dict[str, Label]] = defaultdict(dict)
    for label in labels:
        labelled[label.target][label.track_id] = label
    joined = {}
    for target, rows in sorted(predicted.items()):
        _check_classes(rows[0], labelled[target].values(), predictions_name, labels_name)
        joined[target] = _join_target(rows, labelled[target], split)
    return joined


def _group_predictions(rows: Iterable[Prediction], name: str) -> dict[str, list[Prediction]]:
    """Group predictions by target, each checked."""
    groups: dict[str, list[Prediction]] = defaultdict(list)
    tracks: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=1):
        group = groups[row.target]
        group.append(row)
        problem = _problem(row, group[0])
        if row.level == TRACK:
            if (row.target, row.track_id) in tracks:
                problem = "is the track's second at track level"
            tracks.add((row.target, row.track_id))
        if problem:
            where = f"row {number} ({row.level} {row.segment_id or row.track_id}, {row.target})"
            raise SchemaError(name, f"{where} {problem}", "see schemas/predictions.schema.json")
    return groups


def _problem(row: Prediction, first: Prediction) -> str | None:
    """Say what is wrong with a prediction; `first` is the first one of its target."""
    names = row.class_names()
    if row.classes != first.classes:
        return f"has the classes {row.classes}, the target's first row {first.classes}"
    if len(set(names)) != len(names):
        return f"has a class twice ({row.classes})"
    if len(row.posteriors) != len(names):
        return f"has {len(row.posteriors)} posteriors for the {len(names)} classes {row.classes}"
    if row.predicted not in names:
        return f"predicts {row.predicted!r}, which is none of its classes {row.classes}"
    if abs(sum(row.posteriors) - 1) > POSTERIOR_TOLERANCE:
        return f"has posteriors that sum to {sum(row.posteriors):g}, not 1"
    return None


def _check_classes(
    prediction: Prediction, labels: Iterable[Label], predictions_name: str, labels_name: str
) -> None:
    names = prediction.class_names()
    for label in labels:
        if len(label.distribution) != len(names):
            problem = f"has {len(label.distribution)} classes of {label.target}"
        elif label.label > len(names) or names[label.label - 1] != label.class_name:
            problem = f"has {label.class_name!r} as class {label.label} of {label.target}"
        else:
            continue
        raise SchemaError(
            labels_name,
            f"{problem}, where {predictions_name} has {prediction.classes}",
            "give the labels that the model was trained for, with --labels",
        )


def _join_target(
    rows: Sequence[Prediction], labels: Mapping[str, Label], split: str | None
) -> JoinedTarget:
    wanted = {
        track_id: label
        for track_id, label in labels.items()
        if label.kept and split in (None, label.split)
    }
    predicted = {row.track_id for row in rows}
    segments = [row for row in rows if row.level == SEGMENT and row.track_id in wanted]
    tracks = [row for row in rows if row.level == TRACK and row.track_id in wanted]
    segments.sort(key=lambda row: (row.track_id, row.start, row.segment_id or ""))
    averages = _average_segments(segments, {row.track_id for row in tracks})
    tracks = sorted(tracks + averages, key=lambda row: row.track_id)
    not_kept = {track_id for track_id, label in labels.items() if not label.kept}
    coverage = Coverage(
        scored=len(tracks),
        averaged=len(averages),
        predictions_without_label=len(predicted - labels.keys()),
        predictions_not_kept=len(predicted & not_kept),
        predictions_of_other_split=len((predicted & labels.keys()) - not_kept - wanted.keys()),
        labels_without_prediction=len(wanted.keys() - predicted),
    )
    levels = {
        level: _outcomes(level_rows, wanted)
        for level, level_rows in ((SEGMENT, segments), (TRACK, tracks))
        if level_rows
    }
    return JoinedTarget(rows[0].class_names(), levels, coverage)


def _average_segments(segments: Sequence[Prediction], apart: set[str]) -> list[Prediction]:
    """Make a track's prediction from its segments', for the tracks that are not in `apart`."""
    groups: dict[str, list[Prediction]] = defaultdict(list)
    for row in segments:
        if row.track_id not in apart:
            groups[row.track_id].append(row)
    averages = []
    for rows in groups.values():
        posterior = np.mean([row.posteriors for row in rows], axis=0)
        values = [row.value for row in rows if row.value is not None]
        average = dataclasses.replace(
            rows[0],
            level=TRACK,
            segment_id=None,
            duration=rows[-1].start + rows[-1].duration - rows[0].start,
            posteriors=tuple(posterior.tolist()),
            predicted=rows[0].class_names()[int(posterior.argmax())],
            value=sum(values) / len(rows) if len(values) == len(rows) else None,
        )
        averages.append(average)
    return averages


def _outcomes(rows: Sequence[Prediction], labels: Mapping[str, Label]) -> Outcomes:
    """Lay sorted rows out as arrays."""
    track_ids = sorted({row.track_id for row in rows})
    track_index = {track_id: index for index, track_id in enumerate(track_ids)}
    classes = rows[0].class_names()
    class_index = {name: index for index, name in enumerate(classes)}
    return Outcomes(
        classes,
        tuple(track_ids),
        np.array([track_index[row.track_id] for row in rows], dtype=np.intp),
        np.array([labels[row.track_id].label - 1 for row in rows], dtype=np.intp),
        np.array([class_index[row.predicted] for row in rows], dtype=np.intp),
        np.array([row.posteriors for row in rows], dtype=np.float64),
        np.array([labels[row.track_id].mean for row in rows], dtype=np.float64),
        np.array([np.nan if row.value is None else row.value for row in rows], dtype=np.float64),
    )

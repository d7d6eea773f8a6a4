"""Joining predictions with labels by track and target: the estimated beside the reference.

Every row that is not scored is counted, by the reason why.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mertools.artifacts.rows import Label, Prediction
from mertools.errors import SchemaError
from mertools.evaluation.outcomes import ClassOutcomes, NumberOutcomes, Outcomes
from mertools.evaluation.windows import match_windows
from mertools.targets.pooling import pool_segments
from mertools.targets.scale import Classes, Range, Scale, parse_scale

SEGMENT, TRACK, WINDOW = "segment", "track", "window"
LEVELS = (SEGMENT, TRACK, WINDOW)
"""What a scored row is: a segment by its track's label, a track by its label, or a segment by the
label of the stretch of the track that it overlaps."""
TRAIN = "train"

Pairs = Sequence[tuple[Prediction, Label]]


@dataclass(frozen=True)
class Coverage:
    """How many tracks of one target were scored, and why the others were not."""

    scored: int
    """Tracks with both a prediction and a label to score it by."""
    averaged: int
    """Of them, those whose track-level prediction is the mean of their segments'."""
    predictions_without_label: int
    predictions_not_kept: int
    """Predicted tracks whose annotators disagree too much."""
    predictions_of_other_split: int
    labels_without_prediction: int
    """Tracks with a kept label of the split for which there is no prediction."""
    windows_without_label: int = 0
    """Segments of tracks that were rated over time which match no rated stretch."""


@dataclass(frozen=True)
class Origin:
    """Where a scored track's predictions come from, to judge whether it was learnt from."""

    split: str | None
    """The part of the split that the label marks."""
    models: frozenset[str | None]
    """The models of rows that are not out of fold; None for a row that names no model."""


@dataclass(frozen=True)
class JoinedTarget:
    """One target: its scale, its outcomes at each level that has any, and what was left out."""

    scale: Scale
    levels: Mapping[str, Outcomes]
    coverage: Coverage
    origins: Mapping[str, Origin]
    """By scored track."""
    training: Mapping[tuple[str, float | None], float]
    """Mean ratings of kept labels marked train, by track and start of the stretch."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where the target is a number."""
        return self.scale.names if isinstance(self.scale, Classes) else ()

    @property
    def main_level(self) -> str:
        """The level at which models are compared: tracks, or else windows."""
        return TRACK if TRACK in self.levels else WINDOW


def join_tables(
    predictions: Iterable[Prediction],
    labels: Iterable[Label],
    split: str | None = None,
    *,
    predictions_name: str = "predictions",
    labels_name: str = "labels",
) -> dict[str, JoinedTarget]:
    """Join predictions with the kept labels of a split (None: of all), target by target.

    A track that has no row of its own at track level gets the mean of its segments' predictions,
    in each repetition of cross-validation apart. Labels of a stretch of a track score the segments
    that match it (see `match_windows`). Labels of targets that are not predicted are passed over;
    predicted targets that have no label have no levels. Each row is taken to keep its schema.

    Raises SchemaError where a track has two rows or is in two folds, or the scales or classes of
    rows and labels disagree; the names say which table is meant.
    """
    predicted = _group_predictions(predictions, predictions_name)
    labelled: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        labelled[label.target].append(label)
    joined = {}
    for target, rows in sorted(predicted.items()):
        # One row stands for all: `_group_predictions` has refused rows that differ from the first.
        _check_scales(rows[0], labelled[target], predictions_name, labels_name)
        joined[target] = _join_target(rows, labelled[target], split)
    return joined


def _group_predictions(rows: Iterable[Prediction], name: str) -> dict[str, list[Prediction]]:
    """Group predictions by target, each checked against the others."""
    groups: dict[str, list[Prediction]] = defaultdict(list)
    tracks: set[tuple[str, str, int | None]] = set()
    folds: dict[tuple[str, str, int | None], int | None] = {}
    for number, row in enumerate(rows, start=1):
        group = groups[row.target]
        group.append(row)
        key = (row.target, row.track_id, row.repeat)
        problem = _mismatch(row, group[0])
        if folds.setdefault(key, row.fold) != row.fold:
            problem = f"is of fold {row.fold}, another row of the track of fold {folds[key]}"
        if row.level == TRACK:
            if key in tracks:
                problem = "is the track's second at track level"
            tracks.add(key)
        if problem:
            where = f"row {number} ({row.level} {row.segment_id or row.track_id}, {row.target})"
            raise SchemaError(name, f"{where} {problem}", "see schemas/predictions.schema.json")
    return groups


def _mismatch(row: Prediction, first: Prediction) -> str | None:
    """Describe how a scale differs from that of `first`, the target's first row; None if equal."""
    if row.classes != first.classes:
        return f"has the classes {row.classes}, the target's first row {first.classes}"
    if row.parse_scale() != first.parse_scale():
        return f"has the scale {row.parse_scale()}, the target's first row {first.parse_scale()}"
    return None


def _check_scales(
    prediction: Prediction, labels: Iterable[Label], predictions_name: str, labels_name: str
) -> None:
    predicted = prediction.parse_scale()
    for label in labels:
        scale = parse_scale(label.scale)
        if str(scale) != str(predicted):
            raise SchemaError(
                labels_name,
                f"has {_name_scale(scale)} of {label.target}, "
                f"where {predictions_name} has {_name_scale(predicted)}",
                _scale_remedy(label.target, predicted, scale),
            )
        if isinstance(predicted, Classes) and (problem := _class_mismatch(label, predicted.names)):
            raise SchemaError(
                labels_name,
                f"{problem}, where {predictions_name} has {prediction.classes}",
                "give the labels that the model was trained for, with --labels",
            )


def _name_scale(scale: Scale) -> str:
    return f"numbers {scale}" if isinstance(scale, Range) else f"{scale} classes"


def _scale_remedy(target: str, predicted: Scale, labelled: Scale) -> str:
    if isinstance(predicted, Range) and isinstance(labelled, Range):
        return (
            f"bring the labels to that scale: mer aggregate-labels --rescale {target}={predicted}"
        )
    if isinstance(predicted, Classes) and isinstance(labelled, Classes):
        return "tell the scale of both tables in a column scale: ordered or unordered"
    return "give labels of the scale that the model was trained for, with --labels"


def _class_mismatch(label: Label, names: Sequence[str]) -> str | None:
    if len(label.distribution) != len(names):
        return f"has {len(label.distribution)} classes of {label.target}"
    if not label.label or label.label > len(names) or names[label.label - 1] != label.class_name:
        return f"has {label.class_name!r} as class {label.label} of {label.target}"
    return None


def _join_target(
    rows: Sequence[Prediction], labels: Sequence[Label], split: str | None
) -> JoinedTarget:
    kept = [label for label in labels if label.kept]
    wanted = [label for label in kept if split in (None, label.split)]
    of_track = {label.track_id: label for label in wanted if label.start is None}
    # In a fixed order, so that no figure depends on the order of the table's rows.
    segments = sorted(
        (row for row in rows if row.level == SEGMENT),
        key=lambda row: (row.track_id, row.repeat or 0, row.start or 0.0, row.segment_id or ""),
    )
    tracks = [row for row in rows if row.level == TRACK and row.track_id in of_track]
    # What segments say of a track is averaged for tracks that no row at track level speaks for.
    inner = [row for row in segments if row.track_id in of_track]
    averages = _average_segments(inner, {(row.track_id, row.repeat) for row in tracks})
    tracks = sorted(tracks + averages, key=lambda row: (row.track_id, row.repeat or 0))
    windows, n_unmatched = _match_stretches(segments, wanted)
    pairs: dict[str, Pairs] = {
        SEGMENT: [(row, of_track[row.track_id]) for row in inner],
        TRACK: [(row, of_track[row.track_id]) for row in tracks],
        WINDOW: windows,
    }
    scored = [pair for level in LEVELS for pair in pairs[level]]
    return JoinedTarget(
        rows[0].parse_scale(),
        {level: _lay_out(pairs[level]) for level in LEVELS if pairs[level]},
        _count(rows, labels, wanted, scored, averages, n_unmatched),
        _find_origins(rows, scored),
        {
            # Of every part, also where one `split` is scored: baselines need the training labels.
            (label.track_id, label.start): label.mean
            for label in kept
            if label.split == TRAIN and label.mean is not None
        },
    )


def _count(
    rows: Sequence[Prediction],
    labels: Sequence[Label],
    wanted: Sequence[Label],
    scored: Pairs,
    averages: Sequence[Prediction],
    n_unmatched: int,
) -> Coverage:
    predicted = {row.track_id for row in rows}
    labelled = {label.track_id for label in labels}
    not_kept = labelled - {label.track_id for label in labels if label.kept}
    of_split = {label.track_id for label in wanted}
    return Coverage(
        scored=len({row.track_id for row, _ in scored}),
        averaged=len({row.track_id for row in averages}),
        predictions_without_label=len(predicted - labelled),
        predictions_not_kept=len(predicted & not_kept),
        predictions_of_other_split=len((predicted & labelled) - not_kept - of_split),
        labels_without_prediction=len(of_split - predicted),
        windows_without_label=n_unmatched,
    )


def _find_origins(rows: Sequence[Prediction], scored: Pairs) -> dict[str, Origin]:
    models: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        # Rows of a fold are of a model that did not learn from the track.
        if row.fold is None:
            models[row.track_id].add(row.model)
    splits = {row.track_id: label.split for row, label in scored}
    return {
        track_id: Origin(split, frozenset(models[track_id]))
        for track_id, split in sorted(splits.items())
    }


def _average_segments(
    segments: Sequence[Prediction], apart: set[tuple[str, int | None]]
) -> list[Prediction]:
    """Average the segments of each track and repetition, except for those in `apart`."""
    groups: dict[tuple[str, int | None], list[Prediction]] = defaultdict(list)
    for row in segments:
        if (row.track_id, row.repeat) not in apart:
            groups[row.track_id, row.repeat].append(row)
    averages = []
    for rows in groups.values():
        # A value that is missing in one segment is missing in the mean.
        outputs = np.array([(*row.posteriors, _number(row.value)) for row in rows])
        *posterior, value = pool_segments(outputs, np.zeros(len(rows), dtype=np.int64))[0].tolist()
        names = rows[0].class_names()
        average = dataclasses.replace(
            rows[0],
            level=TRACK,
            segment_id=None,
            start=None,
            duration=None,
            posteriors=tuple(posterior),
            predicted=names[int(np.argmax(posterior))] if names else None,
            value=None if np.isnan(value) else value,
        )
        averages.append(average)
    return averages


def _match_stretches(segments: Sequence[Prediction], labels: Sequence[Label]) -> tuple[Pairs, int]:
    """Pair segments with the labels of stretches, and count those that match none."""
    stretches: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        if label.start is not None:
            stretches[label.track_id].append(label)
    rows: dict[str, list[Prediction]] = defaultdict(list)
    for row in segments:
        if row.track_id in stretches:
            rows[row.track_id].append(row)
    pairs = []
    for track_id, of_track in rows.items():
        # By time, so that of two equally long overlaps the earlier stretch is taken.
        in_order = sorted(stretches[track_id], key=lambda label: label.start or 0.0)
        pairs += match_windows(of_track, in_order)
    return pairs, sum(map(len, rows.values())) - len(pairs)


def _lay_out(pairs: Pairs) -> Outcomes:
    """Lay out sorted rows, each with its label, as arrays."""
    rows, labels = [row for row, _ in pairs], [label for _, label in pairs]
    track_ids = sorted({row.track_id for row in rows})
    track_index = {track_id: index for index, track_id in enumerate(track_ids)}
    whole = rows[0].level == TRACK
    base = (
        tuple(track_ids),
        np.array([track_index[row.track_id] for row in rows], dtype=np.intp),
        # Other programs' tables may have no names of segments; a start identifies one as well.
        np.array(["" if whole else row.segment_id or f"{row.start}" for row in rows]),
        np.array([(row.repeat or 0, row.fold or 0) for row in rows], dtype=np.intp),
    )
    means = np.array([_number(label.mean) for label in labels], dtype=np.float64)
    values = np.array([_number(row.value) for row in rows], dtype=np.float64)
    scale = rows[0].parse_scale()
    if isinstance(scale, Range):
        return NumberOutcomes(*base, scale, means, values)
    class_index = {name: index for index, name in enumerate(scale.names)}
    unknown = np.full(len(rows), np.nan)
    return ClassOutcomes(
        *base,
        scale.names,
        np.array([class_index[label.class_name or ""] for label in labels], dtype=np.intp),
        np.array([class_index[row.predicted or ""] for row in rows], dtype=np.intp),
        np.array([row.posteriors for row in rows], dtype=np.float64),
        means if scale.ordered else unknown,
        values if scale.ordered else unknown,
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value

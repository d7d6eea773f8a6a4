"""Figures of one target at one level, as plain JSON values.

A figure that is not defined, such as the AUC of a class without rows, is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mertools.evaluation.baselines import class_baselines, number_baselines
from mertools.evaluation.metrics import (
    BoolArray,
    Curve,
    average_precision,
    count_cells,
    precision_recall_curve,
    precision_recall_f1,
    roc_auc,
    roc_curve,
    score_confusions,
    score_numbers,
    score_outcomes,
)
from mertools.evaluation.outcomes import ClassOutcomes, FloatArray, NumberOutcomes, Outcomes
from mertools.evaluation.quadrants import AXES, Plane
from mertools.evaluation.significance import Scorer, bootstrap_intervals

WITHIN_SCORES = ("pearson_r", "rmse", "ccc")
"""Scores of a track's windows among themselves, of which the mean over tracks is given."""

Json = dict[str, Any]


def describe_classes(outcomes: ClassOutcomes, n_resamples: int, seed: int) -> Json:
    """Describe the scores of classes."""
    return {
        "n_values": int(np.count_nonzero(~np.isnan(outcomes.values))),
        **describe_scores(outcomes, n_resamples, seed),
        **describe_folds(outcomes),
        "confusion": {
            "classes": list(outcomes.classes),
            "counts": _confusion(outcomes).astype(int).tolist(),
        },
        "per_class": _describe_each_class(outcomes),
        "baselines": _describe_baselines(class_baselines(outcomes)),
    }


def describe_numbers(
    outcomes: NumberOutcomes,
    target: str,
    training: Collection[float],
    plane: Plane | None,
    n_resamples: int,
    seed: int,
) -> Json:
    """Describe the scores of numbers; `plane` is given for valence and arousal of the same rows."""
    baselines = number_baselines(outcomes, training, seed)
    scorers: list[Scorer] = [lambda weights: score_outcomes(outcomes, weights)]
    if plane is not None:
        centres = plane.true_centres(target)
        for name, answers in (
            ("quadrant_centre", centres),
            ("predicted_quadrant_centre", plane.predicted_centres(target)),
        ):
            scores = score_numbers(outcomes.reference, answers)
            baselines[name] = {**scores, "source": plane.source}
        # A model that knows the quadrant and nothing else reaches 0; what is above it is
        # regression.
        scorers.append(_within_quadrants(outcomes, centres))
    return {
        **describe_scores(outcomes, n_resamples, seed, *scorers),
        **describe_folds(outcomes),
        "baselines": _describe_baselines(baselines),
    }


def describe_scores(outcomes: Outcomes, n_resamples: int, seed: int, *scorers: Scorer) -> Json:
    """Give the scores with their intervals; without `scorers`, those of `score_outcomes`."""
    scorers = scorers or (lambda weights: score_outcomes(outcomes, weights),)
    n_tracks, n_rows = len(outcomes.track_ids), len(outcomes.track)

    def score(weights: FloatArray) -> Mapping[str, FloatArray]:
        return {name: values for each in scorers for name, values in each(weights).items()}

    return {
        "n": n_rows,
        "n_tracks": n_tracks,
        **_score_once(score, n_tracks),
        "intervals": _intervals(score, n_tracks, n_rows, n_resamples, seed),
    }


def describe_folds(outcomes: Outcomes) -> Json:
    """Score each fold of each repetition, and give the mean and spread over all of them.

    Nothing where rows name neither. The spread is the standard deviation of a sample (n - 1).
    """
    if not outcomes.folds.any():
        return {}
    described: list[dict[str, float | None]] = []
    heads: list[Json] = []
    for repeat, fold in np.unique(outcomes.folds[outcomes.folds.any(axis=1)], axis=0).tolist():
        rows = outcomes.take(np.flatnonzero((outcomes.folds == (repeat, fold)).all(axis=1)))
        scores = score_outcomes(rows, np.ones((1, len(rows.track_ids))))
        described.append({name: number(values[0]) for name, values in scores.items()})
        # 0 stands for a row that names no repetition or no fold.
        heads.append({"repeat": repeat or None, "fold": fold or None, "n": len(rows.track)})
    return {
        "folds": [head | {"scores": s} for head, s in zip(heads, described, strict=True)],
        "over_folds": {
            name: _spread([scores.get(name) for scores in described]) for name in described[0]
        },
    }


def describe_within_tracks(outcomes: NumberOutcomes, n_resamples: int, seed: int) -> Json:
    """Score the windows of each track among themselves, and average over tracks.

    A track in which a score is not defined, such as the correlation of a constant, is left out of
    that score's mean; `n_tracks` says how many are in it.
    """
    # Rows are in the order of tracks, so each track is one slice.
    bounds = np.flatnonzero(np.diff(outcomes.track)) + 1
    pairs = zip(
        np.split(outcomes.reference, bounds), np.split(outcomes.estimated, bounds), strict=True
    )
    of_tracks = [score_numbers(reference, estimated) for reference, estimated in pairs]
    values = {name: np.array([scores[name] for scores in of_tracks]) for name in WITHIN_SCORES}

    def average(weights: FloatArray) -> dict[str, FloatArray]:
        means = {}
        for name, scores in values.items():
            defined = ~np.isnan(scores)
            drawn = weights[:, defined]
            total = drawn.sum(axis=1)
            # A resample may have drawn none of these tracks: divide by 1, then call the mean
            # undefined.
            mean = (drawn * scores[defined]).sum(axis=1) / np.where(total > 0, total, 1)
            means[name] = np.where(total > 0, mean, np.nan)
        return means

    n_tracks = len(of_tracks)
    return {
        "n_tracks": {name: int((~np.isnan(scores)).sum()) for name, scores in values.items()},
        **_score_once(average, n_tracks),
        "intervals": _intervals(average, n_tracks, n_tracks, n_resamples, seed),
    }


def describe_quadrants(plane: Plane, n_resamples: int, seed: int) -> Json:
    """Describe the predicted quadrants as a classification, and the quadrants' centres."""
    quadrants = plane.quadrants
    cells = count_cells(quadrants)

    def score(weights: FloatArray) -> dict[str, FloatArray]:
        scores = score_confusions(weights @ cells)
        return {name: scores[name] for name in ("accuracy", "macro_f1")}

    centres = zip(quadrants.classes, plane.centres.tolist(), strict=True)
    return {
        **describe_scores(quadrants, n_resamples, seed, score),
        "confusion": {
            "classes": list(quadrants.classes),
            "counts": _confusion(quadrants).astype(int).tolist(),
        },
        "centres": {name: dict(zip(AXES, centre, strict=True)) for name, centre in centres},
        "source": plane.source,
    }


def _within_quadrants(outcomes: NumberOutcomes, centres: FloatArray) -> Scorer:
    """Make the scorer of R2 within quadrants: against the centre of each row's own quadrant."""
    squares = (outcomes.reference - outcomes.estimated) ** 2
    oracle = (outcomes.reference - centres) ** 2

    def score(weights: FloatArray) -> dict[str, FloatArray]:
        # A track that is drawn twice brings each of its rows twice.
        of_rows = weights[:, outcomes.track]
        total = (of_rows * oracle).sum(axis=1)
        ratio = (of_rows * squares).sum(axis=1) / np.where(total > 0, total, np.nan)
        return {"r2_within_quadrant": 1 - ratio}

    return score


def _score_once(score: Callable[[FloatArray], Mapping[str, FloatArray]], n_tracks: int) -> Json:
    scores = score(np.ones((1, n_tracks)))
    return {name: number(values[0]) for name, values in scores.items()}


def _intervals(score: Scorer, n_tracks: int, n_rows: int, n_resamples: int, seed: int) -> Json:
    intervals = bootstrap_intervals(score, n_tracks, n_rows, n_resamples, seed)
    return {name: None if math.isnan(ends[0]) else list(ends) for name, ends in intervals.items()}


def _spread(values: Collection[float | None]) -> Json:
    defined = np.array([value for value in values if value is not None])
    return {
        "n": len(defined),
        "mean": float(defined.mean()) if len(defined) else None,
        "std": float(defined.std(ddof=1)) if len(defined) > 1 else None,
    }


def _describe_baselines(baselines: Mapping[str, Mapping[str, float | str]]) -> Json:
    return {
        name: {
            key: value if isinstance(value, str) else number(value) for key, value in entry.items()
        }
        for name, entry in baselines.items()
    }


def _confusion(outcomes: ClassOutcomes) -> FloatArray:
    n_classes = len(outcomes.classes)
    counts: FloatArray = count_cells(outcomes).sum(axis=0)
    return counts.reshape(n_classes, n_classes)


def _describe_each_class(outcomes: ClassOutcomes) -> Json:
    confusion = _confusion(outcomes)
    precision, recall, f1 = precision_recall_f1(confusion)
    classes = {}
    for k, name in enumerate(outcomes.classes):
        positive, scores = outcomes.reference == k, outcomes.posteriors[:, k]
        auc = roc_auc(positive, scores, np.ones((1, len(scores))))[0]
        classes[name] = {
            "support": int(confusion[k].sum()),
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "auc": number(auc),
            "average_precision": number(average_precision(positive, scores)),
            "roc": _describe_roc(positive, scores),
            "pr": _describe_precision_recall(positive, scores),
        }
    return classes


def _describe_roc(positive: BoolArray, scores: FloatArray) -> Json | None:
    if positive.all() or not positive.any():
        return None
    curve = roc_curve(positive, scores)
    return {"fpr": curve.x.tolist(), "tpr": curve.y.tolist(), "thresholds": _thresholds(curve)}


def _describe_precision_recall(positive: BoolArray, scores: FloatArray) -> Json | None:
    if not positive.any():
        return None
    curve = precision_recall_curve(positive, scores)
    return {
        "recall": curve.x.tolist(),
        "precision": curve.y.tolist(),
        "thresholds": _thresholds(curve),
    }


def _thresholds(curve: Curve) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in curve.thresholds.tolist()]


def number(value: float) -> float | None:
    """Write a figure as JSON has it: null where it is not defined."""
    return None if math.isnan(value) else float(value)

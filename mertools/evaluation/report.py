"""The contents of metrics.json: every figure of every target and level, as plain JSON values.

A figure that is not defined, such as the AUC of a class without rows, is null.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mertools.errors import SchemaError
from mertools.evaluation.join import TRACK, FloatArray, JoinedTarget, Outcomes
from mertools.evaluation.metrics import (
    SCORES,
    BoolArray,
    Curve,
    average_precision,
    count_cells,
    expected_scores,
    precision_recall_curve,
    precision_recall_f1,
    roc_auc,
    roc_curve,
    score_classes,
    score_ratings,
)
from mertools.evaluation.significance import (
    COMPARED_SCORES,
    CONFIDENCE,
    bootstrap_intervals,
    correct_by_holm,
    permutation_test,
)
from mertools.version import __version__

SCHEMA_NAME = "metrics"
SCHEMA_VERSION = "1.1"

Json = dict[str, Any]


def build_report(joined: Mapping[str, JoinedTarget], n_resamples: int, seed: int) -> Json:
    """Describe every target's scores at every level.

    What the tables were read from, and comparisons with others, are the caller's to add.
    """
    return {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "producer": "mertools",
        "producer_version": __version__,
        "provenance": {"confidence": CONFIDENCE, "n_resamples": n_resamples, "seed": seed},
        "coverage": {
            target: dataclasses.asdict(entry.coverage) for target, entry in joined.items()
        },
        "targets": {
            target: {
                "classes": list(entry.classes),
                "levels": {
                    level: describe(outcomes, n_resamples, seed)
                    for level, outcomes in entry.levels.items()
                },
            }
            for target, entry in joined.items()
            if entry.levels
        },
    }


def describe(outcomes: Outcomes, n_resamples: int, seed: int) -> Json:
    """Describe one target's scores at one level."""
    once = np.ones((1, len(outcomes.track_ids)))
    has_ratings = not np.isnan(outcomes.values).all()

    def score(weights: FloatArray) -> dict[str, FloatArray]:
        ratings = score_ratings(outcomes, weights) if has_ratings else {}
        return score_classes(outcomes, weights) | ratings

    intervals = bootstrap_intervals(
        score, len(outcomes.track_ids), len(outcomes.track), n_resamples, seed
    )
    return {
        "n": len(outcomes.track),
        "n_tracks": len(outcomes.track_ids),
        "n_values": int(np.count_nonzero(~np.isnan(outcomes.values))),
        **{name: _number(values[0]) for name, values in score(once).items()},
        "intervals": {name: _ends(interval) for name, interval in intervals.items()},
        "confusion": {
            "classes": list(outcomes.classes),
            "counts": _confusion(outcomes).astype(int).tolist(),
        },
        "per_class": _describe_classes(outcomes),
        "baselines": _describe_baselines(outcomes),
    }


def compare(
    first: Mapping[str, JoinedTarget],
    other: Mapping[str, JoinedTarget],
    *,
    other_name: str,
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> dict[str, Json]:
    """Compare two models at track level, for each target on the tracks that both predict.

    Targets without such a track are left out. Raises SchemaError where the classes differ.
    """
    comparisons = {}
    for target, entry in first.items():
        if target not in other or not (entry.levels and other[target].levels):
            continue
        if entry.classes != other[target].classes:
            raise SchemaError(
                other_name,
                f"has the classes {', '.join(other[target].classes)} of {target}, "
                f"the table it is compared with {', '.join(entry.classes)}",
                "compare models of the same classes",
            )
        ours, theirs = entry.levels[TRACK], other[target].levels[TRACK]
        shared = set(ours.track_ids) & set(theirs.track_ids)
        if not shared:
            continue
        scores = permutation_test(
            ours.of_tracks(shared),
            theirs.of_tracks(shared),
            paired=paired,
            n_shuffles=n_shuffles,
            seed=seed,
        )
        comparisons[target] = {
            "n_tracks": len(shared),
            "tracks_of_first_only": len(ours.track_ids) - len(shared),
            "tracks_of_other_only": len(theirs.track_ids) - len(shared),
            "scores": scores,
        }
    return comparisons


def add_corrected(comparisons: Sequence[Mapping[str, Json]]) -> None:
    """Add to each test of some comparisons the p-value corrected for their number.

    The comparisons of one target by one score are corrected together.
    """
    for target in {target: None for of_pair in comparisons for target in of_pair}:
        of_target = [of_pair[target]["scores"] for of_pair in comparisons if target in of_pair]
        for name in COMPARED_SCORES:
            tests = [scores[name] for scores in of_target]
            for test, p in zip(tests, correct_by_holm([t["p"] for t in tests]), strict=True):
                test["p_holm"] = p


def format_json(value: Any, indent: str = "") -> str:
    """Write JSON with sorted keys, a line for each member of an object and for each list.

    Raises ValueError on numbers that JSON does not have.
    """
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        members = (
            f"{deeper}{json.dumps(key)}: {format_json(member, deeper)}"
            for key, member in sorted(value.items())
        )
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = (f"{deeper}{format_json(item, deeper)}" for item in value)
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def _confusion(outcomes: Outcomes) -> FloatArray:
    n_classes = len(outcomes.classes)
    counts: FloatArray = count_cells(outcomes).sum(axis=0)
    return counts.reshape(n_classes, n_classes)


def _describe_classes(outcomes: Outcomes) -> Json:
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
            "auc": _number(auc),
            "average_precision": _number(average_precision(positive, scores)),
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


def _describe_baselines(outcomes: Outcomes) -> Json:
    support = _confusion(outcomes).sum(axis=1)
    n_classes = len(support)
    majority = int(support.argmax())
    chances = {
        "majority": np.eye(n_classes)[majority],
        "uniform": np.full(n_classes, 1 / n_classes),
        "stratified": support / support.sum(),
    }
    baselines: Json = {}
    for name, probabilities in chances.items():
        scores = expected_scores(support, probabilities)
        baselines[name] = {score: _number(scores[score]) for score in SCORES}
    baselines["majority"]["class"] = outcomes.classes[majority]
    return baselines


def _thresholds(curve: Curve) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in curve.thresholds.tolist()]


def _ends(interval: tuple[float, float]) -> list[float] | None:
    return None if math.isnan(interval[0]) else list(interval)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)

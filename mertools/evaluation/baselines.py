"""The scores of predictions that ignore the music.

Classes: the majority and chance. Numbers: the mean, the median and a random number.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from mertools.evaluation.metrics import (
    NUMBER_SCORES,
    SCORES,
    count_cells,
    expected_scores,
    score_numbers,
)
from mertools.evaluation.outcomes import ClassOutcomes, FloatArray, NumberOutcomes
from mertools.targets.scale import Range


def class_baselines(outcomes: ClassOutcomes) -> dict[str, dict[str, float | str]]:
    """Score the most frequent class and two kinds of chance, in closed form (`expected_scores`)."""
    n_classes = len(outcomes.classes)
    cells = count_cells(outcomes).sum(axis=0).reshape(n_classes, n_classes)
    support = cells.sum(axis=1)
    majority = int(support.argmax())
    chances = {
        "majority": np.eye(n_classes)[majority],
        "uniform": np.full(n_classes, 1 / n_classes),
        "stratified": support / support.sum(),
    }
    baselines: dict[str, dict[str, float | str]] = {}
    for name, probabilities in chances.items():
        scores = expected_scores(support, probabilities)
        baselines[name] = {score: scores[score] for score in SCORES}
    baselines["majority"]["class"] = outcomes.classes[majority]
    return baselines


def number_baselines(
    outcomes: NumberOutcomes, training: Collection[float], seed: int
) -> dict[str, dict[str, float | str]]:
    """Score the mean and the median of the training labels, and a random number of the scale.

    `training` are the labels marked train; without any, mean and median are those of the scored
    rows themselves, and `source` says so. `random` is what is expected of a random number, and
    `random_draw` what one draw by `seed` came to.
    """
    source = "train" if training else "scored"
    # Sorted, so that the rounding of the mean does not depend on the order of the rows.
    known = np.array(sorted(training)) if training else outcomes.reference
    baselines: dict[str, dict[str, float | str]] = {}
    for name, answer in (("mean", float(known.mean())), ("median", float(np.median(known)))):
        scores = score_numbers(outcomes.reference, np.full(len(outcomes.reference), answer))
        baselines[name] = {**scores, "value": answer, "source": source}
    baselines["random"] = {**expect_random(outcomes.reference, outcomes.scale)}
    low, high = outcomes.scale.low, outcomes.scale.high
    drawn = np.random.default_rng(seed).uniform(low, high, len(outcomes.reference))
    baselines["random_draw"] = {**score_numbers(outcomes.reference, drawn)}
    return baselines


def expect_random(reference: FloatArray, scale: Range) -> dict[str, float]:
    """Give the scores expected of a number drawn uniformly from the scale, for references (n,).

    For a draw u and a reference y, both mapped to 0..1, the expectation of (y - u)^2 is
    y^2 - y + 1/3 and that of |y - u| is y^2 - y + 1/2. Correlations with what is drawn without
    regard to y are 0 on average; NaN stands where there is no closed form.
    """
    y, width = scale.to_unit(reference), scale.high - scale.low
    mse = width**2 * float((y**2 - y + 1 / 3).mean())
    variance = float(reference.var())
    expected = {
        "mse": mse,
        "rmse": math.sqrt(mse),
        "mae": width * float((y**2 - y + 1 / 2).mean()),
        "r2": 1 - mse / variance if variance > 0 else math.nan,
        "pearson_r": 0.0,
        "spearman_rho": 0.0,
        "bias": scale.middle - float(reference.mean()),
    }
    return {name: expected.get(name, math.nan) for name in NUMBER_SCORES}

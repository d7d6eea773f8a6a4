"""Scores of classifications and of ratings, equal to scikit-learn's.

Each is a function of how often every track counts. Counting each once gives the score itself;
counting them as often as a resample drew them gives, in one matrix product, the score in
thousands of bootstrap resamples. scikit-learn would compute them one by one.

Conventions, which are scikit-learn's defaults with `zero_division=0`: a precision, recall or F1
with nothing to divide by is 0; macro means are taken over the classes that occur in the reference
or are estimated; one-vs-rest AUC needs rows of the class and rows of others, and its macro mean
needs that of every class. A score that is not defined is NaN.

B is the number of weightings (resamples), n of rows, T of tracks, K of classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mertools.evaluation.outcomes import ClassOutcomes, FloatArray, NumberOutcomes, Outcomes

SCORES = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
    "macro_auc",
)
RATING_SCORES = ("mae", "rmse", "r2", "pearson_r")
NUMBER_SCORES = (
    "mse",
    "rmse",
    "mae",
    "r2",
    "pearson_r",
    "spearman_rho",
    "ccc",
    "bias",
    "spread_ratio",
)
CHANCE_AUC = 0.5
NEGLIGIBLE = 1e-12
"""A spread that is smaller than this share of the sum of squares is rounding."""

BoolArray = NDArray[np.bool_]


class Curve(NamedTuple):
    """Points of a curve, and the lowest posterior that is taken for the class at each."""

    x: FloatArray
    y: FloatArray
    thresholds: FloatArray


def score_outcomes(outcomes: Outcomes, weights: FloatArray) -> dict[str, FloatArray]:
    """Give every score of rows of any scale, (B,), where tracks count as `weights`, (B, T), says.

    Ratings of ordered classes are scored where every row predicts one.
    """
    if isinstance(outcomes, NumberOutcomes):
        return _score_tracks(outcomes, weights)
    has_ratings = not np.isnan(outcomes.values).any()
    ratings = score_ratings(outcomes, weights) if has_ratings else {}
    return score_classes(outcomes, weights) | ratings


def score_classes(outcomes: ClassOutcomes, weights: FloatArray) -> dict[str, FloatArray]:
    """Give each of `SCORES`, (B,), where tracks count as often as `weights`, (B, T), says."""
    scores = score_confusions(weights @ count_cells(outcomes))
    row_weights = weights[:, outcomes.track]
    aucs = [
        roc_auc(outcomes.reference == k, outcomes.posteriors[:, k], row_weights)
        for k in range(len(outcomes.classes))
    ]
    scores["macro_auc"] = np.mean(aucs, axis=0)
    return scores


def count_cells(outcomes: ClassOutcomes) -> FloatArray:
    """Count each track's rows in each cell of the confusion matrix, flattened, (T, K * K)."""
    n_classes = len(outcomes.classes)
    n_tracks = len(outcomes.track_ids)
    cells = outcomes.reference * n_classes + outcomes.estimated
    counts = np.bincount(
        outcomes.track * n_classes**2 + cells, minlength=n_tracks * n_classes**2
    ).astype(np.float64)
    return counts.reshape(n_tracks, n_classes**2)


def score_confusions(cells: FloatArray) -> dict[str, FloatArray]:
    """Give the scores that follow from confusion matrices alone.

    `cells`, (B, K * K), are counts: rows of the matrix are the reference, columns the estimate.
    """
    n_classes = round(cells.shape[-1] ** 0.5)
    confusions = cells.reshape(-1, n_classes, n_classes)
    support = confusions.sum(axis=2)
    # As in scikit-learn, a class that neither side has takes no part in a macro mean.
    occurs = support + confusions.sum(axis=1) > 0
    n_rows = support.sum(axis=1)
    scores = {"accuracy": np.trace(confusions, axis1=1, axis2=2) / n_rows}
    for name, values in zip(
        ("precision", "recall", "f1"), precision_recall_f1(confusions), strict=True
    ):
        scores[f"macro_{name}"] = values.sum(axis=1) / occurs.sum(axis=1)
        scores[f"weighted_{name}"] = (values * support).sum(axis=1) / n_rows
    return scores


def precision_recall_f1(confusions: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give each class's precision, recall and F1, (..., K), from confusions, (..., K, K)."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support = confusions.sum(axis=-1)
    estimated = confusions.sum(axis=-2)
    return (
        _divide(hits, estimated, 0),
        _divide(hits, support, 0),
        _divide(2 * hits, support + estimated, 0),
    )


def roc_auc(positive: BoolArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Give the area under the ROC curve, (B,), with rows weighted by `weights`, (B, n).

    It is the probability that a positive row scores above a negative one, ties counting half
    (Hanley and McNeil, 1982); NaN where there are no rows of either kind.
    """
    order = np.argsort(scores, kind="stable")
    # Rows of equal scores form one group, so that ties count half whatever their order.
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    ordered = weights[:, order]
    positives = np.add.reduceat(ordered * positive[order], starts, axis=1)
    negatives = np.add.reduceat(ordered, starts, axis=1) - positives
    below = np.cumsum(negatives, axis=1) - negatives / 2
    wins = (positives * below).sum(axis=1)
    return _divide(wins, positives.sum(axis=1) * negatives.sum(axis=1), np.nan)


def roc_curve(positive: BoolArray, scores: FloatArray) -> Curve:
    """Give the ROC curve: x the false positive rate, y the true positive rate, both ascending.

    Points on a straight line between their neighbours are left out (Fawcett, 2006). The first
    point takes nothing for the class; its threshold is infinite. Both kinds of rows must occur.
    """
    thresholds, hits, false_alarms = _cumulate(positive, scores)
    # Where the steps of both counts stay the same, the curve goes straight on.
    corner = np.ones(len(hits), dtype=bool)
    corner[1:-1] = (np.diff(hits, 2) != 0) | (np.diff(false_alarms, 2) != 0)
    hits, false_alarms = hits[corner], false_alarms[corner]
    return Curve(
        np.append(0.0, false_alarms / false_alarms[-1]),
        np.append(0.0, hits / hits[-1]),
        np.append(np.inf, thresholds[corner]),
    )


def precision_recall_curve(positive: BoolArray, scores: FloatArray) -> Curve:
    """Give the precision-recall curve: x the recall, descending from 1 to 0, y the precision.

    Thresholds ascend. Of points with equal recall the first and the last stay. The final point,
    recall 0 and precision 1, has no threshold: it is infinite. Positive rows must occur.
    """
    thresholds, hits, false_alarms = _cumulate(positive, scores)
    corner = np.ones(len(hits), dtype=bool)
    corner[1:-1] = (np.diff(hits[:-1]) != 0) | (np.diff(hits[1:]) != 0)
    hits, false_alarms = hits[corner][::-1], false_alarms[corner][::-1]
    return Curve(
        np.append(hits / hits[0], 0.0),
        np.append(hits / (hits + false_alarms), 1.0),
        np.append(thresholds[corner][::-1], np.inf),
    )


def average_precision(positive: BoolArray, scores: FloatArray) -> float:
    """Give the mean of the precision over the recall's steps, without interpolation.

    NaN where no row is positive.
    """
    _, hits, false_alarms = _cumulate(positive, scores)
    if not hits[-1]:
        return float("nan")
    gained = np.diff(hits, prepend=0)
    return float((gained * (hits / (hits + false_alarms))).sum() / hits[-1])


def score_labels(
    reference: NDArray[np.integer[Any]], estimated: NDArray[Any], n_classes: int
) -> dict[str, float]:
    """Score a classification: accuracy, macro_precision, macro_recall and macro_f1.

    reference: (n,), classes from 0. estimated: (n,), classes from 0, or (n, n_classes), posteriors,
    of which the highest is taken (the first of equals). n is at least 1.
    """
    if estimated.ndim == 2:
        estimated = estimated.argmax(axis=1)
    cells = np.bincount(reference * n_classes + estimated, minlength=n_classes**2)
    scores = score_confusions(cells[np.newaxis].astype(np.float64))
    names = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
    return {name: float(scores[name][0]) for name in names}


def score_numbers(reference: FloatArray, estimated: FloatArray) -> dict[str, float]:
    """Give each of `NUMBER_SCORES` of estimates, (n,), against references, (n,).

    They are defined in `weigh_numbers`. NaN where a score is not defined.
    """
    once = np.ones((1, len(reference)))
    scores = weigh_numbers(np.asarray(reference, float), np.asarray(estimated, float), once)
    return {name: float(values[0]) for name, values in scores.items()}


def weigh_numbers(
    reference: FloatArray, estimated: FloatArray, weights: FloatArray
) -> dict[str, FloatArray]:
    """Give each of `NUMBER_SCORES`, (B,), where rows count as often as `weights`, (B, n), says.

    Beside the usual errors and correlations: `ccc` is the concordance correlation coefficient,
    2 cov / (var + var + difference of means squared) with population moments (Lin, Biometrics 45,
    1989); `bias` is the mean of estimated - reference; `spread_ratio` is the standard deviation of
    the estimates over that of the references.

    NaN where they are not defined: R2 and the ratio of references without spread, correlations if
    either has none, `ccc` if all numbers are the same, any where no row is left.
    """
    scores = _moment_scores(_products(reference, estimated), weights)
    scores["spearman_rho"] = _rank_correlation(reference, estimated, weights)
    return {name: scores[name] for name in NUMBER_SCORES}


def _score_tracks(outcomes: NumberOutcomes, weights: FloatArray) -> dict[str, FloatArray]:
    """Do as `weigh_numbers` for rows that count as often as their track, weights (B, T)."""
    reference, estimated = outcomes.reference, outcomes.estimated
    # All but the ranks follows from sums over each track's rows, of which there are far fewer.
    n_tracks = len(outcomes.track_ids)
    sums = {
        name: np.bincount(outcomes.track, column, n_tracks).astype(np.float64)
        for name, column in _products(reference, estimated).items()
    }
    scores = _moment_scores(sums, weights)
    scores["spearman_rho"] = _rank_correlation(reference, estimated, weights[:, outcomes.track])
    return {name: scores[name] for name in NUMBER_SCORES}


def score_ratings(outcomes: ClassOutcomes, weights: FloatArray) -> dict[str, FloatArray]:
    """Give each of `RATING_SCORES`, (B,), over the rows that predict a rating; weights (B, T)."""
    rows = np.flatnonzero(~np.isnan(outcomes.values))
    products = _products(outcomes.ratings[rows], outcomes.values[rows])
    scores = _moment_scores(products, weights[:, outcomes.track[rows]])
    return {name: scores[name] for name in RATING_SCORES}


def _products(reference: FloatArray, estimated: FloatArray) -> dict[str, FloatArray]:
    """Give what has to be summed over rows for the scores that need no ranks, each (n,)."""
    errors = estimated - reference
    # About the means of all rows, so that no digits are lost to large numbers.
    x, y = reference - reference.mean(), estimated - estimated.mean()
    return {
        "n": np.ones_like(errors),
        "errors": errors,
        "absolute": np.abs(errors),
        "squares": errors**2,
        "x": x,
        "y": y,
        "xx": x * x,
        "yy": y * y,
        "xy": x * y,
    }


def _moment_scores(
    products: Mapping[str, FloatArray], weights: FloatArray
) -> dict[str, FloatArray]:
    """Give the scores that need no ranks from `_products` of rows, or sums of them, (m,)."""
    sums = {name: _sum(weights, column) for name, column in products.items()}
    totals = sums["n"]
    reference_spread = _comoment(sums, "x", "x")
    estimated_spread = _comoment(sums, "y", "y")
    product = _comoment(sums, "x", "y")
    mse = _divide(sums["squares"], totals, np.nan)
    bias = _divide(sums["errors"], totals, np.nan)
    # The denominator of `ccc` times the number of rows, as all terms here are sums.
    spreads = reference_spread + estimated_spread + totals * bias**2
    return {
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": _divide(sums["absolute"], totals, np.nan),
        "r2": 1 - _divide(sums["squares"], reference_spread, np.nan),
        "pearson_r": _correlate(product, reference_spread, estimated_spread),
        "ccc": _divide(2 * product, spreads, np.nan),
        "bias": bias,
        "spread_ratio": np.sqrt(_divide(estimated_spread, reference_spread, np.nan)),
    }


def expected_scores(support: FloatArray, probabilities: FloatArray) -> dict[str, float]:
    """Give the scores that a classifier is expected to have which draws its answers by chance.

    It answers k with `probabilities[k]`, (K,), without regard to the row; `support`, (K,), are
    the numbers of rows of each class. Exact: of m answers k, a share support[k] / n is right on
    average, and m is binomially distributed. (A class that has no rows but may be drawn is taken
    to be drawn at least once, which on more than a few rows it is.)
    """
    n_rows = int(support.sum())
    prior = support / n_rows
    precision, f1 = np.empty(len(support)), np.empty(len(support))
    for k, probability in enumerate(probabilities):
        chances = _binomial(n_rows, float(probability))
        answers = np.arange(n_rows + 1)
        # Precision is the prior on average for any number of answers but none, where it is 0.
        precision[k] = prior[k] * (1 - chances[0])
        # F1 is not linear in the number of answers, so it is averaged over all numbers.
        f1[k] = (chances * _divide(2 * answers * prior[k], answers + support[k], 0)).sum()
    recall = np.where(support > 0, probabilities, 0)
    occurs = (support > 0) | (probabilities > 0)
    scores = {"accuracy": float(prior @ probabilities)}
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        scores[f"macro_{name}"] = float(values.sum() / occurs.sum())
        scores[f"weighted_{name}"] = float(values @ prior)
    ranked = bool((support > 0).all()) and len(support) > 1
    scores["macro_auc"] = CHANCE_AUC if ranked else float("nan")
    return scores


def _cumulate(
    positive: BoolArray, scores: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Give the distinct scores, descending, and how many rows of each kind reach them."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits = np.cumsum(positive[order], dtype=np.int64)[ends]
    return scores[order][ends], hits, ends + 1 - hits


def _comoment(sums: Mapping[str, FloatArray], x: str, y: str) -> FloatArray:
    """Give the weighted sum of the products of x and y about their means, (B,)."""
    products = sums[x + y]
    means = _divide(sums[x] * sums[y], sums["n"], 0)
    spread = np.sqrt(sums[x + x] * sums[y + y])
    # The difference is only rounding where a column is constant, and would pass for a spread.
    comoment: FloatArray = np.where(
        np.abs(products - means) > NEGLIGIBLE * spread, products - means, 0
    )
    return comoment


def _correlate(product: FloatArray, spread: FloatArray, other: FloatArray) -> FloatArray:
    """Give the correlation from the sums of products about the means."""
    # Rounding can take a perfect correlation past 1.
    correlation: FloatArray = np.clip(_divide(product, np.sqrt(spread * other), np.nan), -1, 1)
    return correlation


def _rank_correlation(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Give Spearman's rho, (B,), in samples that hold rows as often as weights, (B, n), says.

    It is Pearson's correlation of the ranks, ties having their mean rank.
    """
    by_x = np.argsort(x, kind="stable")
    x, y, weights = x[by_x], y[by_x], weights[:, by_x]
    x_ranks = _centred_ranks(x, weights)
    by_y = np.argsort(y, kind="stable")
    y_ranks = np.empty_like(weights)
    y_ranks[:, by_y] = _centred_ranks(y[by_y], weights[:, by_y])
    weighted = weights * x_ranks
    return _correlate(
        (weighted * y_ranks).sum(axis=1),
        (weighted * x_ranks).sum(axis=1),
        (weights * y_ranks * y_ranks).sum(axis=1),
    )


def _centred_ranks(ordered: FloatArray, weights: FloatArray) -> FloatArray:
    """Rank rising numbers, (n,), that stand as often as weights, (B, n), less the mean rank."""
    starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf))
    sizes = np.add.reduceat(weights, starts, axis=1)
    # A number that stands m times after k lower ones has the mean of the ranks k + 1 to k + m; the
    # mean of the ranks 1 to n is (n + 1) / 2, which no tie changes.
    ends = np.cumsum(sizes, axis=1)
    ranks: FloatArray = ends - sizes / 2 - ends[:, -1:] / 2
    counts = np.diff(starts, append=len(ordered))
    return ranks if len(starts) == len(ordered) else np.repeat(ranks, counts, axis=1)


def _sum(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Sum values, (n,), by weights, (B, n)."""
    # Not a matrix product: its last digits depend on how many threads BLAS takes.
    total: FloatArray = (weights * values).sum(axis=1)
    return total


def _divide(numerator: FloatArray, denominator: FloatArray, undefined: float) -> FloatArray:
    """Divide; where the denominator is 0 the quotient is `undefined`."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: FloatArray = np.full(shape, undefined, dtype=np.float64)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _binomial(n: int, probability: float) -> FloatArray:
    """Give the probabilities of 0 to n successes in n trials."""
    k = np.arange(n + 1)
    # A certain outcome is written down, as the logarithm of 0 is infinite.
    if probability in (0, 1):
        certain: FloatArray = np.where(k == n * probability, 1.0, 0.0)
        return certain
    # In logarithms, as the factorial of 171 already exceeds a float.
    logs = np.append(0.0, np.cumsum(np.log(np.arange(1, n + 1))))
    chances: FloatArray = np.exp(
        logs[n] - logs[k] - logs[n - k] + k * np.log(probability) + (n - k) * np.log1p(-probability)
    )
    # Rounding of the logarithms adds up to 1e-12 of a probability in thousands of trials.
    chances /= chances.sum()
    return chances

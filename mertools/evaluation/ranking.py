"""Ranking features by how well they separate classes, or follow a number.

`f`: F of a one-way analysis of variance between classes (Fisher, 1925), as in
`sklearn.feature_selection.f_classif`; for a number F of its linear regression on the feature, as in
`f_regression`. Each feature is seen alone.

`relieff`: ReliefF (Kononenko, "Estimating attributes", ECML 1994); for a number RReliefF
(Robnik-Sikonja and Kononenko, Machine Learning 53, 2003). A feature is good if it differs between a
row and its nearest rows of other classes, and does not among its nearest of the same class; so
features that separate classes only together are found.

n is the number of rows (tracks), D of features, C of classes that have rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mertools.evaluation.outcomes import FloatArray, IndexArray

Method = Literal["f", "relieff"]
N_NEIGHBOURS = 10
RANK_SPREAD = 20.0
"""RReliefF: the i-th nearest row weighs exp(-(i / RANK_SPREAD)^2), as its authors propose."""
BLOCK_SIZE = 1 << 22
"""Numbers to hold at once for the distances of a block of rows."""

Values = NDArray[np.floating[Any]]


def rank_columns(
    X: FloatArray, y: NDArray[Any], method: Method = "f", *, are_numbers: bool = False
) -> tuple[IndexArray, FloatArray]:
    """Order the columns of X, (n, D), from the best; give also each column's score, (D,).

    y: (n,), the classes, or the numbers where `are_numbers`. Equal columns keep their order, and
    those without a score come last. Raises ValueError as the methods do.
    """
    if method == "f":
        scores, _ = analyse_regression(X, y) if are_numbers else analyse_variance(X, y)
    else:
        scores = relieff_numbers(X, y) if are_numbers else relieff(X, y)
    return rank_by(scores), scores


def rank_by(scores: FloatArray) -> IndexArray:
    """Order columns by falling scores; equal ones keep their order, NaN come last."""
    order: IndexArray = np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")
    return order


def drop_correlated(X: FloatArray, order: IndexArray, max_correlation: float) -> IndexArray:
    """Drop from an order of columns each that correlates with a better one that is kept.

    X: (n, D). Of two columns with |r| > `max_correlation` the lower-ranked goes. A column without
    spread correlates with none.
    """
    centred = X - X.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    # A constant's rounded mean would leave it a direction, and correlations by chance.
    norms[_is_constant(X)] = 0
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    kept: list[int] = []
    # From the best down, so that of two similar columns the better one stays.
    for column in order.tolist():
        correlations = unit[:, kept].T @ unit[:, column]
        if not (np.abs(correlations) > max_correlation).any():
            kept.append(column)
    return np.array(kept, dtype=np.intp)


def analyse_variance(X: FloatArray, y: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Give F and p, (D,), of each column of X, (n, D), between the classes y, (n,).

    A column that is constant in every class has an infinite F and p = 0, or, if it is constant
    over all, neither: both are NaN. Raises ValueError unless there are two classes or more, and
    more rows than classes.
    """
    from scipy.special import fdtrc

    of_class = [X[y == k] for k in np.unique(y)]
    n_rows, n_classes = len(X), len(of_class)
    if not 2 <= n_classes < n_rows:
        raise ValueError(f"{n_rows} rows of {n_classes} classes have no variance to analyse")
    centre = X.mean(axis=0)
    between = sum(len(rows) * (rows.mean(axis=0) - centre) ** 2 for rows in of_class)
    between = np.where(_is_constant(X), 0, between)
    within = sum(_scatter(rows) for rows in of_class)
    # Division by 0 is meant: it gives the infinite and the undefined F of the docstring.
    with np.errstate(divide="ignore", invalid="ignore"):
        F: FloatArray = (between / (n_classes - 1)) / (within / (n_rows - n_classes))
    p: FloatArray = fdtrc(n_classes - 1, n_rows - n_classes, F)
    return F, p


def analyse_regression(X: FloatArray, y: Values) -> tuple[FloatArray, FloatArray]:
    """Give F and p, (D,), of the linear regression of numbers y, (n,), on each column of X, (n, D).

    F is r^2 (n - 2) / (1 - r^2) for the correlation r. Both are NaN for a column without spread.
    Raises ValueError unless there are three rows or more, of different numbers.
    """
    from scipy.special import fdtrc

    n_rows = len(X)
    if n_rows < 3 or np.ptp(y) == 0:
        raise ValueError(f"{n_rows} rows have no numbers to regress on")
    # A constant's mean is rounded, so that it would seem to vary.
    centred, target = np.where(_is_constant(X), 0, X - X.mean(axis=0)), y - y.mean()
    spread = np.sqrt(_scatter(X) * (target**2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.minimum(((centred * target[:, np.newaxis]).sum(axis=0) / spread) ** 2, 1)
        F: FloatArray = squared / (1 - squared) * (n_rows - 2)
    p: FloatArray = fdtrc(1, n_rows - 2, F)
    return F, p


def relieff(X: FloatArray, y: NDArray[Any], k: int = N_NEIGHBOURS) -> FloatArray:
    """Give ReliefF's weight of each column of X, (D,), for the classes y, (n,), from -1 to 1.

    Every row is used once. Columns are scaled to 0..1 by their extremes, and distances are sums of
    absolute differences. Of each class the `k` nearest other rows count, or all where it has fewer;
    of equally near ones the first. Rows of another class weigh by its prior among the classes that
    are not the row's own. Raises ValueError unless there are two classes or more.
    """
    classes, index, sizes = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError("one class has no other to differ from")
    scaled, prior = _scale(X), sizes / len(y)
    weights = np.zeros(X.shape[1])
    for rows, distances in _distances(scaled):
        # Class by class, so that a rare class has as many neighbours as a common one.
        for c in range(len(classes)):
            members = np.flatnonzero(index == c)
            of_class = distances[:, members]
            # Nearest first; a row itself, which stands at infinity, comes after all others.
            nearest = members[np.argsort(of_class, axis=1, kind="stable")[:, :k]]
            for row, neighbours in zip(rows.tolist(), nearest, strict=True):
                others = neighbours[neighbours != row]
                # The only row of its class has no neighbour of its own kind.
                if not len(others):
                    continue
                difference = np.abs(scaled[others] - scaled[row]).mean(axis=0)
                own = index[row]
                # To differ from rows of the same class counts against a column, from others for it.
                weights += -difference if own == c else prior[c] / (1 - prior[own]) * difference
    mean: FloatArray = weights / len(y)
    return mean


def relieff_numbers(X: FloatArray, y: Values, k: int = N_NEIGHBOURS) -> FloatArray:
    """Give RReliefF's weight of each column of X, (D,), for numbers y, (n,).

    W = P(different column | different y) - P(different column | same y) among each row's `k`
    nearest; scaling and distances are those of `relieff`. A neighbour's weight falls with its rank
    (`RANK_SPREAD`). NaN where the numbers near each other never differ, or differ fully.
    """
    scaled, target = _scale(X), _scale(y.reshape(-1, 1)).ravel()
    k = min(k, len(y) - 1)
    ranks = np.exp(-((np.arange(1, k + 1) / RANK_SPREAD) ** 2))
    # A row's neighbours weigh 1 together, so that the sums below are numbers of rows.
    ranks /= ranks.sum()
    different_y, different_column = 0.0, np.zeros(X.shape[1])
    both = np.zeros(X.shape[1])
    for rows, distances in _distances(scaled):
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        for row, neighbours in zip(rows.tolist(), nearest, strict=True):
            of_y = np.abs(target[neighbours] - target[row]) * ranks
            of_columns = np.abs(scaled[neighbours] - scaled[row])
            # Numbers have no classes to agree in; by Bayes' rule these three sums suffice.
            different_y += of_y.sum()
            different_column += (of_columns * ranks[:, np.newaxis]).sum(axis=0)
            both += (of_columns * of_y[:, np.newaxis]).sum(axis=0)
    if not 0 < different_y < len(y):
        return np.full(X.shape[1], np.nan)
    weights: FloatArray = both / different_y - (different_column - both) / (len(y) - different_y)
    return weights


def class_means(X: FloatArray, y: NDArray[Any]) -> FloatArray:
    """Give the mean of each column over each class's rows, (C, D), by rising class."""
    return np.array([X[y == k].mean(axis=0) for k in np.unique(y)])


def _scale(X: Values) -> FloatArray:
    """Map each column to 0..1 by its extremes; one without spread is 0."""
    X = X.astype(np.float64)
    low, spread = X.min(axis=0), np.ptp(X, axis=0)
    scaled: FloatArray = np.divide(X - low, spread, out=np.zeros_like(X), where=spread > 0)
    return scaled


def _distances(scaled: FloatArray) -> Iterator[tuple[IndexArray, FloatArray]]:
    """Yield blocks of rows and their Manhattan distances to all rows, (b, n), infinite to self."""
    from scipy.spatial.distance import cdist

    size = max(1, BLOCK_SIZE // len(scaled))
    for start in range(0, len(scaled), size):
        rows = np.arange(start, min(start + size, len(scaled)))
        distances = cdist(scaled[rows], scaled, "cityblock")
        distances[np.arange(len(rows)), rows] = np.inf
        yield rows, distances


def _scatter(X: FloatArray) -> FloatArray:
    """Sum the squared deviations of each column from its mean, (D,)."""
    scatter: FloatArray = ((X - X.mean(axis=0)) ** 2).sum(axis=0)
    # The mean of equal numbers is rounded, so that a constant would seem to vary.
    return np.where(_is_constant(X), 0, scatter)


def _is_constant(X: FloatArray) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = np.ptp(X, axis=0) == 0
    return constant

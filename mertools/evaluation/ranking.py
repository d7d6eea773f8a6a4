"""Ranking features by how far their means differ between classes: one-way analysis of variance.

F is the mean square between classes over that within them (Fisher, 1925), as in
`scipy.stats.f_oneway` and `sklearn.feature_selection.f_classif`. n is the number of tracks, D of
features, C of classes that have tracks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from mertools.evaluation.join import FloatArray


def analyse_variance(X: FloatArray, y: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Give F and p, (D,), of each column of X, (n, D), between the classes y, (n,).

    A column that is constant in every class has an infinite F and p = 0, or, if it is constant
    over all, neither: both are NaN. Raises ValueError unless there are two classes or more, and
    more rows than classes.
    """
    of_class = [X[y == k] for k in np.unique(y)]
    n_rows, n_classes = len(X), len(of_class)
    if not 2 <= n_classes < n_rows:
        raise ValueError(f"{n_rows} rows of {n_classes} classes have no variance to analyse")
    centre = X.mean(axis=0)
    between = sum(len(rows) * (rows.mean(axis=0) - centre) ** 2 for rows in of_class)
    between = np.where(_is_constant(X), 0, between)
    within = sum(_scatter(rows) for rows in of_class)
    with np.errstate(divide="ignore", invalid="ignore"):
        F: FloatArray = (between / (n_classes - 1)) / (within / (n_rows - n_classes))
    p: FloatArray = fdtrc(n_classes - 1, n_rows - n_classes, F)
    return F, p


def _scatter(X: FloatArray) -> FloatArray:
    """Sum the squared deviations of each column from its mean, (D,)."""
    scatter: FloatArray = ((X - X.mean(axis=0)) ** 2).sum(axis=0)
    # The mean of equal numbers is rounded, so that a constant would seem to vary.
    return np.where(_is_constant(X), 0, scatter)


def _is_constant(X: FloatArray) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = np.ptp(X, axis=0) == 0
    return constant


def class_means(X: FloatArray, y: NDArray[np.int64]) -> FloatArray:
    """Give the mean of each column over each class's rows, (C, D), by rising class."""
    return np.array([X[y == k].mean(axis=0) for k in np.unique(y)])


def rank_by(F: FloatArray) -> NDArray[np.intp]:
    """Order columns by falling F; equal ones keep their order, NaN come last."""
    return np.argsort(np.where(np.isnan(F), np.inf, -F), kind="stable")

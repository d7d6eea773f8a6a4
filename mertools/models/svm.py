"""The support vector machine: the scikit-learn estimator that is trained, and its posteriors.

A pipeline (each column clipped to its range in training and standardised, then an SVC with an RBF
kernel) gives a margin for each pair of classes. A sigmoid turns it into the odds of the one class
against the other (J. Platt, Probabilistic outputs for support vector machines, 1999), fitted to
margins of rows that the SVC under it was not fitted to. The pairs are coupled by least squares of
the log odds: the logit of a class is the mean of its log odds against each class, itself included.
That is a softmax of linear functions of the margins, so that scikit-learn's own classes hold it.

scikit-learn's CalibratedClassifierCV does not serve: it calibrates counts of votes, which jump, one
class at a time, and is made of classes that skops does not trust.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_file import Card, Learnt
from mertools.errors import SchemaError
from mertools.targets.pooling import side_by_side

STANDARDISATION = "clipped to the column's range in training, then zero mean and unit variance"

ARCHITECTURE = {
    "kernel": "rbf",
    "class_weight": "inverse class frequency",
    "calibration": "a sigmoid for each pair of classes on out-of-fold margins, weighted by the "
    "square root of inverse class frequency, coupled by least squares of the log odds",
}


def build_svm(C: float = 1.0, gamma: float | str = "scale") -> Any:
    """Build the pipeline below the calibration, not yet fitted.

    Clipping bounds what music unlike any in training can do: a column that hardly moved there
    would otherwise, standardised, outweigh all others.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.svm import SVC

    return Pipeline(
        [
            ("range", MinMaxScaler(clip=True)),
            ("standard", StandardScaler()),
            (
                "svc",
                SVC(C=C, gamma=gamma, class_weight="balanced", decision_function_shape="ovo"),
            ),
        ]
    )


def fit_calibrated(
    svm: Any,
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Any:
    """Fit an SVM and its calibration into one classifier.

    X: (n_rows, n_columns); y: (n_rows,), from 0 up; splits: the rows to fit to and those held out,
    which together are all rows, with every class among each.
    """
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    margins = cross_val_predict(svm, X, y, cv=splits, method="decision_function")
    weights, biases = _fit_calibration(margins.reshape(len(y), -1), y)
    # Of the logistic regression only the form is used: its coefficients are then replaced.
    estimator = StackingClassifier(
        [("svm", svm.fit(X, y))],
        LogisticRegression(max_iter=1000),
        cv="prefit",
        stack_method="decision_function",
    ).fit(X, y)
    calibration = estimator.final_estimator_
    calibration.coef_, calibration.intercept_ = _scikit_learn_logits(weights, biases)
    # skops trusts a dict, but not scikit-learn's own kind of it.
    estimator.named_estimators_ = dict(estimator.named_estimators_)
    return estimator


def _fit_calibration(
    margins: NDArray[np.float64], y: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the weights (n_classes, n_pairs) and biases (n_classes,) of the logits to margins.

    margins: (n_rows, n_pairs). Classes weigh halfway between alike, under which a rare one is
    hardly ever the most probable, and inversely to their frequency, under which it is too often.
    """
    from sklearn.linear_model import LogisticRegression

    counts = np.bincount(y)
    n_classes = len(counts)
    weight = np.sqrt(len(y) / (n_classes * counts))
    weights = np.zeros((n_classes, margins.shape[1]))
    biases = np.zeros(n_classes)
    for pair, (i, j) in enumerate(itertools.combinations(range(n_classes), 2)):
        rows = (y == i) | (y == j)
        odds_of_j = LogisticRegression(class_weight={i: weight[i], j: weight[j]}).fit(
            margins[rows, pair, None], y[rows]
        )
        slope, bias = odds_of_j.coef_.item(), odds_of_j.intercept_.item()
        weights[[i, j], pair] = -slope / n_classes, slope / n_classes
        biases[[i, j]] += -bias / n_classes, bias / n_classes
    return weights, biases


@dataclass(frozen=True)
class CalibratedSvm:
    """A trained SVM that gives the estimator's posteriors without scikit-learn.

    Columns become `x * range_scale + range_shift`, clipped to 0 to 1, less `mean`, by `scale`: all
    (n_columns,). The margin of a pair of classes is its `coefficients` (n_pairs, n_vectors) times
    the kernel with the `support_vectors` (n_vectors, n_columns), plus its `intercepts` (n_pairs,);
    a class's logit is its `weights` (n_classes, n_pairs) times the margins plus its `biases`.
    """

    range_scale: NDArray[np.float64]
    range_shift: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    support_vectors: NDArray[np.float64]
    gamma: float
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    weights: NDArray[np.float64]
    biases: NDArray[np.float64]

    def posteriors(self, features: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
        """Give each row's posteriors: finite, for each kind (n_rows, ...), to (n_rows, n_classes).

        A row's do not depend on the others, to the last bit.
        """
        X = side_by_side(features)
        Z = np.clip(X * self.range_scale + self.range_shift, 0.0, 1.0)
        Z = (Z - self.mean) / self.scale
        P = np.empty((len(X), len(self.biases)))
        for row, z in enumerate(Z):
            kernel = np.exp(-self.gamma * np.square(self.support_vectors - z).sum(axis=1))
            margins = (self.coefficients * kernel).sum(axis=1) + self.intercepts
            logits = (self.weights * margins).sum(axis=1) + self.biases
            shares = np.exp(logits - logits.max())
            P[row] = shares / shares.sum()
        return P


def restore(path: Path, card: Card, learnt: Learnt) -> CalibratedSvm:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where it does not hold this module's estimator, or its arrays do not fit each
    other and the card.
    """
    try:
        steps = dict(learnt["estimators_"][0]["steps"])
        span, standard, svc = steps["range"], steps["standard"], steps["svc"]
        calibration = learnt["final_estimator_"]
        svm = CalibratedSvm(
            span["scale_"],
            span["min_"],
            standard["mean_"],
            standard["scale_"],
            svc["support_vectors_"],
            float(svc["_gamma"]),
            _pair_coefficients(svc["dual_coef_"], svc["_n_support"]),
            svc["intercept_"],
            *_logits_of_all_classes(calibration["coef_"], calibration["intercept_"]),
        )
        _check_arrays(svm, card)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no SVM as mer train svm makes it ({type(error).__name__}: {error})",
            "train the model again",
        ) from None
    return svm


def _pair_coefficients(
    dual_coef: NDArray[np.float64], n_support: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Spread libsvm's coefficients, (n_classes - 1, n_vectors), to one row a pair of classes.

    A vector of class i has those against the other classes, in order, in its column (LIBSVM's
    README, section "Library Usage", sv_coef).
    """
    first = np.concatenate([[0], np.cumsum(n_support)])
    pairs = list(itertools.combinations(range(len(n_support)), 2))
    coefficients = np.zeros((len(pairs), dual_coef.shape[1]))
    for row, (i, j) in zip(coefficients, pairs, strict=True):
        of_i, of_j = slice(first[i], first[i + 1]), slice(first[j], first[j + 1])
        row[of_i] = dual_coef[j - 1, of_i]
        row[of_j] = dual_coef[i, of_j]
    return coefficients


def _scikit_learn_logits(
    weights: NDArray[np.float64], biases: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give logits as scikit-learn has them: of two classes the second's less the first's."""
    if len(biases) > 2:
        return weights, biases
    return np.diff(weights, axis=0), np.diff(biases)


def _logits_of_all_classes(
    weights: NDArray[np.float64], biases: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Undo `_scikit_learn_logits`, but for what a softmax leaves out of account."""
    if len(biases) > 1:
        return weights, biases
    return np.concatenate([np.zeros_like(weights), weights]), np.append(0.0, biases)


def _check_arrays(svm: CalibratedSvm, card: Card) -> None:
    """Raise ValueError where an array does not fit the card, or is not finite."""
    n_columns = sum(math.prod(kind["shape"]) for kind in card["features"])
    n_classes = len(card["classes"])
    n_pairs = math.comb(n_classes, 2)
    n_vectors = len(svm.support_vectors)
    shapes = {
        "range_scale": (n_columns,),
        "range_shift": (n_columns,),
        "mean": (n_columns,),
        "scale": (n_columns,),
        "support_vectors": (n_vectors, n_columns),
        "gamma": (),
        "coefficients": (n_pairs, n_vectors),
        "intercepts": (n_pairs,),
        "weights": (n_classes, n_pairs),
        "biases": (n_classes,),
    }
    for name, shape in shapes.items():
        array = getattr(svm, name)
        if np.shape(array) != shape:
            raise ValueError(f"{name} has shape {np.shape(array)}, not {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")

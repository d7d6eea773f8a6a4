"""The support vector machine: posteriors of classes (SVC), or a number (SVR).

Each column is clipped to its range in training and standardised. A support vector machine with an
RBF kernel follows.

Classes: the SVC gives a margin for each pair of classes. A sigmoid turns it into the odds of the
one class against the other (J. Platt, Probabilistic outputs for support vector machines, 1999). It
is fitted to margins of rows that the SVC under it was not fitted to. The pairs are coupled by least
squares of the log odds: the logit of a class is the mean of its log odds against each class, itself
included. scikit-learn's CalibratedClassifierCV does not serve: it calibrates counts of votes, which
jump.

Numbers: epsilon-SVR of the standardised number (A. J. Smola, B. Schoelkopf, A tutorial on support
vector regression, 2004), with scikit-learn's epsilon of 0.1 deviations.

scikit-learn fits; what was learnt is kept as plain arrays, which predict without it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError
from mertools.models.model import Model, are_numbers, scale_numbers
from mertools.models.problem import Point, Problem, Split
from mertools.targets.pooling import side_by_side
from mertools.targets.scale import Target

STANDARDISATION = "clipped to the column's range in training, then zero mean and unit variance"
LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops")

_CALIBRATION = (
    "a sigmoid for each pair of classes on out-of-fold margins, weighted by the square root of "
    "inverse class frequency, coupled by least squares of the log odds"
)
EPSILON = 0.1
"""Errors of SVR that are not punished, in deviations of the number in training."""


def describe_form(problem: Problem, model: Model, point: Point) -> dict[str, Any]:
    """Say what a card says of the model's form."""
    form: dict[str, Any] = {"kernel": "rbf", **point}
    if are_numbers([problem.target]):
        return form | {"epsilon": EPSILON}
    return form | {"class_weight": "inverse class frequency", "calibration": _CALIBRATION}


def build_pipeline(machine: Any) -> Any:
    """Put what brings columns to one scale before a support vector machine, not yet fitted.

    Clipping bounds what music unlike any in training can do: a column that hardly moved there
    would otherwise, standardised, outweigh all others.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    steps = [("range", MinMaxScaler(clip=True)), ("standard", StandardScaler())]
    return Pipeline([*steps, ("machine", machine)])


def fit(problem: Problem, points: Sequence[Point]) -> list[Model]:
    """Fit a model for each point of a search, with its parameters C and gamma."""
    X = side_by_side(problem.features).astype(np.float64)
    fit_one = _fit_number if are_numbers([problem.target]) else _fit_classes
    return [fit_one(problem, X, float(point["C"]), float(point["gamma"])) for point in points]


def try_points(
    problem: Problem, points: Sequence[Point], features: Sequence[NDArray[Any]]
) -> list[NDArray[np.float64]]:
    """Give what a model of each point predicts of other rows, for a search: (n, n_outputs) each.

    Of classes it is the class alone, without the calibration, which would take several fits more.
    """
    if are_numbers([problem.target]):
        return [model.predict(features) for model in fit(problem, points)]
    X = side_by_side(problem.features).astype(np.float64)
    others = side_by_side(features).astype(np.float64)
    n_classes = problem.target.scale.n_outputs
    return [
        np.eye(n_classes)[
            _build_classifier(float(point["C"]), float(point["gamma"]))
            .fit(X, problem.y)
            .predict(others)
        ]
        for point in points
    ]


def _build_classifier(C: float, gamma: float) -> Any:
    from sklearn.svm import SVC

    return build_pipeline(
        SVC(C=C, gamma=gamma, class_weight="balanced", decision_function_shape="ovo")
    )


def _fit_number(problem: Problem, X: NDArray[np.float64], C: float, gamma: float) -> Model:
    from sklearn.svm import SVR

    # Standardised, so that epsilon and C mean the same whatever the spread of the numbers.
    centre, spread = problem.numbers.mean(), problem.numbers.std()
    z = (problem.numbers - centre) / (spread or 1.0)
    pipeline = build_pipeline(SVR(C=C, gamma=gamma, epsilon=EPSILON)).fit(X, z)
    machine = pipeline["machine"]
    return NumberSvm(
        (problem.target,),
        _columns_of(pipeline),
        _Kernel(machine.support_vectors_, gamma, machine.dual_coef_, machine.intercept_),
        np.array([centre, spread]),
    )


def _fit_classes(problem: Problem, X: NDArray[np.float64], C: float, gamma: float) -> Model:
    build = partial(_build_classifier, C, gamma)
    margins = _margins_out_of_fold(build, X, problem.y, problem.splits)
    # Copies have no margins of their own: they were never held out.
    originals = np.flatnonzero(~problem.is_copy)
    weights, biases = fit_calibration(margins[originals], problem.y[originals])
    pipeline = build().fit(X, problem.y)
    machine = pipeline["machine"]
    coefficients = _pair_coefficients(machine.dual_coef_, machine.n_support_)
    kernel = _Kernel(machine.support_vectors_, gamma, coefficients, machine.intercept_)
    return ClassSvm(_columns_of(pipeline), kernel, weights, biases)


def _margins_out_of_fold(
    build: Any, X: NDArray[np.float64], y: NDArray[np.int64], splits: Sequence[Split]
) -> NDArray[np.float64]:
    """Give the margins of held-out rows, (n_rows, n_pairs); those never held out have zeros."""
    n_classes = int(y.max()) + 1
    margins = np.zeros((len(X), math.comb(n_classes, 2)))
    for learn, held_out in splits:
        held = build().fit(X[learn], y[learn]).decision_function(X[held_out])
        margins[held_out] = held.reshape(len(held_out), -1)
    return margins


def fit_calibration(
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
class _Columns:
    """How columns are brought to one scale: all (n_columns,).

    A column becomes `x * range_scale + range_shift`, clipped to 0..1, less `mean`, by `scale`.
    """

    range_scale: NDArray[np.float64]
    range_shift: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        clipped = np.clip(X * self.range_scale + self.range_shift, 0.0, 1.0)
        Z: NDArray[np.float64] = (clipped - self.mean) / self.scale
        return Z


@dataclass(frozen=True)
class _Kernel:
    """The outputs of a support vector machine.

    `coefficients`, (n_outputs, n_vectors), times the kernel with the `support_vectors`,
    (n_vectors, n_columns), plus `intercepts`, (n_outputs,).
    """

    support_vectors: NDArray[np.float64]
    gamma: float
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def apply(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        # Row by row: a product of matrices would round a row otherwise beside other rows.
        distances = np.square(self.support_vectors - z).sum(axis=1)
        outputs: NDArray[np.float64] = (self.coefficients * np.exp(-self.gamma * distances)).sum(
            axis=1
        ) + self.intercepts
        return outputs


@dataclass(frozen=True)
class ClassSvm:
    """A trained SVC with calibrated posteriors.

    A class's logit is its `weights`, (n_classes, n_pairs), times the margins of the pairs of
    classes plus its `biases`, (n_classes,).
    """

    columns: _Columns
    kernel: _Kernel
    weights: NDArray[np.float64]
    biases: NDArray[np.float64]

    def predict(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Give posteriors: for each kind (n_rows, ...) to (n_rows, n_classes)."""
        Z = self.columns.apply(side_by_side(features))
        P = np.empty((len(Z), len(self.biases)))
        for row, z in enumerate(Z):
            logits = (self.weights * self.kernel.apply(z)).sum(axis=1) + self.biases
            # Less the largest, so that none overflows.
            shares = np.exp(logits - logits.max())
            P[row] = shares / shares.sum()
        return P

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all that was learnt, by name."""
        own = {"weights": self.weights, "biases": self.biases}
        return _arrays_of(self.columns, self.kernel) | own


@dataclass(frozen=True)
class NumberSvm:
    """A trained SVR; `standard`, (2,), are the number's mean and deviation, mapped to 0..1."""

    targets: tuple[Target, ...]
    columns: _Columns
    kernel: _Kernel
    standard: NDArray[np.float64]

    def predict(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Give numbers on the target's scale: for each kind (n_rows, ...) to (n_rows, 1)."""
        Z = self.columns.apply(side_by_side(features))
        z = np.array([self.kernel.apply(row) for row in Z]).reshape(-1, 1)
        return scale_numbers(self.standard[0] + self.standard[1] * z, self.targets)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all that was learnt, by name."""
        return _arrays_of(self.columns, self.kernel) | {"standard": self.standard}


def _columns_of(pipeline: Any) -> _Columns:
    span, standard = pipeline["range"], pipeline["standard"]
    return _Columns(span.scale_, span.min_, standard.mean_, standard.scale_)


def _arrays_of(columns: _Columns, kernel: _Kernel) -> dict[str, NDArray[Any]]:
    return asdict(columns) | asdict(kernel) | {"gamma": np.array(kernel.gamma)}


def restore(path: Path, card: ModelCard, learnt: Learnt) -> ClassSvm | NumberSvm:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where its arrays do not fit each other and the card.
    """
    try:
        arrays = _arrays_of_stack(learnt) if "estimators_" in learnt else learnt
        _check_arrays(arrays, card)
        columns = _Columns(
            arrays["range_scale"], arrays["range_shift"], arrays["mean"], arrays["scale"]
        )
        kernel = _Kernel(
            arrays["support_vectors"],
            float(arrays["gamma"]),
            arrays["coefficients"],
            arrays["intercepts"],
        )
        if are_numbers(card.targets):
            return NumberSvm(card.targets, columns, kernel, arrays["standard"])
        return ClassSvm(columns, kernel, arrays["weights"], arrays["biases"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no SVM as mer train svm makes it ({type(error).__name__}: {error})",
            "train the model again",
        ) from None


def _arrays_of_stack(learnt: Learnt) -> dict[str, NDArray[Any]]:
    """Take the arrays from a file of mertools before 0.2, which holds scikit-learn's estimators.

    Its calibration lies in a logistic regression, which has the logits of two classes as one.
    """
    steps = dict(learnt["estimators_"][0]["steps"])
    span, standard, svc = steps["range"], steps["standard"], steps["svc"]
    calibration = learnt["final_estimator_"]
    weights, biases = calibration["coef_"], calibration["intercept_"]
    if len(biases) == 1:
        weights = np.concatenate([np.zeros_like(weights), weights])
        biases = np.append(0.0, biases)
    return {
        "range_scale": span["scale_"],
        "range_shift": span["min_"],
        "mean": standard["mean_"],
        "scale": standard["scale_"],
        "support_vectors": svc["support_vectors_"],
        "gamma": np.array(float(svc["_gamma"])),
        "coefficients": _pair_coefficients(svc["dual_coef_"], svc["_n_support"]),
        "intercepts": svc["intercept_"],
        "weights": weights,
        "biases": biases,
    }


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


def _check_arrays(arrays: Mapping[str, NDArray[Any]], card: ModelCard) -> None:
    """Raise ValueError where an array does not fit the card, or has values of no SVM."""
    n_columns = sum(math.prod(needed.shape) for needed in card.inputs)
    n_vectors = len(arrays["support_vectors"])
    own: dict[str, tuple[int, ...]]
    if are_numbers(card.targets):
        n_machines, own = 1, {"standard": (2,)}
    else:
        n_classes = card.n_outputs
        n_machines = math.comb(n_classes, 2)
        own = {"weights": (n_classes, n_machines), "biases": (n_classes,)}
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("range_scale", "range_shift", "mean", "scale"), (n_columns,)),
        "support_vectors": (n_vectors, n_columns),
        "gamma": (),
        "coefficients": (n_machines, n_vectors),
        "intercepts": (n_machines,),
        **own,
    }
    for name, shape in shapes.items():
        if np.shape(arrays[name]) != shape:
            raise ValueError(f"{name} has shape {np.shape(arrays[name])}, not {shape}")
        if np.asarray(arrays[name]).dtype.kind not in "fiu":
            raise ValueError(f"{name} is not of real numbers")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")
    if arrays["gamma"] < 0:
        # Distant vectors would count without bound.
        raise ValueError("gamma is negative")
    if arrays["scale"].min(initial=1) <= 0:
        raise ValueError("scale is not positive")

"""Kernel ridge regression of annotators' distributions or a number, on several kinds of feature.

The kernel of two segments is a weighted mean over kinds of feature, each an RBF of the mean squared
difference of standardised columns (C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning
algorithm in dual variables", ICML 1998; M. Gönen, E. Alpaydin, "Multiple kernel learning
algorithms", JMLR 12, 2011). It learns from all rows, but keeps only some of them, the landmarks
(A. J. Smola, P. Bartlett, "Sparse greedy Gaussian process regression", NIPS 2000). What it
predicts far from all landmarks is the mean of training, so that it is bounded for any music.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError
from mertools.models.model import are_numbers, scale_numbers
from mertools.models.problem import Point, Problem
from mertools.targets.scale import Target

Floats = NDArray[np.floating[Any]]

MOST_DEVIATIONS = 5.0
"""Standardised values are clipped to this: columns that hardly move in training explode on other
music."""
LEAST_RELATIVE_DEVIATION = 1e-5
"""Columns that deviate less, relative to their mean, count as constant."""

LEAST_POSTERIOR = 0.01

STEEPNESS = 4.0
"""How steeply the score of unlikeness rises beyond the usual distances."""

LANDMARK_DTYPE = np.float16

LIBRARIES = ("numpy", "scipy")
JITTER = 1e-8
"""Added to the landmarks' kernel, which rounding may make not quite positive definite."""
USUAL_QUANTILES = (0.5, 0.99)

STANDARDISATION = (
    f"zero mean and unit variance, clipped to {MOST_DEVIATIONS:g} deviations; "
    "columns that are constant in training are left out"
)


@dataclass(frozen=True)
class Standardisation:
    """How the columns of a kind are brought to one scale: less `mean`, times `scale`."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, X: Floats) -> Standardisation:
        """Fit to rows, (n_rows, n_columns); the scale of a constant column is 0."""
        mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        # Rounding lets a constant column seem to deviate a little.
        moves = deviation > LEAST_RELATIVE_DEVIATION * np.abs(mean)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moves)
        return cls(mean, scale)

    def apply(self, X: Floats) -> NDArray[np.float64]:
        """Bring rows, (n_rows, n_columns), to the scale."""
        Z: NDArray[np.float64] = (X - self.mean) * self.scale
        return np.clip(Z, -MOST_DEVIATIONS, MOST_DEVIATIONS)

    @property
    def n_moving(self) -> int:
        """Columns that are not constant, at least 1."""
        return max(1, int(np.count_nonzero(self.scale)))


def squared_distances(A: Floats, B: Floats) -> NDArray[np.float64]:
    """Give the squared distances of rows: (n, d) and (m, d) to (n, m)."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    squares = np.square(A).sum(axis=1)[:, None] + np.square(B).sum(axis=1)
    # By the binomial formula, a product of matrices; rounding can take it below 0.
    distances: NDArray[np.float64] = squares - 2 * (A @ B.T)
    return np.maximum(distances, 0, out=distances)


@dataclass(frozen=True)
class KernelRidge:
    """A trained kernel ridge regression.

    For each kind of feature: its standardisation, its landmarks (n_landmarks, n_columns), and its
    share of the kernel. coefficients: (n_landmarks, n_outputs); intercepts: (n_outputs,);
    usual_distances: the 50th and 99th percentile of the training segments' distances to the
    nearest landmark of another track.
    """

    targets: tuple[Target, ...]
    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    shares: tuple[float, ...]
    gamma: float
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    usual_distances: NDArray[np.float64]

    def predict(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Predict rows: finite, for each kind (n_rows, ...), to (n_rows, n_outputs).

        A row's outputs do not depend on the other rows, to the last bit.
        """
        outputs = [
            self.intercepts + (self._kernel(row)[:, None] * self.coefficients).sum(axis=0)
            for row in _rows(features)
        ]
        return self._finish(np.array(outputs).reshape(-1, len(self.intercepts)))

    def predict_together(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Predict rows as `predict` does but for rounding, and faster: many rows at once.

        The products of matrices round a row otherwise beside other rows.
        """
        kernel = np.zeros((len(features[0]), len(self.coefficients)))
        for part, standard, landmarks, share in zip(
            features, self.standardisations, self._wide_landmarks, self.shares, strict=True
        ):
            Z = standard.apply(part.reshape(len(part), -1))
            distances = squared_distances(Z, landmarks) / standard.n_moving
            kernel += share * np.exp(-self.gamma * distances)
        return self._finish(self.intercepts + kernel @ self.coefficients)

    def _finish(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        if are_numbers(self.targets):
            return scale_numbers(outputs, self.targets)
        return to_distributions(outputs)

    def unlike(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Score how far each row is from the training music, from 0 to 1: (n_rows,).

        It is 0.5 at the 99th percentile of the training segments' distances to the nearest landmark
        of another track, and near 0 at the median.
        """
        middle, far = self.usual_distances
        nearest = np.array([1 - self._kernel(row).max() for row in _rows(features)])
        score: NDArray[np.float64] = 1 / (1 + np.exp(-STEEPNESS * (nearest - far) / (far - middle)))
        return score

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all that was learnt, by name."""
        arrays: dict[str, NDArray[Any]] = {
            "coefficients": self.coefficients,
            "intercepts": self.intercepts,
            "usual_distances": self.usual_distances,
        }
        for number, standard in enumerate(self.standardisations):
            arrays[f"mean_{number}"] = standard.mean
            arrays[f"scale_{number}"] = standard.scale
            arrays[f"landmarks_{number}"] = self.landmarks[number]
        return arrays

    @cached_property
    def _wide_landmarks(self) -> tuple[NDArray[np.float64], ...]:
        # Widened once: doing it for each row takes longer than all else.
        return tuple(part.astype(np.float64) for part in self.landmarks)

    def _kernel(self, row: Sequence[Floats]) -> NDArray[np.float64]:
        kernel = np.zeros(len(self.coefficients))
        for x, standard, landmarks, share in zip(
            row, self.standardisations, self._wide_landmarks, self.shares, strict=True
        ):
            gaps = landmarks - standard.apply(x)
            distances = np.einsum("ij,ij->i", gaps, gaps)
            kernel += share * np.exp(-self.gamma * distances / standard.n_moving)
        return kernel


def _rows(features: Sequence[NDArray[Any]]) -> list[list[Floats]]:
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in features]
    return [[part[row] for part in flat] for row in range(len(flat[0]))]


def to_distributions(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make regressed shares, (n, n_classes), into distributions: none below a least posterior."""
    values = np.maximum(values, LEAST_POSTERIOR)
    shares: NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return shares


def restore(path: Path, card: ModelCard, learnt: Learnt) -> KernelRidge:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where its arrays do not fit each other and the card.
    """
    try:
        shares = _read_shares(card)
        numbers = range(len(card.inputs))
        model = KernelRidge(
            card.targets,
            tuple(Standardisation(learnt[f"mean_{n}"], learnt[f"scale_{n}"]) for n in numbers),
            tuple(learnt[f"landmarks_{n}"] for n in numbers),
            shares,
            float(card.form["gamma"]),
            learnt["coefficients"],
            learnt["intercepts"],
            learnt["usual_distances"],
        )
        _check_arrays(model.arrays(), card)
        if not np.isfinite([model.gamma, *shares]).all() or model.gamma < 0:
            raise ValueError("its kernel is not of finite numbers, with a positive gamma")
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no kernel ridge regression as mer train kernel makes it ({error})",
            "train the model again",
        ) from None
    return model


def _read_shares(card: ModelCard) -> tuple[float, ...]:
    shares = card.form["shares"]
    if len(card.inputs) == 1:
        return (1.0,)  # selected columns of all kinds make one kernel
    return tuple(float(shares[kind]) for kind in card.kinds)


def _check_arrays(arrays: Mapping[str, NDArray[Any]], card: ModelCard) -> None:
    """Raise ValueError where an array does not fit the card, or is not finite."""
    n_landmarks = len(arrays["coefficients"])
    shapes: dict[str, tuple[int, ...]] = {
        "coefficients": (n_landmarks, card.n_outputs),
        "intercepts": (card.n_outputs,),
        "usual_distances": (2,),
    }
    for number, needed in enumerate(card.inputs):
        n_columns = math.prod(needed.shape)
        shapes |= {f"mean_{number}": (n_columns,), f"scale_{number}": (n_columns,)}
        shapes[f"landmarks_{number}"] = (n_landmarks, n_columns)
    for name, shape in shapes.items():
        if np.shape(arrays[name]) != shape:
            raise ValueError(f"{name} has shape {np.shape(arrays[name])}, not {shape}")
        if np.asarray(arrays[name]).dtype.kind not in "fiu":
            raise ValueError(f"{name} is not of real numbers")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")


def describe_form(problem: Problem, model: KernelRidge, point: Point) -> dict[str, Any]:
    """Say what a card says of the model's form, but for the kinds' shares."""
    return {"kernel": "rbf", **point, "n_landmarks": len(model.coefficients)}


def fit(problem: Problem, points: Sequence[Point]) -> list[KernelRidge]:
    """Fit a model for each point of a search, with its parameters gamma and ridge.

    All rows are learnt from, and the originals among them are the landmarks. The distances, which
    take the most time, are computed once for all points.
    """
    equations = _NormalEquations.of(problem)
    return [equations.solve(float(point["gamma"]), float(point["ridge"])) for point in points]


def try_points(
    problem: Problem, points: Sequence[Point], features: Sequence[NDArray[Any]]
) -> list[NDArray[np.float64]]:
    """Give what a model of each point predicts of other rows, for a search: (n, n_outputs) each."""
    return [model.predict_together(features) for model in fit(problem, points)]


@dataclass(frozen=True)
class _NormalEquations:
    """Rows to fit to, standardised, with their distances to the landmarks for each kind."""

    problem: Problem
    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    distances: tuple[NDArray[np.float64], ...]
    targets: NDArray[np.float64]

    @classmethod
    def of(cls, problem: Problem) -> _NormalEquations:
        standards = tuple(Standardisation.fit(part) for part in problem.features)
        scaled = [s.apply(part) for s, part in zip(standards, problem.features, strict=True)]
        landmarks = tuple(part[~problem.is_copy].astype(LANDMARK_DTYPE) for part in scaled)
        return cls(
            problem,
            standards,
            landmarks,
            tuple(
                squared_distances(part, of_kind) / standard.n_moving
                for part, of_kind, standard in zip(scaled, landmarks, standards, strict=True)
            ),
            problem.numbers[:, None] if are_numbers([problem.target]) else problem.distributions,
        )

    @property
    def intercepts(self) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.average(self.targets, axis=0, weights=self.problem.weights)
        return means

    def kernel(self, gamma: float) -> NDArray[np.float64]:
        """Give the kernel of all rows with the landmarks: (n_rows, n_landmarks)."""
        kernel = np.zeros_like(self.distances[0])
        for of_kind, share in zip(self.distances, self.problem.shares, strict=True):
            kernel += share * np.exp(-gamma * of_kind)
        return kernel

    def solve(self, gamma: float, ridge: float) -> KernelRidge:
        """Solve for the coefficients of the landmarks."""
        from scipy.linalg import solve

        weights = self.problem.weights
        K = self.kernel(gamma)
        of_landmarks = K[~self.problem.is_copy]
        # Copies add rows but no landmarks: the penalty is as strong for each row as without them.
        strength = ridge * weights.sum() / len(of_landmarks)
        penalty = strength * (of_landmarks + of_landmarks.T) / 2
        penalty[np.diag_indices_from(penalty)] += JITTER
        weighted = K.T * weights
        coefficients: NDArray[np.float64] = solve(
            weighted @ K + penalty, weighted @ (self.targets - self.intercepts), assume_a="pos"
        )
        return KernelRidge(
            (self.problem.target,),
            self.standardisations,
            self.landmarks,
            self.problem.shares,
            gamma,
            coefficients.astype(np.float32),
            self.intercepts,
            self._usual_distances(of_landmarks),
        )

    def _usual_distances(self, of_landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give quantiles of the landmarks' distances to the nearest one of another track."""
        groups = self.problem.groups[~self.problem.is_copy]
        K = of_landmarks.copy()
        # Segments of one track are near each other, and tell nothing of other music.
        K[groups[:, None] == groups] = 0
        usual: NDArray[np.float64] = np.quantile(1 - K.max(axis=1), USUAL_QUANTILES)
        return usual

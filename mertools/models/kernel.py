"""Kernel ridge regression of annotators' distributions on several kinds of feature at once.

The kernel of two segments is a weighted mean over kinds of feature, each an RBF of the mean squared
difference of standardised columns (C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning
algorithm in dual variables", ICML 1998; M. Gönen, E. Alpaydin, "Multiple kernel learning
algorithms", JMLR 12, 2011). It learns from all rows, but keeps only some of them, the landmarks
(A. J. Smola, P. Bartlett, "Sparse greedy Gaussian process regression", NIPS 2000). What it
predicts far from all landmarks is the mean of training, so that it is bounded for any music.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_file import Card, Learnt
from mertools.errors import SchemaError

Floats = NDArray[np.floating[Any]]

MOST_DEVIATIONS = 5.0
"""Standardised values are clipped to this: columns that hardly move in training explode on other
music."""
LEAST_RELATIVE_DEVIATION = 1e-5
"""Columns that deviate less, relative to their mean, are not told from constant ones."""

LEAST_POSTERIOR = 0.01

STEEPNESS = 4.0
"""Of how the score of unlikeness rises from the usual distances."""

LANDMARK_DTYPE = np.float16

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
    distances: NDArray[np.float64] = squares - 2 * (A @ B.T)
    return np.maximum(distances, 0, out=distances)


@dataclass(frozen=True)
class KernelRidge:
    """A trained kernel ridge regression.

    For each kind of feature: its standardisation, its landmarks (n_landmarks, n_columns), and its
    share of the kernel. coefficients: (n_landmarks, n_classes); intercepts: (n_classes,);
    usual_distances: see `unlike`.
    """

    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    shares: tuple[float, ...]
    gamma: float
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    usual_distances: NDArray[np.float64]

    def posteriors(self, features: Sequence[Floats]) -> NDArray[np.float64]:
        """Give each row's posteriors: finite, for each kind (n_rows, ...), to (n_rows, n_classes).

        A row's do not depend on the others, to the last bit.
        """
        made = [
            self.intercepts + (self._kernel(row)[:, None] * self.coefficients).sum(axis=0)
            for row in _rows(features)
        ]
        return to_distributions(np.array(made).reshape(-1, len(self.intercepts)))

    def unlike(self, features: Sequence[Floats]) -> NDArray[np.float64]:
        """Tell how unlike the training music each row is, from 0 to 1: (n_rows,).

        It is 0.5 where the nearest landmark is as far as from one training segment in a hundred to
        those of other tracks, and near 0 where it is as far as from the middle one.
        """
        middle, far = self.usual_distances
        nearest = np.array([1 - self._kernel(row).max() for row in _rows(features)])
        score: NDArray[np.float64] = 1 / (1 + np.exp(-STEEPNESS * (nearest - far) / (far - middle)))
        return score

    @cached_property
    def _wide_landmarks(self) -> tuple[NDArray[np.float64], ...]:
        # Each row would widen them anew otherwise, which takes longer than all else.
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


def _rows(features: Sequence[Floats]) -> list[list[Floats]]:
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in features]
    return [[part[row] for part in flat] for row in range(len(flat[0]))]


def to_distributions(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make regressed shares, (n, n_classes), into distributions: none below a least posterior."""
    values = np.maximum(values, LEAST_POSTERIOR)
    shares: NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return shares


def arrays_of(model: KernelRidge) -> dict[str, NDArray[Any]]:
    """Give all that a model has learnt, by name."""
    arrays: dict[str, NDArray[Any]] = {
        "coefficients": model.coefficients,
        "intercepts": model.intercepts,
        "usual_distances": model.usual_distances,
    }
    for number, standard in enumerate(model.standardisations):
        arrays[f"mean_{number}"] = standard.mean
        arrays[f"scale_{number}"] = standard.scale
        arrays[f"landmarks_{number}"] = model.landmarks[number]
    return arrays


def restore(path: Path, card: Card, learnt: Learnt) -> KernelRidge:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where its arrays do not fit each other and the card.
    """
    try:
        architecture = card["architecture"]
        shares = tuple(float(architecture["shares"][kind["kind"]]) for kind in card["features"])
        numbers = range(len(shares))
        model = KernelRidge(
            tuple(Standardisation(learnt[f"mean_{n}"], learnt[f"scale_{n}"]) for n in numbers),
            tuple(learnt[f"landmarks_{n}"] for n in numbers),
            shares,
            float(architecture["gamma"]),
            learnt["coefficients"],
            learnt["intercepts"],
            learnt["usual_distances"],
        )
        _check_arrays(arrays_of(model), card)
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no kernel ridge regression as mer train kernel makes it ({error})",
            "train the model again",
        ) from None
    return model


def _check_arrays(arrays: dict[str, NDArray[Any]], card: Card) -> None:
    """Raise ValueError where an array does not fit the card, or is not finite."""
    n_landmarks, n_classes = len(arrays["coefficients"]), len(card["classes"])
    shapes: dict[str, tuple[int, ...]] = {
        "coefficients": (n_landmarks, n_classes),
        "intercepts": (n_classes,),
        "usual_distances": (2,),
    }
    for number, kind in enumerate(card["features"]):
        n_columns = math.prod(kind["shape"])
        shapes |= {f"mean_{number}": (n_columns,), f"scale_{number}": (n_columns,)}
        shapes[f"landmarks_{number}"] = (n_landmarks, n_columns)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")

"""Kernel ridge regression of annotators' distributions or a number, on several kinds of feature.

The kernel of two segments is a weighted sum over blocks of columns (`kernel_blocks.py`), by default
a mean over kinds of feature, each an RBF of the mean squared difference of standardised columns
(C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning algorithm in dual variables", ICML
1998; M. Gönen, E. Alpaydin, "Multiple kernel learning algorithms", JMLR 12, 2011). It learns from
all rows, but keeps only some of them, the landmarks (A. J. Smola, P. Bartlett, "Sparse greedy
Gaussian process regression", NIPS 2000). What it predicts far from all landmarks is the mean of
training, but for linear blocks, whose columns are clipped: it is bounded for any music.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError
from mertools.models.kernel_blocks import (
    MOST_DEVIATIONS,
    Block,
    Standardisation,
    describe_blocks,
    flatten,
    read_blocks,
    scale_kinds,
    whole_kinds_of,
)
from mertools.models.model import Terms, are_numbers, scale_numbers
from mertools.models.problem import Point, Problem
from mertools.targets.scale import Target

Floats = NDArray[np.floating[Any]]

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


_Part = tuple[Block, NDArray[np.float64], int]
"""A block, its columns of the landmarks, (n_landmarks, n_columns), and how many of these move."""


@dataclass(frozen=True)
class KernelRidge:
    """A trained kernel ridge regression.

    For each kind: its standardisation, and its landmarks (n_landmarks, n_columns), of which the
    blocks of the kernel take columns. coefficients: (n_landmarks, n_outputs); intercepts:
    (n_outputs,); usual_distances: the 50th and 99th percentile of the training segments' distances
    to the nearest landmark of another track.
    """

    targets: tuple[Target, ...]
    blocks: tuple[Block, ...]
    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    gamma: float
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    usual_distances: NDArray[np.float64]

    def predict(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Predict rows: finite, for each kind (n_rows, ...), to (n_rows, n_outputs).

        A row's outputs do not depend on the other rows, to the last bit.
        """
        outputs = [
            self.intercepts + (kernel[:, None] * self.coefficients).sum(axis=0)
            for kernel in self._kernels(self._parts, features)
        ]
        return self._finish(np.array(outputs).reshape(-1, len(self.intercepts)))

    def predict_together(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Predict rows as `predict` does but for rounding, and faster: many rows at once.

        The products of matrices round a row otherwise beside other rows.
        """
        kernel = np.zeros((len(features[0]), len(self.coefficients)))
        for of_block in self._block_kernels(features):
            kernel += of_block
        return self._finish(self.intercepts + kernel @ self.coefficients)

    def explain(self, features: Sequence[NDArray[Any]]) -> Terms:
        """Say what each block adds to the outputs of rows, for each kind (n_rows, ...).

        Blocks have coefficients in common: one may add much to the outputs of all music, and others
        take it away again. So what a block adds is measured from its mean over the landmarks.
        Columns that have a share and a line are one part.
        """
        sums = [kernel @ self.coefficients for kernel in self._block_kernels(features)]
        usual = self._usual_sums
        added: dict[str, NDArray[np.float64]] = {}
        for block, of_block in zip(self.blocks, np.array(sums) - usual[:, None], strict=True):
            added[block.name] = added.get(block.name, 0.0) + of_block
        baseline = self.intercepts + usual.sum(axis=0)
        return Terms(tuple(added), baseline, np.stack(list(added.values()), axis=1))

    def _finish(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        if are_numbers(self.targets):
            return scale_numbers(outputs, self.targets)
        return to_distributions(outputs)

    def unlike(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Score how far each row is from the training music, from 0 to 1: (n_rows,).

        It is 0.5 at the 99th percentile of the training segments' distances to the nearest landmark
        of another track, and near 0 at the median. Kinds are compared whole and count alike,
        whatever the blocks take of them: columns that say nothing of a target may yet tell speech
        from music.
        """
        middle, far = self.usual_distances
        nearest = np.array([1 - of_row.max() for of_row in self._kernels(self._whole, features)])
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
        for number, block in enumerate(self.blocks):
            if block.columns is not None:
                arrays[f"columns_{number}"] = block.columns
        return arrays

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        return self._take_landmarks(self.blocks)

    @cached_property
    def _whole(self) -> tuple[_Part, ...]:
        return self._take_landmarks(whole_kinds_of(self.blocks))

    @cached_property
    def _usual_sums(self) -> NDArray[np.float64]:
        """What each block adds to the landmarks' outputs on average: (n_blocks, n_outputs)."""
        means = (
            block.mean_kernel(landmarks, n_moving, self.gamma)
            for block, landmarks, n_moving in self._parts
        )
        return np.array([mean @ self.coefficients for mean in means])

    def _block_kernels(self, features: Sequence[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
        """Yield each block's kernel of all rows with the landmarks: (n_rows, n_landmarks) each."""
        scaled = scale_kinds(features, self.standardisations)
        for block, landmarks, n_moving in self._parts:
            Z = block.take(scaled, features)
            yield block.kernel(block.compare(Z, landmarks, n_moving), self.gamma)

    def _take_landmarks(self, blocks: Sequence[Block]) -> tuple[_Part, ...]:
        # Widened once: doing it for each row takes longer than all else.
        return tuple(
            (
                block,
                block.columns_of(self.landmarks[block.kind]).astype(np.float64),
                block.n_moving(self.standardisations),
            )
            for block in blocks
        )

    def _kernels(
        self, parts: Sequence[_Part], features: Sequence[NDArray[Any]]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield each row's kernel with all landmarks, over some blocks: (n_landmarks,) each."""
        scaled = scale_kinds(features, self.standardisations)
        rows = [block.take(scaled, features) for block, _, _ in parts]
        for row in range(len(features[0])):
            kernel = np.zeros(len(self.coefficients))
            for Z, (block, landmarks, n_moving) in zip(rows, parts, strict=True):
                if block.is_linear:
                    compared = np.einsum("ij,j->i", landmarks, Z[row])
                else:
                    gaps = landmarks - Z[row]
                    compared = np.einsum("ij,ij->i", gaps, gaps)
                kernel += block.kernel(compared / n_moving, self.gamma)
            yield kernel


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
        blocks = read_blocks(card, learnt)
        numbers = range(len(card.inputs))
        model = KernelRidge(
            card.targets,
            blocks,
            tuple(Standardisation(learnt[f"mean_{n}"], learnt[f"scale_{n}"]) for n in numbers),
            tuple(learnt[f"landmarks_{n}"] for n in numbers),
            float(card.form["gamma"]),
            learnt["coefficients"],
            learnt["intercepts"],
            learnt["usual_distances"],
        )
        _check_arrays(model.arrays(), card)
        shares = [block.share for block in blocks]
        if not np.isfinite([model.gamma, *shares]).all() or model.gamma < 0:
            raise ValueError("its kernel is not of finite numbers, with a positive gamma")
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no kernel ridge regression as mer train kernel makes it ({error})",
            "train the model again",
        ) from None
    return model


def _check_arrays(arrays: Mapping[str, NDArray[Any]], card: ModelCard) -> None:
    """Raise ValueError where an array does not fit the card, or is not finite."""
    n_landmarks = len(arrays["coefficients"])
    if not n_landmarks:
        raise ValueError("it has no landmarks")
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
    """Say what a card says of the model's form."""
    blocks = describe_blocks(problem.blocks)
    return {"kernel": "rbf", **point, "n_landmarks": len(model.coefficients), **blocks}


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
    """Rows to fit to, and how they compare with the landmarks, for each block."""

    problem: Problem
    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    scaled: tuple[NDArray[np.float64], ...]
    compared: tuple[NDArray[np.float64], ...]
    targets: NDArray[np.float64]

    @classmethod
    def of(cls, problem: Problem) -> _NormalEquations:
        features = problem.features
        standards = tuple(Standardisation.fit(flatten(part)) for part in features)
        scaled = scale_kinds(features, standards)
        landmarks = tuple(part[~problem.is_copy].astype(LANDMARK_DTYPE) for part in scaled)
        return cls(
            problem,
            standards,
            landmarks,
            scaled,
            tuple(
                block.compare(
                    block.take(scaled, features),
                    block.columns_of(landmarks[block.kind]),
                    block.n_moving(standards),
                )
                for block in problem.blocks
            ),
            problem.numbers[:, None] if are_numbers([problem.target]) else problem.distributions,
        )

    @property
    def intercepts(self) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.average(self.targets, axis=0, weights=self.problem.weights)
        return means

    def kernel(self, gamma: float) -> NDArray[np.float64]:
        """Give the kernel of all rows with the landmarks: (n, n_landmarks)."""
        kernel = np.zeros_like(self.compared[0])
        for block, compared in zip(self.problem.blocks, self.compared, strict=True):
            kernel += block.kernel(compared, gamma)
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
            self.problem.blocks,
            self.standardisations,
            self.landmarks,
            gamma,
            coefficients.astype(np.float32),
            self.intercepts,
            self._usual_distances(gamma),
        )

    def _usual_distances(self, gamma: float) -> NDArray[np.float64]:
        """Give quantiles of the landmarks' distances to the nearest one of another track."""
        groups = self.problem.groups[~self.problem.is_copy]
        K = np.zeros((len(groups), len(groups)))
        for block, compared in self._whole:
            K += block.kernel(compared, gamma)
        # Segments of one track are near each other, and tell nothing of other music.
        K[groups[:, None] == groups] = 0
        usual: NDArray[np.float64] = np.quantile(1 - K.max(axis=1), USUAL_QUANTILES)
        return usual

    @cached_property
    def _whole(self) -> tuple[tuple[Block, NDArray[np.float64]], ...]:
        """Whole kinds, and how the landmarks' own rows compare in them: (n, n_landmarks) each."""
        # Once for all points: where blocks take columns, these distances are needed for no kernel.
        originals = ~self.problem.is_copy
        return tuple(
            (
                block,
                block.compare(
                    self.scaled[block.kind][originals],
                    self.landmarks[block.kind],
                    block.n_moving(self.standardisations),
                ),
            )
            for block in whole_kinds_of(self.problem.blocks)
        )

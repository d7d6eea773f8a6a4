"""Training kernel ridge regression: a nested search, honest scores, and the model of all tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.copies import Material
from mertools.dataset.folds import assign_folds, share_folds
from mertools.errors import UsageError
from mertools.models.kernel import (
    LANDMARK_DTYPE,
    STANDARDISATION,
    KernelRidge,
    Standardisation,
    squared_distances,
    to_distributions,
)
from mertools.runtime.parallel import Jobs, map_ordered
from mertools.training.cards import describe_versions
from mertools.training.scores import OutOfFold, mean_of_groups, score_card

DEFAULT_GRID: Mapping[str, tuple[float, ...]] = {
    "gamma": (0.125, 0.25, 0.5),
    "ridge": (0.1, 0.2, 0.4, 0.8),
}
"""gamma: how soon the kernel falls with the mean squared difference of standardised columns; ridge:
how strongly large coefficients are held back."""

CRITERION = "brier_score"
LIBRARIES = ("numpy", "scipy")
JITTER = 1e-8
"""Added to the landmarks' kernel, which rounding may make not quite positive definite."""
USUAL_QUANTILES = (0.5, 0.99)

Chosen = Mapping[str, float]


@dataclass(frozen=True)
class KernelSettings:
    """How the regression is searched for: folds, their seed, values to try, and kinds' shares.

    `folds` is a table to take the folds from, or to write them to where there is none. A parameter
    that the grid does not name takes its default values; a kind that `shares` does not name has
    share 1, and shares are scaled to a sum of 1. Raises UsageError for a value that is not above 0.
    """

    kinds: tuple[str, ...]
    n_folds: int = 5
    seed: int = 0
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    folds: Path | None = None

    def __post_init__(self) -> None:
        for name, values in self.grid.items():
            if not values or not all(0 < value < float("inf") for value in values):
                raise UsageError(f"--grid {name}", "needs values above 0", f"give {name}=0.5,1")
        for kind, share in self.shares.items():
            if kind not in self.kinds:
                known = ", ".join(self.kinds)
                raise UsageError(f"--share {kind}", "is not learnt from", f"choose from {known}")
            if not 0 < share < float("inf"):
                raise UsageError(f"--share {kind}", "needs a number above 0", f"give {kind}=1")

    def whole_grid(self) -> dict[str, tuple[float, ...]]:
        """Give the values to try of each parameter."""
        return {**DEFAULT_GRID, **self.grid}

    def share_of_kinds(self) -> tuple[float, ...]:
        """Give the share of each kind."""
        shares = [self.shares.get(kind, 1.0) for kind in self.kinds]
        return tuple(share / sum(shares) for share in shares)


@dataclass(frozen=True)
class FittedKernel:
    """A regression fitted to all tracks, with what nested cross-validation tells of it.

    chosen: its parameters; chosen_of_folds: those of each fold's model; posteriors: of the
    segments, each by the model that did not learn from its track, (n_rows, n_classes); levels: the
    same by level, of the tracks that are scored.
    """

    material: Material
    settings: KernelSettings
    model: KernelRidge
    chosen: Chosen
    chosen_of_folds: tuple[Chosen, ...]
    posteriors: NDArray[np.float64]
    levels: Mapping[str, OutOfFold]

    def card(self) -> dict[str, Any]:
        """Say what a model's card says of the regression and its training.

        Left for the caller to add: `features`, `audio` and, under `training`, `left_out`.
        """
        segments = self.material.segments
        counts = np.bincount(segments.y, minlength=len(segments.classes)).tolist()
        shares = dict(zip(self.settings.kinds, self.settings.share_of_kinds(), strict=True))
        return {
            "model": "kernel",
            "target": segments.target,
            "classes": list(segments.classes),
            "unit": "segment",
            "columns": list(segments.columns),
            "standardisation": STANDARDISATION,
            "architecture": {
                "kernel": "rbf",
                "gamma": self.chosen["gamma"],
                "ridge": self.chosen["ridge"],
                "shares": shares,
                "n_landmarks": len(self.model.coefficients),
            },
            "training": {
                "digest": self.material.digest(),
                "n_rows": len(segments.row_ids),
                "n_copies": sum(len(groups) for _, groups in self.material.copies),
                "tracks": dict(zip(segments.classes, counts, strict=True)),
                "objective": "soft",
            },
            "seed": self.settings.seed,
            "search": {
                "n_folds": self.settings.n_folds,
                "criterion": CRITERION,
                "grid": {name: list(of) for name, of in self.settings.whole_grid().items()},
                "chosen": dict(self.chosen),
            },
            "scores": score_card(self.levels, self.chosen_of_folds),
            "versions": describe_versions(LIBRARIES),
        }


def fit_kernel(
    material: Material,
    settings: KernelSettings,
    jobs: Jobs = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> FittedKernel:
    """Fit a regression to all tracks, and one to the rest of each fold to be scored on that fold.

    For each, gamma and ridge are chosen by cross-validation within the tracks it learns from. The
    result does not depend on `jobs`, the number of processes (None: all cores) or a cluster.
    `progress` is given an iterable of the `n_folds` + 1 fits as they end, to pass on.
    Raises UsageError where a class has too few tracks.
    """
    segments = material.segments
    ids, y, kept = segments.track_ids, segments.y, segments.kept
    folds = share_folds(
        settings.folds, ids, y, kept, segments.classes, settings.n_folds, settings.seed
    )
    held_out = [folds == fold for fold in range(settings.n_folds)]
    tasks = [*held_out, np.zeros(len(ids), bool)]
    fit = partial(_search_and_fit, material, settings)
    *of_folds, of_all = progress(map_ordered(fit, tasks, jobs, grouped=False))
    posteriors = np.empty((len(segments.row_ids), len(segments.classes)))
    for out, result in zip(held_out, of_folds, strict=True):
        posteriors[out[segments.groups]] = result.posteriors
    rows = kept[segments.groups]
    of_tracks = mean_of_groups(posteriors, segments.groups)
    levels = {
        "track": OutOfFold(y[kept], of_tracks[kept], folds[kept]),
        "segment": OutOfFold(
            y[segments.groups][rows], posteriors[rows], folds[segments.groups][rows]
        ),
    }
    return FittedKernel(
        material,
        settings,
        of_all.model,
        of_all.chosen,
        tuple(result.chosen for result in of_folds),
        posteriors,
        levels,
    )


@dataclass(frozen=True)
class _Fit:
    model: KernelRidge
    chosen: Chosen
    posteriors: NDArray[np.float64]


def _search_and_fit(
    material: Material, settings: KernelSettings, held_out: NDArray[np.bool_]
) -> _Fit:
    """Choose parameters within the tracks not held out, fit to these, and predict the others."""
    from threadpoolctl import threadpool_limits

    segments = material.segments
    learnt = np.flatnonzero(~held_out)
    ids = [segments.track_ids[track] for track in learnt]
    inner = assign_folds(ids, segments.y[learnt], settings.n_folds, settings.seed)
    grid = settings.whole_grid()
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    losses = np.zeros(len(points))
    # One thread, as sums over several may differ in their last bits.
    with threadpool_limits(limits=1):
        for fold in range(settings.n_folds):
            out = np.zeros(len(segments.track_ids), bool)
            out[learnt[inner == fold]] = True
            losses += _losses(material, settings, ~held_out & ~out, out, points)
        chosen = points[int(losses.argmin())]
        problem = _Problem.of(material, settings, ~held_out)
        model = problem.solve(chosen)
        rows = held_out[segments.groups]
        posteriors = model.posteriors([part[rows] for part in material.features])
    return _Fit(model, chosen, posteriors)


def _losses(
    material: Material,
    settings: KernelSettings,
    learnt: NDArray[np.bool_],
    out: NDArray[np.bool_],
    points: Sequence[Chosen],
) -> NDArray[np.float64]:
    """Give each point's squared error of the distributions of tracks held out, summed."""
    segments = material.segments
    problem = _Problem.of(material, settings, learnt)
    rows = out[segments.groups]
    distances = problem.distances_to([part[rows] for part in material.features])
    tracks = np.flatnonzero(out)
    groups = np.searchsorted(tracks, segments.groups[rows])
    losses = []
    for point in points:
        coefficients = problem.coefficients(point)
        values = problem.intercepts + problem.kernel(distances, point["gamma"]) @ coefficients
        of_tracks = mean_of_groups(to_distributions(values), groups)
        losses.append(np.square(of_tracks - segments.distributions[tracks]).sum())
    return np.array(losses)


@dataclass(frozen=True)
class _Problem:
    """Rows to fit to, standardised, with their distances from the landmarks, a kind each."""

    shares: tuple[float, ...]
    standardisations: tuple[Standardisation, ...]
    landmarks: tuple[NDArray[np.float16], ...]
    distances: tuple[NDArray[np.float64], ...]
    targets: NDArray[np.float64]
    groups: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(
        cls, material: Material, settings: KernelSettings, tracks: NDArray[np.bool_]
    ) -> _Problem:
        rows = material.learn_from(tracks)
        standards = tuple(Standardisation.fit(part) for part in rows.features)
        scaled = [s.apply(part) for s, part in zip(standards, rows.features, strict=True)]
        landmarks = tuple(part[: rows.n_landmarks].astype(LANDMARK_DTYPE) for part in scaled)
        return cls(
            settings.share_of_kinds(),
            standards,
            landmarks,
            tuple(
                squared_distances(part, of_kind) / standard.n_moving
                for part, of_kind, standard in zip(scaled, landmarks, standards, strict=True)
            ),
            material.segments.distributions[rows.groups],
            rows.groups,
            rows.weights,
        )

    @property
    def intercepts(self) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.average(self.targets, axis=0, weights=self.weights)
        return means

    def distances_to(self, features: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
        return [
            squared_distances(standard.apply(part), landmarks) / standard.n_moving
            for part, standard, landmarks in zip(
                features, self.standardisations, self.landmarks, strict=True
            )
        ]

    def kernel(self, distances: Sequence[NDArray[np.float64]], gamma: float) -> NDArray[np.float64]:
        kernel = np.zeros_like(distances[0])
        for of_kind, share in zip(distances, self.shares, strict=True):
            kernel += share * np.exp(-gamma * of_kind)
        return kernel

    def coefficients(self, point: Chosen) -> NDArray[np.float64]:
        """Solve for the coefficients of the landmarks, (n_landmarks, n_classes)."""
        from scipy.linalg import solve

        K = self.kernel(self.distances, point["gamma"])
        of_landmarks = K[: K.shape[1]]
        # As strong for each row as without copies.
        strength = point["ridge"] * self.weights.sum() / len(of_landmarks)
        penalty = strength * (of_landmarks + of_landmarks.T) / 2
        penalty[np.diag_indices_from(penalty)] += JITTER
        weighted = K.T * self.weights
        made: NDArray[np.float64] = solve(
            weighted @ K + penalty, weighted @ (self.targets - self.intercepts), assume_a="pos"
        )
        return made

    def solve(self, point: Chosen) -> KernelRidge:
        return KernelRidge(
            self.standardisations,
            self.landmarks,
            self.shares,
            point["gamma"],
            self.coefficients(point).astype(np.float32),
            self.intercepts,
            self._usual_distances(point["gamma"]),
        )

    def _usual_distances(self, gamma: float) -> NDArray[np.float64]:
        """Tell how far landmarks usually are from the nearest of other tracks."""
        n = self.distances[0].shape[1]
        K = self.kernel([part[:n] for part in self.distances], gamma)
        K[self.groups[:n, None] == self.groups[:n]] = 0
        usual: NDArray[np.float64] = np.quantile(1 - K.max(axis=1), USUAL_QUANTILES)
        return usual

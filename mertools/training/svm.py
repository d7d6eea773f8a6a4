"""Training the support vector machine: search, honest scores, and the model of all tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.data import TrainingSet
from mertools.dataset.folds import Split, assign_folds, share_folds, split_rows
from mertools.errors import SchemaError, UsageError
from mertools.models.svm import ARCHITECTURE, STANDARDISATION, build_svm, fit_calibrated
from mertools.runtime.parallel import Jobs, map_ordered
from mertools.training.cards import describe_versions
from mertools.training.scores import OutOfFold, mean_of_groups, score_card

PARAMETERS = ("C", "gamma")
DEFAULT_C = (0.3, 1.0, 3.0, 10.0)
DEFAULT_GAMMA_TIMES_COLUMNS = (0.25, 0.5, 1.0)
"""Standardised, the squared distance of two rows grows with the number of columns."""

CRITERION = "f1_macro"
LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops")

Grid = Mapping[str, tuple[float, ...]]
Chosen = Mapping[str, float]


@dataclass(frozen=True)
class SvmSettings:
    """How an SVM is searched for: the folds, their seed, and the values of C and gamma to try.

    `folds` is a table to take the folds from, or to write them to where there is none.
    A parameter that the grid does not name takes its default values. Raises UsageError for a
    parameter that does not exist or a value that is not above 0.
    """

    n_folds: int = 5
    seed: int = 0
    grid: Grid = field(default_factory=dict)
    folds: Path | None = None

    def __post_init__(self) -> None:
        for name, values in self.grid.items():
            if name not in PARAMETERS:
                raise UsageError(
                    f"--grid {name}", "is no parameter", f"choose from {', '.join(PARAMETERS)}"
                )
            if not values or not all(0 < value < float("inf") for value in values):
                raise UsageError(f"--grid {name}", "needs values above 0", f"give {name}=1,10")

    def grid_for(self, n_columns: int) -> Grid:
        """Give the values to try on rows of `n_columns`."""
        gamma = tuple(product / n_columns for product in DEFAULT_GAMMA_TIMES_COLUMNS)
        return {"C": DEFAULT_C, "gamma": gamma, **self.grid}


@dataclass(frozen=True)
class FittedSvm:
    """An SVM fitted to all tracks, with what cross-validation tells of it.

    chosen: its C and gamma; chosen_of_folds: those of each fold's model; levels: the
    cross-validation's predictions by level, "track", and "segment" where the rows are segments.
    """

    training_set: TrainingSet
    settings: SvmSettings
    estimator: Any
    chosen: Chosen
    chosen_of_folds: tuple[Chosen, ...]
    levels: Mapping[str, OutOfFold]

    def card(self) -> dict[str, Any]:
        """Say what a model's card says of the SVM and its training.

        Left for the caller to add: `features`, `audio` and, under `training`, `left_out`.
        """
        training_set, tracks = self.training_set, self.levels["track"]
        n_rows, n_columns = training_set.X.shape
        counts = np.bincount(tracks.y, minlength=len(training_set.classes)).tolist()
        return {
            "model": "svm",
            "target": training_set.target,
            "classes": list(training_set.classes),
            "unit": training_set.unit,
            "columns": list(training_set.columns),
            "standardisation": STANDARDISATION,
            "architecture": {**ARCHITECTURE, **self.chosen},
            "training": {
                "digest": training_set.digest(),
                "n_rows": n_rows,
                "tracks": dict(zip(training_set.classes, counts, strict=True)),
            },
            "seed": self.settings.seed,
            "search": {
                "n_folds": self.settings.n_folds,
                "criterion": CRITERION,
                "grid": {name: list(of) for name, of in self.settings.grid_for(n_columns).items()},
                "chosen": dict(self.chosen),
            },
            "scores": score_card(self.levels, self.chosen_of_folds),
            "versions": describe_versions(LIBRARIES),
        }


def fit_svm(
    training_set: TrainingSet,
    settings: SvmSettings,
    jobs: Jobs = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> FittedSvm:
    """Fit an SVM to all tracks, and one to the rest of each fold to be scored on that fold.

    For each, C and gamma are chosen by cross-validation within the tracks it learns from. The
    result does not depend on `jobs`, the number of processes (None: all cores) or a cluster.
    `progress` is given an iterable of the `n_folds` + 1 fits as they end, to pass on.
    Raises UsageError where a class has too few tracks, SchemaError for features that are no number.
    """
    X = training_set.X.astype(np.float64)
    if not (finite := np.isfinite(X).all(axis=1)).all():
        raise SchemaError(
            training_set.row_ids[int(finite.argmin())],
            "has features that are no finite numbers",
            "run mer validate on the features",
        )
    groups = training_set.groups
    y_of_track = np.empty(len(training_set.track_ids), np.int64)
    y_of_track[groups] = training_set.y
    ids, all_kept = training_set.track_ids, np.ones(len(y_of_track), bool)
    classes, n_folds, seed = training_set.classes, settings.n_folds, settings.seed
    folds = share_folds(settings.folds, ids, y_of_track, all_kept, classes, n_folds, seed)
    splits = split_rows(folds, groups)
    everything: Split = (np.arange(len(X)), np.empty(0, np.int64))
    tasks = [
        _prepare(training_set, X, y_of_track, split, settings) for split in (*splits, everything)
    ]
    fit = partial(_fit, grid=settings.grid_for(X.shape[1]))
    *of_folds, of_all = progress(map_ordered(fit, tasks, jobs, grouped=False))
    posteriors = np.empty((len(X), len(training_set.classes)))
    for (_, held_out), result in zip(splits, of_folds, strict=True):
        posteriors[held_out] = result.posteriors
    levels = {"track": OutOfFold(y_of_track, mean_of_groups(posteriors, groups), folds)}
    if training_set.unit == "segment":
        levels["segment"] = OutOfFold(training_set.y, posteriors, folds[groups])
    return FittedSvm(
        training_set,
        settings,
        of_all.estimator,
        of_all.chosen,
        tuple(result.chosen for result in of_folds),
        levels,
    )


@dataclass(frozen=True)
class _Task:
    """Rows to learn from, their inner splits, and rows to predict."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    splits: list[Split]
    X_held_out: NDArray[np.float64]


@dataclass(frozen=True)
class _Fit:
    estimator: Any
    chosen: Chosen
    posteriors: NDArray[np.float64]


def _prepare(
    training_set: TrainingSet,
    X: NDArray[np.float64],
    y_of_track: NDArray[np.int64],
    split: Split,
    settings: SvmSettings,
) -> _Task:
    rows, held_out = split
    tracks, groups = np.unique(training_set.groups[rows], return_inverse=True)
    y = y_of_track[tracks]
    n_folds = min(settings.n_folds, int(np.bincount(y).min()))
    ids = [training_set.track_ids[track] for track in tracks]
    folds = assign_folds(ids, y, n_folds, settings.seed)
    return _Task(X[rows], training_set.y[rows], split_rows(folds, groups), X[held_out])


def _fit(task: _Task, grid: Grid) -> _Fit:
    from sklearn.model_selection import GridSearchCV
    from threadpoolctl import threadpool_limits

    # One thread, as sums over several may differ in their last bits.
    with threadpool_limits(limits=1):
        search = GridSearchCV(
            build_svm(),
            {f"svc__{name}": values for name, values in grid.items()},
            scoring=CRITERION,
            cv=task.splits,
            refit=False,
            error_score="raise",
        ).fit(task.X, task.y)
        chosen = {name: search.best_params_[f"svc__{name}"] for name in PARAMETERS}
        estimator = fit_calibrated(build_svm(**chosen), task.X, task.y, task.splits)
        posteriors = (
            estimator.predict_proba(task.X_held_out)
            if len(task.X_held_out)
            else np.empty((0, int(task.y.max()) + 1))
        )
    return _Fit(estimator, chosen, posteriors)

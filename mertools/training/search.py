"""The search for a network's parameters over a grid, by cross-validation over whole tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mertools.artifacts.rows import CrossValidation, History
from mertools.dataset.segments import SegmentSet, open_batches
from mertools.errors import UsageError
from mertools.models.network import architecture_of
from mertools.runtime.devices import CPU, training_precision
from mertools.runtime.parallel import Jobs, available_cores, map_ordered
from mertools.training import distributed as together
from mertools.training.cards import describe_versions
from mertools.training.fit import Fit, NetworkSettings, Part, Plan, fit_network
from mertools.training.recipes import Point, format_point
from mertools.training.scores import OutOfFold, mean_interval, mean_of_groups, score_card
from mertools.training.transfer import describe_transfer, frozen_blocks, shared_weights

CRITERION = "mean macro F1 of tracks"
LIBRARIES = ("numpy", "safetensors", "scikit-learn", "torch")
STANDARDISATION = "zero mean and unit variance of each mel band in the training part"

Progress = Callable[[Iterable[Fit], int], Iterable[Fit]]
"""Given trainings as they end, and their number, to pass on."""


@dataclass(frozen=True)
class PointResult:
    """What cross-validation tells of a point of the grid.

    posteriors: of all segments (n_rows, n_classes), each by a network that did not learn from its
    track. levels: those of scored segments and tracks with their classes.
    """

    point: Point
    fits: tuple[Fit, ...]
    posteriors: NDArray[np.float64]
    levels: Mapping[str, OutOfFold]

    def criterion(self) -> float:
        """Tell how good the point is: the best has most of it."""
        return self.levels["track"].summarise()["macro_f1"]["mean"]

    def row(self, data: SegmentSet, settings: NetworkSettings, place: int) -> CrossValidation:
        """Give the point's row of the table of cross-validation."""
        figures: dict[str, float] = {}
        for level, out_of_fold in self.levels.items():
            of_folds = out_of_fold.score_folds()
            for name in of_folds[0]:
                values = [scores[name] for scores in of_folds]
                column = f"{level}_{name}"
                figures[column] = float(np.mean(values))
                figures[f"{column}_std"] = float(np.std(values, ddof=1))
                figures[f"{column}_low"], figures[f"{column}_high"] = mean_interval(values)
        return CrossValidation(
            model=settings.model,
            target=data.target,
            objective=settings.objective,
            seed=settings.seed,
            point=place + 1,
            parameters=format_point(self.point),
            n_folds=settings.n_folds,
            n_tracks=int(data.kept.sum()),
            **figures,
            epochs=float(np.mean([fit.best_epoch for fit in self.fits])),
            seconds=sum(fit.seconds for fit in self.fits),
        )


def check_points(data: SegmentSet, settings: NetworkSettings) -> list[str]:
    """Check that a network can be built and begun for each point of the grid.

    Returns lines that say what is taken over from another network. Raises UsageError where a point
    cannot be.
    """
    told: dict[str, None] = {}
    for point in settings.points():
        with torch.device("meta"):
            network = settings.build(data, point)
        parameters = settings.parameters.replaced(point)
        together.check_batch_size(parameters.batch_size)
        start = settings.start
        if frozen_blocks(network, parameters) and start is None:
            raise UsageError(
                f"freeze={parameters.freeze}", "would freeze weights by chance", "give --init"
            )
        if start is not None:
            names = shared_weights(network, start, data.target, data.classes, parameters)
            told[describe_transfer(network, start, names)] = None
    return list(told)


def cross_validate(
    data: SegmentSet,
    settings: NetworkSettings,
    folds: NDArray[np.int64],
    folder: Path,
    jobs: Jobs,
    progress: Progress,
    *,
    then_refit: bool,
) -> Iterator[PointResult]:
    """Train a network for each point of the grid and each fold, and yield what each point comes to.

    folds: (n_tracks,), the fold of each. What is done is kept in `folder`, and taken from there.
    The results do not depend on `jobs`, the number of processes (None: what the cores allow), or a
    cluster, whose machines must find the files and the folder under the same names. Where
    there is one point only and `then_refit`, the training that `refit` wants is done beside.
    """
    points = settings.points()
    parts = [Part(place, fold) for place in range(len(points)) for fold in range(settings.n_folds)]
    if then_refit and len(points) == 1:
        parts.append(Part(0))
    n_processes = _count_jobs(settings, jobs, len(parts))
    if n_processes > 1:
        open_batches.cache_clear()  # each process opens its own
    plan = Plan(data, settings, folds, folder, n_processes)
    place = jobs if isinstance(jobs, str) else n_processes
    fits: list[Fit] = []
    for part, fit in zip(
        parts,
        progress(map_ordered(partial(fit_network, plan), parts, place, grouped=False), len(parts)),
        strict=True,
    ):
        fits.append(fit)
        if len(fits) == settings.n_folds:
            yield _summarise(data, points[part.place], fits, folds)
            fits = []


def refit(
    data: SegmentSet, settings: NetworkSettings, place: int, folder: Path, progress: Progress
) -> Fit:
    """Train the network of a point of the grid on all tracks."""
    plan = Plan(data, settings, np.zeros(len(data.track_ids), np.int64), folder)
    (fit,) = progress(map(partial(fit_network, plan), [Part(place)]), 1)
    return fit


def _count_jobs(settings: NetworkSettings, jobs: Jobs, n_parts: int) -> int:
    """Tell how many processes of a machine work: what cores allow, but one where there is a GPU."""
    if together.count() > 1:
        return 1
    if not isinstance(jobs, int):
        jobs = available_cores() // settings.n_threads if settings.device == CPU else 1
    return max(1, min(jobs, n_parts))


def _summarise(
    data: SegmentSet, point: Point, fits: Sequence[Fit], folds: NDArray[np.int64]
) -> PointResult:
    posteriors = np.empty((len(data.row_ids), len(data.classes)))
    fold_of_row = folds[data.groups]
    for fold, fit in enumerate(fits):
        posteriors[fold_of_row == fold] = fit.posteriors
    rows, tracks = data.kept[data.groups], data.kept
    levels = {
        "segment": OutOfFold(data.y[data.groups][rows], posteriors[rows], fold_of_row[rows]),
        "track": OutOfFold(
            data.y[tracks], mean_of_groups(posteriors, data.groups)[tracks], folds[tracks]
        ),
    }
    return PointResult(point, tuple(fits), posteriors, levels)


def history_rows(place: int, fold: int | None, fit: Fit) -> Iterator[History]:
    """Yield the rows of a training's history."""
    for epoch in fit.history:
        yield History(
            place + 1,
            None if fold is None else fold + 1,
            **dataclasses.asdict(epoch),
            best=epoch.epoch == fit.best_epoch,
        )


def make_card(
    data: SegmentSet,
    settings: NetworkSettings,
    results: Sequence[PointResult],
    chosen: int,
    fit: Fit,
) -> dict[str, Any]:
    """Say what a model's card says of a network and its training.

    Left for the caller to add: `features`, `audio` and, under `training`, `left_out`.
    """
    point = settings.points()[chosen]
    parameters = settings.parameters.replaced(point)
    with torch.device("meta"):
        network = settings.build(data, point)
    counts = np.bincount(data.y, minlength=len(data.classes)).tolist()
    values = {name: v for name, v in parameters.values().items() if name not in parameters.form}
    tried = {name: list(values) for name, values in settings.grid.items()}
    levels = results[chosen].levels if results else {}
    return {
        "model": settings.model,
        "target": data.target,
        "classes": list(data.classes),
        "unit": "segment",
        "columns": list(data.columns),
        "standardisation": STANDARDISATION if network.image_branch() else "none",
        "architecture": architecture_of(network, parameters.form),
        "training": {
            "digest": data.digest,
            "n_rows": len(data.row_ids),
            "tracks": dict(zip(data.classes, counts, strict=True)),
            "objective": settings.objective,
            "parameters": values,
            **({"init": settings.start.describe()} if settings.start else {}),
            "epochs": len(fit.history),
            "best_epoch": fit.best_epoch,
            "device": settings.device,
            "precision": training_precision(settings.device),
            "n_threads": settings.n_threads,
            "n_processes": together.count(),
        },
        "seed": settings.seed,
        "search": {
            "n_folds": settings.n_folds,
            "criterion": CRITERION,
            "grid": tried,
            "chosen": dict(point),
        },
        "scores": score_card(levels, [point] * settings.n_folds),
        "versions": describe_versions(LIBRARIES),
    }

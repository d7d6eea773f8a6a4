"""The one protocol by which every architecture is searched for, scored and trained.

Folds of whole tracks, repeated, times the points of a search. An estimator trains in seconds. It
chooses its parameters anew within each fold's training part, so its scores are nested: the fold
that is scored had no part in the choice. A network is trained at every point with every fold held
out. Its best point is chosen by the same folds, so its scores flatter a large search. They do not
where the labels keep tracks for validation: these choose then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import KindDescription
from mertools.errors import UsageError
from mertools.models.problem import Point
from mertools.pretrained.text_encoder import digest_encoder
from mertools.runtime.devices import CPU
from mertools.runtime.parallel import Jobs, available_cores, map_ordered
from mertools.training.objectives import CRITERIA, LOWER_IS_BETTER, is_better
from mertools.training.oversample import DEEP, Oversampling
from mertools.training.plan import Fit, Plan, Settings, Task
from mertools.training.scores import Outcomes, lay_out_levels

Progress = Callable[[Iterable[Fit], int], Iterable[Fit]]
"""Given trainings as they end, and their number, to pass on."""

FitTask = Callable[[Plan, Task], Fit]


@dataclass(frozen=True)
class PointResult:
    """What cross-validation says of a point of a search.

    For each repetition: fits, one a fold; outputs, (n_rows, n_outputs), each row's by a model that
    did not learn from its track; levels, the outcomes of scored segments and tracks.
    """

    point: Point
    fits: tuple[tuple[Fit, ...], ...]
    outputs: tuple[NDArray[np.float64], ...]
    levels: tuple[Mapping[str, Outcomes], ...]
    value: float
    """The criterion's value, by which the search chooses."""


@dataclass(frozen=True)
class Trained:
    """What a run gives: the points tried, the index of the chosen one, and the fits of all tracks.

    Without folds there is a fit for each repetition, of which the first is the model.
    """

    results: tuple[PointResult, ...]
    chosen: int
    final: tuple[Fit, ...]


def choose_fit(settings: Settings) -> FitTask:
    """Give the function that trains an architecture's family."""
    if settings.architecture.family == "pairs":
        from mertools.training.pairs import fit_pairs

        return fit_pairs
    if settings.architecture.is_network:
        from mertools.training.networks import fit_network

        return fit_network
    from mertools.training.estimators import fit_estimator

    return fit_estimator


def run_protocol(
    plan: Plan,
    jobs: Jobs,
    progress: Progress,
    report: Callable[[Sequence[PointResult]], None],
    *,
    then_refit: bool,
) -> Trained:
    """Search for parameters, score them over folds, and train the best on all tracks.

    The results do not depend on `jobs`, the number of processes (None: what the cores allow), or a
    cluster. `report` is called with the points so far after each. Without `then_refit` nothing is
    trained on all tracks.
    """
    fit = choose_fit(plan.settings)
    space = plan.settings.space
    is_settled = space.method != "bayes" and space.n_points == 1
    if not plan.settings.architecture.is_network or is_settled:
        return _run_one_point(plan, fit, jobs, progress, report, then_refit=then_refit)
    results: list[PointResult] = []
    best = 0
    for result in _try_points(plan, fit, jobs, progress):
        results.append(result)
        if is_better(criterion(plan.settings), result.value, results[best].value):
            best = len(results) - 1
        report(results)
    final: tuple[Fit, ...] = ()
    if then_refit:
        tasks = _final_tasks(plan, results[best].point)
        final = tuple(_train(plan, fit, tasks, 1, progress))
    return Trained(tuple(results), best, final)


def criterion(settings: Settings) -> str:
    """Name the score of tracks by which a search chooses."""
    return CRITERIA[settings.objective]


def _run_one_point(
    plan: Plan,
    fit: FitTask,
    jobs: Jobs,
    progress: Progress,
    report: Callable[[Sequence[PointResult]], None],
    *,
    then_refit: bool,
) -> Trained:
    """Train all folds, and the model of all tracks beside them: nothing is to be chosen first."""
    settings = plan.settings
    point: Point | None = {} if settings.architecture.is_network else None
    if settings.architecture.is_network and settings.space.method == "grid":
        (point,) = settings.space.points()
    # One batch of tasks, so that the last fold and the final model do not wait for each other.
    tasks = _fold_tasks(plan, point)
    finals = _final_tasks(plan, point) if then_refit else []
    fits = _train(plan, fit, [*tasks, *finals], jobs, progress)
    results: tuple[PointResult, ...] = ()
    if tasks:
        results = (_summarise(plan, {} if point is None else point, fits[: len(tasks)]),)
        report(results)
    return Trained(results, 0, tuple(fits[len(tasks) :]))


def _try_points(plan: Plan, fit: FitTask, jobs: Jobs, progress: Progress) -> Iterator[PointResult]:
    """Try the points of a search in order; those of a grid are trained beside each other."""
    space = plan.settings.space
    if space.method == "bayes":
        tried: list[PointResult] = []

        def score(point: Point) -> float:
            return tried[-1].value

        lower = criterion(plan.settings) in LOWER_IS_BETTER
        for point in space.propose(score, lower_is_better=lower):
            tried.append(_try_point(plan, fit, point, jobs, progress))
            yield tried[-1]
        return
    points = space.points()
    tasks = [_tasks_of_point(plan, point) for point in points]
    fits = _stream(plan, fit, [task for some in tasks for task in some], jobs, progress)
    for point, some in zip(points, tasks, strict=True):
        yield _summarise(plan, point, [next(fits) for _ in some])


def _try_point(
    plan: Plan, fit: FitTask, point: Point, jobs: Jobs, progress: Progress
) -> PointResult:
    return _summarise(plan, point, _train(plan, fit, _tasks_of_point(plan, point), jobs, progress))


def _tasks_of_point(plan: Plan, point: Point) -> list[Task]:
    return _fold_tasks(plan, point) or _final_tasks(plan, point)


def _fold_tasks(plan: Plan, point: Point | None) -> list[Task]:
    settings = plan.settings
    return [
        Task(point, repeat, fold)
        for repeat in range(settings.n_repeats)
        for fold in range(settings.n_folds)
    ]


def _final_tasks(plan: Plan, point: Point | None) -> list[Task]:
    n_trainings = 1 if plan.settings.n_folds else plan.settings.n_repeats
    return [Task(point, repeat) for repeat in range(n_trainings)]


def _train(
    plan: Plan, fit: FitTask, tasks: Sequence[Task], jobs: Jobs, progress: Progress
) -> list[Fit]:
    return list(_stream(plan, fit, tasks, jobs, progress))


def _stream(
    plan: Plan, fit: FitTask, tasks: Sequence[Task], jobs: Jobs, progress: Progress
) -> Iterator[Fit]:
    n_processes = _count_processes(plan.settings, jobs, len(tasks))
    parallel: Jobs = jobs if isinstance(jobs, str) else n_processes
    work = partial(fit, replace(plan, n_processes=n_processes))
    yield from progress(map_ordered(work, tasks, parallel, grouped=False), len(tasks))


def _count_processes(settings: Settings, jobs: Jobs, n_tasks: int) -> int:
    """Choose the number of processes: what cores allow, but one where there is a GPU."""
    if settings.architecture.is_network:
        from mertools.training import distributed

        if distributed.count() > 1:
            return 1
    # Several networks on one GPU would only take turns, and each its share of the memory.
    if not isinstance(jobs, int):
        jobs = available_cores() // settings.n_threads if settings.device == CPU else 1
    return max(1, min(jobs, n_tasks))


def _summarise(plan: Plan, point: Point, fits: Sequence[Fit]) -> PointResult:
    """Put the folds of each repetition together."""
    data, settings = plan.dataset, plan.settings
    if not settings.n_folds:
        value = _mean([fit.validation.get(criterion(settings), math.nan) for fit in fits])
        return PointResult(point, (tuple(fits),), (), (), value)
    rows_of = plan.vectors.dataset if plan.vectors is not None else data
    repeats, all_outputs, all_levels = [], [], []
    for repeat in range(settings.n_repeats):
        begin = repeat * settings.n_folds
        some = tuple(fits[begin : begin + settings.n_folds])
        folds = plan.folds[repeat]
        outputs = np.zeros((len(rows_of.row_ids), data.n_outputs))
        for fold, fit in enumerate(some):
            # Each track is predicted once a repetition, by the model that held its fold out.
            outputs[rows_of.rows_of((folds == fold) & ~data.is_copy)] = fit.outputs
        segments = plan.vectors is None or plan.vectors.unit == "segment"
        scored = data.scored & (folds >= 0)
        levels = lay_out_levels(rows_of, outputs, folds, scored, settings.pool, segments=segments)
        repeats.append(some)
        all_outputs.append(outputs)
        all_levels.append(levels)
    value = _choose_value(plan, fits, all_levels)
    return PointResult(point, tuple(repeats), tuple(all_outputs), tuple(all_levels), value)


def _choose_value(
    plan: Plan, fits: Sequence[Fit], levels: Sequence[Mapping[str, Outcomes]]
) -> float:
    name = criterion(plan.settings)
    # Tracks kept for validation choose, so that the folds' scores stay unbiased.
    if plan.dataset.labels.is_validation.any():
        return _mean([fit.validation.get(name, math.nan) for fit in fits])
    return _mean([scores[name] for of in levels for scores in of["track"].score_folds()])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def is_nested(plan: Plan) -> bool:
    """Return whether the folds that are scored had no part in choosing the parameters."""
    return (
        not plan.settings.architecture.is_network
        or plan.settings.space.n_points == 1
        or bool(plan.dataset.labels.is_validation.any())
    )


def check_settings(plan: Plan) -> None:
    """Check that what is asked for can be. Raises UsageError where it cannot."""
    settings = plan.settings
    if len(plan.dataset.targets) > 1 and not settings.architecture.is_network:
        raise UsageError(
            "--target", f"names several, and {settings.architecture.name} learns one", "give one"
        )
    if any(branch.accepts == "frames" for branch in settings.architecture.branches):
        _check_frames(plan.dataset.stored.kinds)
    if settings.architecture.takes_tokens:
        _check_tokens(plan)
    if settings.oversample is not None:
        _check_oversampling(plan, settings.oversample)
    if settings.pool == "mode" and not plan.dataset.classes:
        raise UsageError("--pool mode", "is of classes", "give mean or max for a number")
    if (
        settings.architecture.is_network
        and settings.objective in ("mse", "mae")
        and settings.recipe["stop"] == "training_accuracy"
    ):
        raise UsageError("stop=training_accuracy", "is of classes", "choose another stop")


def _check_frames(kinds: Sequence[KindDescription]) -> None:
    """Check that there is one kind, and that its first dimension is time."""
    names = ", ".join(kind.name for kind in kinds)
    if len(kinds) > 1:
        raise UsageError(f"--kind {names}", "are several kinds", "name one")
    dimensions = kinds[0].dimensions[1:]
    if len(dimensions) != 2 or dimensions[0] != "frame":
        raise UsageError(
            f"--kind {names}",
            f"is {' by '.join(dimensions)}, not frames by columns",
            "name a kind whose first dimension is time, such as mfcc",
        )


def _check_tokens(plan: Plan) -> None:
    """Check that tokens come alone, with the encoder that they are of, and vectors with none."""
    settings = plan.settings
    kinds = plan.dataset.stored.kinds[settings.architecture.n_other_kinds :]
    tokens = [kind for kind in kinds if kind.dtype.startswith("int")]
    if not tokens:
        if settings.encoder is not None:
            raise UsageError("--encoder", "is learnt along from tokens", "give --kind tokens")
        return
    if len(kinds) > 1 or settings.select is not None or settings.oversample is not None:
        raise UsageError(
            f"--kind {tokens[0].name}", "are numbers of words, not columns", "learn from them alone"
        )
    if settings.encoder is None:
        raise UsageError("--encoder", f"is missing: {tokens[0].name} need it", "name its folder")
    wanted = tokens[0].params.get("encoder")
    if wanted != digest_encoder(settings.encoder):
        raise UsageError(
            f"--encoder {settings.encoder}",
            f"is not the one that {tokens[0].name} are of ({wanted})",
            "name that, or compute them anew",
        )


def _check_oversampling(plan: Plan, wanted: Oversampling) -> None:
    architecture = plan.settings.architecture
    if not plan.dataset.classes:
        raise UsageError("--oversample", "is of classes", "leave it out for a number")
    is_deep = wanted.method == DEEP
    if is_deep != (architecture.kinds == ("mel",)) or (not is_deep and architecture.n_other_kinds):
        raise UsageError(
            f"--oversample {wanted.method}",
            f"is of {'mel spectrograms' if is_deep else 'vectors'} alone, and {architecture.name} "
            f"looks at {', '.join(architecture.kinds)}",
            f"choose {DEEP} for mel spectrograms, and another for vectors",
        )

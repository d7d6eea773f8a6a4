"""Training an estimator: a search within the part learnt from, and the model of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.folds import assign_folds, check_classes
from mertools.dataset.vectors import VectorDataset
from mertools.errors import UsageError
from mertools.models.kernel_blocks import Block, whole_kinds
from mertools.models.model import Model, SelectingModel, are_numbers
from mertools.models.problem import Point, Problem, Split, Vectors
from mertools.models.registry import parameter_defaults
from mertools.targets.pooling import pool_segments, side_by_side
from mertools.training.objectives import CRITERIA, LOWER_IS_BETTER, is_better
from mertools.training.oversample import Draws, draw_rows, scale_columns
from mertools.training.plan import Fit, Plan, Task, TrackParts, split_tracks
from mertools.training.scores import pool_tracks, reference_of, score_outputs
from mertools.training.selection import choose_columns

INNER_FOLDS = 5
"""Folds of the search within the part learnt from, where there are no others to be like."""

BRIER = "brier_score"
"""What a search for models of distributions looks for: their squared error, summed over classes."""


def criterion_of(plan: Plan) -> str:
    """Name the score by which a search chooses."""
    objective = plan.settings.objective
    return BRIER if objective == "soft" else CRITERIA[objective]


def fit_estimator(plan: Plan, task: Task) -> Fit:
    """Choose parameters within the tracks that are not held out, fit to these, predict the others.

    Columns are selected within the part learnt from, too. Parameters are chosen by the tracks that
    the labels keep for validation, or without any by inner folds.
    """
    from threadpoolctl import threadpool_limits

    parts = split_tracks(plan, task, None)
    vectors = plan.vectors
    assert vectors is not None  # noqa: S101
    # One thread, as sums over several may differ in their last bits.
    with threadpool_limits(limits=1):
        problem, columns, notes = _make_problem(plan, vectors, parts.learn, task)
        point = task.point or _choose_point(plan, vectors, parts, task)
        module = plan.settings.architecture.load_module()
        (model,) = module.fit(problem, [point])
        form = module.describe_form(problem, model, point)
        whole: Model = model if columns is None else SelectingModel(columns, model)
        outputs = _predict(whole, vectors, parts.held_out)
        validation = _score_validation(plan, vectors, whole, parts) if parts.validate.any() else {}
    if task.held_out is not None:
        return Fit(point, outputs, validation, notes=notes)
    return Fit(point, outputs, validation, arrays=whole.arrays(), form=form, notes=notes)


def _predict(
    model: Model, vectors: VectorDataset, tracks: NDArray[np.bool_]
) -> NDArray[np.float64]:
    rows = vectors.dataset.rows_of(tracks)
    return model.predict([part[rows] for part in vectors.features])


def _score_validation(
    plan: Plan, vectors: VectorDataset, model: Model, parts: TrackParts
) -> dict[str, float]:
    data = vectors.dataset
    rows = data.rows_of(parts.validate)
    outputs = np.zeros((len(data.row_ids), data.n_outputs))
    outputs[rows] = model.predict([part[rows] for part in vectors.features])
    of_tracks = pool_tracks(data, outputs, plan.settings.pool)
    scored = parts.validate & data.labels.kept
    if not scored.any():
        return {}
    return score_outputs(data.targets, reference_of(data)[scored], of_tracks[scored])


def _choose_point(plan: Plan, vectors: VectorDataset, parts: TrackParts, task: Task) -> Point:
    """Choose the parameters that do best on tracks within the part that is not held out."""
    space, criterion = plan.settings.space, criterion_of(plan)
    usual = _usual_point(plan, vectors)
    if space.method == "none":
        return usual
    splits = _inner_splits(plan, vectors, parts, task)
    # The columns and problems of the inner folds are the same for all points.
    problems = [(_make_problem(plan, vectors, learn, None)[:2], held) for learn, held in splits]

    def score(points: Sequence[Point]) -> NDArray[np.float64]:
        whole = [{**usual, **point} for point in points]
        each = [_score_points(plan, vectors, *pair, held, whole) for pair, held in problems]
        values: NDArray[np.float64] = np.mean(each, axis=0)
        return values

    points: list[Point] = []
    values: list[float] = []
    if space.method == "grid":
        points = space.points()
        values = score(points).tolist()
    else:

        def try_point(point: Point) -> float:
            values.append(float(score([point])[0]))
            return values[-1]

        points = list(space.propose(try_point, lower_is_better=criterion in LOWER_IS_BETTER))
    # The first of equal points wins, so that the choice does not hang on rounding.
    best = 0
    for k, value in enumerate(values):
        if is_better(criterion, value, values[best]):
            best = k
    return {**usual, **points[best]}


def _usual_point(plan: Plan, vectors: VectorDataset) -> dict[str, Any]:
    settings = plan.settings
    n_columns = settings.count_columns(vectors.n_columns)
    usual = parameter_defaults(settings.architecture.parameters, n_columns)
    return {**usual, **settings.recipe.values}


def _inner_splits(
    plan: Plan, vectors: VectorDataset, parts: TrackParts, task: Task
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Give tracks to learn from and tracks to choose by, (n_tracks,) each."""
    if parts.validate.any():
        return [(parts.learn, parts.validate)]
    folds = _inner_folds(plan, vectors, parts.learn, task)
    originals = ~vectors.dataset.is_copy
    return [
        (parts.learn & (folds != fold), originals & (folds == fold))
        for fold in range(int(folds.max()) + 1)
    ]


def _inner_folds(
    plan: Plan, vectors: VectorDataset, learn: NDArray[np.bool_], task: Task
) -> NDArray[np.int64]:
    """Spread the tracks of a part over folds, (n_tracks,), -1 for others; copies with originals."""
    data, seed = vectors.dataset, plan.settings.seed + task.repeat
    chosen = np.flatnonzero(learn & ~data.is_copy)
    strata = data.strata()[chosen]
    n_folds = plan.settings.n_folds or INNER_FOLDS
    # Each inner fold needs a track of every class to calibrate by; distributions do not.
    if plan.settings.objective == "hard":
        n_folds = min(n_folds, int(np.bincount(strata)[np.unique(strata)].min()))
    if n_folds < 2:
        raise UsageError(
            "the part learnt from", "has a class of one track", "rate more tracks of each class"
        )
    ids = [data.track_ids[track] for track in chosen]
    folds = np.full(len(learn), -1)
    assigned = assign_folds(ids, strata, n_folds, seed, data.units[chosen])
    # Few large groups may leave a fold empty.
    folds[chosen] = np.unique(assigned, return_inverse=True)[1]
    if plan.settings.objective == "hard":
        check_classes(strata, folds[chosen], data.classes)
    if not folds[chosen].any():
        raise UsageError("the part learnt from", "is one group", "give smaller groups")
    fold_of_unit = dict(zip(data.units[chosen].tolist(), folds[chosen].tolist(), strict=True))
    # A copy of a track that an inner fold holds out would give that track away.
    for copy in np.flatnonzero(learn & data.is_copy):
        folds[copy] = fold_of_unit.get(int(data.units[copy]), 0)
    return folds


def _make_problem(
    plan: Plan, vectors: VectorDataset, learn: NDArray[np.bool_], task: Task | None
) -> tuple[Problem, NDArray[np.int64] | None, tuple[str, ...]]:
    """Make the problem of some tracks; give the columns that were selected for it, and notes.

    Without a `task` it has no inner folds: it is one of those that a search tries points on.
    """
    settings, data = plan.settings, vectors.dataset
    rows = data.rows_of(learn)
    groups, is_copy = data.groups[rows], data.is_copy[data.groups[rows]]
    features: Vectors = tuple(part[rows] for part in vectors.features)
    blocks = settings.blocks or whole_kinds([kind.name for kind in data.stored.kinds])
    columns = None
    if settings.select is not None:
        X = side_by_side(features)
        # Ranked by originals alone: copies would count their tracks several times.
        columns = choose_columns(settings.select, data, X[~is_copy], groups[~is_copy])
        # Columns of several kinds make one block, which has the whole kernel.
        features, blocks = (X[:, columns],), (Block("selected", 0, 1.0),)
    numbers = data.units_numbers()[groups, 0] if are_numbers(data.targets) else np.zeros(len(rows))
    problem = Problem(
        data.targets[0],
        settings.objective,
        features,
        blocks,
        data.labels.y[groups],
        data.labels.distributions[groups],
        numbers,
        groups,
        is_copy,
        _weigh_copies(data.units, groups, is_copy),
        _row_splits(_inner_folds(plan, vectors, learn, task)[groups], is_copy) if task else (),
    )
    notes: tuple[str, ...] = ()
    if settings.oversample is not None:
        seed = settings.seed + (task.repeat if task else 0)
        X = scale_columns(side_by_side(problem.features))
        draws = draw_rows(settings.oversample, X, problem.y, seed)
        notes = tuple(draws.describe_exceptions(data.classes))
        problem = _add_rows(problem, draws)
    return problem, columns, notes


def _add_rows(problem: Problem, draws: Draws) -> Problem:
    """Add synthetic rows to a problem, each of a track of its own.

    They count as copies, so nothing is calibrated by them, and they are in none of the inner folds,
    since they may be drawn between rows on both sides of one.
    """
    n = len(draws.y)
    classes = np.eye(problem.distributions.shape[1])[draws.y]
    return replace(
        problem,
        features=tuple(np.concatenate([part, draws.apply(part)]) for part in problem.features),
        y=np.concatenate([problem.y, draws.y]),
        distributions=np.concatenate([problem.distributions, classes]),
        numbers=np.concatenate([problem.numbers, np.zeros(n)]),
        groups=np.concatenate([problem.groups, problem.groups.max() + 1 + np.arange(n)]),
        is_copy=np.concatenate([problem.is_copy, np.ones(n, bool)]),
        weights=np.concatenate([problem.weights, np.ones(n)]),
    )


def _weigh_copies(
    units: NDArray[np.int64], groups: NDArray[np.int64], is_copy: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weigh rows so that the copies of a track together count as much as the track: (n_rows,)."""
    weights = np.ones(len(groups))
    if is_copy.any():
        of_row = units[groups]
        n_tracks = int(of_row.max()) + 1
        n_copies = np.bincount(of_row[is_copy], minlength=n_tracks)
        n_originals = np.bincount(of_row[~is_copy], minlength=n_tracks)
        ratio = np.maximum(n_originals, 1) / np.maximum(n_copies, 1)
        weights[is_copy] = ratio[of_row[is_copy]]
    return weights


def _row_splits(folds: NDArray[np.int64], is_copy: NDArray[np.bool_]) -> tuple[Split, ...]:
    return tuple(
        (np.flatnonzero(folds != fold), np.flatnonzero((folds == fold) & ~is_copy))
        for fold in range(int(folds.max()) + 1)
    )


def _score_points(
    plan: Plan,
    vectors: VectorDataset,
    problem: Problem,
    columns: NDArray[np.int64] | None,
    held_out: NDArray[np.bool_],
    points: Sequence[Point],
) -> NDArray[np.float64]:
    """Score points on tracks that their models do not learn from: (n_points,)."""
    data = vectors.dataset
    rows = data.rows_of(held_out)
    features = [part[rows] for part in vectors.features]
    if columns is not None:
        features = [side_by_side(features)[:, columns]]
    tracks = np.flatnonzero(held_out)
    groups = np.searchsorted(tracks, data.groups[rows])
    criterion = criterion_of(plan)
    values = []
    for tried in plan.settings.architecture.load_module().try_points(problem, points, features):
        outputs = pool_segments(
            tried, groups, plan.settings.pool, are_posteriors=not are_numbers(data.targets)
        )
        if criterion == BRIER:
            errors = outputs - data.labels.distributions[tracks]
            values.append(float(np.square(errors).sum(axis=1).mean()))
        else:
            reference = reference_of(data)[tracks]
            values.append(score_outputs(data.targets, reference, outputs)[criterion])
    return np.array(values)

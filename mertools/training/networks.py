"""Training one network: on all tracks, or with a fold of them held out."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mertools.artifacts.files import digest_json
from mertools.dataset.dataset import Dataset
from mertools.dataset.stored import Batches, StoredFeatures
from mertools.models.model import are_numbers
from mertools.models.network import (
    LAST_LAYER,
    Network,
    copy_weights,
    describe_form,
    finish_outputs,
)
from mertools.runtime.devices import training_precision
from mertools.training import checkpoint, distributed
from mertools.training.loop import Epoch, TrainingRows, predict_rows, train
from mertools.training.objectives import RowTargets, row_targets
from mertools.training.plan import Fit, Plan, Settings, Task, TrackParts, split_tracks
from mertools.training.recipes import Recipe
from mertools.training.scores import pool_tracks, reference_of, score_outputs
from mertools.training.transfer import frozen_modules, has_statistics, shared_weights, take_over

ALGORITHM = 3
"""Counts up when the same data, parameters and seed give other weights than before."""

LOG = "log"
"""In the folder of the trainings: a line an epoch of any of them, as it ends."""

LIBRARIES = ("numpy", "safetensors", "torch")


def build_network(data: Dataset, settings: Settings, recipe: Recipe) -> Network:
    """Build a network for some segments, its weights random."""
    build = settings.architecture.load_module().build
    network: Network = build(data.stored.shapes, data.n_outputs, **recipe.form)
    return network


def fit_network(plan: Plan, task: Task) -> Fit:
    """Train a network: from where it was interrupted, and not at all where it is finished."""
    data, settings = plan.dataset, plan.settings
    assert plan.folder is not None  # noqa: S101
    recipe = settings.recipe.replaced(task.point or {})
    seed = settings.seed + task.repeat
    key = _key(plan, task, recipe)
    done, state = plan.folder / f"{key}.done", plan.folder / f"{key}.begun"
    if (fit := distributed.from_first(_load_fit(done, task))) is not None:
        return fit
    torch.set_num_threads(settings.n_threads)
    batches = load_batches(data.stored, data.digest, plan.n_processes)
    parts = split_tracks(plan, task, _validation_share(plan, recipe))
    learn, validate, held_out = (
        data.rows_of(tracks) for tracks in (parts.learn, parts.validate, parts.held_out)
    )
    # Before building, so that weights do not depend on what this process trained before.
    torch.manual_seed(seed)
    network = build_network(data, settings, recipe)
    targets = row_targets(data, settings.objective, learn, recipe["class_weights"])
    begin_network(network, settings, data, recipe, batches, learn, targets)
    run = train(
        network.to(settings.device),
        frozen_modules(network, recipe),
        TrainingRows(batches, learn, validate, targets),
        recipe,
        seed,
        state,
        partial(_log, plan.folder / LOG, task),
    )
    outputs = finish_outputs(predict_rows(network, batches, held_out), data.targets)
    # Of a network with a fold held out only its outputs are wanted; weights take a hundred MB.
    weights = copy_weights(network) if task.held_out is None else {}
    fit = Fit(
        task.point or {},
        outputs,
        _score_validation(plan, network, batches, parts),
        tuple(run.history),
        run.kept_epoch(recipe),
        run.seconds,
        {name: weight.numpy() for name, weight in weights.items()},
        describe_form(network, recipe.form) if weights else {},
    )
    # In this order: a run that is killed in between finds the fit, and passes the state over.
    _save_fit(done, fit)
    state.unlink()
    return fit


def _validation_share(plan: Plan, recipe: Recipe) -> float | None:
    """Give the share of tracks for validation; None where nothing looks at them."""
    chooses_by_it = not plan.settings.n_folds and plan.settings.space.n_points > 1
    return float(recipe["validation"]) if recipe.needs_validation or chooses_by_it else None


def begin_network(
    network: Network,
    settings: Settings,
    data: Dataset,
    recipe: Recipe,
    batches: Batches,
    learn: NDArray[np.int64],
    targets: RowTargets,
) -> None:
    """Take over weights of other networks, and fit the input statistics of all other branches.

    A network of numbers begins with the training part's mean: what it has to learn is how numbers
    differ.
    """
    shared = {}
    if settings.starts:
        shared = shared_weights(network, settings.starts, data.targets, recipe)
        take_over(network, shared)
    if are_numbers(data.targets) and f"{LAST_LAYER}.bias" not in shared:
        mean = targets.outputs[learn].mean(axis=0)
        with torch.no_grad():
            network.classifier.bias.copy_(torch.from_numpy(mean))
    begin = 0
    for of_branch in settings.architecture.branches:
        kinds = range(begin, begin + _count_kinds(settings, of_branch.name, data))
        begin = kinds.stop
        branch = network.branches[of_branch.name]
        if branch.statistics and not has_statistics(network, of_branch.name, shared):
            branch.fit_statistics(batches.iterate(learn, kinds))


def _count_kinds(settings: Settings, branch: str, data: Dataset) -> int:
    """Count the kinds that a branch looks at: all that others leave, where it takes any vectors."""
    fixed = {b.name: len(b.kinds) for b in settings.architecture.branches if b.accepts == "these"}
    return fixed.get(branch, len(data.stored.kinds) - sum(fixed.values()))


def _score_validation(
    plan: Plan, network: Network, batches: Batches, parts: TrackParts
) -> dict[str, float]:
    """Score the tracks that were kept for validation, if any."""
    data = plan.dataset
    scored = parts.validate & data.scored
    if not scored.any():
        return {}
    rows = data.rows_of(scored)
    outputs = np.zeros((len(data.row_ids), data.n_outputs))
    outputs[rows] = finish_outputs(predict_rows(network, batches, rows), data.targets)
    of_tracks = pool_tracks(data, outputs, plan.settings.pool)
    return score_outputs(data.targets, reference_of(data)[scored], of_tracks[scored])


_loaded: dict[tuple[str, int], Batches] = {}
"""The features that this process trained on last, by the data's digest and number of processes."""


def load_batches(stored: StoredFeatures, digest: str, n_processes: int) -> Batches:
    """Load features for one of some processes, and keep them for its next training.

    `digest` is of the features' content, so that files which have changed are read again.
    """
    key = digest, n_processes
    if key not in _loaded:
        _loaded.clear()  # before others are read: there may be no room for both
        _loaded[key] = stored.load(n_processes)
    return _loaded[key]


def _key(plan: Plan, task: Task, recipe: Recipe) -> str:
    """Digest all that decides what a training comes to."""
    settings = plan.settings
    return digest_json(
        {
            "algorithm": ALGORITHM,
            "torch": torch.__version__,
            "model": settings.architecture.name,
            "objective": settings.objective,
            "recipe": [dict(recipe.values), [dict(phase) for phase in recipe.phases]],
            "seed": settings.seed + task.repeat,
            "device": settings.device,
            "precision": training_precision(settings.device),
            "n_threads": settings.n_threads,
            "n_together": distributed.count(),
            "starts": [[start.digest, start.branch] for start in settings.starts],
            "data": plan.dataset.digest,
            "validation": plan.dataset.labels.is_validation.tolist(),
            "share": _validation_share(plan, recipe),
            "units": plan.dataset.units.tolist(),
            "pool": settings.pool,
            "held_out": task.held_out,
            "folds": None if task.held_out is None else plan.folds[task.repeat].tolist(),
        }
    )


def _log(path: Path, task: Task, epoch: Epoch) -> None:
    """Write a line that says how far a training is."""
    shown = {
        "training loss": epoch.train_loss,
        "validation loss": epoch.validation_loss,
        "macro F1": epoch.validation_macro_f1,
        "R2": epoch.validation_r2,
    }
    scores = ", ".join(f"{name} {value:.3f}" for name, value in shown.items() if value is not None)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{task}, epoch {epoch.epoch}: {scores}\n")


def _save_fit(path: Path, fit: Fit) -> None:
    content = {
        "history": [dataclasses.asdict(epoch) for epoch in fit.history],
        "kept_epoch": fit.kept_epoch,
        "seconds": fit.seconds,
        "validation": dict(fit.validation),
        "form": dict(fit.form),
    }
    outputs = {"outputs": torch.from_numpy(fit.outputs)}
    weights = {name: torch.from_numpy(np.asarray(array)) for name, array in fit.arrays.items()}
    checkpoint.save(path, content, {"held_out": outputs, "weights": weights})


def _load_fit(path: Path, task: Task) -> Fit | None:
    saved = checkpoint.load(path)
    if saved is None:
        return None
    content, tensors = saved
    weights: dict[str, Any] = tensors.get("weights", {})
    return Fit(
        task.point or {},
        tensors["held_out"]["outputs"].numpy(),
        content["validation"],
        tuple(Epoch(**epoch) for epoch in content["history"]),
        content["kept_epoch"],
        content["seconds"],
        {name: weight.numpy() for name, weight in weights.items()},
        content["form"],
    )

"""Training one network: on all tracks, or with a fold of them held out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mertools.artifacts.files import digest_json
from mertools.dataset.dataset import Dataset
from mertools.dataset.stored import Batches, StoredFeatures
from mertools.models.architecture import OF_NUMBERS
from mertools.models.model import SELECTED
from mertools.models.network import (
    LAST_LAYER,
    Network,
    copy_weights,
    describe_form,
    finish_outputs,
)
from mertools.pretrained.text_encoder import digest_encoder, load_encoder
from mertools.runtime.devices import training_precision
from mertools.training import checkpoint, distributed
from mertools.training.deepsmote import extend_by_spectrograms
from mertools.training.frozen import compute_once
from mertools.training.loop import Epoch, predict_rows, train
from mertools.training.network_rows import KindBatches, Rows
from mertools.training.objectives import NO_CLASSES
from mertools.training.oversample import DEEP, Draws, Oversampling, extend_batches
from mertools.training.plan import Fit, Plan, Settings, Task, TrackParts, split_tracks
from mertools.training.recipes import Recipe
from mertools.training.scores import pool_tracks, reference_of, score_outputs
from mertools.training.selection import select_batches
from mertools.training.transfer import frozen_modules, has_statistics, shared_weights, take_over

ALGORITHM = 5
"""Counts up when the same data, parameters and seed give other weights than before."""

LOG = "log"
"""In the folder of the trainings: a line an epoch of any of them, as it ends."""

LIBRARIES = ("numpy", "safetensors", "torch")


def build_network(
    data: Dataset, settings: Settings, recipe: Recipe, n_selected: int | None = None
) -> Network:
    """Build a network for some segments, its weights random.

    `n_selected` columns of vectors are learnt from; None is all.
    """
    build = settings.architecture.load_module().build
    shapes = data.stored.shapes
    if n_selected is not None:
        shapes = (*shapes[: settings.architecture.n_other_kinds], (n_selected,))
    form: dict[str, Any] = dict(recipe.form)
    if settings.encoder is not None:
        form["encoder"] = load_encoder(settings.encoder)
    network: Network = build(shapes, data.n_outputs, **form)
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
    batches: Batches = load_batches(data.stored, data.digest, plan.n_processes)
    parts = split_tracks(plan, task, _validation_share(plan, recipe))
    learn, validate, held_out = (
        data.rows_of(tracks) for tracks in (parts.learn, parts.validate, parts.held_out)
    )
    columns = None
    if settings.select is not None:
        n_others = settings.architecture.n_other_kinds
        batches, columns = select_batches(settings.select, data, batches, learn, n_others)
    further: NDArray[np.int64] = NO_CLASSES
    notes: tuple[str, ...] = ()
    if settings.oversample is not None:
        batches, draws = _extend(settings.oversample, data, batches, learn, seed, settings.device)
        further, notes = draws.y, tuple(draws.describe_exceptions(data.classes))
        learn = np.concatenate([learn, len(data.row_ids) + np.arange(len(further))])
    # Before building, so that weights do not depend on what this process trained before.
    torch.manual_seed(seed)
    network = build_network(data, settings, recipe, None if columns is None else len(columns))
    rows = Rows(data, settings.objective, batches, learn, validate, further)
    begin_network(network, settings, recipe, rows)
    report = partial(_log, plan.folder / LOG, task)
    train_parts(network, settings, recipe, rows, seed, state, report)
    frozen = frozen_modules(network.to(settings.device), recipe)
    # Columns that are selected, and synthetic rows, are other ones in each fold.
    is_own = settings.select is not None or settings.oversample is not None
    # Parameters are no weights, and may change what the same weights give.
    content = key if is_own else digest_json([data.digest, recipe.form])
    n_rows = len(data.row_ids) + len(further)
    with compute_once(network, frozen, batches, n_rows, content) as computed:
        of_epochs = replace(rows, batches=computed).to_train(recipe)
        run = train(network, frozen, of_epochs, recipe, seed, state, report)
        outputs: NDArray[np.float64] = np.zeros((0, data.n_outputs))
        if len(held_out):
            outputs = finish_outputs(predict_rows(network, computed, held_out), data.targets)
        validation = _score_validation(plan, network, computed, parts)
    # Of a network with a fold held out only its outputs are wanted; weights take a hundred MB.
    arrays: dict[str, NDArray[Any]] = {}
    if task.held_out is None:
        arrays = {name: weight.numpy() for name, weight in copy_weights(network).items()}
        arrays |= {} if columns is None else {SELECTED: columns}
    fit = Fit(
        task.point or {},
        outputs,
        validation,
        tuple(run.history),
        run.kept_epoch(recipe),
        run.seconds,
        arrays,
        describe_form(network, recipe.form) if arrays else {},
        notes,
    )
    # In this order: a run that is killed in between finds the fit, and passes the state over.
    _save_fit(done, fit)
    for left in (state, *(_state_of_part(state, branch) for branch in recipe.parts)):
        left.unlink()
    return fit


def _extend(
    wanted: Oversampling,
    data: Dataset,
    batches: Batches,
    learn: NDArray[np.int64],
    seed: int,
    device: str,
) -> tuple[Batches, Draws]:
    """Add synthetic rows behind those of the dataset."""
    n_rows, y = len(data.row_ids), data.labels.y[data.groups[learn]]
    if wanted.method == DEEP:
        return extend_by_spectrograms(wanted, batches, n_rows, learn, y, seed, device)
    return extend_batches(wanted, batches, n_rows, learn, y, seed)


def _validation_share(plan: Plan, recipe: Recipe) -> float | None:
    """Give the share of tracks for validation; None where nothing looks at them."""
    chooses_by_it = not plan.settings.n_folds and plan.settings.space.n_points > 1
    needs = any(one.needs_validation for one in (recipe, *recipe.parts.values()))
    return float(recipe["validation"]) if needs or chooses_by_it else None


def begin_network(network: Network, settings: Settings, recipe: Recipe, rows: Rows) -> None:
    """Take over weights of other networks, and fit the input statistics of all other branches.

    A network of numbers begins with the training part's mean: what it has to learn is how numbers
    differ.
    """
    shared = {}
    if settings.starts:
        shared = shared_weights(network, settings.starts, rows.data.targets, recipe)
        take_over(network, shared)
    if settings.objective in OF_NUMBERS and f"{LAST_LAYER}.bias" not in shared:
        mean = rows.to_train(recipe).targets.outputs[rows.learn].mean(axis=0)
        with torch.no_grad():
            network.classifier.bias.copy_(torch.from_numpy(mean))
    for name, kinds in branch_kinds(settings, rows.data).items():
        branch = network.branches[name]
        if branch.statistics and not has_statistics(network, name, shared):
            branch.fit_statistics(rows.batches.iterate(rows.learn, kinds))


def branch_kinds(settings: Settings, data: Dataset) -> dict[str, range]:
    """Give the numbers of the kinds that each branch looks at.

    Vectors are all that other branches leave, and where columns are selected they are one kind.
    """
    branches = settings.architecture.branches
    n_vectors = len(data.stored.kinds) - settings.architecture.n_other_kinds
    kinds, begin = {}, 0
    for branch in branches:
        n_kinds = len(branch.kinds)
        if branch.accepts == "vectors":
            n_kinds = 1 if settings.select else n_vectors
        kinds[branch.name] = range(begin, begin + n_kinds)
        begin += n_kinds
    return kinds


def train_parts(
    network: Network,
    settings: Settings,
    recipe: Recipe,
    rows: Rows,
    seed: int,
    state: Path,
    report: Callable[[Epoch], None],
) -> None:
    """Train branches as networks of their own, where the recipe says so, and take them over."""
    for branch, of_part in recipe.parts.items():
        kinds = branch_kinds(settings, rows.data)[branch]
        of_branch = replace(rows, batches=KindBatches(rows.batches, kinds))
        shapes = [part.shape[1:] for part in of_branch.batches.read(rows.learn[:1])]
        # The branch's own parameters are those of the whole network.
        form = {name: recipe.values.get(name, value) for name, value in of_part.form.items()}
        torch.manual_seed(seed)
        build = of_part.architecture.load_module().build
        alone: Network = build(shapes, rows.data.n_outputs, **form)
        to_train = of_branch.to_train(of_part)
        train(
            alone.to(settings.device),
            [],
            to_train,
            of_part,
            seed,
            _state_of_part(state, branch),
            report,
        )
        network.branches[branch].load_state_dict(alone.branches[branch].state_dict())


def _state_of_part(state: Path, branch: str) -> Path:
    return state.with_name(f"{state.name}-{branch}")


def _score_validation(
    plan: Plan, network: Network, batches: Batches, parts: TrackParts
) -> dict[str, float]:
    """Score the tracks that were kept for validation, if any."""
    data = plan.dataset
    scored = parts.validate & data.scored
    if not scored.any():
        return {}
    rows = data.rows_of(scored)
    if not plan.settings.architecture.predicts:
        return {"mse": float(predict_rows(network, batches, rows).square().mean())}
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
            "recipe": [dict(recipe.values), recipe.describe()],
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
            "select": None if settings.select is None else dataclasses.asdict(settings.select),
            "oversample": None
            if settings.oversample is None
            else dataclasses.asdict(settings.oversample),
            "encoder": None if settings.encoder is None else digest_encoder(settings.encoder),
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
        "notes": list(fit.notes),
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
        tuple(content.get("notes", ())),
    )

"""Training one network: on all tracks, or with a fold of them held out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mertools.artifacts.files import digest_json
from mertools.dataset.folds import assign_folds
from mertools.dataset.segments import Batches, Objective, SegmentSet, open_batches
from mertools.models.network import Network, weights_of
from mertools.models.registry import ModelSpec, find_model
from mertools.runtime.devices import training_precision
from mertools.training import checkpoint
from mertools.training import distributed as together
from mertools.training.loop import ROWS_AT_ONCE, Epoch, Lesson, predict_rows, train
from mertools.training.recipes import Grid, Parameters, Point, points_of
from mertools.training.transfer import (
    STATISTICS,
    Start,
    frozen_blocks,
    shared_weights,
    take_over,
)

ALGORITHM = 1
"""Counts up when the same data, parameters and seed give other weights than before."""

LOG = "log"
"""In the folder of what is done: a line an epoch of any training, as it ends."""

TINY_VARIANCE = 1e-12
USES = LEARN, VALIDATE, HELD_OUT = range(3)


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is searched for and trained.

    `grid` are the values to try of some parameters; `start` is what to begin with instead of
    chance; `n_threads` are torch's in each process. `device` is as torch names it.
    """

    model: str
    objective: Objective
    parameters: Parameters
    grid: Grid
    n_folds: int
    seed: int
    device: str
    n_threads: int
    start: Start | None = None

    @property
    def spec(self) -> ModelSpec:
        """The model by its name."""
        return find_model(self.model)

    def points(self) -> list[Point]:
        """List the points of the grid; without one there is one."""
        return points_of(self.grid)

    def build(self, data: SegmentSet, point: Point) -> Network:
        """Build a network for some segments, with weights by chance."""
        build = self.spec.load_module().build
        form = self.parameters.replaced(point).form
        network: Network = build(data.stored.shapes, len(data.classes), **form)
        return network


@dataclass(frozen=True)
class Fit:
    """A network's training: of the model, or with the tracks of a fold held out.

    posteriors: of the segments held out, (n_rows, n_classes); weights: those of the model.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    posteriors: NDArray[np.float64]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """What the trainings of one run have in common.

    folds: (n_tracks,), the fold of each; folder: where what is done is kept; n_processes: how many
    train beside each other.
    """

    data: SegmentSet
    settings: NetworkSettings
    folds: NDArray[np.int64]
    folder: Path
    n_processes: int = 1


@dataclass(frozen=True)
class Part:
    """One of the trainings: the point of the grid, and the fold that is held out, if any."""

    place: int
    held_out: int | None = None

    def __str__(self) -> str:
        held_out = "all tracks" if self.held_out is None else f"fold {self.held_out + 1}"
        return f"point {self.place + 1}, {held_out}"


def fit_network(plan: Plan, part: Part) -> Fit:
    """Train a network: the rest where it was begun, and nothing where it is done."""
    data, settings = plan.data, plan.settings
    point = settings.points()[part.place]
    parameters = settings.parameters.replaced(point)
    key = _key(plan, part, parameters)
    done, state = plan.folder / f"{key}.done", plan.folder / f"{key}.begun"
    if (fit := together.from_first(_load_fit(done))) is not None:
        return fit
    torch.set_num_threads(settings.n_threads)
    batches = open_batches(data.stored, plan.n_processes)
    learn, validate, held_out = _split_rows(plan, part, parameters)
    torch.manual_seed(settings.seed)
    network = settings.build(data, point)
    names: list[str] = []
    if settings.start is not None:
        names = shared_weights(network, settings.start, data.target, data.classes, parameters)
        take_over(network, settings.start, names)
    branch = network.image_branch()
    if branch is not None and not any(name.startswith(STATISTICS) for name in names):
        branch.standardise.set_statistics(*_statistics(batches, learn))
    course = train(
        network.to(settings.device),
        frozen_blocks(network, parameters),
        Lesson(batches, learn, validate, *_targets(data, settings.objective, learn)),
        parameters,
        settings.seed,
        state,
        partial(_log, plan.folder / LOG, part),
    )
    fit = Fit(
        tuple(course.history),
        course.best_epoch(),
        course.seconds,
        predict_rows(network, batches, held_out).softmax(dim=1).numpy(),
        weights_of(network) if part.held_out is None else {},
    )
    _save_fit(done, fit)
    state.unlink()
    return fit


def _key(plan: Plan, part: Part, parameters: Parameters) -> str:
    """Tell trainings that come to the same end from others."""
    settings = plan.settings
    return digest_json(
        {
            "algorithm": ALGORITHM,
            "torch": torch.__version__,
            "model": settings.model,
            "objective": settings.objective,
            "parameters": parameters.values(),
            "seed": settings.seed,
            "device": settings.device,
            "precision": training_precision(settings.device),
            "n_threads": settings.n_threads,
            "n_together": together.count(),
            "start": settings.start and settings.start.digest,
            "data": plan.data.digest,
            "held_out": part.held_out,
            "folds": None if part.held_out is None else plan.folds.tolist(),
        }
    )


def _split_rows(
    plan: Plan, part: Part, parameters: Parameters
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Split segments, whole tracks at a time: to learn from, to validate on, held out."""
    data = plan.data
    use = np.full(len(data.track_ids), LEARN)
    if part.held_out is not None:
        use[plan.folds == part.held_out] = HELD_OUT
    tracks = np.flatnonzero(use == LEARN)
    n_parts = max(2, round(1 / parameters.validation))
    strata = 2 * data.y[tracks] + data.kept[tracks]
    ids = [data.track_ids[track] for track in tracks]
    use[tracks[assign_folds(ids, strata, n_parts, plan.settings.seed) == 0]] = VALIDATE
    of_row = use[data.groups]
    learn, validate, held_out = (np.flatnonzero(of_row == each) for each in USES)
    return learn, validate, held_out


def _targets(
    data: SegmentSet, objective: Objective, learn: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Give what posteriors should be, the classes, and how much each class weighs.

    Classes weigh by their inverse frequency; the annotators' distributions are learnt as they are,
    since weights would draw the posteriors away from them.
    """
    n_classes, y = len(data.classes), data.y[data.groups]
    if objective == "soft":
        targets = data.distributions[data.groups].astype(np.float32)
        return targets, y, np.ones(n_classes, np.float32)
    counts = np.bincount(y[learn], minlength=n_classes)
    weights = len(learn) / (n_classes * np.maximum(counts, 1))
    return np.eye(n_classes, dtype=np.float32)[y], y, weights.astype(np.float32)


def _statistics(
    batches: Batches, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give mean and standard deviation of each mel band: (n_bands, 1)."""
    n, sums, squares = 0, 0.0, 0.0
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        S = batches.read(rows[begin : begin + ROWS_AT_ONCE])[0].astype(np.float64)
        n += S.shape[0] * S.shape[2]
        sums = sums + S.sum(axis=(0, 2))
        squares = squares + np.square(S).sum(axis=(0, 2))
    mean = np.asarray(sums / n)[:, None]
    variance = np.asarray(squares / n)[:, None] - np.square(mean)
    # A band that never changes has nothing to tell, and must not become infinite.
    return mean, np.where(variance > TINY_VARIANCE, np.sqrt(np.abs(variance)), 1.0)


def _log(path: Path, part: Part, epoch: Epoch) -> None:
    """Write a line that tells how far a training is."""
    scores = f"loss {epoch.validation_loss:.3f}, macro F1 {epoch.validation_macro_f1:.3f}"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{part}, epoch {epoch.epoch}: validation {scores}\n")


def _save_fit(path: Path, fit: Fit) -> None:
    content = {
        "history": [dataclasses.asdict(epoch) for epoch in fit.history],
        "best_epoch": fit.best_epoch,
        "seconds": fit.seconds,
    }
    posteriors = {"posteriors": torch.from_numpy(fit.posteriors)}
    checkpoint.save(path, content, {"held_out": posteriors, "weights": fit.weights})


def _load_fit(path: Path) -> Fit | None:
    saved = checkpoint.load(path)
    if saved is None:
        return None
    content, tensors = saved
    return Fit(
        tuple(Epoch(**epoch) for epoch in content["history"]),
        content["best_epoch"],
        content["seconds"],
        tensors["held_out"]["posteriors"].numpy(),
        tensors.get("weights", {}),
    )

"""What the trainings of one run have in common, and what each of them gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.dataset import Dataset
from mertools.dataset.folds import assign_folds
from mertools.dataset.vectors import VectorDataset
from mertools.errors import UsageError
from mertools.evaluation.ranking import Method
from mertools.models.kernel_blocks import Block
from mertools.models.problem import Point
from mertools.models.registry import Architecture, Objective
from mertools.targets.pooling import Pooling
from mertools.training.oversample import Oversampling
from mertools.training.recipes import Recipe
from mertools.training.search import SearchSpace

if TYPE_CHECKING:  # these import torch, which estimators do without
    from mertools.training.loop import Epoch
    from mertools.training.transfer import Start

SELECTION_METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Selection:
    """Which columns are learnt from: the best `n_columns` by a ranking within the part learnt from.

    Of two columns whose |r| is above `max_correlation`, the lower-ranked is dropped first.
    """

    method: Method
    n_columns: int
    max_correlation: float | None = None


@dataclass(frozen=True)
class Settings:
    """How an architecture is searched for, trained and scored.

    `recipe` holds the parameters that do not vary; `space` those that do. `n_repeats` are
    repetitions of cross-validation with other folds, or without folds trainings from other seeds.
    `blocks` are those of a kernel; without any, each kind is one. `starts` are networks to begin
    with; `n_threads` are torch's in each process, and `device` is as torch names it. `encoder` is
    the folder of a text encoder that is learnt along.
    """

    architecture: Architecture
    objective: Objective
    recipe: Recipe
    space: SearchSpace
    n_folds: int
    n_repeats: int
    seed: int
    pool: Pooling
    select: Selection | None = None
    blocks: tuple[Block, ...] = ()
    starts: tuple[Start, ...] = ()
    device: str = "cpu"
    n_threads: int = 1
    oversample: Oversampling | None = None
    encoder: Path | None = None

    def count_columns(self, n_columns: int) -> int:
        """Count the columns that are learnt from, of so many."""
        return n_columns if self.select is None else min(n_columns, self.select.n_columns)


@dataclass(frozen=True)
class Task:
    """One training: the parameters, the repetition and the fold that is held out, if any.

    An estimator without a `point` chooses its parameters within the part that it learns from.
    """

    point: Point | None
    repeat: int = 0
    held_out: int | None = None

    def __str__(self) -> str:
        held_out = "all tracks" if self.held_out is None else f"fold {self.held_out + 1}"
        return f"repetition {self.repeat + 1}, {held_out}" if self.repeat else held_out


@dataclass(frozen=True)
class Fit:
    """What a training gives.

    `point` are its parameters; `outputs`, (n_rows, n_outputs), are predicted of the rows held out;
    `validation` are the scores of the tracks that the labels keep for it, or that training did not
    learn from. `arrays` and `form` are of the model, where no fold is held out. `notes` say what
    became otherwise than asked for.
    """

    point: Point
    outputs: NDArray[np.float64]
    validation: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()
    kept_epoch: int = 0
    seconds: float = 0.0
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the trainings of one run have in common.

    folds: (n_tracks,) for each repetition. `vectors` are the features in memory, where the family
    is an estimator; `folder` is where finished and interrupted trainings of networks are kept;
    `n_processes` train at the same time.
    """

    dataset: Dataset
    settings: Settings
    folds: tuple[NDArray[np.int64], ...]
    vectors: VectorDataset | None = None
    folder: Path | None = None
    n_processes: int = 1


@dataclass(frozen=True)
class TrackParts:
    """Which tracks a training learns from, validates on, and predicts: (n_tracks,) each."""

    learn: NDArray[np.bool_]
    validate: NDArray[np.bool_]
    held_out: NDArray[np.bool_]


def split_tracks(plan: Plan, task: Task, share: float | None) -> TrackParts:
    """Split the tracks for a training.

    Tracks that the labels keep for validation serve for it; without any, `share` of the tracks do,
    or none where it is None. Copies are learnt from only, and not where their original is not.
    """
    data, originals = plan.dataset, ~plan.dataset.is_copy
    folds = plan.folds[task.repeat]
    held_out = np.zeros(len(folds), bool) if task.held_out is None else folds == task.held_out
    marked = data.labels.is_validation
    learn = ~held_out & ~marked
    validate = marked & ~held_out
    if not marked.any() and share is not None:
        validate = draw_validation(data, learn & originals, share, plan.settings.seed + task.repeat)
    # A copy, or another song of a group, must not teach what its relative is validated on.
    units = np.unique(data.units[validate & originals])
    learn &= ~np.isin(data.units, units)
    if not learn.any():
        raise UsageError("validation", "takes all tracks to learn from", "give it fewer")
    return TrackParts(learn, validate & originals, held_out & originals)


def draw_validation(
    data: Dataset, tracks: NDArray[np.bool_], share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw a share of some tracks for validation, strata spread evenly: (n_tracks,)."""
    chosen = np.flatnonzero(tracks)
    # The first of equal parts: a share is spread as evenly over strata as folds are.
    n_parts = max(2, round(1 / share))
    # Tracks whose annotators disagree are spread evenly, too.
    strata = 2 * data.strata()[chosen] + data.labels.kept[chosen]
    ids = [data.track_ids[track] for track in chosen]
    drawn = np.zeros(len(tracks), bool)
    drawn[chosen] = assign_folds(ids, strata, n_parts, seed, data.units[chosen]) == 0
    return drawn

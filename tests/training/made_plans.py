"""Plans of estimators over vectors in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from made_datasets import make_dataset
from mertools.artifacts.feature_rows import Cutting
from mertools.artifacts.model_card import ModelCard
from mertools.dataset.dataset import Dataset, Joined
from mertools.dataset.folds import share_folds
from mertools.dataset.vectors import VectorDataset
from mertools.models.model import Model, restore_model
from mertools.models.registry import find_architecture
from mertools.training.card import make_card
from mertools.training.plan import Plan, Settings
from mertools.training.protocol import Trained, run_protocol
from mertools.training.recipes import Recipe
from mertools.training.search import make_space


def make_plan(
    data: Dataset,
    X: NDArray[Any],
    model: str = "svm",
    *,
    grid: dict[str, tuple[float, ...]] | None = None,
    method: Any = None,
    objective: Any = None,
    n_folds: int = 3,
    n_repeats: int = 1,
    seed: int = 0,
    pool: Any = "mean",
    n_trials: int = 4,
    select: Any = None,
) -> Plan:
    architecture = find_architecture(model)
    features = (X.astype(np.float32),)
    unit: Any = "track" if len(data.row_ids) == len(data.track_ids) else "segment"
    space = make_space(architecture.parameters, {}, grid or {}, method, n_trials, seed, X.shape[1])
    settings = Settings(
        architecture,
        architecture.choose_objective(data.targets[0], objective),
        Recipe(architecture, {}),
        space,
        n_folds,
        n_repeats,
        seed,
        pool,
        select,
    )
    folds = share_folds(None, data, n_folds, n_repeats, seed)
    return Plan(data, settings, tuple(folds), VectorDataset(data, features, unit))


def run(plan: Plan, jobs: int = 1, progress: Any = None, *, then_refit: bool = True) -> Trained:
    return run_protocol(
        plan,
        jobs,
        progress or (lambda fits, total: fits),
        lambda results: None,
        then_refit=then_refit,
    )


def card_of(plan: Plan, trained: Trained) -> ModelCard:
    cutting = Cutting(10.0, 10.0, "auto")
    joined = Joined(plan.dataset, cutting, len(plan.dataset.track_ids), 0, 0, 0, 0)
    return make_card(plan, joined, trained, None)


def model_of(plan: Plan, trained: Trained) -> Model:
    """Restore the model of all tracks as its file would."""
    arrays = trained.final[0].arrays
    return restore_model(Path("made"), card_of(plan, trained), arrays)


def make_tracks(
    counts: tuple[int, ...] = (14, 9, 17),
    n_columns: int = 6,
    per_track: int = 1,
    signal: float = 1.2,
    seed: int = 0,
) -> tuple[Dataset, NDArray[np.float32]]:
    """Tracks whose first two columns tell the class, more or less."""
    rng = np.random.default_rng(seed)
    n_tracks = sum(counts)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    of_tracks = rng.standard_normal((n_tracks, n_columns))
    of_tracks[:, 0] += signal * y
    of_tracks[:, 1] -= signal * y
    data = make_dataset(
        [f"{t:03}" for t in range(n_tracks)],
        y,
        classes=("weak", "neutral", "strong")[: len(counts)],
        per_track=per_track,
        n_columns=n_columns,
    )
    X = of_tracks[data.groups] + 0.1 * rng.standard_normal((len(data.groups), n_columns))
    return data, (1000 + 3 * X).astype(np.float32)


def make_number_tracks(
    n_tracks: int = 40, n_columns: int = 6, seed: int = 0
) -> tuple[Dataset, NDArray[np.float32]]:
    """Tracks whose first two columns tell a number from 1 to 9, more or less."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(1, 9, n_tracks)
    X = rng.standard_normal((n_tracks, n_columns))
    X[:, 0] += numbers / 2
    X[:, 1] -= numbers / 3
    ids = [f"{t:03}" for t in range(n_tracks)]
    data = make_dataset(ids, numbers=numbers, low=1, high=9, n_columns=n_columns)
    return data, X.astype(np.float32)

"""What all trained models have in common: predicting, and coming back from a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt, read_model
from mertools.errors import SchemaError
from mertools.models.registry import find_architecture
from mertools.targets.pooling import side_by_side
from mertools.targets.scale import Range, Target

SELECTED = "selected"
"""In a model's file: the columns that it looks at, where features were selected."""


class Model(Protocol):
    """A trained model."""

    def predict(self, features: Sequence[Features]) -> NDArray[np.float64]:
        """Predict segments: for each kind (n, *shape) to (n, n_outputs).

        Outputs are the posteriors of classes, or numbers on the targets' own scales. A row's do not
        depend on the others.
        """

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all that was learnt, by name, as its file holds it."""


@dataclass(frozen=True)
class Terms:
    """What the outputs of rows are the sum of, before they are clipped and posteriors sum to 1.

    `baseline`, (n_outputs,), are the outputs for the music of training on average; `added`,
    (n_rows, n_parts, n_outputs), what each of the named parts adds to them. Numbers are in 0..1.
    """

    parts: tuple[str, ...]
    baseline: NDArray[np.float64]
    added: NDArray[np.float64]


def scale_numbers(unit: NDArray[np.float64], targets: Sequence[Target]) -> NDArray[np.float64]:
    """Map numbers from 0..1 to the targets' scales, clipped to their ends: (n, n_targets)."""
    scales = [target.scale for target in targets]
    columns = [
        scale.from_unit(unit[:, k]) for k, scale in enumerate(scales) if isinstance(scale, Range)
    ]
    return np.stack(columns, axis=1)


def are_numbers(targets: Sequence[Target]) -> bool:
    """Return whether targets are numbers, not one of classes."""
    return isinstance(targets[0].scale, Range)


@dataclass(frozen=True)
class SelectingModel:
    """A model that looks at some of the columns of vectors: `columns`, (n_selected,).

    The first `n_others` kinds of feature are no vectors, and it looks at all of them.
    """

    columns: NDArray[np.int64]
    model: Model
    n_others: int = 0

    def predict(self, features: Sequence[Features]) -> NDArray[np.float64]:
        """Predict as the model does, from all columns."""
        return self.model.predict(self._select(features))

    @property
    def unlike(self) -> Callable[[Sequence[Features]], NDArray[np.float64]]:
        """Score segments as the model does; AttributeError where it has no such score."""
        score = self.model.unlike  # type: ignore[attr-defined]
        return lambda features: score(self._select(features))

    @property
    def explain(self) -> Callable[[Sequence[Features]], Terms]:
        """Explain outputs as the model does; AttributeError where it does not."""
        explain = self.model.explain  # type: ignore[attr-defined]
        return lambda features: explain(self._select(features))

    def _select(self, features: Sequence[Features]) -> list[Features]:
        return select_columns(features, self.columns, self.n_others)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give the model's arrays and the columns."""
        return {**self.model.arrays(), SELECTED: self.columns}

    def on_device(self, name: str) -> SelectingModel:
        """Take a network to a device. Raises UsageError where that is not there."""
        return dataclasses.replace(self, model=cast(Any, self.model).on_device(name))

    def has_layer(self, name: str | None) -> bool:
        """Return whether the network has a layer of that name."""
        return bool(cast(Any, self.model).has_layer(name))

    def embed(self, features: Sequence[Features], branch: str | None) -> NDArray[np.float32]:
        """Embed as a network does, from all columns."""
        embedding: NDArray[np.float32] = cast(Any, self.model).embed(self._select(features), branch)
        return embedding


def select_columns(
    features: Sequence[Features], columns: NDArray[np.int64], n_others: int
) -> list[Features]:
    """Take some columns of vectors side by side; the first `n_others` kinds stay as they are."""
    return [*features[:n_others], side_by_side(features[n_others:])[:, columns]]


def restore_model(path: Path, card: ModelCard, learnt: Learnt) -> Model:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where what was learnt does not fit the card.
    """
    architecture = find_architecture(card.architecture)
    module = architecture.load_module()
    if SELECTED not in learnt or not architecture.takes_vectors:
        model: Model = module.restore(path, card, learnt)
        return model
    columns, n_others = learnt[SELECTED], architecture.n_other_kinds
    others, vectors = card.inputs[:n_others], card.inputs[n_others:]
    n_columns = sum(math.prod(needed.shape) for needed in vectors)
    if (
        not isinstance(columns, np.ndarray)
        or columns.ndim != 1
        or columns.dtype.kind != "i"
        or not len(columns)
        or not 0 <= columns.min() <= columns.max() < n_columns
    ):
        raise SchemaError(path, "selects columns that are not there", "train the model again")
    # To the model inside, the selected columns are all that there is: one kind, named by all.
    kind = "+".join(needed.kind for needed in vectors)
    one_input = dataclasses.replace(vectors[0], kind=kind, shape=(len(columns),))
    weights = {name: array for name, array in learnt.items() if name != SELECTED}
    of_columns = dataclasses.replace(card, inputs=(*others, one_input))
    return SelectingModel(columns, module.restore(path, of_columns, weights), n_others)


def load_model(path: Path) -> tuple[ModelCard, Model]:
    """Load a model from its file.

    Raises UsageError where it cannot be read, SchemaError where it is no whole model.
    """
    card, learnt = read_model(path)
    return card, restore_model(path, card, learnt)

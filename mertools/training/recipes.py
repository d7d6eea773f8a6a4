"""The parameters of a network's training, which can be set one by one or searched over."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mertools.errors import UsageError
from mertools.models.registry import ModelSpec

OPTIMISERS = ("adamw", "sgd")

FROZEN_BLOCKS: Mapping[str, int | None] = {"S0": 0, "S1": None, "S2": 1, "S3": 2, "S4": 3}
"""How many convolution blocks, from the input on, each scenario freezes (None: all of them)."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimiser": OPTIMISERS,
    "freeze": tuple(FROZEN_BLOCKS),
}
SHARES = ("momentum", "plateau_factor", "validation")
MAY_BE_ZERO = ("momentum", "weight_decay", "plateau_patience")

Value = str | int | float
Point = Mapping[str, Value]
"""Parameters that differ from the usual ones, by name."""

Grid = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Parameters:
    """How a network is trained.

    `form` are the parameters of the network itself, such as `heads`. The learning rate is
    multiplied by `plateau_factor` when the validation loss has not fallen for `plateau_patience`
    epochs, and training ends when it has not for `patience`, or after `max_epochs`. `validation` is
    the share of the training tracks that this is measured on. Raises UsageError for a value that
    makes no sense.
    """

    batch_size: int = 32
    learning_rate: float = 0.001
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    momentum: float = 0.9
    max_epochs: int = 100
    patience: int = 10
    plateau_patience: int = 4
    plateau_factor: float = 0.5
    validation: float = 0.15
    freeze: str = "S0"
    form: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.values().items():
            if isinstance(value, str):
                holds, remedy = value in CHOICES[name], f"choose from {', '.join(CHOICES[name])}"
            else:
                top = 1 if name in SHARES else math.inf
                holds = 0 < value < top or (value == 0 and name in MAY_BE_ZERO)
                remedy = f"give {'a share below 1' if name in SHARES else 'a number above 0'}"
            if not holds:
                raise UsageError(f"{name}={value}", "makes no sense", remedy)

    def values(self) -> dict[str, Value]:
        """Give all parameters by name."""
        own = dataclasses.asdict(self)
        form: dict[str, Value] = own.pop("form")
        return own | form

    def replaced(self, point: Point) -> Parameters:
        """Give these parameters with some others."""
        values: dict[str, Any] = {**self.values(), **point}
        form = {name: values.pop(name) for name in self.form}
        return Parameters(**values, form=form)


def parameter_types(spec: ModelSpec) -> dict[str, Callable[[str], Value]]:
    """Give, for each parameter of a model by name, what makes a value of its text."""
    usual = Parameters(form=spec.parameters).values()
    return {name: type(value) for name, value in usual.items()}


def points_of(grid: Grid) -> list[Point]:
    """List the points of a grid; the last parameter changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def format_point(point: Point) -> str:
    """Write a point of a grid for a person and for a cell."""
    return " ".join(f"{name}={value}" for name, value in point.items())

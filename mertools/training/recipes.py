"""How networks are trained: parameters that are set one by one, searched over, or kept in a file.

A recipe file (TOML) holds parameters by name, and may divide training into phases:

    batch_size = 16
    stop = "epochs"

    [[phases]]
    optimiser = "adam"
    learning_rate = 1e-3
    epochs = 80

    [[phases]]
    optimiser = "sgd"
    momentum = 0.9
    learning_rate = 1e-4
    epochs = 20

A branch that another architecture has, too, may be trained as that one first, with a last layer of
its own. A table of the branch's name says how:

    freeze = "vectors"

    [vectors]
    learning_rate = 0.01
    learn_copies = false
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mertools.errors import SchemaError, UsageError, choose_from
from mertools.models.registry import Architecture, Parameter, Value, find_architecture

SCENARIOS: Mapping[str, int | None] = {"S0": 0, "S1": None, "S2": 1, "S3": 2, "S4": 3}
"""Convolution blocks that each scenario of paper 000 freezes, from the input on; None is all."""

FREEZE = "freeze"

_OPTIMISERS = ("adamw", "adam", "sgd")
TRAINING: tuple[Parameter, ...] = (
    Parameter("batch_size", 32, "segments of a batch", span=(8, 64)),
    Parameter("learning_rate", 0.001, "step size of the optimiser", span=(1e-4, 1e-2)),
    Parameter("optimiser", "adamw", "what takes the steps", choices=_OPTIMISERS),
    Parameter("weight_decay", 0.01, "strength of weight decay", low_included=True),
    Parameter("momentum", 0.9, "momentum of sgd", high=1, low_included=True),
    Parameter("nesterov", "no", "sgd with Nesterov's momentum", choices=("no", "yes")),
    Parameter("max_epochs", 100, "epochs at most, all phases together"),
    Parameter(
        "stop",
        "validation_loss",
        "what ends training",
        choices=("validation_loss", "validation_accuracy", "training_accuracy", "epochs"),
    ),
    Parameter("patience", 10, "epochs without improvement before training stops"),
    Parameter(
        "stop_accuracy",
        0.9,
        "where stop=training_accuracy stops",
        high=1.0000001,
    ),
    Parameter(
        "schedule",
        "plateau",
        "reduce the learning rate when the validation loss stalls",
        choices=("plateau", "none"),
    ),
    Parameter("plateau_patience", 4, "epochs that the schedule waits", low_included=True),
    Parameter("plateau_factor", 0.5, "what it multiplies the rate by", high=1),
    Parameter("clip_norm", 0.0, "largest norm of the gradient; 0 for none", low_included=True),
    Parameter("validation", 0.15, "share of the tracks for validation", high=1),
    Parameter("learn_copies", "yes", "learn from augmented copies", choices=("yes", "no")),
    Parameter(
        "class_weights",
        "balanced",
        "weights of hard classes",
        choices=("balanced", "none"),
    ),
)

INTEGERS = frozenset({"batch_size", "max_epochs", "patience", "plateau_patience"})
_EPOCHS = Parameter("epochs", 100, "of a phase")
OF_A_PHASE = ("optimiser", "learning_rate", "weight_decay", "momentum", "nesterov")


@dataclass(frozen=True)
class Phase:
    """A stretch of training with an optimiser of its own."""

    optimiser: str
    learning_rate: float
    weight_decay: float
    momentum: float
    nesterov: bool
    epochs: int


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    `values` are all parameters by name: those of `TRAINING`, `freeze`, and the architecture's own.
    `phases` are what a recipe file says of them; without any there is one. `parts` are recipes of
    branches that are trained first. Raises UsageError for a value that makes no sense.
    """

    architecture: Architecture
    values: Mapping[str, Value]
    phases: tuple[Mapping[str, Value], ...] = ()
    parts: Mapping[str, Recipe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters = (*parameters_of(self.architecture), _EPOCHS)
        known = {parameter.name: parameter for parameter in parameters}
        for values in (self.values, *self.phases):
            for name, value in values.items():
                # Several branches may be frozen at once.
                parts = str(value).split(",") if name == FREEZE else [value]
                for part in parts if name in known else ():
                    known[name].check(part)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def form(self) -> dict[str, Value]:
        """The architecture's own parameters."""
        return {name: self.values[name] for name in self.architecture.defaults}

    @property
    def needs_validation(self) -> bool:
        """Whether training looks at tracks that it does not learn from."""
        return str(self["stop"]).startswith("validation")

    def replaced(self, values: Mapping[str, Value]) -> Recipe:
        """Give this recipe with other values of some parameters."""
        return dataclasses.replace(self, values={**self.values, **values})

    def list_phases(self) -> tuple[Phase, ...]:
        """List the phases, each with all that it needs; together they have `max_epochs` at most."""
        left, phases = int(self["max_epochs"]), []
        for own in self.phases or ({},):
            values: dict[str, Any] = {name: self.values[name] for name in OF_A_PHASE} | dict(own)
            # A phase without a length takes what is left of all epochs.
            epochs = min(left, int(values.pop("epochs", left)))
            if epochs:
                nesterov = values.pop("nesterov") == "yes"
                phases.append(Phase(**values, nesterov=nesterov, epochs=epochs))
            left -= epochs
        return tuple(phases)

    def check_effect(self, names: Iterable[str]) -> None:
        """Raise UsageError for a parameter that every phase sets for itself."""
        for name in names:
            if self.phases and all(name in phase for phase in self.phases):
                raise UsageError(name, "is set by every phase of the recipe", "change it there")

    def describe(self) -> dict[str, Any]:
        """Say what a card says of the training, the architecture's own parameters left out."""
        own = self.architecture.defaults
        values: dict[str, Any] = {n: v for n, v in self.values.items() if n not in own}
        if self.phases:
            values["phases"] = [dict(phase) for phase in self.phases]
        return values | {branch: recipe.describe() for branch, recipe in self.parts.items()}


def parameters_of(architecture: Architecture) -> tuple[Parameter, ...]:
    """List the parameters that an architecture and its training have."""
    if not architecture.is_network:
        return architecture.parameters
    scenarios = tuple(SCENARIOS)
    branches = tuple(branch.name for branch in architecture.branches)
    freeze = Parameter(
        FREEZE,
        scenarios[0],
        "what stays as --init has it",
        choices=scenarios + branches,
    )
    return (*TRAINING, freeze, *architecture.parameters)


def parameter_types(architecture: Architecture) -> dict[str, Callable[[str], Value]]:
    """Give, for each parameter by name, what makes a value of its text."""
    return {parameter.name: type(parameter.default) for parameter in parameters_of(architecture)}


def usual_recipe(architecture: Architecture) -> Recipe:
    """Give the recipe of an architecture with the usual value of every parameter."""
    values = {parameter.name: parameter.default for parameter in parameters_of(architecture)}
    return Recipe(architecture, values)


def read_recipe(path: Path, architecture: Architecture) -> Recipe:
    """Read a recipe file.

    Without `max_epochs` it has as many epochs as its phases together. Raises UsageError where it
    cannot be read, SchemaError where it is none.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(path, f"cannot be read ({error.strerror})", "give a recipe") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SchemaError(path, f"is no TOML ({error})", "see docs/networks.md") from None
    return _parse_recipe(path, content, architecture)


def _parse_recipe(path: Path, content: dict[str, Any], architecture: Architecture) -> Recipe:
    usual = usual_recipe(architecture)
    phases = content.pop("phases", [])
    parts = {
        branch: _parse_recipe(path, content.pop(branch), find_architecture(name))
        for branch, name in architecture.parts.items()
        if isinstance(content.get(branch), dict)
    }
    if not isinstance(phases, list) or not all(isinstance(phase, dict) for phase in phases):
        raise SchemaError(path, "has phases that are no tables", "write [[phases]]")
    values = _check_values(path, content, parameter_types(architecture))
    types: dict[str, Callable[[str], Value]] = {
        name: kind for name, kind in parameter_types(architecture).items() if name in OF_A_PHASE
    }
    of_phases = tuple(_check_values(path, phase, types | {"epochs": int}) for phase in phases)
    if any("epochs" not in phase for phase in of_phases[:-1]):
        raise SchemaError(path, "has a phase without epochs before others", "give it epochs")
    try:
        recipe = Recipe(architecture, {**usual.values, **values}, of_phases, parts)
        if of_phases and "epochs" in of_phases[-1] and "max_epochs" not in values:
            total = sum(int(phase["epochs"]) for phase in of_phases)
            recipe = recipe.replaced({"max_epochs": total})
        return recipe
    except UsageError as error:
        raise SchemaError(path, f"{error.subject} {error.problem}", error.remedy) from None


def _check_values(
    path: Path, content: Mapping[str, Any], types: Mapping[str, Callable[[str], Value]]
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, value in content.items():
        if name not in types:
            raise SchemaError(path, f"{name} is no parameter", choose_from(types, name))
        if isinstance(value, bool):
            value = "yes" if value else "no"
        kind = types[name]
        if (kind is str) != isinstance(value, str) or not isinstance(value, str | int | float):
            raise SchemaError(path, f"{name} = {value!r} does not fit", "give a value of its type")
        if kind is int and not float(value).is_integer():
            raise SchemaError(path, f"{name} = {value!r} is no whole number", "give one")
        values[name] = kind(value)  # type: ignore[arg-type]
    return values

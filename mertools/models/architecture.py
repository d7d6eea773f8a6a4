"""What a row of the registry of architectures says: parameters, branches and objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Literal

from mertools.errors import UsageError
from mertools.targets.pooling import Pooling
from mertools.targets.scale import Classes, Target

Family = Literal["network", "estimator", "pairs"]
"""How it is trained: by gradients, by a solver, or by gradients on pairs of sound and lyrics."""
Objective = Literal["hard", "soft", "mse", "mae", "pairs"]
"""What is learnt: a class, the annotators' distribution over classes, a number by its squared or
absolute error, or no target, but which sound and lyrics belong together."""

OF_CLASSES: tuple[Objective, ...] = ("hard", "soft")
OF_NUMBERS: tuple[Objective, ...] = ("mse", "mae")

ARRAYS_SUFFIX = ".safetensors"
SKOPS_SUFFIX = ".skops"

TEXT_POOLS = ("cls", "mean")
"""What stands for a text: the vector of its first token in an encoder's last layer, or the mean."""

Value = str | int | float


@dataclass(frozen=True)
class Parameter:
    """A parameter that --set sets and a search varies.

    Numbers are above `low` (or equal to it where `low_included`) and below `high`. `grid` are the
    values that a grid search tries where none are given, and `span` the ends between which a
    Bayesian search draws, on a logarithmic scale. Where `per_column`, `default` and `grid` are
    divided by the number of columns learnt from.
    """

    name: str
    default: Value
    meaning: str
    low: float = 0.0
    high: float = math.inf
    low_included: bool = False
    choices: tuple[str, ...] = ()
    grid: tuple[Value, ...] = ()
    span: tuple[float, float] | None = None
    per_column: bool = False

    def check(self, value: Value) -> None:
        """Raise UsageError where a value is out of bounds."""
        if isinstance(value, str):
            allowed = value in self.choices
            remedy = f"choose from {', '.join(self.choices)}"
        else:
            allowed = self.low < value < self.high or (value == self.low and self.low_included)
            least = f"{'at least' if self.low_included else 'above'} {self.low:g}"
            remedy = f"give a number {least}" + (
                f" and below {self.high:g}" if self.high < math.inf else ""
            )
        if not allowed:
            raise UsageError(f"{self.name}={value}", "makes no sense", remedy)


@dataclass(frozen=True)
class Branch:
    """A named part of a model's input, and the kinds of feature that it looks at.

    Where `accepts` is "vectors", others of one dimension may be asked for in their stead; where it
    is "frames", another one of frames by columns. What `optional` branches look at is zeros for a
    track that has none, as songs without words have no lyrics. `hears_level` ones tell loud music
    from quiet, so their spectrograms should all be relative to one power. `tokens` ones can look at
    tokens of lyrics, too, and learn a text encoder along.
    """

    name: str
    kinds: tuple[str, ...]
    accepts: Literal["these", "vectors", "frames"] = "these"
    optional: bool = False
    hears_level: bool = False
    tokens: bool = False


@dataclass(frozen=True)
class Architecture:
    """An architecture by its name; `summary` says in a few words what it is, `description` more.

    `objectives` are those that it can learn by, the usual one of each sort of scale first. `units`
    are what a row can be in training. `options` name what `mer train` offers for it alone. `parts`
    maps a branch to the architecture that has the same one: a recipe may train that first.
    """

    name: str
    summary: str
    branches: tuple[Branch, ...]
    family: Family
    module: str
    objectives: tuple[Objective, ...]
    suffix: str = ARRAYS_SUFFIX
    parameters: tuple[Parameter, ...] = ()
    units: tuple[Literal["track", "segment"], ...] = ("segment",)
    pool: Pooling = "mean"
    options: frozenset[str] = frozenset()
    parts: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of feature that it looks at unless others are asked for."""
        return tuple(kind for branch in self.branches for kind in branch.kinds)

    @property
    def takes_others(self) -> bool:
        """Whether other kinds than its own may be asked for."""
        return any(branch.accepts != "these" for branch in self.branches)

    @property
    def takes_vectors(self) -> bool:
        """Whether any kinds of feature of one dimension can be learnt from."""
        return any(branch.accepts == "vectors" for branch in self.branches)

    @property
    def n_other_kinds(self) -> int:
        """How many kinds come before vectors: their branch is the last one."""
        return sum(len(branch.kinds) for branch in self.branches if branch.accepts == "these")

    @property
    def takes_tokens(self) -> bool:
        """Whether it can learn a text encoder along, from the tokens of lyrics."""
        return any(branch.tokens for branch in self.branches)

    def may_lack(self, number: int) -> bool:
        """Whether a track may be without the kind of that number, from 0."""
        # Vectors come last, and are all that other branches leave.
        last = self.branches[-1]
        return last.optional and number >= len(self.kinds) - len(last.kinds)

    @property
    def is_network(self) -> bool:
        """Whether it is trained by gradients, with torch."""
        return self.family != "estimator"

    @property
    def has_targets(self) -> bool:
        """Whether it predicts targets, and does not compare sound with lyrics."""
        return self.family != "pairs"

    @property
    def defaults(self) -> dict[str, Value]:
        """The usual values of its parameters."""
        return {parameter.name: parameter.default for parameter in self.parameters}

    def choose_objective(self, target: Target, asked: str | None) -> Objective:
        """Choose how a target is learnt: as asked, or else as its scale suggests.

        Raises UsageError where the architecture cannot.
        """
        if not self.has_targets:
            return "pairs"
        sort = OF_CLASSES if isinstance(target.scale, Classes) else OF_NUMBERS
        possible = [objective for objective in self.objectives if objective in sort]
        if not possible:
            raise UsageError(
                f"--target {target.name}",
                f"is {target.scale}, which {self.name} does not learn",
                "choose another target or architecture",
            )
        if asked is None:
            return possible[0]
        for objective in possible:
            if objective == asked:
                return objective
        raise UsageError(
            f"--objective {asked}",
            f"is not for {self.name} and a target that is {target.scale}",
            f"choose from {', '.join(possible)}",
        )

    def load_module(self) -> ModuleType:
        """Import the module that trains and predicts."""
        return import_module(self.module)


def parameter_defaults(parameters: tuple[Parameter, ...], n_columns: int) -> Mapping[str, Value]:
    """Give the usual value of each parameter for rows of `n_columns`."""
    return {
        parameter.name: float(parameter.default) / n_columns
        if parameter.per_column
        else parameter.default
        for parameter in parameters
    }

"""The architectures that can be trained: one light row each.

A row is all that `mer train NAME --help` needs to know, so it imports nothing. The module that a
row names is imported when something is trained or predicted. It has

- `restore(path, card, learnt)`: a model's file, read, into something with `predict(features)`;
- of a network, `build(shapes, n_outputs, **parameters)`: the network, its weights random;
- of an estimator, `fit(problem, points)`, models of the same rows, one for each point of a search,
  and `try_points(problem, points, features)`, what they predict of other rows.

A new architecture is one module and one row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

from mertools.errors import UsageError, choose_from
from mertools.targets.pooling import Pooling
from mertools.targets.scale import Classes, Target

Family = Literal["network", "estimator"]
Objective = Literal["hard", "soft", "mse", "mae"]
"""What is learnt: a class, the annotators' distribution over classes, or a number by its squared or
absolute error."""

OF_CLASSES: tuple[Objective, ...] = ("hard", "soft")
OF_NUMBERS: tuple[Objective, ...] = ("mse", "mae")

ARRAYS_SUFFIX = ".safetensors"
SKOPS_SUFFIX = ".skops"

NOTES = ("onset", "contour", "note")
"""Basic Pitch's posteriorgrams, in the order in which they lie side by side."""

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
    is "frames", another one of frames by columns.
    """

    name: str
    kinds: tuple[str, ...]
    accepts: Literal["these", "vectors", "frames"] = "these"


@dataclass(frozen=True)
class Architecture:
    """An architecture by its name; `summary` says in a few words what it is, `description` more.

    `objectives` are those that it can learn by, the usual one of each sort of scale first. `units`
    are what a row can be in training. `options` name what `mer train` offers for it alone.
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
    def is_network(self) -> bool:
        """Whether it is trained by gradients, with torch."""
        return self.family == "network"

    @property
    def defaults(self) -> dict[str, Value]:
        """The usual values of its parameters."""
        return {parameter.name: parameter.default for parameter in self.parameters}

    def choose_objective(self, target: Target, asked: str | None) -> Objective:
        """Choose how a target is learnt: as asked, or else as its scale suggests.

        Raises UsageError where the architecture cannot.
        """
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


_HEADS = Parameter("heads", 8, "attention heads of the sequence branch", span=(2, 16))
_SPECTROGRAM = Branch("spectrogram", ("mel",))
_SEQUENCE = Branch("sequence", NOTES)
_FRAMES = Branch("frames", ("mfcc",), "frames")
_STANDARDISE = Parameter(
    "standardise",
    "yes",
    "each column by the training part's mean and deviation, or not",
    choices=("yes", "no"),
)
_ALL_OBJECTIVES: tuple[Objective, ...] = ("hard", "soft", "mse", "mae")

ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (
        Architecture(
            "svm",
            "support vector machine",
            (Branch("vectors", ("handcrafted",), "vectors"),),
            "estimator",
            "mertools.models.svm",
            ("hard", "mse", "mae"),
            SKOPS_SUFFIX,
            (
                Parameter(
                    "C",
                    1.0,
                    "how strongly errors are punished",
                    grid=(0.3, 1.0, 3.0, 10.0),
                    span=(0.01, 100.0),
                ),
                Parameter(
                    "gamma",
                    0.5,
                    "how soon the kernel falls with the squared distance",
                    grid=(0.25, 0.5, 1.0),
                    span=(0.01, 10.0),
                    per_column=True,
                ),
            ),
            units=("track", "segment"),
            description="with an RBF kernel: calibrated posteriors of classes, or a number (SVR)",
        ),
        Architecture(
            "kernel",
            "kernel ridge regression",
            (Branch("vectors", ("musicnn", "tonal"), "vectors"),),
            "estimator",
            "mertools.models.kernel",
            ("soft", "mse", "mae"),
            parameters=(
                Parameter(
                    "gamma",
                    0.25,
                    "how soon the kernel falls with the mean squared difference of columns",
                    grid=(0.125, 0.25, 0.5),
                    span=(0.02, 2.0),
                ),
                Parameter(
                    "ridge",
                    0.4,
                    "how strongly large coefficients are held back",
                    grid=(0.1, 0.2, 0.4, 0.8),
                    span=(0.01, 10.0),
                ),
            ),
            options=frozenset({"share"}),
            description="of the annotators' distributions or a number, on several kinds of feature",
        ),
        Architecture(
            "cnn",
            "network on mel spectrograms",
            (_SPECTROGRAM,),
            "network",
            "mertools.models.cnn",
            _ALL_OBJECTIVES,
            description="four convolution blocks and three linear layers (paper 000)",
        ),
        Architecture(
            "lstm",
            "network on transcribed notes",
            (_SEQUENCE,),
            "network",
            "mertools.models.lstm",
            _ALL_OBJECTIVES,
            parameters=(_HEADS,),
            description="a bidirectional LSTM with self-attention (paper 000)",
        ),
        Architecture(
            "dual",
            "Dual-Stream network on both",
            (_SPECTROGRAM, _SEQUENCE),
            "network",
            "mertools.models.dual",
            _ALL_OBJECTIVES,
            parameters=(_HEADS,),
            description="the cnn's and the lstm's branches side by side (paper 000)",
        ),
        Architecture(
            "seq-cnn",
            "convolutional network that looks at frames over time, such as MFCC",
            (_FRAMES,),
            "network",
            "mertools.models.seq_cnn",
            _ALL_OBJECTIVES,
            parameters=(_STANDARDISE,),
        ),
        Architecture(
            "seq-lstm",
            "recurrent network that looks at frames over time, such as MFCC",
            (_FRAMES,),
            "network",
            "mertools.models.seq_lstm",
            _ALL_OBJECTIVES,
            parameters=(_STANDARDISE,),
        ),
    )
}


def find_architecture(name: str) -> Architecture:
    """Find an architecture by its name.

    Raises UsageError where there is none.
    """
    if name not in ARCHITECTURES:
        raise UsageError(name, "is no model", choose_from(ARCHITECTURES, name))
    return ARCHITECTURES[name]


def parameter_defaults(parameters: tuple[Parameter, ...], n_columns: int) -> Mapping[str, Value]:
    """Give the usual value of each parameter for rows of `n_columns`."""
    return {
        parameter.name: float(parameter.default) / n_columns
        if parameter.per_column
        else parameter.default
        for parameter in parameters
    }

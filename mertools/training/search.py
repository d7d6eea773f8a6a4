"""What a search tries: the points of a grid, or what Optuna's TPE proposes after each result."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mertools.errors import UsageError
from mertools.models.problem import Point
from mertools.models.registry import Parameter, Value

Method = Literal["none", "grid", "bayes"]
Grid = Mapping[str, tuple[Value, ...]]

STARTUP_TRIALS = 5
"""Trials drawn at random before TPE has anything to go by."""


@dataclass(frozen=True)
class SearchSpace:
    """What is varied: values of some parameters, or spans to draw from.

    `grid` are values by parameter. A Bayesian search without any draws from the `spans` of all
    parameters that have one and are not `fixed`.
    """

    method: Method
    grid: Grid
    spans: Mapping[str, tuple[float, float, bool]]
    n_trials: int
    seed: int

    @property
    def n_points(self) -> int:
        """Number of points that are tried."""
        if self.method == "bayes":
            return self.n_trials
        return math.prod(len(values) for values in self.grid.values())

    def points(self) -> list[Point]:
        """List the points of a grid; the last parameter changes fastest."""
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]

    def describe(self) -> dict[str, list[Value]]:
        """Say for a card what was tried: values, or the ends of spans."""
        if self.grid or self.method != "bayes":
            return {name: list(values) for name, values in self.grid.items()}
        return {name: [low, high] for name, (low, high, _) in self.spans.items()}

    def propose(self, score: Callable[[Point], float], *, lower_is_better: bool) -> Iterator[Point]:
        """Yield points one after another, each by what `score` gave those before it.

        Each trial has a sampler of its own, seeded by its number, so that a search which goes on
        after an interrupt proposes what it would have proposed.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = self._distributions(optuna)
        done: list[Any] = []
        for number in range(self.n_trials):
            study = optuna.create_study(
                direction="minimize" if lower_is_better else "maximize",
                sampler=optuna.samplers.TPESampler(
                    seed=_trial_seed(self.seed, number), n_startup_trials=STARTUP_TRIALS
                ),
            )
            # TPE goes by the results so far alone: earlier trials are given, not their samplers.
            study.add_trials(done)
            point: dict[str, Value] = dict(study.ask(space).params)
            yield point
            value = score(point)
            # What has no score, as R2 of a constant, teaches the sampler nothing.
            if not math.isnan(value):
                done.append(
                    optuna.trial.create_trial(params=point, distributions=space, value=value)
                )

    def _distributions(self, optuna: Any) -> dict[str, Any]:
        space: dict[str, Any] = {
            name: optuna.distributions.CategoricalDistribution(values)
            for name, values in self.grid.items()
        }
        for name, (low, high, is_integer) in {} if self.grid else self.spans.items():
            kind = optuna.distributions
            space[name] = (
                kind.IntDistribution(int(low), int(high), log=True)
                if is_integer
                else kind.FloatDistribution(low, high, log=True)
            )
        return space


def make_space(
    parameters: Sequence[Parameter],
    fixed: Mapping[str, Value],
    grid: Grid,
    method: Method | None,
    n_trials: int,
    seed: int,
    n_columns: int = 1,
) -> SearchSpace:
    """Choose what is varied of some parameters that are not `fixed`.

    A grid search tries the values given and, of parameters that have usual ones, these. Raises
    UsageError for values that make no sense, and where a Bayesian search has nothing to vary.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name, values in grid.items():
        for value in values:
            known[name].check(value)
        if name in fixed:
            raise UsageError(f"--grid {name}", "is set by --set, too", "give one of them")
    free = [parameter for parameter in parameters if parameter.name not in fixed]
    usual = {p.name: _usual_values(p, n_columns) for p in free if p.grid}
    if method == "bayes":
        spans = {p.name: _span(p, n_columns) for p in free if p.span is not None}
        if not (grid or spans):
            raise UsageError("--search bayes", "has no parameter to vary", "give --grid NAME=V,V")
        return SearchSpace("bayes", grid, spans, n_trials, seed)
    whole = {**usual, **grid}
    if method == "grid" and not whole:
        raise UsageError("--search grid", "has no values to try", "give --grid NAME=V,V")
    return SearchSpace("grid" if whole else "none", whole, {}, 1, seed)


def _usual_values(parameter: Parameter, n_columns: int) -> tuple[Value, ...]:
    if not parameter.per_column:
        return parameter.grid
    return tuple(float(value) / n_columns for value in parameter.grid)


def _span(parameter: Parameter, n_columns: int) -> tuple[float, float, bool]:
    assert parameter.span is not None  # noqa: S101
    low, high = parameter.span
    if parameter.per_column:
        low, high = low / n_columns, high / n_columns
    return low, high, isinstance(parameter.default, int)


def _trial_seed(seed: int, number: int) -> int:
    text = f"{seed} trial {number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")


def format_point(point: Point) -> str:
    """Write a point for a person and for a cell."""
    return " ".join(f"{name}={value}" for name, value in point.items())

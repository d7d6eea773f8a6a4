"""What `mer train` is asked for: the options as they were given, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mertools.cli.shared.console import (
    set_quiet,
)
from mertools.cli.shared.values import parse_grid
from mertools.dataset.relatives import read_groups
from mertools.errors import UsageError, choose_from
from mertools.models.registry import Architecture
from mertools.targets.pooling import Pooling
from mertools.training.oversample import METHODS, Oversampling
from mertools.training.plan import SELECTION_METHODS, Selection
from mertools.training.recipes import (
    FREEZE,
    Recipe,
    parameter_types,
    read_recipe,
    usual_recipe,
)


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `mer train`, as they were given."""

    features: tuple[str, ...]
    copies: tuple[str, ...]
    labels: str
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    unit: Literal["track", "segment"]
    shares: tuple[str, ...]
    objective: str | None
    fixed: tuple[str, ...]
    recipe: str | None
    grid: tuple[str, ...]
    search: Literal["grid", "bayes"] | None
    n_trials: int
    n_folds: int
    n_repeats: int
    folds: str | None
    group: str | None
    groups: str | None
    select: str | None
    oversample: str | None
    pool: Pooling
    starts: tuple[str, ...]
    freeze: str | None
    encoder: str | None
    device: str
    n_threads: int
    seed: int
    force: bool


def choose_recipe(
    architecture: Architecture, request: TrainingRequest
) -> tuple[Recipe, dict[str, Any]]:
    """Give the recipe, and the parameters that --set fixes."""
    fixed: dict[str, Any] = {}
    for name, values in parse_grid("--set", request.fixed, parameter_types(architecture)).items():
        if len(values) > 1:
            raise UsageError(f"--set {name}", "is given several values", "try them with --grid")
        fixed[name] = values[0]
    if request.freeze is not None:
        fixed[FREEZE] = request.freeze
    if not architecture.is_network:
        recipe = Recipe(architecture, {})
    elif request.recipe is None:
        recipe = usual_recipe(architecture)
    else:
        recipe = read_recipe(Path(request.recipe), architecture)
    recipe.check_effect([*fixed, *(text.partition("=")[0] for text in request.grid)])
    return recipe.replaced(fixed), fixed


def prepare_network(
    architecture: Architecture, request: TrainingRequest
) -> tuple[str, tuple[Any, ...]]:
    """Find the device, and load the networks to begin with."""
    from mertools.runtime.devices import find_device
    from mertools.training import distributed
    from mertools.training.transfer import load_start

    device = distributed.join(find_device(request.device))
    if not distributed.is_first():
        set_quiet(True)
    return device, tuple(load_start(text, architecture) for text in request.starts)


def choose_kinds(architecture: Architecture, asked: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds that an architecture looks at, with those asked for in place of its own.

    Of pairs the first is of sound, and a second of lyrics.
    """
    if not architecture.has_targets:
        if len(asked) > len(architecture.kinds):
            raise UsageError(f"--kind {asked[-1]}", "is a third", "name sound, then lyrics")
        return (*asked, *architecture.kinds[len(asked) :])
    return tuple(
        kind
        for branch in architecture.branches
        for kind in (asked if asked and branch.accepts != "these" else branch.kinds)
    )


def parse_shares(kinds: Sequence[str], texts: Sequence[str]) -> tuple[float, ...]:
    """Give each kind's share of the kernel, scaled to a sum of 1."""
    for text in texts:
        name = text.partition("=")[0]
        if name not in kinds:
            raise UsageError(f"--share {name}", "is not learnt from", choose_from(kinds, name))
    given = {
        name: values[-1]
        for name, values in parse_grid("--share", texts, dict.fromkeys(kinds, float)).items()
    }
    for kind, share in given.items():
        if not 0 < share < float("inf"):
            raise UsageError(f"--share {kind}", "needs a number above 0", f"give {kind}=1")
    shares = [given.get(kind, 1.0) for kind in kinds]
    return tuple(share / sum(shares) for share in shares)


def parse_selection(text: str | None) -> Selection | None:
    """Parse METHOD:N[,max_correlation=R]."""
    if text is None:
        return None
    first, _, rest = text.partition(",")
    method, _, number = first.partition(":")
    key, _, value = rest.partition("=")
    try:
        n_columns, max_r = int(number), float(value) if rest else None
        (known,) = [name for name in SELECTION_METHODS if name == method]
        fits = n_columns > 0 and key in ("", "max_correlation")
        if not fits or (max_r is not None and not 0 < max_r <= 1):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--select {text}",
            "is not of the form METHOD:N[,max_correlation=R]",
            f"choose METHOD from {', '.join(SELECTION_METHODS)}",
        ) from None
    return Selection(known, n_columns, max_r)


def parse_oversampling(text: str | None) -> Oversampling | None:
    """Parse METHOD[:N]."""
    if text is None:
        return None
    name, colon, number = text.partition(":")
    found = [method for method in METHODS if method == name]
    if not found or (colon and not (number.isdecimal() and int(number))):
        raise UsageError(
            f"--oversample {text}",
            "is not of the form METHOD[:N]",
            f"choose METHOD from {', '.join(METHODS)}",
        )
    return Oversampling(found[0], int(number) if colon else None)


def choose_groups(request: TrainingRequest) -> Mapping[str, str] | None:
    """Read which group each track belongs to, if folds are to keep groups together."""
    if request.group is None:
        if request.groups is not None:
            raise UsageError("--groups", "is given without --group", "name the column")
        return None
    return read_groups(request.groups or request.labels, request.group)

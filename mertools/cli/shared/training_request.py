"""What `mer train` is asked for: the options as they were given, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mertools.artifacts.feature_rows import KindDescription
from mertools.cli.shared.console import (
    set_quiet,
)
from mertools.cli.shared.values import parse_grid
from mertools.dataset.relatives import read_groups
from mertools.errors import UsageError, choose_from
from mertools.models.kernel_blocks import SEPARATOR, Block
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
    linear: tuple[str, ...]
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


def parse_blocks(kinds: Sequence[KindDescription], request: TrainingRequest) -> tuple[Block, ...]:
    """Parse NAME=WEIGHT, the blocks of a kernel; shares of RBFs are scaled to a sum of 1.

    A name is a kind, or `KIND.COLUMNS` for those whose names begin so. A kind that is not named has
    a share of 1. Linear blocks come last. There are none where columns are selected.
    """
    weights = _parse_weights("--share", request.shares)
    slopes = _parse_weights("--linear", request.linear)
    found = {name: _find_block(kinds, name, "--share") for name in weights}
    of_slopes = {name: _find_block(kinds, name, "--linear") for name in slopes}
    named = {block.kind for block in (*found.values(), *of_slopes.values())}
    for number, kind in enumerate(kinds):
        if number not in named:
            found[kind.name], weights[kind.name] = Block(kind.name, number, 1.0), 1.0
    if request.select is not None:
        if slopes:
            raise UsageError("--linear", "needs all columns", "leave out --select")
        return ()
    if not found:
        raise UsageError("--linear", "is all of the kernel", f"give --share {kinds[0].name}=1, too")
    # In the order of kinds, so that the order of options changes nothing.
    in_order = sorted(found.items(), key=lambda item: (item[1].kind, item[0]))
    total = sum(weights.values())
    return (
        *(replace(block, share=weights[name] / total) for name, block in in_order),
        *(
            replace(block, share=slopes[name], is_linear=True)
            for name, block in sorted(of_slopes.items())
        ),
    )


def _parse_weights(option: str, texts: Sequence[str]) -> dict[str, float]:
    weights = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UsageError(
                f"{option} {text}", "is not of the form NAME=WEIGHT", f"give {name}=1"
            ) from None
        if not 0 < weights[name] < float("inf"):
            raise UsageError(f"{option} {name}", "needs a number above 0", f"give {name}=1")
    return weights


def _find_block(kinds: Sequence[KindDescription], name: str, option: str) -> Block:
    """Find the columns that a block's name names; its share is 1."""
    names = [kind.name for kind in kinds]
    if name in names:
        return Block(name, names.index(name), 1.0)
    # A kind's own name may have the separator, too.
    parents = [number for number, kind in enumerate(names) if name.startswith(kind + SEPARATOR)]
    if not parents:
        raise UsageError(f"{option} {name}", "is not learnt from", choose_from(names, name))
    kind = kinds[parents[0]]
    prefix = name.removeprefix(kind.name + SEPARATOR)
    columns = np.flatnonzero([column.startswith(prefix) for column in kind.columns])
    if not len(columns) or len(kind.columns) != math.prod(kind.shape):
        beginnings = dict.fromkeys(column.partition("_")[0] for column in kind.columns)
        raise UsageError(
            f"{option} {name}",
            f"names no column of {kind.name}",
            choose_from(beginnings, prefix) if beginnings else f"give {kind.name}=1",
        )
    return Block(name, parents[0], 1.0, columns)


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

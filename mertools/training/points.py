"""Checking, before hours of training, that every point of a search can be built and begun."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from mertools.errors import UsageError
from mertools.features.mel import ABSOLUTE, MAX
from mertools.training import distributed
from mertools.training.networks import build_network
from mertools.training.plan import Plan
from mertools.training.recipes import FREEZE
from mertools.training.transfer import describe_transfer, frozen_modules, shared_weights


def check_points(plan: Plan) -> list[str]:
    """Check that a network can be built and begun for each point of a grid.

    Returns lines that say what is taken over from other networks. Raises UsageError where a point
    cannot be. What a Bayesian search proposes is checked for its usual point.
    """
    settings, data = plan.settings, plan.dataset
    points = settings.space.points() if settings.space.method == "grid" else [{}]
    n_selected = None
    if settings.select is not None:
        vectors = data.stored.shapes[settings.architecture.n_other_kinds :]
        n_selected = min(settings.select.n_columns, sum(map(math.prod, vectors)))
    lines: dict[str, None] = dict.fromkeys(_find_lost_level(plan))
    for point in points:
        recipe = settings.recipe.replaced(point)
        with torch.device("meta"):
            network = build_network(data, settings, recipe, n_selected)
        distributed.check_batch_size(recipe["batch_size"])
        frozen = frozen_modules(network, recipe)
        learnt = [network.branches[branch] for branch in recipe.parts]
        if not settings.starts and not all(module in learnt for module in frozen):
            raise UsageError(
                f"freeze={recipe[FREEZE]}", "would freeze weights by chance", "give --init"
            )
        if settings.starts:
            shared = shared_weights(network, settings.starts, data.targets, recipe)
            lines[describe_transfer(network, settings.starts, shared)] = None
    return list(lines)


def _find_lost_level(plan: Plan) -> Iterator[str]:
    """Say where features no longer tell how loud a track is, and the architecture would hear it."""
    architecture, kinds = plan.settings.architecture, plan.dataset.stored.kinds
    hearing = {k for of in architecture.branches if of.hears_level for k in of.kinds}
    for kind in kinds:
        if kind.name in hearing and kind.params.get("reference", MAX) == MAX:
            yield (
                f"warning: {kind.name} is relative to each segment's loudest cell, so that "
                f"{architecture.name} cannot tell loud music from quiet: make it with "
                f"--set {kind.name}.reference={ABSOLUTE} --set {kind.name}.top_db=0"
            )

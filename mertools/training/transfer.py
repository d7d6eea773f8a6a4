"""Beginning with what other networks have learnt, and keeping some of it as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from mertools.artifacts.files import digest_file
from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import read_model
from mertools.errors import UsageError
from mertools.models.model import restore_model
from mertools.models.network import LAST_LAYER, Network
from mertools.models.registry import Architecture, find_architecture
from mertools.targets.scale import Target
from mertools.training.recipes import FREEZE, SCENARIOS, Recipe


@dataclass(frozen=True)
class Start:
    """A trained network that another one begins with: its file's card, weights and digest.

    `branch` is the one to begin with; without it, all weights of the same name and shape are taken.
    """

    path: Path
    card: ModelCard
    weights: Mapping[str, NDArray[Any]]
    digest: str
    branch: str | None = None

    def describe(self) -> dict[str, str]:
        """Say what a model's card says of it."""
        entry = {"model": self.card.architecture, "target": self.card.title, "digest": self.digest}
        return entry if self.branch is None else {**entry, "branch": self.branch}

    def offers(self, name: str) -> bool:
        """Return whether a weight is one to begin with."""
        return name in self.weights and (self.branch is None or name.startswith(f"{self.branch}."))


def load_start(text: str, architecture: Architecture) -> Start:
    """Load a network to begin with, given as [BRANCH=]MODEL.

    Raises UsageError where it cannot be read or is no network, SchemaError where it is not whole.
    """
    branch, equals, name = text.partition("=")
    branches = [of.name for of in architecture.branches]
    if not equals or branch not in branches:
        if equals and not Path(text).exists():
            raise UsageError(
                f"--init {text}",
                f"{branch} is no branch of {architecture.name}",
                f"choose from {', '.join(branches)}",
            )
        branch, name = "", text
    path = Path(name)
    card, weights = read_model(path)
    found = find_architecture(card.architecture)
    if not found.is_network:
        raise UsageError(f"--init {path}", f"holds an {found.name}", "give a network")
    restore_model(path, card, weights)
    return Start(path, card, weights, digest_file(path), branch or None)


def frozen_modules(network: Network, recipe: Recipe) -> list[nn.Module]:
    """List the modules that training leaves as they are: blocks of a scenario, or branches.

    Raises UsageError where the network has no such blocks.
    """
    frozen: list[nn.Module] = []
    for name in str(recipe[FREEZE]).split(","):
        if name not in SCENARIOS:
            frozen.append(network.branches[name])
            continue
        n_frozen = SCENARIOS[name]
        of_branches = (getattr(branch, "blocks", ()) for branch in network.branches.values())
        blocks = [block for blocks in of_branches for block in blocks][:n_frozen]
        if n_frozen != 0 and not blocks:
            raise UsageError(
                f"freeze={name}", "freezes convolution blocks; there are none", "give S0"
            )
        frozen += blocks
    return frozen


def shared_weights(
    network: Network, starts: Sequence[Start], targets: Sequence[Target], recipe: Recipe
) -> dict[str, Start]:
    """Map the weights that a network takes over to where from: those of the same name and shape.

    The last layer is taken over only for the same targets. Input statistics are taken over only
    where part of their branch is frozen, which expects just these; otherwise they are fitted anew.
    Raises UsageError where there are none, or a frozen module would not begin with any.
    """
    state = network.state_dict()
    frozen = frozen_modules(network, recipe)
    frozen_names = _names_within(network, frozen)
    statistics = _statistics_of(network)
    kept_statistics = {
        name
        for branch, names in statistics.items()
        for name in names
        if any(frozen_name.startswith(f"{branch}.") for frozen_name in frozen_names)
    }
    shared: dict[str, Start] = {}
    for start in starts:
        # A last layer for other classes, or another range, would mean something else here.
        same_task = start.card.targets == tuple(targets)
        found = {
            name: start
            for name, weight in state.items()
            if start.offers(name)
            and start.weights[name].shape == tuple(weight.shape)
            and (same_task or not name.startswith(f"{LAST_LAYER}."))
            and (name in kept_statistics or not any(name in of for of in statistics.values()))
        }
        if all(name.startswith(f"{LAST_LAYER}.") for name in found):
            raise UsageError(
                f"--init {start.path}",
                "has no layer that fits this network",
                "give one that looks at the same kinds of features in the same shape",
            )
        shared |= found
    # What is frozen by chance would stay so.
    if not frozen_names | kept_statistics <= shared.keys():
        raise UsageError(
            f"--init {', '.join(str(start.path) for start in starts)}",
            f"has not all of what freeze={recipe[FREEZE]} freezes",
            "give a network that looks at the same kind of features",
        )
    return shared


def _names_within(network: Network, modules: Sequence[nn.Module]) -> set[str]:
    """Name the weights of some modules of a network."""
    names = {id(module): name for name, module in network.named_modules()}
    return {f"{names[id(module)]}.{name}" for module in modules for name in module.state_dict()}


def _statistics_of(network: Network) -> dict[str, set[str]]:
    """Name the input statistics of each branch."""
    names = {id(module): name for name, module in network.named_modules()}
    return {
        names[id(branch)]: {f"{names[id(branch)]}.{name}" for name in branch.statistics}
        for branch in network.branches.values()
    }


def take_over(network: Network, shared: Mapping[str, Start]) -> None:
    """Copy weights from where they are shared with."""
    weights = {name: torch.tensor(start.weights[name]) for name, start in shared.items()}
    network.load_state_dict(weights, strict=False)


def has_statistics(network: Network, branch: str, shared: Mapping[str, Start]) -> bool:
    """Return whether a branch's input statistics are taken over."""
    of_branch = network.branches[branch].statistics
    prefix = next(n for n, m in network.named_modules() if m is network.branches[branch])
    return bool(of_branch) and all(f"{prefix}.{name}" in shared for name in of_branch)


def describe_transfer(
    network: Network, starts: Sequence[Start], shared: Mapping[str, Start]
) -> str:
    """Say for a person what a network begins with."""
    state = network.state_dict()
    layers = {name.rpartition(".")[0] for name in state}
    by_chance = sorted(layers - {name.rpartition(".")[0] for name in shared})
    statistics = {
        name.rpartition(".")[0] for names in _statistics_of(network).values() for name in names
    }
    line = (
        f"{', '.join(str(start.path) for start in starts)}: {len(shared)} of {len(state)} weights "
        "are taken over"
    )
    if statistics & set(by_chance):
        by_chance = [layer for layer in by_chance if layer not in statistics]
        line += "; the input's statistics are the training part's"
    return line + (f"; begun by chance: {', '.join(by_chance)}" if by_chance else "")

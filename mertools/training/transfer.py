"""Beginning with what another network has learnt, and keeping some of it as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from mertools.artifacts.files import digest_file
from mertools.artifacts.model_file import Card, read_model
from mertools.errors import UsageError
from mertools.models.network import Network
from mertools.models.registry import find_model
from mertools.training.recipes import FROZEN_BLOCKS, Parameters

LAST_LAYER = "classifier."
STATISTICS = "spectrogram.standardise."


@dataclass(frozen=True)
class Start:
    """A trained network that another one begins with: its file's card, weights and digest."""

    path: Path
    card: Card
    weights: Mapping[str, NDArray[Any]]
    digest: str

    def describe(self) -> dict[str, str]:
        """Say what a model's card says of it."""
        return {"model": self.card["model"], "target": self.card["target"], "digest": self.digest}


def load_start(path: Path) -> Start:
    """Load a network to begin with.

    Raises UsageError where it cannot be read or is no network, SchemaError where it is not whole.
    """
    card, weights = read_model(path)
    spec = find_model(card["model"])
    if not spec.is_network:
        raise UsageError(f"--init {path}", f"holds an {spec.name}", "give a network")
    spec.load_module().restore(path, card, weights)
    return Start(path, card, weights, digest_file(path))


def frozen_blocks(network: Network, parameters: Parameters) -> Sequence[nn.Module]:
    """List the blocks that the scenario of the thesis freezes.

    Raises UsageError where the network has none.
    """
    n_frozen = FROZEN_BLOCKS[parameters.freeze]
    branch = network.image_branch()
    blocks = [] if branch is None else list(branch.blocks)[:n_frozen]
    if n_frozen != 0 and not blocks:
        raise UsageError(
            f"freeze={parameters.freeze}", "freezes convolution blocks; there are none", "give S0"
        )
    return blocks


def shared_weights(
    network: Network, start: Start, target: str, classes: Sequence[str], parameters: Parameters
) -> list[str]:
    """Name the weights that a network takes over: those of the same name and shape.

    But the last layer only for the same classes of the same target; and the statistics of the input
    only for frozen blocks, which expect just these: others learn to live with the training part's.
    Raises UsageError where there are none, or a block to be frozen would not begin with any.
    """
    is_same_task = (start.card["target"], start.card["classes"]) == (target, list(classes))
    frozen = frozen_blocks(network, parameters)
    shared = [
        name
        for name, weight in network.state_dict().items()
        if name in start.weights
        and start.weights[name].shape == tuple(weight.shape)
        and (is_same_task or not name.startswith(LAST_LAYER))
        and (frozen or not name.startswith(STATISTICS))
    ]
    named = {id(module): name for name, module in network.named_modules()}
    wanted = [f"{named[id(block)]}.{name}" for block in frozen for name in block.state_dict()]
    if frozen:
        wanted += [name for name in network.state_dict() if name.startswith(STATISTICS)]
    if not set(wanted) <= set(shared):
        raise UsageError(
            f"--init {start.path}",
            f"has not all of what freeze={parameters.freeze} freezes",
            "give a network that looks at the same kind of mel spectrogram",
        )
    if all(name.startswith(LAST_LAYER) for name in shared):
        raise UsageError(
            f"--init {start.path}",
            "has no layer that fits this network",
            "give one that looks at the same kinds of features in the same shape",
        )
    return shared


def take_over(network: Network, start: Start, names: Sequence[str]) -> None:
    """Copy weights by their names."""
    weights = {name: torch.tensor(start.weights[name]) for name in names}
    network.load_state_dict(weights, strict=False)


def describe_transfer(network: Network, start: Start, shared: Sequence[str]) -> str:
    """Say for a person what a network begins with."""
    layers = {name.rpartition(".")[0] for name in network.state_dict()}
    by_chance = sorted(layers - {name.rpartition(".")[0] for name in shared})
    told = f"{start.path}: {len(shared)} of {len(network.state_dict())} weights are taken over"
    if STATISTICS.rstrip(".") in by_chance:
        by_chance.remove(STATISTICS.rstrip("."))
        told += "; the input's statistics are the training part's"
    return told + (f"; begun by chance: {', '.join(by_chance)}" if by_chance else "")

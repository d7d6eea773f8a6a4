"""A frozen branch is computed once, and not in every epoch of every fold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import Features
from mertools.dataset.stored import Batches
from mertools.models.network import Network, copy_weights, to_tensors

COMPUTED_TOGETHER = 64

_computed: dict[tuple[str, int, bytes], Features] = {}
"""What the last frozen branch gives: the next fold's is the same where it begins with the same."""


class BranchOutputs(Batches):
    """What a branch gives of rows, in place of what it looks at."""

    def __init__(self, outputs: Features) -> None:
        self._outputs = outputs

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the outputs of some rows: (n_rows, *shape)."""
        return [self._outputs[rows]]


@contextmanager
def compute_once(
    network: Network, frozen: Sequence[nn.Module], batches: Batches, n_rows: int, digest: str
) -> Iterator[Batches]:
    """Compute the branch of a network that has but one, if it is frozen: the batches to train on.

    Within the context the branch gives back its input, which is then what it gave of `n_rows` rows.
    A frozen branch draws nothing at random, so that epochs differ only in the time they take.
    `digest` is of the features and of what fixes the network's form. All other networks train on
    the batches as they are.
    """
    branch = _only_branch(network)
    if branch is None or not any(module is branch for module in frozen):
        yield batches
        return
    key = digest, n_rows, _digest_weights(branch)
    if key not in _computed:
        _computed.clear()
        _computed[key] = _compute(network, branch, batches, n_rows)
    branch.forward = _give_back
    try:
        yield BranchOutputs(_computed[key])
    finally:
        del branch.forward


def _only_branch(network: Network) -> nn.Module | None:
    """Give the branch through which alone the network hears its features, if there is one."""
    has_own = (
        type(network).embed is not Network.embed or type(network).forward is not Network.forward
    )
    branches = list(network.branches.values())
    return None if has_own or len(branches) != 1 else branches[0]


def _give_back(output: Tensor) -> Tensor:
    return output


def _compute(network: Network, branch: nn.Module, batches: Batches, n_rows: int) -> Features:
    branch.eval()
    parts = []
    with torch.inference_mode():
        for begin in range(0, n_rows, COMPUTED_TOGETHER):
            rows = np.arange(begin, min(begin + COMPUTED_TOGETHER, n_rows))
            parts.append(branch(*to_tensors(batches.read(rows), network.device)).float().cpu())
    outputs: Features = torch.cat(parts).numpy()
    return outputs


def _digest_weights(branch: nn.Module) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name, weight in copy_weights(branch).items():
        digest.update(name.encode() + weight.numpy().tobytes())
    return digest.digest()

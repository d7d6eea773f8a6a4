"""Several processes that train one network together, each on its share of every batch.

torchrun starts them, and the environment tells them of each other. All of them do the same; the
first one decides, and only what it writes is kept. One process alone is the usual case, for which
nothing here changes anything.
"""

from __future__ import annotations

import os
from typing import TypeVar

import torch
from torch import distributed, nn

from mertools.errors import UsageError
from mertools.runtime.devices import find_device

T = TypeVar("T")

LEAST_SHARE = 2
"""Segments of a batch for each process: normalising a batch needs two."""


def join(device: str) -> str:
    """Join the other processes, if torchrun has started this one, and tell this one's device.

    Each has a card of its own where `device` is "cuda"; raises UsageError where there are too few.
    """
    if not distributed.is_torchelastic_launched():
        return device
    if device == "cuda":
        device = find_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device


def leave() -> None:
    """Leave the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def count() -> int:
    """Count the processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Return whether what this process writes is kept."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def from_first(value: T) -> T:
    """Give what the first process gives."""
    if count() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]


def check_batch_size(batch_size: int) -> None:
    """Raise UsageError where a batch is too small to be shared."""
    if count() > 1 and batch_size < LEAST_SHARE * count() + 1:  # some batches are one smaller
        raise UsageError(
            f"batch_size={batch_size}",
            f"is too small for {count()} processes",
            f"set at least {LEAST_SHARE * count() + 1}",
        )


def share() -> slice:
    """Give which rows of a batch this process learns from."""
    if count() == 1:
        return slice(None)
    return slice(distributed.get_rank(), None, count())


def part_seeds() -> None:
    """Seed chance otherwise in each process, the first one excepted."""
    if not is_first():
        torch.manual_seed(torch.initial_seed() + distributed.get_rank())


def connect(network: nn.Module) -> nn.Module:
    """Make a network average its gradients over the processes, and its normalisation on GPUs."""
    if count() == 1:
        return network
    if next(network.parameters()).is_cuda:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return nn.parallel.DistributedDataParallel(network)


def add_up(value: float) -> float:
    """Add up a number over the processes."""
    if count() == 1:
        return value
    values = [value] * count()
    distributed.all_gather_object(values, value)
    return sum(values)

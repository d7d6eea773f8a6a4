"""Training of networks: seconds an epoch over the same batches."""

from __future__ import annotations

from functools import partial

from benchmarks.pairs import Faster, Lap, WarmPair, cuda
from benchmarks.setup import Setup


def _ours(model: str, device: str, setup: Setup, lap: Lap) -> None:
    from benchmarks.stages.training_loops import train_ours  # imports torch

    train_ours(model, device, setup, lap)


def _plain(model: str, device: str, setup: Setup, lap: Lap) -> None:
    from benchmarks.stages.training_loops import train_plainly

    train_plainly(model, device, setup, lap)


def _pair(model: str, device: str, times: float) -> WarmPair:
    on_cpu = device == "cpu"
    return WarmPair(
        name=f"train-{model}" if on_cpu else f"train-{model}-{device}",
        work=f"train {model}, {'one core' if on_cpu else 'CUDA'}, warm",
        against="a plain float32 PyTorch loop",
        goal=Faster(times),
        unit="epoch",
        one_core=on_cpu,
        needs=() if on_cpu else (cuda,),
        ours=partial(_ours, model, device),
        theirs=partial(_plain, model, device),
        with_torch=on_cpu,
    )


PAIRS = (
    _pair("cnn", "cpu", 1.3),
    _pair("dual", "cpu", 1.3),
    _pair("cnn", "cuda", 3),
    _pair("dual", "cuda", 3),
)

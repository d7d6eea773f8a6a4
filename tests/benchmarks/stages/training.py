"""Training of networks: seconds an epoch over the same batches."""

from __future__ import annotations

from functools import partial

from benchmarks.pairs import Faster, Lap, WarmPair, cuda
from benchmarks.setup import Setup

COMPARISON = ("choi", "cnn-gru", "crnn", "dnn", "hybrid", "short-chunk", "sample-cnn")
"""The networks of papers 001 and 002."""
NUMBERS = ("seq-cnn", "seq-lstm", "vgg")
"""Those of papers 003 and 004, here of three classes as well."""


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


MODELS = ("cnn", "dual", *COMPARISON, *NUMBERS)

PAIRS = tuple(
    _pair(model, device, times) for device, times in (("cpu", 1.3), ("cuda", 3)) for model in MODELS
)

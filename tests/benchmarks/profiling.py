"""Where our side's time goes, and how far it is from what the hardware could do.

The floor is what this machine takes, here and now, for what the work cannot do without: starting
Python, reading and decoding its files, its FFTs and its matrix products, and nothing else.
"""

from __future__ import annotations

import cProfile
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import ColdPair, Cost, Pair, WarmPair
from benchmarks.registry import find_pair
from benchmarks.report import show_seconds
from benchmarks.runner import environment, from_text, to_text
from benchmarks.setup import Setup
from mertools.runtime.devices import training_precision

ENTRIES = 12
REPEATS = 5
PRODUCT_SIZE = 1024
FRAMES_AT_ONCE = 256


class AllSeenError(Exception):
    """Ends the rounds of a warm side, which would go on for ever."""


def profile(pair: Pair, setup: Setup) -> None:
    """Profile our side of a pair, on one core in a process of its own, and print the result."""
    command = [sys.executable, "-m", "benchmarks.profiling", pair.name, to_text(setup)]
    subprocess.run(command, env=environment(one_core=True), check=True)


def _main(name: str, text: str) -> None:
    pair, setup = find_pair(name), from_text(text)
    if isinstance(pair, ColdPair):
        seconds, stats, flops = _watch_command(pair, setup)
    else:
        assert isinstance(pair, WarmPair)
        seconds, stats, flops = _watch_rounds(pair, setup)
    cost = pair.cost(setup) if pair.cost is not None else Cost()
    parts = _floors(pair, cost, flops)
    floor = sum(parts.values())
    print(f"== {pair.name}: {pair.work}")
    print(f"a round takes {show_seconds(seconds)}, its floor {show_seconds(floor)}:", end=" ")
    print(", ".join(f"{name} {show_seconds(part)}" for name, part in parts.items()))
    for line in _entries(stats):
        print(line)


def _watch_command(pair: ColdPair, setup: Setup) -> tuple[float, pstats.Stats, float]:
    """Run our command as it is, and under the profiler."""
    ((python, *rest),) = pair.ours(setup)
    seconds = _time(lambda: _run([python, *rest]), REPEATS)
    with tempfile.NamedTemporaryFile() as file:
        _run([python, "-m", "cProfile", "-o", file.name, *rest])
        return seconds, pstats.Stats(file.name), 0.0


def _run(line: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            line, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
        )


def _watch_rounds(pair: WarmPair, setup: Setup) -> tuple[float, pstats.Stats, float]:
    """Time a round after the first, run the next under the profiler, and count one's products."""
    profiler, counter = cProfile.Profile(), FlopCounterMode(display=False)
    of_lstms = [0.0]
    begun = seconds = 0.0
    n_laps = 0

    def lap() -> None:
        nonlocal begun, seconds, n_laps
        n_laps += 1
        if n_laps == 1:
            begun = time.perf_counter()
        elif n_laps == 2:
            seconds = time.perf_counter() - begun
            profiler.enable()
        elif n_laps == 3:
            profiler.disable()
            if not pair.with_torch:
                raise AllSeenError
            register_module_forward_hook(
                lambda module, inputs, output: of_lstms.append(_flops_of_lstm(module, inputs))
            )
            counting.enter_context(counter)
        else:
            raise AllSeenError

    with suppress(AllSeenError), ExitStack() as counting:
        pair.ours(setup, lap)
    return seconds, pstats.Stats(profiler), counter.get_total_flops() + sum(of_lstms)


def _flops_of_lstm(module: nn.Module, inputs: Any) -> float:
    """Count what torch's own counter leaves out; learning takes three times as much."""
    if not isinstance(module, nn.LSTM):
        return 0.0
    n, n_frames, size = map(int, inputs[0].shape)
    directions = 2 if module.bidirectional else 1
    forward = 2.0 * n * n_frames * directions * 4 * module.hidden_size * (size + module.hidden_size)
    return 3 * forward if module.training else forward


def _floors(pair: Pair, cost: Cost, flops: float) -> dict[str, float]:
    """Give the seconds that each thing takes which the work cannot do without."""
    parts = {}
    if isinstance(pair, ColdPair):
        parts["starting Python"] = _time(lambda: _run([sys.executable, "-c", "pass"]), REPEATS)
    if cost.files:
        n_bytes = sum(path.stat().st_size for path in cost.files)
        parts[f"reading {n_bytes / 1e6:.3g} MB"] = _time(
            lambda: [path.read_bytes() for path in cost.files], 2
        )
        parts["decoding that"] = _time(lambda: [_decode(path) for path in cost.files], 2)
    if cost.n_ffts:
        frames = np.random.default_rng(0).normal(size=(FRAMES_AT_ONCE, cost.fft_length))
        one = _time(lambda: np.fft.rfft(frames), REPEATS) / FRAMES_AT_ONCE
        parts[f"{cost.n_ffts} FFTs of {cost.fft_length}"] = cost.n_ffts * one
    for count, precision in ((cost.flops, cost.precision), (flops, training_precision("cpu"))):
        if count:
            name = f"{count / 1e9:.3g} GFLOP of products in {precision}"
            parts[name] = count / _flops_per_second(precision)
    return parts


def _flops_per_second(precision: str) -> float:
    A = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, dtype=getattr(torch, precision))
    return 2.0 * PRODUCT_SIZE**3 / _time(lambda: A @ A, REPEATS)


def _decode(path: Path) -> int:
    with soundfile.SoundFile(path) as sound:
        return sum(map(len, sound.blocks(1 << 16, dtype="float32")))


def _time(work: Callable[[], object], repeats: int) -> float:
    """Give the least of some times, after a first one that does not count."""
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def _entries(stats: pstats.Stats) -> list[str]:
    """List the functions that took most of the time themselves, with their share of it."""
    whole = stats.total_tt  # type: ignore[attr-defined]
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])  # type: ignore[attr-defined]
    return [
        f"{own / whole:6.1%}  {n_calls:8}  {_place(*function)}"
        for function, (_, n_calls, own, _, _) in rows[:ENTRIES]
    ]


def _place(path: str, line: int, name: str) -> str:
    return name if path == "~" else f"{'/'.join(Path(path).parts[-2:])}:{line} {name}"


if __name__ == "__main__":
    _main(*sys.argv[1:])

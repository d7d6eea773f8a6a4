"""The one runner: both sides of a pair in turns, round after round."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Literal

from benchmarks.pairs import ROOT, Cold, ColdPair, Pair
from benchmarks.setup import Setup

Side = Literal["ours", "theirs"]

LINES_OF_FAILURE = 5
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class SideFailedError(Exception):
    """A side of a pair ended with an error; says its last words."""


@dataclass(frozen=True)
class Times:
    """Seconds of one round: on the clock, and of processors."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Round:
    """A round of both sides."""

    ours: Times
    theirs: Times


@dataclass(frozen=True)
class Outcome:
    """What came of a pair: rounds of `amount` units, or why there are none."""

    pair: Pair
    amount: float
    rounds: tuple[Round, ...]
    reason: str | None = None

    def figures(self) -> list[float]:
        """Give each round's figure: what the pair's goal is about."""
        return [self.pair.goal.figure(each.ours.wall_s, each.theirs.wall_s) for each in self.rounds]


def measure(pair: Pair, setup: Setup, repeat: int, report: Callable[[int, Round], None]) -> Outcome:
    """Measure both sides in turns, `repeat` times; each begins every second round."""
    if (reason := pair.missing()) is not None:
        return Outcome(pair, 0.0, (), f"skipped: {reason}")
    rounds: list[Round] = []
    try:
        with ExitStack() as stack:
            sides: tuple[Side, Side] = ("ours", "theirs")
            run = {side: stack.enter_context(_start(pair, side, setup)) for side in sides}
            for number in range(repeat):
                order = sides if number % 2 == 0 else sides[::-1]
                times = {side: run[side]() for side in order}
                rounds.append(Round(**times))
                report(number, rounds[-1])
        return Outcome(pair, pair.amount(setup), tuple(rounds))
    except SideFailedError as error:
        return Outcome(pair, 0.0, (), f"failed: {error}")


def environment(*, one_core: bool) -> dict[str, str]:
    """Give the environment of a side: this checkout's mertools, and one thread if wanted."""
    # Where Python keeps nothing that it has compiled, a checkout would be compiled at every start,
    # and installed packages would not.
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    paths = [str(ROOT), str(ROOT / "tests"), *filter(None, [variables.get("PYTHONPATH")])]
    threads = dict.fromkeys(THREADS, "1") if one_core else {}
    return {**variables, "PYTHONPATH": os.pathsep.join(paths), **threads}


@contextmanager
def _cores_for(pair: Pair) -> Iterator[None]:
    """Let what is started in the meantime have one core if the pair wants it so.

    Only Linux can; elsewhere one thread has to do.
    """
    if not (pair.one_core and hasattr(os, "sched_setaffinity")):
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


def _start(pair: Pair, side: Side, setup: Setup) -> AbstractContextManager[Callable[[], Times]]:
    if isinstance(pair, ColdPair):
        return _cold_side(pair, pair.ours if side == "ours" else pair.theirs, setup)
    return _warm_side(pair, side, setup)


@contextmanager
def _cold_side(pair: Pair, commands: Cold, setup: Setup) -> Iterator[Callable[[], Times]]:
    """Run commands; once on one track before, so that Python's files are compiled and cached."""
    _run_commands(pair, commands, replace(setup, n_tracks=1))
    yield lambda: _run_commands(pair, commands, setup)


def _run_commands(pair: Pair, commands: Cold, setup: Setup) -> Times:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        lines = commands(setup)
        cpu_before, begun = _cpu_of_children(), time.perf_counter()
        for line in lines:
            with _cores_for(pair):
                process = subprocess.Popen(
                    line,
                    cwd=folder,
                    env=environment(one_core=pair.one_core),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                )
            if process.wait():
                raise SideFailedError(_last_words(said))
        return Times(time.perf_counter() - begun, _cpu_of_children() - cpu_before)


@contextmanager
def _warm_side(pair: Pair, side: Side, setup: Setup) -> Iterator[Callable[[], Times]]:
    """Start a process that waits for its turns, and let it do the work once."""
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "benchmarks.worker", pair.name, side, to_text(setup)]
        with _cores_for(pair):
            process = subprocess.Popen(
                command,
                env=environment(one_core=pair.one_core),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        turns, answers = process.stdin, process.stdout
        assert turns is not None and answers is not None

        def hear() -> Times:
            answer = answers.readline()
            if not answer:
                process.wait()
                raise SideFailedError(_last_words(said))
            return Times(**json.loads(answer))

        def turn() -> Times:
            with suppress(BrokenPipeError):  # it has died, and left its last words
                turns.write("go\n")
                turns.flush()
            return hear()

        try:
            hear()
            yield turn
        finally:
            with suppress(BrokenPipeError):
                turns.close()
            process.wait()


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _last_words(said: IO[str]) -> str:
    said.seek(0)
    return " / ".join(said.read().strip().splitlines()[-LINES_OF_FAILURE:])


def to_text(setup: Setup) -> str:
    """Write a setup as an argument."""
    return json.dumps({**asdict(setup), "folder": str(setup.folder)})


def from_text(text: str) -> Setup:
    """Read a setup back."""
    content = json.loads(text)
    return Setup(**{**content, "folder": Path(content["folder"])})

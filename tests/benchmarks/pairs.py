"""What is measured: pairs of our way and a peer's way to do the same work."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import statistics
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from benchmarks.setup import Setup
from mertools.runtime.parallel import available_cores

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).parent / "peers"
MER = (sys.executable, "-m", "mertools")

Lap = Callable[[], None]
"""Ends a round, and returns when the next one begins."""

Warm = Callable[[Setup, Lap], None]
"""Gets ready, and then does the work again and again, with a lap after each time."""

Cold = Callable[[Setup], list[list[str]]]
"""Gives the commands that do the work, one after the other, in an empty folder."""

Need = Callable[[], str | None]
"""Says what is missing on this machine, if anything is."""


class Goal(ABC):
    """What the figure of a round should be: a number computed from the seconds of both sides."""

    unit: ClassVar[str]
    digits: ClassVar[int]

    @abstractmethod
    def figure(self, ours_s: float, theirs_s: float) -> float:
        """Compare the two sides."""

    @abstractmethod
    def is_reached(self, figure: float) -> bool:
        """Return whether a figure reaches the goal."""

    def show(self, figures: Sequence[float]) -> str:
        """Write rounds' figures for people: their median and range."""
        middle, low, high = (
            f"{figure:.{self.digits}f}"
            for figure in (statistics.median(figures), min(figures), max(figures))
        )
        return f"{middle} {self.unit} ({low} to {high})"


@dataclass(frozen=True)
class Faster(Goal):
    """So many times faster than the peer."""

    times: float
    unit = "x"
    digits = 2

    def figure(self, ours_s: float, theirs_s: float) -> float:
        return theirs_s / ours_s

    def is_reached(self, figure: float) -> bool:
        return figure >= self.times

    def __str__(self) -> str:
        return f"{self.times:g} x"


@dataclass(frozen=True)
class Within(Goal):
    """At most so many seconds slower than the peer."""

    seconds: float
    unit = "s more"
    digits = 3

    def figure(self, ours_s: float, theirs_s: float) -> float:
        return ours_s - theirs_s

    def is_reached(self, figure: float) -> bool:
        return figure <= self.seconds

    def __str__(self) -> str:
        return f"within {self.seconds:g} s"


@dataclass(frozen=True)
class Cost:
    """What a round cannot do without: sound files to decode, FFTs of some length, products."""

    files: tuple[Path, ...] = ()
    n_ffts: int = 0
    fft_length: int = 0
    flops: float = 0.0
    precision: Literal["float32", "float64"] = "float64"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Ours and a peer's way to do the same work.

    `amount` is the number of `unit`s of work in a round; seconds are given for one. `one_core`:
    each side has one core and one thread. Pairs with a `cost` or `with_torch` have a profile: torch
    counts its own products, `cost` all others.
    """

    name: str
    work: str
    against: str
    goal: Goal
    unit: str
    amount: Callable[[Setup], float] = lambda setup: 1.0
    needs: tuple[Need, ...] = ()
    one_core: bool = False
    cost: Callable[[Setup], Cost] | None = None
    with_torch: bool = False

    def missing(self) -> str | None:
        """Say what the pair needs and this machine does not have."""
        return next((reason for need in self.needs if (reason := need())), None)


@dataclass(frozen=True, kw_only=True)
class WarmPair(Pair):
    """Both sides stay in a process of their own, which has done the work once before."""

    ours: Warm
    theirs: Warm


@dataclass(frozen=True, kw_only=True)
class ColdPair(Pair):
    """Both sides are commands, from their start to their end."""

    ours: Cold
    theirs: Cold


def module(name: str) -> Need:
    """Need a Python package."""
    return lambda: None if importlib.util.find_spec(name) else f"{name} is not installed"


def program(name: str) -> Need:
    """Need a program."""
    return lambda: None if find_program(name) else f"the {name} program is not installed"


def two_cores() -> str | None:
    """Need two cores."""
    return None if available_cores() > 1 else "there is one core only"


def cuda() -> str | None:
    """Need a CUDA device."""
    import torch

    return None if torch.cuda.is_available() else "there is no CUDA device"


def find_program(name: str) -> str | None:
    """Find a program: beside this Python, or else where the shell looks."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def at_once(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Make one command of two that run side by side, and fails where either does."""
    return ["sh", "-c", f"{shlex.join(first)} & {shlex.join(second)} && wait $!"]


def again_and_again(work: Callable[[], object], lap: Lap) -> None:
    """Do some work in every round."""
    while True:
        work()
        lap()

"""The time that the help of each command takes."""

from __future__ import annotations

import sys

import typer

from benchmarks.pairs import MER, ColdPair, Cost, Within
from mertools.cli.app import app


def _command_lines() -> list[tuple[str, ...]]:
    """List every command and subcommand, mer itself first."""
    lines: list[tuple[str, ...]] = []
    waiting: list[tuple[tuple[str, ...], object]] = [((), typer.main.get_command(app))]
    while waiting:
        line, command = waiting.pop(0)
        lines.append(line)
        below = getattr(command, "commands", {})
        waiting += [((*line, name), subcommand) for name, subcommand in below.items()]
    return lines


def _pair(line: tuple[str, ...]) -> ColdPair:
    return ColdPair(
        name="-".join(["help", *line]),
        work=" ".join(["mer", *line, "--help"]),
        against="python -c pass",
        goal=Within(0.12),
        unit="call",
        ours=lambda setup: [[*MER, *line, "--help"]],
        theirs=lambda setup: [[sys.executable, "-c", "pass"]],
        cost=None if line else lambda setup: Cost(),
    )


PAIRS = tuple(map(_pair, _command_lines()))

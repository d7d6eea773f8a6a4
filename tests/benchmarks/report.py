"""What was measured, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.runner import Outcome
from mertools.runtime.parallel import available_cores
from mertools.version import __version__

PACKAGES = (
    "basic-pitch",
    "librosa",
    "numpy",
    "onnxruntime",
    "opensmile",
    "pyAudioAnalysis",
    "soundfile",
    "soxr",
    "torch",
)
WIDTH = 200
COLUMNS = ("work", "for a", "mer", "other", "against", "ratio, or difference", "goal", "reached")


def describe_machine() -> dict[str, Any]:
    """Describe the machine. A load well above 0 before the start spoils the figures."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": available_cores(),
        "processor": names[0] if names else platform.processor(),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe_versions() -> dict[str, str | None]:
    """Look up the versions of mertools, Python and the packages that are measured."""
    versions: dict[str, str | None] = {
        "mertools": __version__,
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def median_seconds(outcome: Outcome, side: str) -> float:
    """Give the median of one side's rounds, for one unit of work."""
    times: list[float] = [getattr(each, side).wall_s for each in outcome.rounds]
    return statistics.median(times) / outcome.amount


def to_row(outcome: Outcome) -> tuple[str, ...]:
    """Write an outcome as a row of the table."""
    pair = outcome.pair
    if outcome.reason is not None:
        return (pair.work, pair.unit, "", "", pair.against, "", str(pair.goal), outcome.reason)
    figures, goal = outcome.figures(), pair.goal
    return (
        pair.work,
        pair.unit,
        show_seconds(median_seconds(outcome, "ours")),
        show_seconds(median_seconds(outcome, "theirs")),
        pair.against,
        goal.show(figures),
        str(goal),
        "yes" if goal.is_reached(statistics.median(figures)) else "no",
    )


def show_seconds(seconds: float) -> str:
    """Write a time with three digits that count."""
    value, unit = (seconds, "s") if seconds >= 1 else (seconds * 1e3, "ms")
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def to_markdown(outcomes: list[Outcome], about: dict[str, Any]) -> str:
    """Write the table as docs/speed.md has it."""
    lines = [f"{describe_in_words(about)}", ""]
    lines += [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(to_row(outcome)) for outcome in outcomes]
    return "\n".join(lines[:2] + [f"| {line} |" for line in lines[2:]])


def print_table(outcomes: list[Outcome], about: dict[str, Any]) -> None:
    """Draw the table, on something else than a terminal as wide as it wants to be."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    table = Table(*COLUMNS)
    for outcome in outcomes:
        table.add_row(*to_row(outcome))
    console.print(table)
    console.print(describe_in_words(about))


def describe_in_words(about: dict[str, Any]) -> str:
    """Write a line on the size of the measurement, the machine and the versions."""
    machine, versions = about["machine"], about["versions"]
    packages = ", ".join(f"{name} {version or 'absent'}" for name, version in versions.items())
    return (
        f"Median of {about['repeat']} rounds; up to {about['tracks']} tracks; "
        f"{machine['cores']} cores ({machine['processor']}), {about['jobs']} processes, "
        f"load {machine['load_before']} before. {packages}."
    )


def write_json(path: Path, outcomes: list[Outcome], about: dict[str, Any]) -> None:
    """Write all that was measured; `ours` and `theirs` are seconds of whole rounds."""
    pairs = [
        {
            "name": outcome.pair.name,
            "work": outcome.pair.work,
            "against": outcome.pair.against,
            "unit": outcome.pair.unit,
            "units_a_round": outcome.amount,
            "goal": str(outcome.pair.goal),
            "one_core": outcome.pair.one_core,
            "reason": outcome.reason,
            "rounds": [asdict(each) for each in outcome.rounds],
            "figures": outcome.figures(),
            "figure": statistics.median(outcome.figures()) if outcome.rounds else None,
        }
        for outcome in outcomes
    ]
    path.write_text(json.dumps({**about, "pairs": pairs}, indent=2) + "\n", encoding="utf-8")

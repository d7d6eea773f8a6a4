"""Processes that begin to start before a command is ready to give them work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mertools.parallel import available_cores, prepare_processes


def start_early(
    inputs: Sequence[str], jobs: int | None, cluster: str | None, *modules: str
) -> None:
    """Let processes import modules, unless none will be needed: for one file, or on a cluster."""
    first = inputs[0]
    is_one_file = len(inputs) == 1 and Path(first).is_file() and not first.endswith(".csv")
    if cluster is None and not is_one_file and (jobs or available_cores()) > 1:
        prepare_processes(*modules)

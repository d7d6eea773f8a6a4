"""What is said to a person: on standard error, and not at all under --quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence all that is not a failure."""
    global _quiet  # noqa: PLW0603
    _quiet = quiet


def say(line: str) -> None:
    """Say one line to a person."""
    if not _quiet:
        print(line, file=sys.stderr)  # noqa: T201


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, stdout: bool = False
) -> None:
    """Draw a table for a person; the first column is left-aligned, the others right-aligned."""
    if _quiet and not stdout:
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    width = None if (sys.stdout if stdout else sys.stderr).isatty() else 120
    Console(stderr=not stdout, no_color="NO_COLOR" in os.environ, width=width).print(table)

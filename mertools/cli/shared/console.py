"""What is said to a person: on standard error, and under --quiet only what is wrong."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal, TextIO, TypeVar

T = TypeVar("T")

PROGRESS_AFTER_S = 1.0
WIDTH_OFF_TERMINAL = 160

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence all that is not a failure."""
    global _quiet
    _quiet = quiet


def printable(line: str) -> str:
    """Write out what is no character to be seen, such as what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def say(line: str) -> None:
    """Say one line to a person."""
    if not _quiet:
        _print(printable(line))


def complain(line: str) -> None:
    """Say what is wrong, in one line whatever characters a file's name holds."""
    _print(f"mer: {printable(line)}")


def _print(line: str) -> None:
    with suppress(OSError):  # a full or closed standard error can be told to nobody
        print(line, file=sys.stderr)  # noqa: T201


def _has_room_for_a_bar() -> bool:
    """Tell whether a bar on standard error would be seen, and be alone there.

    What reads a pipe on standard output may print on the same terminal: then only the last command
    of a pipeline draws a bar.
    """
    if _quiet or not sys.stderr.isatty():
        return False
    try:
        return not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or no file at all
        return True


def track_progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield items, with a bar, rate and time left on a terminal if it takes over a second."""
    if not _has_room_for_a_bar():
        yield from items
        return
    source, started, n_done = iter(items), time.monotonic(), 0
    for item in source:
        yield item
        n_done += 1
        if time.monotonic() - started > PROGRESS_AFTER_S:
            break
    else:
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    screen = Console(stderr=True, no_color="NO_COLOR" in os.environ)
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(what, total=total, completed=n_done, rate=0.0)
        for item in source:
            yield item
            n_done += 1
            rate = n_done / (time.monotonic() - started)
            progress.update(task, completed=n_done, rate=rate)


def follow_long_work(
    items: Iterable[T], what: str, total: int, status: Callable[[], str]
) -> Iterator[T]:
    """Yield items that take minutes each; on a terminal `status` tells what goes on meanwhile."""
    if not _has_room_for_a_bar():
        yield from items
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Status(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(status())

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        Status(),
    )
    screen = Console(stderr=True, no_color="NO_COLOR" in os.environ)
    with Progress(*columns, console=screen, transient=True, refresh_per_second=2) as progress:
        yield from progress.track(items, total, description=what)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, stdout: bool = False
) -> None:
    """Draw a table for a person, on standard output or else on standard error."""
    if stdout or not _quiet:
        draw_table(title, columns, rows, sys.stdout if stdout else sys.stderr)


def draw_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO
) -> None:
    """Draw a table on a stream, as wide as its terminal.

    Columns of numbers are to the right; the first one, which names the row, is the last to be cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD)
    cells = [list(row) for row in rows]
    for place, name in enumerate(columns):
        is_text = any(row[place][:1].isalpha() for row in cells)
        justify: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(name, justify=justify, no_wrap=place == 0, overflow="fold")
    for row in cells:
        # Cells break lines where they mean to; all else in them may come from a stranger's file.
        table.add_row(*(Text("\n".join(map(printable, cell.split("\n")))) for cell in row))
    width = None if stream.isatty() else WIDTH_OFF_TERMINAL
    Console(file=stream, no_color="NO_COLOR" in os.environ, width=width).print(table)

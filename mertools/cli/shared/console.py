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
COLUMN_PADDING = 3
"""Blanks that a table has for each column, beside what it holds."""

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence everything but failures."""
    global _quiet
    _quiet = quiet


def printable(line: str) -> str:
    """Escape characters that are not printable, such as a terminal's control codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def count(n: int, noun: str) -> str:
    """Write a number of things: "1 track", "2 tracks"."""
    return f"{n} {noun}{'s' * (n != 1)}"


def say(line: str) -> None:
    """Say one line to a person."""
    if not _quiet:
        _print(printable(line))


def complain(line: str) -> None:
    """Say what is wrong, in one line whatever characters a file's name holds."""
    _print(f"mer: {printable(line)}")


def _print(line: str) -> None:
    with suppress(OSError):  # a full or closed standard error cannot be reported
        print(line, file=sys.stderr)  # noqa: T201


def _has_room_for_a_bar() -> bool:
    """Check whether a bar on standard error would be seen, and be the only one there.

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
        # A shorter run is over before anybody could read a bar.
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
    """Yield items that take minutes each; on a terminal a bar shows `status()` meanwhile."""
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

    Columns of numbers are to the right. Lines break between words only: where there is no room for
    all columns, the last ones are left out and named below.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Cells break lines where they mean to; all else in them may come from a stranger's file.
    cells = [["\n".join(map(printable, cell.split("\n"))) for cell in row] for row in rows]
    # Off a terminal rich would fold tables to 80 columns.
    width = None if stream.isatty() else WIDTH_OFF_TERMINAL
    screen = Console(file=stream, no_color="NO_COLOR" in os.environ, width=width)
    least = [
        max(_widest_word(text) for text in (name, *(row[index] for row in cells)))
        for index, name in enumerate(columns)
    ]
    n_shown = len(columns)
    while n_shown > 1 and sum(least[:n_shown]) + n_shown * COLUMN_PADDING > screen.width - 2:
        n_shown -= 1
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD)
    for index, name in enumerate(columns[:n_shown]):
        is_text = any(row[index][:1].isalpha() for row in cells)
        justify: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(
            name, justify=justify, no_wrap=index == 0, overflow="ellipsis", min_width=least[index]
        )
    for row in cells:
        table.add_row(*map(Text, row[:n_shown]))
    screen.print(table)
    if n_shown < len(columns):
        left_out = ", ".join(columns[n_shown:])
        screen.print(Text(f"no room for: {left_out}", style="dim"))


def _widest_word(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split()), default=0)

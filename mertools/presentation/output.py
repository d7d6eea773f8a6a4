"""What `mer predict` makes beside its table: a figure, a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Prediction
from mertools.errors import UsageError

if TYPE_CHECKING:
    from mertools.presentation.page import PageWriter
    from mertools.presentation.plot import PlotWriter

Show = Callable[[Sequence[Prediction], Path | None], None]


@contextmanager
def open_presentation(plot: Path | None, html: Path | None) -> Iterator[Show]:
    """Give a function that takes in all rows of a track, and its sound file if that is known.

    The figure and the page, where they are wanted, are written at the end of the block if it
    succeeds. Raises UsageError, at once, where they have no place or the figure no known format.
    """
    writers: list[PageWriter | PlotWriter] = []
    for path in (plot, html):
        if path is not None:
            _check_place(path)
    if plot is not None:
        from mertools.presentation.plot import PlotWriter

        writers.append(PlotWriter(plot))
    if html is not None:
        from mertools.presentation.page import PageWriter

        writers.append(PageWriter(html))

    def show(rows: Sequence[Prediction], sound: Path | None) -> None:
        if writers:
            from mertools.presentation.tracks import show_track

            track = show_track(rows, sound)
            for writer in writers:
                writer.add(track)

    yield show
    for writer in writers:
        writer.write()


def _check_place(path: Path) -> None:
    if str(path) == STANDARD_STREAM:
        raise UsageError("standard output", "has the table of predictions", "name a file instead")
    if not path.parent.is_dir():
        raise UsageError(path.parent, "is no folder", "make it first")

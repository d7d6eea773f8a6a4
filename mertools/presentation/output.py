"""What `mer predict` writes beside its table: a figure and a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Model, Prediction
from mertools.errors import UsageError

if TYPE_CHECKING:
    from mertools.presentation.page import PageWriter
    from mertools.presentation.plot import PlotWriter


class Show(Protocol):
    """Takes all rows of a track, and its sound file if that is known."""

    def __call__(
        self,
        rows: Sequence[Prediction],
        sound: Path | None,
        explanations: Sequence[Explanation] = (),
    ) -> None:
        """Take them."""


@contextmanager
def open_presentation(
    plot: Path | None, html: Path | None, models: Sequence[Model] = ()
) -> Iterator[Show]:
    """Yield a function that takes what is shown of a track.

    The figure and the page that are wanted name `models`, and are written at the end of the block
    if it succeeds. Raises UsageError, at once, where a folder is missing or the figure's format is
    unknown.
    """
    writers: list[PageWriter | PlotWriter] = []
    for path in (plot, html):
        # Before any track is predicted, which may take hours.
        if path is not None:
            check_beside(path)
    if plot is not None:
        from mertools.presentation.plot import PlotWriter

        writers.append(PlotWriter(plot, models))
    if html is not None:
        from mertools.presentation.page import PageWriter

        writers.append(PageWriter(html, models))

    def show(
        rows: Sequence[Prediction], sound: Path | None, explanations: Sequence[Explanation] = ()
    ) -> None:
        if writers:
            from mertools.presentation.tracks import show_track

            track = show_track(rows, sound, explanations)
            for writer in writers:
                writer.add(track)

    yield show
    # Not in a `finally`: after an error, a figure of some of the tracks would mislead.
    for writer in writers:
        writer.write()


def check_beside(path: Path) -> None:
    """Raise UsageError where a file beside the table of predictions cannot be of that name."""
    if str(path) == STANDARD_STREAM:
        raise UsageError("standard output", "has the table of predictions", "name a file instead")
    if not path.parent.is_dir():
        raise UsageError(path.parent, "is no folder", "make it first")

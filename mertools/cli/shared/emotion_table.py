"""What `mer predict` shows on a terminal: a row a track or window, with a bar for each target."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mertools.artifacts.rows import Prediction
from mertools.cli.shared.console import printable
from mertools.prediction.emotion import UNLIKE, Emotion, Rating, gather_emotions

WIDTH_OFF_TERMINAL = 80
GAP = 2
LEAST_TRACK_WIDTH = 12
HALF_BAR = 3
"""Cells of a bar to either side of its middle."""
LOWER, UPPER, REST = "blue", "yellow", "dim"

MOST_NAMED = 6

Columns = dict[str, list[Text]]


def draw_emotions(rows: Iterable[Prediction], stream: TextIO, *, windows: bool) -> None:
    """Draw a table of the tracks among rows of predictions, or else of their windows.

    Where it is too narrow bars are left out, then quadrants, then words.
    """
    shown = map(_printable, rows)
    emotions = [e for e in gather_emotions(shown) if (e.segment_id is not None) == windows]
    if not emotions:
        return
    width = None if stream.isatty() else WIDTH_OFF_TERMINAL
    screen = Console(file=stream, no_color="NO_COLOR" in os.environ, width=width, highlight=False)
    of_one_track = windows and len({e.track_id for e in emotions}) == 1
    table = Table(
        title=Text(emotions[0].track_id) if of_one_track else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    columns: Columns = {}
    if not of_one_track:
        columns["track"] = [Text(e.track_id) for e in emotions]
    if windows:
        columns["time"] = [Text(_clock(e.start), justify="right") for e in emotions]
    columns |= _fitting(emotions, screen.width - _width(columns))
    room = LEAST_TRACK_WIDTH + max(0, screen.width + GAP - _width(columns))
    for name in columns:
        width = room if name == "track" else None
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=width)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    screen.print(table)
    for line in _notes(emotions):
        screen.print(Text(line))


def _printable(row: Prediction) -> Prediction:
    """Escape what a terminal would obey in names of files, targets and classes."""
    names: dict[str, Any] = {
        name: value and printable(value)
        for name in ("track_id", "target", "classes", "predicted")
        if (value := getattr(row, name)) is not None
    }
    return dataclasses.replace(row, **names)


def _width(columns: Columns) -> int:
    """Count the cells that columns take at least, with a gap after each; tracks may be cut off."""
    widths = {
        name: max(len(name), *(cell.cell_len for cell in cells)) for name, cells in columns.items()
    }
    if "track" in widths:
        widths["track"] = min(widths["track"], LEAST_TRACK_WIDTH)
    return sum(width + GAP for width in widths.values())


def _fitting(emotions: Sequence[Emotion], width: int) -> Columns:
    """Choose as many columns beside a row's name as fit the width."""
    targets = list(dict.fromkeys(target for e in emotions for target in e.ratings))
    columns = {
        target: [_rating(e.ratings.get(target), True) for e in emotions] for target in targets
    }
    if any(e.quadrant for e in emotions):
        columns["quadrant"] = [
            Text(f"{e.quadrant.name} {e.quadrant.probability:3.0%}" if e.quadrant else "")
            for e in emotions
        ]
        columns["word"] = [Text(e.word or "") for e in emotions]
    if _width(columns) - GAP > width:
        for target in targets:
            columns[target] = [_rating(e.ratings.get(target), False) for e in emotions]
    for name in ("quadrant", "word"):
        if _width(columns) - GAP > width:
            columns.pop(name, None)
    return columns


def _rating(rating: Rating | None, with_bar: bool) -> Text:
    if rating is None:
        return Text()
    longest = max(map(len, rating.classes))
    told = Text(f"{rating.predicted:{longest}} {rating.probability:4.0%}")
    return Text.assemble(*_bar(rating.mean), " ", told) if with_bar else told


def _bar(mean: float) -> Iterator[tuple[str, str]]:
    """Yield a bar from the middle of a scale from -1 to 1 to its mean, as text and style."""
    full, half = divmod(round(2 * HALF_BAR * abs(mean)), 2)
    rest = "·" * (HALF_BAR - full - half)
    if mean < 0:
        yield rest, REST
        yield "▐" * half + "█" * full, LOWER
    else:
        yield "·" * HALF_BAR, REST
    yield "│", REST
    if mean < 0:
        yield "·" * HALF_BAR, REST
    else:
        yield "█" * full + "▌" * half, UPPER
        yield rest, REST


def _clock(seconds: float) -> str:
    """Write a time as minutes and seconds, with tenths where it has some."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:02.0f}" if rest == int(rest) else f"{minutes:.0f}:{rest:04.1f}"


def _notes(emotions: Sequence[Emotion]) -> Iterator[str]:
    """Yield what there is to say under the table."""
    names = {e.track_id: None for e in emotions if e.unlike is not None and e.unlike > UNLIKE}
    if names:
        more = len(names) - MOST_NAMED
        listed = ", ".join(list(names)[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        yield f"unlike the training music, so little is known: {listed}"

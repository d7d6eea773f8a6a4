"""What `mer predict` draws on a terminal: a row a track or window, with a column for each target.

Numbers and names are never broken over two lines: where there is no room columns are drawn shorter
or left out, and a line below the table names those that are.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mertools.artifacts.rows import Prediction
from mertools.cli.shared.console import printable
from mertools.prediction.emotion import (
    UNLIKE,
    Emotion,
    Rating,
    format_quadrant,
    gather_emotions,
    order_targets,
    shown_scale,
)
from mertools.targets.plane import QUADRANT

WIDTH_OFF_TERMINAL = 80
GAP = 2
LEAST_TRACK_WIDTH = 12
HALF_BAR = 3
"""Cells of a bar to either side of its middle."""
LOWER, UPPER, REST = "dodger_blue1", "dark_orange3", "dim"
"""Colours that can be read on black and on white."""

MOST_NAMED = 6

Columns = dict[str, list[Text]]
Format = Callable[[Rating, int], Text]
"""Draws a rating, its class padded to a width."""


def draw_emotions(rows: Iterable[Prediction], stream: TextIO, *, windows: bool) -> None:
    """Draw a table of the tracks among rows of predictions, or else of their windows."""
    gathered = gather_emotions(map(_printable, rows))
    emotions = [e for e in gathered if (e.segment_id is not None) == windows]
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
        columns["time"] = [Text(_clock(e.start or 0.0), justify="right") for e in emotions]
    fitting, left_out = _fitting(emotions, screen.width - _width(columns))
    columns |= fitting
    room = LEAST_TRACK_WIDTH + max(0, screen.width + GAP - _width(columns))
    for name in columns:
        max_width = room if name == "track" else None
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis", max_width=max_width)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    screen.print(table)
    for line in _notes(gathered, left_out):
        screen.print(Text(line))


def _printable(row: Prediction) -> Prediction:
    """Escape what a terminal would obey in names of files, targets and classes."""
    return dataclasses.replace(
        row,
        track_id=printable(row.track_id),
        target=printable(row.target),
        classes=row.classes and printable(row.classes),
        predicted=row.predicted and printable(row.predicted),
    )


def _width(columns: Columns) -> int:
    """Count the cells that columns take at least, with a gap after each; tracks may be cut off."""
    widths = {
        name: max([cell_len(line) for line in name.split("\n")] + [c.cell_len for c in cells])
        for name, cells in columns.items()
    }
    if "track" in widths:
        widths["track"] = min(widths["track"], LEAST_TRACK_WIDTH)
    return sum(width + GAP for width in widths.values())


def _fitting(emotions: Sequence[Emotion], width: int) -> tuple[Columns, list[str]]:
    """Choose as many columns as fit a width; also name the targets that are left out.

    First bars go, then quadrants, words, classes beside numbers (then there may be room for
    quadrants and words again), and at last targets.
    """
    targets = order_targets(target for e in emotions for target in e.ratings)
    plane: Columns = {}
    if any(e.quadrant for e in emotions):
        # A target `quadrant` is what this column shows.
        targets = [target for target in targets if target != QUADRANT]
        plane["quadrant"] = [Text(format_quadrant(e.quadrant)) for e in emotions]
        plane["word"] = [Text(e.word or "") for e in emotions]
    attempts: list[tuple[Format, str, list[str]]] = [
        (_with_bar, " ", ["quadrant", "word"]),
        (_number_and_class, " ", ["quadrant", "word"]),
        (_number_and_class, " ", ["word"]),
        (_number_and_class, " ", []),
        (_number_or_class, "\n", ["quadrant", "word"]),
        (_number_or_class, "\n", []),
    ]
    for form, gap, names in attempts:
        columns = dict(_target_column(target, emotions, form, gap) for target in targets)
        columns |= {name: plane[name] for name in names if name in plane}
        if _width(columns) - GAP <= width:
            return columns, []
    n_shown = len(columns)
    # At least one target stays, even if its cells are cut off.
    while n_shown > 1 and _width(columns) - GAP > width:
        n_shown -= 1
        columns.popitem()
    return columns, targets[n_shown:]


def _target_column(
    target: str, emotions: Sequence[Emotion], form: Format, gap: str
) -> tuple[str, list[Text]]:
    """Give the head of a target's column, which names the scale, and its cells."""
    ratings = [emotion.ratings.get(target) for emotion in emotions]
    known = [rating for rating in ratings if rating is not None]
    unit = shown_scale(known[0].scale)
    longest = max((len(name) for rating in known for name in rating.classes), default=0)
    head = f"{target}{gap}({unit})" if unit else target
    return head, [Text() if rating is None else form(rating, longest) for rating in ratings]


def _with_bar(rating: Rating, class_width: int) -> Text:
    if rating.mean is None:
        return _number_and_class(rating, class_width)
    return Text.assemble(*_bar(rating.mean), " ", _number_and_class(rating, class_width))


def _number_and_class(rating: Rating, class_width: int) -> Text:
    number, likeliest = rating.format_mean(), ""
    if rating.predicted is not None:
        likeliest = f"{rating.predicted:{class_width}} {rating.probability:4.0%}"
    return Text(" ".join(filter(None, (number, likeliest))))


def _number_or_class(rating: Rating, class_width: int) -> Text:
    return Text(rating.format_mean() or rating.format_class())


def _bar(mean: float) -> Iterator[tuple[str, str]]:
    """Yield a bar from the middle of a scale from -1 to 1 to its mean, as text and style."""
    full, half = divmod(round(2 * HALF_BAR * min(1.0, abs(mean))), 2)
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


def _notes(emotions: Sequence[Emotion], left_out: Sequence[str]) -> Iterator[str]:
    """Yield the lines under the table.

    A track is judged by its own row, and by its windows only where it has none.
    """
    if left_out:
        yield f"no room for {', '.join(left_out)}: see --format csv"
    whole = [e for e in emotions if e.segment_id is None] or emotions
    names = {e.track_id: None for e in whole if e.unlike is not None and e.unlike > UNLIKE}
    if names:
        more = len(names) - MOST_NAMED
        listed = ", ".join(list(names)[:MOST_NAMED])
        listed += f" and {more} more" if more > 0 else ""
        yield f"outside the training music; treat as a guess: {listed}"

"""What `mer predict` writes: rows of predictions.csv, or a row a track, in any order of tracks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.files import open_output
from mertools.artifacts.rows import Prediction
from mertools.artifacts.tables import format_cell, round_number, write_cells
from mertools.cli.shared.options import Form
from mertools.cli.shared.tables import choose_form, open_table_output, write_json
from mertools.errors import UsageError, choose_from
from mertools.prediction.emotion import flatten, gather_emotions, rate
from mertools.presentation.output import check_beside

WriteTrack = Callable[[Sequence[Prediction], Path | None], None]
"""Takes all rows of a track, and its sound file if that is known."""

Record = dict[str, object]

DESCENDING = "-"
"""Before the name of a column: the highest first."""


@contextmanager
def open_predictions(
    target: str,
    form: Form | None,
    n_classes: int,
    *,
    wide: bool = False,
    sort: str | None = None,
    windows: bool = False,
    optional: Collection[str] = (),
) -> Iterator[WriteTrack]:
    """Give a function that writes the predictions of a track to `target`.

    With `wide` a track is one row. With `sort`, a column of that row, tracks are written in its
    order once all are known. A table that is drawn has rows of tracks or, with `windows`, of these.
    `optional` is as in `TableWriter`. Raises UsageError where there is no such column.
    """
    chosen = choose_form(target, form)
    if wide and chosen != "table":
        output = _open_wide(target, chosen)
    else:
        output = _open_long(target, chosen, n_classes, windows, optional)
    with output as write:
        if sort is None:
            yield write
            return
        tracks: list[tuple[Record, Sequence[Prediction], Path | None]] = []

        def keep(rows: Sequence[Prediction], sound: Path | None) -> None:
            record = _summarise(rows, sound)
            if not tracks:
                _sort_key(record, sort)  # an unknown column ends the run at the first track
            tracks.append((record, rows, sound))

        yield keep
        for _, rows, sound in _sorted(tracks, sort):
            write(rows, sound)


@contextmanager
def open_explanations(target: Path | None) -> Iterator[Callable[[Sequence[Explanation]], None]]:
    """Give a function that writes what moved the predictions of a track; nowhere without a target.

    Raises UsageError, at once, where the target cannot be beside the table of predictions.
    """
    if target is None:
        yield lambda rows: None
        return
    check_beside(target)
    with open_table_output(str(target), Explanation) as write_row:

        def write(rows: Sequence[Explanation]) -> None:
            for row in rows:
                write_row(row)

        yield write


@contextmanager
def _open_long(
    target: str, form: Form, n_classes: int, windows: bool, optional: Collection[str]
) -> Iterator[WriteTrack]:
    draw = partial(_draw, windows)
    with open_table_output(
        target, Prediction, n_classes, form, optional=optional, draw=draw, describe=_by_class
    ) as write_row:

        def write(rows: Sequence[Prediction], sound: Path | None) -> None:
            for row in rows:
                write_row(row)

        yield write


def _draw(windows: bool, rows: list[Prediction], stream: TextIO) -> None:
    from mertools.cli.shared.emotion_table import draw_emotions  # rich is slow to import

    draw_emotions(rows, stream, windows=windows)


def _by_class(row: Prediction) -> Record:
    """Give a row's posteriors by the names of the classes, where it has classes."""
    posteriors = rate(row).posteriors
    if not posteriors:
        return {}
    return {"posteriors": {name: round_number(p) for name, p in posteriors.items()}}


@contextmanager
def _open_wide(target: str, form: Form) -> Iterator[WriteTrack]:
    """Write a row a track; all tracks have the columns of the first."""
    with open_output(target) as stream:
        if form == "csv":
            has_header = False

            def write_csv(rows: Sequence[Prediction], sound: Path | None) -> None:
                nonlocal has_header
                record = _summarise(rows, sound)
                header = [] if has_header else [list(record)]
                write_cells(stream, [*header, [format_cell(v) for v in record.values()]])
                # Whoever reads the pipe gets each track as soon as it is predicted.
                stream.flush()
                has_header = True

            yield write_csv
            return
        with write_json(stream, lines=form == "jsonl") as write_object:

            def write(rows: Sequence[Prediction], sound: Path | None) -> None:
                record = _summarise(rows, sound)
                rounded = {
                    name: round_number(value) if isinstance(value, float) else value
                    for name, value in record.items()
                }
                write_object(rounded)

            yield write


def _summarise(rows: Sequence[Prediction], sound: Path | None) -> Record:
    """Put the predictions of a whole track in one row."""
    (track,) = gather_emotions(row for row in rows if row.level == "track")
    path = None if sound is None else str(sound)
    return {"track_id": track.track_id, "path": path, **flatten(track, with_posteriors=False)}


def _sorted(
    tracks: list[tuple[Record, Sequence[Prediction], Path | None]], sort: str
) -> list[tuple[Record, Sequence[Prediction], Path | None]]:
    """Sort tracks; those without a value come last."""
    keyed = [(_sort_key(track[0], sort), track) for track in tracks]
    known = sorted(
        ((key, track) for key, track in keyed if key is not None),
        key=lambda pair: pair[0],
        reverse=sort.startswith(DESCENDING),
    )
    return [track for _, track in known] + [track for key, track in keyed if key is None]


def _sort_key(record: Record, sort: str) -> Any:
    """Give what a track is sorted by: for ordered classes their mean, not the name of a class."""
    name = sort.removeprefix(DESCENDING)
    if name not in record:
        raise UsageError(f"--sort {name}", "is no column", choose_from(record, name))
    return record.get(f"{name}_mean", record[name])

"""`mer match`."""

from __future__ import annotations

from typing import Annotated

import typer

from mertools.cli.shared import options


def match(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="Any CSV table with the columns artist and title, or a file name; - is standard "
            "input.",
            show_default=False,
        ),
    ],
    tracks: Annotated[
        str,
        typer.Argument(
            metavar="TRACKS",
            help="tracks.csv, with artist and title, or files named like ARTIST - TITLE.mp3.",
            show_default=False,
        ),
    ],
    output: options.Output = "-",
    format: options.Format = None,
    unmatched: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="CSV file for the rows that no single track fits, each with the reason.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find the track that each row of a table is about.

    Its track_id is put before the row. Case, punctuation, guests (feat. ...) and track numbers
    before file names do not matter. A row that fits several tracks, or none, is left out. Ends with
    status 4 if nothing was matched.

    \b
    Examples:
      mer match charts.csv tracks.csv -o charts-of-tracks.csv --unmatched rest.csv
    """
    from mertools.artifacts.files import STANDARD_STREAM
    from mertools.cli.shared.console import say
    from mertools.cli.shared.failures import EXIT_ALL_FAILED
    from mertools.cli.shared.tables import write_cells_as
    from mertools.errors import UsageError
    from mertools.importers.matching import match_tracks, read_any_table

    if table == tracks == STANDARD_STREAM:
        raise UsageError(STANDARD_STREAM, "is given for two tables", "give one of them as a file")
    rows = read_any_table(table)
    matches = list(match_tracks(rows, read_any_table(tracks)))
    found = [[found.track_id, *found.row] for found in matches if found.track_id is not None]
    rest = [[*left.row, left.problem] for left in matches if left.track_id is None]
    write_cells_as(output, format, ["track_id", *rows.header], found)
    if unmatched is not None:
        write_cells_as(unmatched, None, [*rows.header, "problem"], rest)
    say(f"{len(found)} of {len(matches)} rows matched")
    if matches and not found:
        raise typer.Exit(EXIT_ALL_FAILED)

"""`mer import features`."""

from __future__ import annotations

from typing import Annotated

import typer


def import_features(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="Vectors: CSV with the column track_id or segment_id (- is standard input), or "
            "NPZ with an array of that name and a matrix.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(metavar="NAME", help="The name of the kind of feature.", show_default=False),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="HDF5 file to write.", show_default=False
        ),
    ],
    segments: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Table of segments that says each one's track, start and duration, where TABLE "
            "has no such columns.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Import vectors of another program as a kind of feature.

    All columns of numbers are features, save start and duration of segments; columns of text are
    left out, and named on standard error. Vectors of tracks make features of level track.

    \b
    Examples:
      mer import features vectors.csv --kind clap -o clap.h5
      mer import features embedded.npz --kind clap --segments segments.csv -o clap.h5
    """
    from pathlib import Path

    from mertools.artifacts.features_file import write_features
    from mertools.artifacts.rows import Segment
    from mertools.artifacts.tables import read_table
    from mertools.cli.shared.console import count, printable, say
    from mertools.errors import UsageError
    from mertools.features.registry import KINDS
    from mertools.importers.vectors import describe_vectors, read_vectors, vector_rows

    if kind in KINDS:
        raise UsageError(
            f"--kind {kind}", "is a kind that mer computes itself", "choose another name"
        )
    vectors = read_vectors(table)
    known = None
    if segments is not None:
        known = {row.segment_id: row for row in read_table(segments, Segment)}
    rows = vector_rows(vectors, known)
    description = describe_vectors(kind, vectors)
    write_features(Path(output), rows, [description], lambda _, row: vectors.matrix[row])
    if vectors.text_columns:
        say(printable(f"left out, as they are no numbers: {', '.join(vectors.text_columns)}"))
    say(
        f"{output}: {count(len(rows), vectors.level)}, "
        f"{count(len(vectors.columns), 'column')} of {kind}"
    )

"""`mer validate`."""

from __future__ import annotations

from typing import Annotated

import typer


def validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Tables, features, models, metrics: any artifact."),
    ],
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TARGET=]SCALE",
            help="The scale of the ratings in annotations, as for mer aggregate-labels; "
            "repeatable.",
            show_default="whole numbers from 1 up, or words",
        ),
    ] = None,
) -> None:
    """Check artifacts against their schemas.

    Prints a line for each problem. What a file is shows in its content, whatever its name and
    whichever program wrote it. Ratings are checked as mer aggregate-labels reads them. Ends with
    status 2 if any file has a problem.

    \b
    Examples:
      mer validate segments.csv features.h5 labels.csv arousal.skops predictions.csv
      mer validate annotations.csv --scale arousal=1..3
    """
    from pathlib import Path

    from mertools.artifacts.rows import Annotation
    from mertools.artifacts.validate import artifact_kind, problems_of
    from mertools.cli.shared.console import printable, say
    from mertools.cli.shared.labels import parse_per_target, parse_rating_scale
    from mertools.errors import MerError, UsageError
    from mertools.labels.classes import Scales
    from mertools.labels.label_studio import Conversion
    from mertools.labels.ratings import collect_ratings
    from mertools.labels.reading import read_ratings

    conversion = Conversion(Scales(scales=parse_per_target("--scale", scale, parse_rating_scale)))
    n_broken = 0
    for name in files:
        n_problems = 0
        try:
            for problem in problems_of(Path(name)):
                typer.echo(printable(f"{name}: {problem}"))
                n_problems += 1
            if not n_problems and artifact_kind(Path(name)) == Annotation.table:
                # What a rating may be follows from its target, which no column's schema knows.
                collect_ratings([(name, read_ratings(name, conversion))])
        # A file that cannot be opened counts as broken; the others are still checked.
        except MerError as error:
            typer.echo(printable(str(error)))
            n_problems += 1
        if n_problems:
            n_broken += 1
        else:
            say(f"{name}: valid")
    if n_broken:
        raise typer.Exit(UsageError.exit_status)

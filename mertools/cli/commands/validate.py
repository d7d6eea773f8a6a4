"""`mer validate`."""

from __future__ import annotations

from typing import Annotated

import typer


def validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Tables, features, models, metrics: any artifact."),
    ],
) -> None:
    """Check artifacts against their schemas.

    Prints a line for each problem. What a file is shows in its content, whatever its name and
    whichever program made it. Ends with status 2 if any file has a problem.

    \b
    Examples:
      mer validate segments.csv features.h5 labels.csv arousal.skops predictions.csv
    """
    from pathlib import Path

    from mertools.artifacts.validate import problems_of
    from mertools.cli.shared.console import printable, say
    from mertools.errors import MerError, UsageError

    n_broken = 0
    for name in files:
        n_problems = 0
        try:
            for problem in problems_of(Path(name)):
                typer.echo(printable(f"{name}: {problem}"))
                n_problems += 1
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

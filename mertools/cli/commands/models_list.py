"""`mer models list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from typing import TextIO

    from mertools.artifacts.rows import Model


def models_list(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR|FILE]...",
            help="Where to look, in place of what is installed.",
            show_default=False,
        ),
    ] = None,
    output: options.Output = "-",
    format: options.Format = None,
    failures: options.FailuresFile = None,
) -> None:
    """List the models that mer predict finds by name.

    With arguments, those of folders and files. The word list may be left out. Of each target mer
    predict takes the first, unless -m names another: models in the folders that MER_MODELS names,
    separated by colons, come before the bundled ones. A bundled one that needs the weights of a
    network is passed over until they are here (mer models fetch, mer import weights).

    \b
    Examples:
      mer models list
      mer models list . arousal.skops --format json
    """
    from pathlib import Path

    from mertools.artifacts.rows import Model
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.tables import open_table_output
    from mertools.errors import InputError, SchemaError
    from mertools.prediction.installed import describe_model, find_installed, models_in

    if places:
        found = [path for place in places for path in models_in(Path(place))]
    else:
        found = find_installed()
    with (
        Failures("models", failures) as failed,
        open_table_output(output, Model, form=format, draw=_draw) as write,
    ):
        for path in found:
            try:
                write(describe_model(path))
            # One broken file should not hide the models beside it.
            except SchemaError as error:
                failed.add(InputError(error.subject, error.problem, error.remedy))
            else:
                failed.count_done()


def _draw(rows: list[Model], stream: TextIO) -> None:
    from mertools.artifacts.rows import CLASS_SEPARATOR
    from mertools.cli.shared.console import draw_table

    columns = ["name", "target", "needs", "licence", "features", "classes", "model", "size"]
    cells = [
        [
            row.name,
            row.target,
            (row.needs or "").replace(CLASS_SEPARATOR, "\n"),
            row.licence or "",
            row.features.replace(CLASS_SEPARATOR, "\n"),
            row.classes.replace(CLASS_SEPARATOR, "\n") if row.classes else row.scale or "",
            row.model,
            f"{row.bytes / 1e6:.1f} MB",
        ]
        for row in rows
    ]
    draw_table("", columns, cells, stream)

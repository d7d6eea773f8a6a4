"""`mer import CORPUS`: one command for all corpora."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mertools.cli.shared import options
from mertools.importers.registry import Corpus

if TYPE_CHECKING:
    from pathlib import Path

    from mertools.importers.corpus import Imported

HELP = """Import {summary}.

Reads DIR as the corpus is published ({layout}), and writes into the folder that -o names
tracks.csv and, of labels.csv, dynamic.csv (ratings over time), annotations.csv, lyrics.csv and
tags.csv, what the corpus has. Sound is not copied: tracks.csv has the paths of DIR's files. A
fixed split is kept where DIR has it as train.txt, validation.txt and test.txt. What is missing
is said on standard error, with where to get it.

\b
Examples:
  mer import {name} {name}/ -o imported
"""


def corpus_help(corpus: Corpus) -> str:
    """Write the help text of the command that imports a corpus."""
    return HELP.format(name=corpus.name, summary=corpus.summary, layout=corpus.layout)


def import_corpus(
    corpus: Corpus,
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="The corpus as published.", show_default=False),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder to write into.", show_default=False
        ),
    ],
    plots: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="DIR",
            help="Folder to draw the labels in; those over time go to its folder dynamic.",
            show_default=False,
        ),
    ] = None,
    failures_file: options.FailuresFile = None,
) -> None:
    """Import a corpus; the help text of each is `corpus_help`."""
    from pathlib import Path

    from mertools.cli.shared.console import count, say
    from mertools.cli.shared.failures import Failures
    from mertools.errors import UsageError
    from mertools.importers.writing import write_corpus

    if not Path(folder).is_dir():
        raise UsageError(folder, "is no folder", f"give the folder of {corpus.name}")
    if Path(output).resolve() == Path(folder).resolve():
        raise UsageError(output, "is the corpus' own folder", "write into another one")
    with Failures(f"import {corpus.name}", failures_file) as failures:
        imported = corpus.load_module().read(Path(folder))
        for path, n_rows in write_corpus(imported, Path(output)):
            say(f"{path}: {count(n_rows, 'row')}")
        for remark in imported.remarks:
            say(remark)
        if plots is not None:
            _draw(imported, Path(plots))
        for _ in imported.track_ids():
            failures.count_done()
        for error in imported.failures:
            failures.add(error)


def _draw(imported: Imported, folder: Path) -> None:
    from mertools.cli.shared.console import count, say
    from mertools.labels.plots import draw_labels

    if not imported.labels and not imported.dynamic:
        say(f"{folder}: no labels to draw; see mer aggregate-labels annotations.csv --plot DIR")
    for rows, subfolder in ((imported.labels, folder), (imported.dynamic, folder / "dynamic")):
        if rows:
            say(f"{subfolder}: {count(len(draw_labels(rows, subfolder)), 'figure')}")

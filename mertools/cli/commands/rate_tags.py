"""`mer rate-tags`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from mertools.labels.lexicon import RatedTags


def rate_tags(
    tags: Annotated[
        list[str],
        typer.Argument(
            metavar="TAGS...",
            help="tags.csv, JSON, answers or the dataset of Last.fm, told apart by content; a "
            "folder of JSON files; - is standard input.",
            show_default=False,
        ),
    ],
    lexicon: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Words with valence, arousal and dominance: CSV, or separated by tabs, such as "
            "the NRC VAD lexicon or Warriner's.",
            show_default=False,
        ),
    ],
    output: options.Output = "-",
    lexicon_scale: Annotated[
        str | None,
        typer.Option(
            metavar="LOW..HIGH",
            help="The scale of the lexicon's numbers.",
            show_default="-1..1 where one is below 0, 1..9 where one is above 1, else 0..1",
        ),
    ] = None,
    lexicon_columns: Annotated[
        str | None,
        typer.Option(
            metavar="TERM,V,A,D",
            help="The lexicon's columns of words, valence, arousal and dominance.",
            show_default="found by their names",
        ),
    ] = None,
    drop: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Tags that do not count, one a line; an empty file drops none.",
            show_default="a list of genres, roles, formats, places and decades",
        ),
    ] = None,
    multiword: Annotated[
        Literal["exact", "words"],
        typer.Option(
            help="A tag of several words counts if the lexicon has it (exact), else with the mean "
            "of the words that it has (words)."
        ),
    ] = "exact",
    min_tags: Annotated[
        int, typer.Option(min=1, help="Label tracks with at least so many tags that are known.")
    ] = 1,
    test_fraction: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Put a random share of tracks to the test."
        ),
    ] = 0.0,
    validation_fraction: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Put a random share of tracks to the validation."
        ),
    ] = 0.0,
    seed: options.Seed = 0,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="CSV file for what each track's label comes from, and why some have none.",
            show_default=False,
        ),
    ] = None,
    plots: options.PlotFolder = None,
    plot_format: options.PlotFormat = "png",
) -> None:
    """Rate tracks by the words that they are tagged with.

    A track's valence, arousal and dominance, from 0 to 1, are the means of its tags' in the
    lexicon, by the tags' weights; genres and the like do not count. n_annotators is the number of
    tags that do; std and mad are their spread. Tracks without such tags are left out and counted on
    standard error; the status is 4 if all are. No lexicon comes with mer, as few may be passed on.

    \b
    Examples:
      mer rate-tags tags.csv --lexicon lexicon.txt --report coverage.csv -o vad.csv
      mer rate-tags tags.csv --lexicon warriner.csv --lexicon-scale 1..9 --multiword words
      mer rate-tags tags.csv --lexicon warriner.csv --drop genres.txt --test-fraction 0.5 \\
          --plot tag-pictures -o vad-split.csv
    """
    from mertools.artifacts.rows import Label
    from mertools.cli.shared.failures import EXIT_ALL_FAILED
    from mertools.cli.shared.tables import open_table_output
    from mertools.errors import UsageError
    from mertools.labels import lexicon as lexicons
    from mertools.labels.tags import collect_tags
    from mertools.targets.scale import parse_range

    if test_fraction + validation_fraction > 1:
        raise UsageError(
            "--test-fraction and --validation-fraction",
            "are more than all tracks together",
            "give shares that sum to 1 at most",
        )
    if [*tags, lexicon].count("-") > 1:
        raise UsageError("-", "is given for two inputs", "give one of them as a file")
    try:
        scale = None if lexicon_scale is None else parse_range(lexicon_scale)
    except ValueError as error:
        raise UsageError("--lexicon-scale", str(error), "write LOW..HIGH, such as 1..9") from None
    columns = None if lexicon_columns is None else lexicon_columns.split(",")
    if columns is not None and len(columns) != len(lexicons.COLUMNS):
        raise UsageError(
            f"--lexicon-columns {lexicon_columns}",
            "does not name four columns",
            "name those of words, valence, arousal and dominance",
        )
    words = lexicons.read_lexicon(lexicon, scale, columns, multiword)
    dropped = lexicons.read_dropped_tags(drop)
    rated = lexicons.rate_tags(collect_tags(tags), words, dropped, min_tags)
    split = None
    if rated.track_ids and (test_fraction or validation_fraction):
        split = rated.split(test_fraction, validation_fraction, seed)
    rows = list(rated.label_rows(split))
    with open_table_output(output, Label) as write:
        for row in rows:
            write(row)
    _report(rated, report)
    if not rated.track_ids:
        raise typer.Exit(EXIT_ALL_FAILED)
    if plots is not None:
        from mertools.cli.shared.console import count, say
        from mertools.labels.plots import draw_labels

        say(f"{plots}: {count(len(draw_labels(rows, plots, plot_format)), 'figure')}")


def _report(rated: RatedTags, file: str | None) -> None:
    """Say how many tracks have labels, and why others have none; list all in a file."""
    from collections import Counter

    from mertools.artifacts.files import open_output
    from mertools.artifacts.rows import TagCoverage
    from mertools.artifacts.tables import write_table
    from mertools.cli.shared.console import say

    if file is not None:
        with open_output(file) as stream:
            write_table(stream, TagCoverage, rated.coverage)
    reasons = Counter(row.reason for row in rated.coverage if row.reason)
    say(f"{len(rated.track_ids)} of {len(rated.coverage)} tracks labelled")
    for reason, n in sorted(reasons.items()):
        say(f"{n} left out: {reason}")

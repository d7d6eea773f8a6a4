"""`mer evaluate`: predictions scored by labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli.shared import options, scoring

if TYPE_CHECKING:
    from mertools.cli.shared.score_tables import Comparison
    from mertools.evaluation.join import JoinedTarget


def evaluate(
    predictions: scoring.PredictionsFile,
    labels: Annotated[
        str, typer.Option("--labels", metavar="FILE", help="labels.csv to score them by.")
    ],
    output: options.Output = "-",
    split: Annotated[
        scoring.Parts | None,
        typer.Option(
            help="Score only kept labels of this part.",
            show_default="test where the labels have a test part, else all",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE[:COLUMN]",
            help="Score groups of tracks apart: a column of any table by track_id, its words or "
            "the fifths of its numbers.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Another predictions.csv to compare with, repeatable: every two are compared.",
            show_default=False,
        ),
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Shuffle all outcomes, not only within tracks."),
    ] = False,
    shuffles: Annotated[
        int, typer.Option(metavar="N", help="Shuffles of a permutation test.", min=1)
    ] = 10_000,
    centres: Annotated[
        Literal["train", "test", "geometric"],
        typer.Option(
            help="Centres of quadrants that valence and arousal are compared with: means of the "
            "tracks marked train, of those that are scored, or the quadrants' middles."
        ),
    ] = "train",
    bootstrap: scoring.Bootstrap = 2_000,
    plots: options.PlotFolder = None,
    plot_format: options.PlotFormat = "png",
    seed: options.Seed = 0,
) -> None:
    """Score predictions by labels.

    Writes metrics.json: scores of whole tracks, of segments and over time. Classes: accuracy,
    precision, recall, F1, AUC, confusion matrices, curves. Numbers: MSE, RMSE, MAE, R2,
    correlations, CCC. All with bootstrap intervals over tracks, with what answers that ignore the
    music reach, and for each fold where predictions name theirs. With --against, permutation tests
    of every two models, their p-values corrected for their number. On a terminal the main figures
    are drawn as tables instead. Tracks that the model learnt from are counted, and warned of.

    \b
    Examples:
      mer evaluate predictions.csv --labels labels.csv --split test -o metrics.json
      mer predict -m arousal.skops features.h5 | mer evaluate - --labels labels.csv --plot figures
      mer evaluate svm.csv --labels labels.csv --against cnn.csv | jq .comparisons
      mer evaluate predictions.csv --labels labels.csv --by tracks.csv:duration -o m.json
    """
    import sys

    from mertools.artifacts.files import STANDARD_STREAM, open_output
    from mertools.artifacts.rows import Label, Prediction
    from mertools.artifacts.tables import read_table
    from mertools.cli.shared import score_tables
    from mertools.cli.shared.console import complain, count, say
    from mertools.evaluation.report import build_report, format_json

    sources = [predictions, *(against or [])]
    scoring.check_one_stream(labels, *sources)
    label_rows = list(read_table(labels, Label))
    tables = [list(read_table(source, Prediction)) for source in sources]
    part, notes = scoring.choose_split(split, label_rows, tables)
    models = [
        scoring.join(rows, label_rows, part, predictions_name=source, labels_name=labels)
        for source, rows in zip(sources, tables, strict=True)
    ]
    for line in scoring.coverage_lines(models[0], part):
        say(line)
    report = build_report(models[0], bootstrap, seed, centres)
    report["provenance"] |= {
        "predictions": scoring.describe_file(predictions),
        "labels": scoring.describe_file(labels),
        "split": part,
    }
    _add_overlap(report, sources, labels, models, notes)
    for line in report["notes"]:
        say(line)
    for line in report["warnings"]:
        complain(f"warning: {line}")
    if by is not None:
        report["by"] = _score_groups(by, models[0], bootstrap, seed)
    compared = _compare_all(sources, models, paired=not unpaired, n_shuffles=shuffles, seed=seed)
    report["comparisons"] = [comparison for _, comparison in compared]
    if plots is not None:
        from mertools.evaluation.plots import draw_figures

        paths = draw_figures(report, models[0], plots, plot_format)
        say(f"{plots}: {count(len(paths), 'figure')}")
    drawn = output == STANDARD_STREAM and sys.stdout.isatty()
    score_tables.print_report(report, stdout=drawn)
    score_tables.print_comparisons(compared, stdout=drawn)
    if not drawn:
        with open_output(output) as stream:
            stream.write(format_json(report) + "\n")


def _add_overlap(
    report: dict[str, Any],
    sources: Sequence[str],
    labels: str,
    models: Sequence[dict[str, JoinedTarget]],
    notes: Sequence[str],
) -> None:
    """Add how many scored tracks were learnt from, with warnings; those of others name a table."""
    import dataclasses

    from mertools.evaluation.overlap import count_overlap, find_notes, find_warnings, models_of

    named = [models_of(joined.values()) for joined in models]
    report["provenance"]["models"] = named[0]
    learnt = scoring.find_learnt({name for names in named for name in names}, [*sources, labels])
    report["warnings"], report["notes"] = [], list(notes)
    for source, joined in zip(sources, models, strict=True):
        overlaps = {
            target: count_overlap(entry.origins, learnt)
            for target, entry in joined.items()
            if entry.levels
        }
        if source is sources[0]:
            report["training_overlap"] = {
                target: dataclasses.asdict(overlap) for target, overlap in overlaps.items()
            }
        head = "" if source is sources[0] else f"{Path(source).name}: "
        report["warnings"] += [head + line for line in find_warnings(overlaps)]
        report["notes"] += [head + line for line in find_notes(overlaps)]


def _score_groups(
    by: str, joined: dict[str, JoinedTarget], bootstrap: int, seed: int
) -> dict[str, Any]:
    from mertools.evaluation.groups import group_tracks, read_column, split_column
    from mertools.evaluation.report import describe_groups

    table, column = split_column(by)
    column, values = read_column(table, column)
    scored = {track_id for entry in joined.values() for track_id in entry.origins}
    groups = group_tracks(values, scored, scoring.name_source(table))
    return {
        "table": scoring.describe_file(table),
        "column": column,
        "tracks_without_value": len(scored - values.keys()),
        "groups": describe_groups(joined, groups, bootstrap, seed),
    }


def _compare_all(
    sources: Sequence[str],
    models: Sequence[dict[str, JoinedTarget]],
    *,
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> list[Comparison]:
    """Compare every two models on the tracks of both, and correct p for the number of pairs.

    Raises UsageError where a model has no track in common with the first one; two others that have
    none are passed over, and it is said.
    """
    from mertools.cli.shared.console import say
    from mertools.errors import UsageError
    from mertools.evaluation.report import add_corrected, compare

    files = [scoring.describe_file(source) for source in sources]
    compared: list[Comparison] = []
    for first, other in combinations(range(len(sources)), 2):
        names = (scoring.name_source(sources[first]), scoring.name_source(sources[other]))
        targets = compare(
            models[first],
            models[other],
            other_name=names[1],
            paired=paired,
            n_shuffles=n_shuffles,
            seed=seed,
        )
        if targets:
            comparison = {
                "first": files[first],
                "other": files[other],
                "form": "paired" if paired else "unpaired",
                "n_shuffles": n_shuffles,
                "targets": targets,
            }
            compared.append((names, comparison))
        elif first == 0:
            raise UsageError(
                names[1],
                f"has no scored track in common with {names[0]}",
                "compare predictions of the same tracks and targets",
            )
        else:
            say(f"{names[0]} and {names[1]} have no scored track in common and are not compared")
    add_corrected([comparison["targets"] for _, comparison in compared])
    return compared

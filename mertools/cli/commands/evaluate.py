"""mer evaluate: predictions judged against labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli.shared import options
from mertools.cli.shared import scoring as judging

if TYPE_CHECKING:
    from mertools.evaluation.join import JoinedTarget

Names = tuple[str, str]
"""Of two tables of predictions, as a person gave them."""


def evaluate(
    predictions: judging.PredictionsFile,
    labels: Annotated[str, typer.Option("--labels", help="labels.csv to score them by.")],
    output: options.Output = "-",
    split: judging.Split = "all",
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Another predictions.csv to compare with, repeatable: every two are compared."
        ),
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Shuffle all outcomes, not only within tracks."),
    ] = False,
    shuffles: Annotated[int, typer.Option(help="Shuffles of a permutation test.", min=1)] = 10_000,
    bootstrap: judging.Bootstrap = 2_000,
    plots: Annotated[
        Path | None, typer.Option(help="Folder to draw confusion, ROC and PR figures in.")
    ] = None,
    plot_format: Annotated[Literal["png", "svg"], typer.Option(help="Format of figures.")] = "png",
    seed: options.Seed = 0,
) -> None:
    """Score predictions by labels, at track and at segment level.

    Writes metrics.json: accuracy, precision, recall, F1 and AUC with bootstrap intervals over
    tracks, confusion matrices, ROC and precision-recall points, and what chance would reach. With
    --against, permutation tests of every two models, their p-values corrected for their number.
    On a terminal the main figures are drawn as tables instead.

    \b
    Examples:
      mer evaluate predictions.csv --labels labels.csv --split test -o metrics.json
      mer predict -m arousal.skops features.h5 | mer evaluate - --labels labels.csv --plots figures
      mer evaluate svm.csv --labels labels.csv --against cnn.csv | jq .comparisons
    """
    import sys

    from mertools.artifacts.files import STANDARD_STREAM, open_output
    from mertools.artifacts.rows import Label, Prediction
    from mertools.artifacts.tables import read_table
    from mertools.cli.shared import console
    from mertools.evaluation.report import build_report, format_json

    sources = [predictions, *(against or [])]
    judging.check_one_stream(labels, *sources)
    label_rows = list(read_table(labels, Label))
    models = [
        judging.join(
            read_table(source, Prediction),
            label_rows,
            split,
            predictions_name=source,
            labels_name=labels,
        )
        for source in sources
    ]
    for line in judging.coverage_lines(models[0], split):
        console.say(line)
    report = build_report(models[0], bootstrap, seed)
    report["provenance"] |= {
        "predictions": judging.describe_file(predictions),
        "labels": judging.describe_file(labels),
        "split": split,
    }
    compared = _compare_all(sources, models, paired=not unpaired, n_shuffles=shuffles, seed=seed)
    report["comparisons"] = [comparison for _, comparison in compared]
    if plots is not None:
        from mertools.evaluation.plots import draw_figures

        paths = draw_figures(report, plots, plot_format)
        console.say(f"{plots}: {len(paths)} figures")
    drawn = output == STANDARD_STREAM and sys.stdout.isatty()
    _print_scores(report, stdout=drawn)
    _print_comparisons(compared, stdout=drawn)
    if not drawn:
        with open_output(output) as stream:
            stream.write(format_json(report) + "\n")


def _compare_all(
    sources: Sequence[str],
    models: Sequence[dict[str, JoinedTarget]],
    *,
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> list[tuple[Names, dict[str, Any]]]:
    """Compare every two models on the tracks of both, and correct p for the number of pairs.

    Raises UsageError where a model has no track in common with the first one; two others that have
    none are passed over, and it is said.
    """
    from mertools.cli.shared.console import say
    from mertools.errors import UsageError
    from mertools.evaluation.report import add_corrected, compare

    files = [judging.describe_file(source) for source in sources]
    compared: list[tuple[Names, dict[str, Any]]] = []
    for first, other in combinations(range(len(sources)), 2):
        names = (judging.told(sources[first]), judging.told(sources[other]))
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


def _print_scores(report: dict[str, Any], *, stdout: bool) -> None:
    """Draw the main figures for a person."""
    from mertools.cli.shared.console import print_table

    levels = [
        (target, level, figures)
        for target, entry in report["targets"].items()
        for level, figures in entry["levels"].items()
    ]
    print_table(
        "Scores, and below them what chance would reach",
        ("target", "level", "n", "accuracy", "macro F1", "95 %", "weighted F1", "AUC"),
        [row for level in levels for row in _score_rows(*level)],
        stdout=stdout,
    )
    for target, level, figures in levels:
        confusion = figures["confusion"]
        named = zip(confusion["classes"], confusion["counts"], strict=True)
        print_table(
            f"Confusion of {target}, {level} level",
            ("reference \\ estimated", *confusion["classes"]),
            [(name, *map(str, counts)) for name, counts in named],
            stdout=stdout,
        )


def _print_comparisons(compared: Sequence[tuple[Names, dict[str, Any]]], *, stdout: bool) -> None:
    """Draw the tests for a person, those that are corrected together beside each other."""
    from mertools.cli.shared.console import print_table

    if not compared:
        return
    tests = [
        (target, score, names, entry["n_tracks"], test)
        for names, comparison in compared
        for target, entry in comparison["targets"].items()
        for score, test in entry["scores"].items()
    ]
    _, any_comparison = compared[0]
    print_table(
        f"Permutation tests, {any_comparison['form']}, {any_comparison['n_shuffles']} shuffles",
        ("target", "score", "first", "other", "tracks")
        + ("score of first", "of other", "difference", "p", "p (Holm)"),
        [_test_cells(*test) for test in sorted(tests, key=lambda test: test[:2])],
        stdout=stdout,
    )


def _test_cells(
    target: str, score: str, names: Names, n_tracks: int, test: dict[str, float]
) -> tuple[str, ...]:
    return (
        target,
        score.replace("_", " "),
        *names,
        str(n_tracks),
        f"{test['first']:.3f}",
        f"{test['other']:.3f}",
        f"{test['difference']:+.3f}",
        f"{test['p']:.4f}",
        f"{test['p_holm']:.4f}",
    )


def _score_rows(target: str, level: str, figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give the row of a model's scores and those of the baselines."""
    interval = judging.format_interval(figures["intervals"]["macro_f1"])
    yield (target, level, str(figures["n"]), *_score_cells(figures, interval))
    for name in ("majority", "uniform"):
        yield ("", name, "", *_score_cells(figures["baselines"][name], ""))


def _score_cells(scores: dict[str, Any], interval: str) -> tuple[str, ...]:
    auc = scores["macro_auc"]
    return (
        f"{scores['accuracy']:.3f}",
        f"{scores['macro_f1']:.3f}",
        interval,
        f"{scores['weighted_f1']:.3f}",
        "" if auc is None else f"{auc:.3f}",
    )

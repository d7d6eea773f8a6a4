"""mer evaluate: predictions judged against labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli import options

if TYPE_CHECKING:
    from mertools.artifacts.tables import Label
    from mertools.evaluation.join import JoinedTarget


def evaluate(
    predictions: Annotated[
        str, typer.Argument(help="predictions.csv, of any program; - is standard input.")
    ],
    labels: Annotated[str, typer.Option("--labels", help="labels.csv to score them by.")],
    output: options.Output = "-",
    split: Annotated[
        Literal["all", "train", "test"],
        typer.Option(help="Score only kept labels of this split."),
    ] = "all",
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another predictions.csv to compare with, repeatable."),
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Shuffle all outcomes, not only within tracks."),
    ] = False,
    shuffles: Annotated[int, typer.Option(help="Shuffles of a permutation test.", min=1)] = 10_000,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples of tracks for the 95 % intervals.", min=1)
    ] = 2_000,
    plots: Annotated[
        Path | None, typer.Option(help="Folder to draw confusion, ROC and PR figures in.")
    ] = None,
    plot_format: Annotated[Literal["png", "svg"], typer.Option(help="Format of figures.")] = "png",
    seed: options.Seed = 0,
) -> None:
    """Score predictions by labels, at track and at segment level.

    Writes metrics.json: accuracy, precision, recall, F1 and AUC with bootstrap intervals over
    tracks, confusion matrices, ROC and precision-recall points, and what chance would reach.
    On a terminal the main figures are drawn as tables instead.

    \b
    Examples:
      mer evaluate predictions.csv --labels labels.csv --split test -o metrics.json
      mer predict -m arousal.skops features.h5 | mer evaluate - --labels labels.csv --plots figures
      mer evaluate svm.csv --labels labels.csv --against cnn.csv | jq .comparisons
    """
    import sys

    from mertools.artifacts.files import STANDARD_STREAM, open_output
    from mertools.artifacts.tables import Label, read_table
    from mertools.cli import console
    from mertools.errors import UsageError
    from mertools.evaluation.report import build_report, format_json

    others = against or []
    if [predictions, labels, *others].count(STANDARD_STREAM) > 1:
        raise UsageError("-", "is given for two tables", "give one of them as a file")
    label_rows = list(read_table(labels, Label))
    joined = _join(predictions, labels, label_rows, split)
    for line in _coverage_lines(joined, split):
        console.say(line)
    report = build_report(joined, bootstrap, seed)
    report["provenance"] |= {
        "predictions": _describe_file(predictions),
        "labels": _describe_file(labels),
        "split": split,
    }
    report["comparisons"] = [
        _compare(
            joined,
            _join(other, labels, label_rows, split),
            names=(predictions, other),
            paired=not unpaired,
            n_shuffles=shuffles,
            seed=seed,
        )
        for other in others
    ]
    if plots is not None:
        from mertools.evaluation.plots import draw_figures

        paths = draw_figures(report, plots, plot_format)
        console.say(f"{plots}: {len(paths)} figures")
    drawn = output == STANDARD_STREAM and sys.stdout.isatty()
    _print_tables(report, stdout=drawn)
    if not drawn:
        with open_output(output) as stream:
            stream.write(format_json(report) + "\n")


def _join(
    predictions: str, labels: str, label_rows: list[Label], split: str
) -> dict[str, JoinedTarget]:
    """Read predictions and join them with labels; raise UsageError where none can be scored."""
    from mertools.artifacts.tables import Prediction, read_table
    from mertools.errors import UsageError
    from mertools.evaluation.join import join_tables

    joined = join_tables(
        read_table(predictions, Prediction),
        label_rows,
        None if split == "all" else split,
        predictions_name=_told(predictions),
        labels_name=_told(labels),
    )
    if not any(entry.levels for entry in joined.values()):
        reasons = "; ".join(_coverage_lines(joined, split)) or "both tables are empty"
        raise UsageError(
            _told(predictions),
            f"leaves nothing to score by {_told(labels)} ({reasons})",
            "give tables of the same tracks and targets, and a --split that the labels mark",
        )
    return joined


def _compare(
    first: dict[str, JoinedTarget],
    other: dict[str, JoinedTarget],
    *,
    names: tuple[str, str],
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> dict[str, Any]:
    """Compare two models on the tracks of both; raise UsageError where there are none."""
    from mertools.errors import UsageError
    from mertools.evaluation.report import compare

    targets = compare(
        first,
        other,
        other_name=_told(names[1]),
        paired=paired,
        n_shuffles=n_shuffles,
        seed=seed,
    )
    if not targets:
        raise UsageError(
            _told(names[1]),
            f"has no scored track in common with {_told(names[0])}",
            "compare predictions of the same tracks and targets",
        )
    return {
        "other": _describe_file(names[1]),
        "form": "paired" if paired else "unpaired",
        "n_shuffles": n_shuffles,
        "targets": targets,
    }


def _describe_file(path: str) -> dict[str, str | None]:
    """Name a table and give its digest; the folder is left out, as results do not depend on it."""
    from mertools.artifacts.files import STANDARD_STREAM, digest_file

    if path == STANDARD_STREAM:
        return {"name": path, "digest": None}
    return {"name": Path(path).name, "digest": digest_file(Path(path))}


def _coverage_lines(joined: dict[str, JoinedTarget], split: str) -> Iterator[str]:
    """Say, a line a target, how many tracks are scored and why the others are not."""
    for target, entry in joined.items():
        coverage = entry.coverage
        counts = {
            "scored": coverage.scored,
            "predicted without a label": coverage.predictions_without_label,
            "predicted but not kept in the labels": coverage.predictions_not_kept,
            f"predicted but not marked {split}": coverage.predictions_of_other_split,
            "labelled without a prediction": coverage.labels_without_prediction,
        }
        told = [f"{count} {what}" for what, count in counts.items() if count or what == "scored"]
        yield f"{target}: tracks: {', '.join(told)}"


def _print_tables(report: dict[str, Any], *, stdout: bool) -> None:
    """Draw the main figures for a person."""
    from mertools.cli.console import print_table

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
    for comparison in report["comparisons"]:
        print_table(
            f"Against {comparison['other']['name']}: {comparison['form']} permutation test, "
            f"{comparison['n_shuffles']} shuffles",
            ("target", "tracks", "score", "first", "other", "difference", "p"),
            [
                (target, str(entry["n_tracks"]), name.replace("_", " "), *_test_cells(test))
                for target, entry in comparison["targets"].items()
                for name, test in entry["scores"].items()
            ],
            stdout=stdout,
        )


def _score_rows(target: str, level: str, figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give the row of a model's scores and those of the baselines."""
    interval = "-".join(f"{end:.2f}".removeprefix("0") for end in figures["intervals"]["macro_f1"])
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


def _test_cells(test: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{test['first']:.3f}",
        f"{test['other']:.3f}",
        f"{test['difference']:+.3f}",
        f"{test['p']:.4f}",
    )


def _told(path: str) -> str:
    return "standard input" if path == "-" else path

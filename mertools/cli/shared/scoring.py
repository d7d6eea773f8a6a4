"""What the commands that judge predictions share: joining them with labels, and saying it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mertools.artifacts.rows import Label, Prediction
    from mertools.evaluation.join import JoinedTarget

PredictionsFile = Annotated[
    str, typer.Argument(help="predictions.csv, of any program; - is standard input.")
]
Split = Annotated[
    Literal["all", "train", "test"],
    typer.Option(help="Score only kept labels of this split."),
]
Bootstrap = Annotated[int, typer.Option(help="Resamples of tracks for the 95 % intervals.", min=1)]


def check_one_stream(*sources: str | None) -> None:
    """Raise UsageError where standard input, or standard output, is given twice."""
    from mertools.artifacts.files import STANDARD_STREAM
    from mertools.errors import UsageError

    if sources.count(STANDARD_STREAM) > 1:
        raise UsageError("-", "is given for two tables", "give one of them as a file")


def join(
    predictions: Iterable[Prediction],
    labels: Sequence[Label],
    split: str,
    *,
    predictions_name: str,
    labels_name: str,
) -> dict[str, JoinedTarget]:
    """Join predictions with labels; raise UsageError where none can be scored."""
    from mertools.errors import UsageError
    from mertools.evaluation.join import join_tables

    joined = join_tables(
        predictions,
        labels,
        None if split == "all" else split,
        predictions_name=told(predictions_name),
        labels_name=told(labels_name),
    )
    if not any(entry.levels for entry in joined.values()):
        reasons = "; ".join(coverage_lines(joined, split)) or "it has no rows"
        raise UsageError(
            told(predictions_name),
            f"leaves nothing to score by {told(labels_name)} ({reasons})",
            "give tables of the same tracks and targets, and a --split that the labels mark",
        )
    return joined


def coverage_lines(joined: Mapping[str, JoinedTarget], split: str) -> Iterator[str]:
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


def describe_file(path: str) -> dict[str, str | None]:
    """Name a table and give its digest; the folder is left out, as results do not depend on it."""
    from mertools.artifacts.files import digest_file

    file = Path(path)
    # A stream cannot be read again.
    return {"name": file.name, "digest": digest_file(file) if file.is_file() else None}


def format_interval(ends: Sequence[float], decimals: int = 2) -> str:
    """Write an interval of scores from 0 to 1 for a person."""
    return "-".join(f"{end:.{decimals}f}".removeprefix("0") for end in ends)


def told(path: str) -> str:
    """Name a table to a person."""
    return "standard input" if path == "-" else path

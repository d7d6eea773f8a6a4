"""What the commands that score predictions share: joining them with labels, and saying it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mertools.artifacts.rows import Label, Prediction
    from mertools.evaluation.join import JoinedTarget

PredictionsFile = Annotated[
    str,
    typer.Argument(metavar="FILE", help="predictions.csv, of any program; - is standard input."),
]
Parts = Literal["train", "validation", "test", "all"]
Split = Annotated[Parts, typer.Option(help="Score only kept labels of this part.")]
Bootstrap = Annotated[
    int, typer.Option(metavar="N", help="Resamples of tracks for the 95 % intervals.", min=1)
]
MODEL_DIGITS = 12
"""Digits of a model file's digest by which predictions name it."""


def check_one_stream(*sources: str | None) -> None:
    """Raise UsageError where standard input, or standard output, is given twice."""
    from mertools.artifacts.files import STANDARD_STREAM
    from mertools.errors import UsageError

    if sources.count(STANDARD_STREAM) > 1:
        raise UsageError("-", "is given for two tables", "give one of them as a file")


def choose_split(
    split: Parts | None, labels: Iterable[Label], tables: Sequence[Sequence[Prediction]]
) -> tuple[Parts, list[str]]:
    """Choose the part to score where none is asked for, with what is to be said of it.

    It is the test part where the labels have one, unless all rows of all tables are out of fold:
    those were predicted by models that did not learn from them.
    """
    if split is not None:
        return split, []
    targets = {row.target for rows in tables for row in rows}
    is_marked = any(
        label.split == "test" and label.kept and label.target in targets for label in labels
    )
    if not is_marked or all(row.fold is not None for rows in tables for row in rows):
        return "all", []
    return "test", ["the test part is scored, as the labels have one; --split all scores all"]


def find_learnt(models: Collection[str], beside: Sequence[str]) -> dict[str, frozenset[str]]:
    """Find what models learnt from: hashes of tracks by model, for those at hand that list them.

    `models` are digests as predictions.csv has them. Looked through are the folders of the tables
    `beside`, the working folder, `MER_MODELS` and the bundled models.
    """
    if not models:
        return {}
    import os

    from mertools.artifacts.files import digest_file
    from mertools.artifacts.model_file import read_card
    from mertools.evaluation.overlap import parse_hashes
    from mertools.prediction.installed import find_installed, models_in

    folders = dict.fromkeys([*(Path(table).parent for table in beside), Path()])
    files = [path for folder in folders if folder.is_dir() for path in models_in(folder)]
    files = [path for path in files if path.is_file() and os.access(path, os.R_OK)]
    learnt: dict[str, frozenset[str]] = {}
    for path in dict.fromkeys([*files, *find_installed()]):
        # Digests, not names, as a file may have been renamed or trained anew since.
        model = digest_file(path)[:MODEL_DIGITS]
        if model in models and model not in learnt:
            hashes = read_card(path).training.get("track_hashes")
            if hashes is not None:
                learnt[model] = parse_hashes(hashes)
        if len(learnt) == len(models):
            break
    return learnt


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
        predictions_name=name_source(predictions_name),
        labels_name=name_source(labels_name),
    )
    if not any(entry.levels for entry in joined.values()):
        reasons = "; ".join(coverage_lines(joined, split)) or "it has no rows"
        raise UsageError(
            name_source(predictions_name),
            f"leaves nothing to score by {name_source(labels_name)} ({reasons})",
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
        said = [f"{count} {what}" for what, count in counts.items() if count or what == "scored"]
        yield f"{target}: tracks: {', '.join(said)}"
        if coverage.windows_without_label:
            yield f"{target}: {coverage.windows_without_label} segments match no rated stretch"


def describe_file(path: str) -> dict[str, str | None]:
    """Name a table and give its digest; the folder is left out, as results do not depend on it."""
    from mertools.artifacts.files import digest_file

    file = Path(path)
    # A stream cannot be read again.
    return {"name": file.name, "digest": digest_file(file) if file.is_file() else None}


def format_interval(ends: Sequence[float], decimals: int = 2) -> str:
    """Write an interval of scores from 0 to 1 for a person."""
    return "-".join(f"{end:.{decimals}f}".removeprefix("0") for end in ends)


def name_source(path: str) -> str:
    """Name a table to a person."""
    return "standard input" if path == "-" else path

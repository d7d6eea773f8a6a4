"""`mer rank-features`: features by how well they tell classes apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from mertools.artifacts.rows import Ranking
    from mertools.dataset.data import Joined, TrainingSet
    from mertools.evaluation.outcomes import FloatArray
    from mertools.evaluation.ranking import Method

MAX_PANELS = 60
"""As many box plots as can be read in one figure."""


def rank_features(
    features: Annotated[
        list[str],
        typer.Argument(metavar="FEATURES...", help="Files of features.", show_default=False),
    ],
    labels: Annotated[str, typer.Option(metavar="FILE", help="Labels that hold the classes.")],
    target: Annotated[str, typer.Option(help="Which target's classes.")],
    output: options.Output = "-",
    kind: Annotated[list[str], typer.Option(help="Kind of feature to rank; repeatable.")] = [  # noqa: B006, typer copies it
        "handcrafted"
    ],
    split: Annotated[
        Literal["train", "all"],
        typer.Option(help="Rank by the kept tracks that are not marked test, or by all kept."),
    ] = "train",
    method: Annotated[
        Literal["f", "relieff"],
        typer.Option(help="f: analysis of variance, each feature alone. relieff: by neighbours."),
    ] = "f",
    top: Annotated[
        int, typer.Option(min=0, help="Features to write and to draw, the first of them; 0 is all.")
    ] = 10,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Box plots by class to draw (.png or .svg).", show_default=False
        ),
    ] = None,
) -> None:
    """Rank features by how well they tell a target's classes apart.

    A row is a track: the mean over its segments, weighted by their duration. Writes, from the best,
    each feature's F and p of a one-way analysis of variance, or its weight by ReliefF, and its mean
    in each class. p is not corrected for the number of features.

    \b
    Examples:
      mer rank-features features.h5 --labels labels.csv --target arousal
      mer rank-features features.h5 --labels labels.csv --target valence --plot valence.svg
      mer rank-features features.h5 --labels labels.csv --target arousal --top 0 -o ranking.csv
      mer rank-features features.h5 --labels labels.csv --target arousal --method relieff
    """
    import numpy as np

    from mertools.artifacts.rows import Ranking
    from mertools.cli.shared.console import say
    from mertools.cli.shared.tables import open_table_output
    from mertools.dataset.data import join

    if plot is not None:
        _check_plot(plot, top)
    paths = [Path(name) for name in features]
    _check_kinds(paths, kind)
    joined = join(paths, labels, target, kind, "track", with_test=split == "all")
    data = joined.training_set
    classes = _classes_present(joined, labels)
    sizes = ", ".join(f"{name} {n}" for name, n in classes.items())
    say(f"{target}: {data.X.shape[1]} features of {len(data.y)} tracks: {sizes}")
    kinds = [kind.name for kind in joined.kinds for _ in kind.columns]
    X = data.X.astype(np.float64)
    ranked = list(rank_rows(X, data.y, target, kinds, data.columns, list(classes), method))
    chosen = ranked[:top] if top else ranked
    if plot is not None:
        _draw(joined, chosen, plot)
    optional = ("weight",) if method == "relieff" else ()
    with open_table_output(output, Ranking, len(classes), optional=optional) as write:
        for _, row in chosen:
            write(row)


def _check_plot(plot: Path, top: int) -> None:
    from mertools.errors import UsageError

    if not 1 <= top <= MAX_PANELS:
        raise UsageError(
            plot, f"has room for {MAX_PANELS} features", f"give --top 1 to {MAX_PANELS}"
        )
    if plot.suffix not in (".png", ".svg"):
        raise UsageError(plot, "is neither .png nor .svg", "give --plot a name that ends so")


def _check_kinds(paths: Sequence[Path], kinds: Sequence[str]) -> None:
    """Raise UsageError where a kind is a picture of each segment: its numbers have no names."""
    from mertools.artifacts.features_file import open_features
    from mertools.errors import UsageError

    for path in paths:
        with open_features(path) as file:
            for name in kinds:
                found = file.kinds.get(name)
                if found is not None and len(found.shape) > 1:
                    shape = " x ".join(map(str, found.shape))
                    raise UsageError(
                        path,
                        f"holds {name} as {shape} numbers a segment, not as one of each feature",
                        "rank a --kind of one dimension, such as handcrafted",
                    )


def _classes_present(joined: Joined[TrainingSet], labels: str) -> dict[str, int]:
    """Count the tracks of each class that has any.

    Raises UsageError where there are too few to compare.
    """
    import numpy as np

    from mertools.errors import UsageError

    data = joined.training_set
    counts = np.bincount(data.y, minlength=len(data.classes)).tolist()
    present = {name: n for name, n in zip(data.classes, counts, strict=True) if n}
    if not 2 <= len(present) < len(data.y):
        found = ", ".join(f"{name} {n}" for name, n in present.items())
        raise UsageError(
            labels,
            f"leaves too little of {data.target} to compare: tracks with features: {found}",
            "rank by two classes or more, with more tracks than classes",
        )
    return present


def rank_rows(
    X: FloatArray,
    y: Any,
    target: str,
    kinds: Sequence[str],
    columns: Sequence[str],
    classes: Sequence[str],
    method: Method,
) -> Iterator[tuple[int, Ranking]]:
    """Yield the rows of ranking.csv from the best feature, each with its index among the columns.

    X: (n, D); `kinds` and `columns` name each column, D. y: (n,), numbers of the classes, of which
    `classes` names those that occur, by rising number; without any, y is the target's numbers.
    """
    import math

    from mertools.artifacts.rows import CLASS_SEPARATOR, Ranking
    from mertools.evaluation.ranking import (
        analyse_regression,
        analyse_variance,
        class_means,
        rank_columns,
    )

    order, scores = rank_columns(X, y, method, are_numbers=not classes)
    p = None
    if method == "f":
        _, p = analyse_variance(X, y) if classes else analyse_regression(X, y)
    means = class_means(X, y) if classes else X[:0]
    for rank, column in enumerate(order.tolist(), start=1):
        score = float(scores[column]) if math.isfinite(scores[column]) else None
        row = Ranking(
            rank,
            target,
            kinds[column],
            columns[column],
            score if method == "f" else None,
            None if p is None or math.isnan(p[column]) else float(p[column]),
            CLASS_SEPARATOR.join(classes) or None,
            tuple(means[:, column].tolist()),
            score if method == "relieff" else None,
        )
        yield column, row


def _draw(joined: Joined[TrainingSet], ranked: Sequence[tuple[int, Ranking]], path: Path) -> None:
    import numpy as np

    from mertools.evaluation.plots import Panel, draw_boxes

    data = joined.training_set
    present = np.unique(data.y)
    panels = [
        Panel(
            f"{row.rank}. {row.feature}",
            _note(row),
            [data.X[data.y == k, column].astype(np.float64) for k in present],
        )
        for column, row in ranked
    ]
    classes = [data.classes[k] for k in present]
    draw_boxes(path, f"{data.target}, {len(data.y)} tracks", classes, panels)


def _note(row: Ranking) -> str:
    if row.weight is not None:
        return f"weight {row.weight:.3g}"
    return "score infinite or not defined" if row.f is None else f"F {row.f:.3g}, p {row.p:.1g}"

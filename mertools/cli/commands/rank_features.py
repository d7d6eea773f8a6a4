"""`mer rank-features`: features by how well they separate classes, or follow a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mertools.artifacts.rows import Ranking
    from mertools.dataset.vectors import VectorDataset

MAX_PANELS = 60
"""As many box plots as can be read in one figure."""


def rank_features(
    features: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files of features.", show_default=False),
    ],
    labels: Annotated[str, typer.Option(metavar="FILE", help="Labels that hold the target.")],
    target: Annotated[str, typer.Option(metavar="NAME", help="Which target's classes or number.")],
    output: options.Output = "-",
    format: options.Format = None,
    kind: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Kind of feature to rank; repeatable.",
            autocompletion=options.complete_kinds,
        ),
    ] = [  # noqa: B006, typer copies it
        "handcrafted"
    ],
    method: Annotated[
        Literal["f", "relieff"],
        typer.Option(help="Analysis of variance (of a number: regression), or ReliefF."),
    ] = "f",
    split: Annotated[
        Literal["train", "all"],
        typer.Option(help="Rank by the kept tracks that are not marked test, or by all kept."),
    ] = "train",
    top: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Features to write and to draw, the first of them; 0 is all."
        ),
    ] = 10,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Box plots by class to draw (.png or .svg).", show_default=False
        ),
    ] = None,
) -> None:
    """Rank features by how well they tell a target.

    How well they tell its classes apart, or go with its number. A row is a track: the mean over its
    segments, weighted by their duration. Writes each feature's F and p (of a one-way analysis of
    variance, or a regression), and its mean in each class. p is not corrected for the number of
    features.

    \b
    Examples:
      mer rank-features features.h5 --labels labels.csv --target arousal
      mer rank-features features.h5 --labels labels.csv --target valence --plot valence.svg
      mer rank-features features.h5 --labels labels.csv --target arousal --method relieff \\
          --top 0 -o ranking.csv
    """
    from mertools.artifacts.rows import Ranking
    from mertools.cli.shared.console import count, say
    from mertools.cli.shared.tables import open_table_output
    from mertools.dataset.join import Request, join
    from mertools.dataset.vectors import load_vectors

    if plot is not None:
        # Before ranking, which takes long on a large corpus.
        _check_plot(plot, top)
    paths = [Path(name) for name in features]
    _check_kinds(paths, kind)
    request = Request(tuple(paths), labels, (target,), tuple(kind), with_test=split == "all")
    tracks = _originals(load_vectors(join(request).dataset, "track"))
    classes = _classes_present(tracks, labels)
    sizes = f": {', '.join(f'{name} {n}' for name, n in classes.items())}" if classes else ""
    say(
        f"{target}: {count(tracks.X.shape[1], 'feature')} of "
        f"{count(len(tracks.values), 'track')}{sizes}"
    )
    ranked = list(_rank(tracks, list(classes), method))
    chosen = ranked[:top] if top else ranked
    if plot is not None:
        _draw(tracks, chosen, plot)
    optional = ["weight"] if method == "relieff" else []
    with open_table_output(output, Ranking, len(classes), format, optional=optional) as write:
        for _, row in chosen:
            write(row)


@dataclass(frozen=True)
class _Tracks:
    """Tracks to rank by: X (n, n_columns), values (n,): classes from 0 up, or numbers."""

    target: str
    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    X: NDArray[np.float64]
    values: NDArray[np.int64] | NDArray[np.float64]


def _originals(vectors: VectorDataset) -> _Tracks:
    """Leave out augmented copies."""
    import numpy as np

    data = vectors.dataset
    # Copies would count a track several times, and make p too small.
    originals = ~data.is_copy
    X = np.concatenate(vectors.features, axis=1).astype(np.float64)
    values = data.labels.y if data.classes else data.labels.numbers[:, 0]
    return _Tracks(
        data.targets[0].name,
        data.classes,
        tuple(kind.name for kind in data.stored.kinds for _ in kind.columns),
        data.columns,
        X[originals],
        values[originals],
    )


def _check_plot(plot: Path, top: int) -> None:
    from mertools.errors import UsageError

    if not 1 <= top <= MAX_PANELS:
        raise UsageError(
            plot, f"has room for {MAX_PANELS} features", f"give --top 1 to {MAX_PANELS}"
        )
    if plot.suffix not in (".png", ".svg"):
        raise UsageError(plot, "is neither .png nor .svg", "give --plot a name that ends so")


def _check_kinds(paths: Sequence[Path], kinds: Sequence[str]) -> None:
    """Raise UsageError for a kind with several dimensions, whose numbers are no named columns."""
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


def _classes_present(tracks: _Tracks, labels: str) -> dict[str, int]:
    """Count the tracks of each class that has any; a number has no classes.

    Raises UsageError where there are too few to compare.
    """
    import numpy as np

    from mertools.errors import UsageError

    n_tracks = len(tracks.values)
    if not tracks.classes:
        if n_tracks < 3:
            problem = f"leaves {n_tracks} tracks of {tracks.target} with features"
            raise UsageError(labels, problem, "rank by three tracks or more")
        return {}
    counts = np.bincount(tracks.values.astype(np.int64), minlength=len(tracks.classes)).tolist()
    present = {name: n for name, n in zip(tracks.classes, counts, strict=True) if n}
    if not 2 <= len(present) < n_tracks:
        sizes = ", ".join(f"{name} {n}" for name, n in present.items())
        raise UsageError(
            labels,
            f"leaves too little of {tracks.target} to compare: tracks with features: {sizes}",
            "rank by two classes or more, with more tracks than classes",
        )
    return present


def _rank(
    tracks: _Tracks, classes: Sequence[str], method: Literal["f", "relieff"]
) -> Iterator[tuple[int, Ranking]]:
    """Yield the features from the best, each with its index among the columns."""
    import math

    import numpy as np

    from mertools.artifacts.rows import CLASS_SEPARATOR, Ranking
    from mertools.evaluation.ranking import (
        analyse_regression,
        analyse_variance,
        class_means,
        rank_columns,
    )

    X, values = tracks.X, tracks.values
    order, scores = rank_columns(X, values, method, are_numbers=not classes)
    p: NDArray[np.float64] = np.full(X.shape[1], np.nan)
    if method == "f":
        analyse = analyse_variance if classes else analyse_regression
        _, p = analyse(X, values.astype(np.float64))
    means = class_means(X, values) if classes else np.empty((0, X.shape[1]))
    for rank, column in enumerate(order.tolist(), start=1):
        score = float(scores[column]) if math.isfinite(scores[column]) else None
        row = Ranking(
            rank,
            tracks.target,
            tracks.kinds[column],
            tracks.columns[column],
            score if method == "f" else None,
            None if math.isnan(p[column]) else float(p[column]),
            CLASS_SEPARATOR.join(classes) or None,
            tuple(means[:, column].tolist()),
            score if method == "relieff" else None,
        )
        yield column, row


def _draw(tracks: _Tracks, ranked: Sequence[tuple[int, Ranking]], path: Path) -> None:
    import numpy as np

    from mertools.errors import UsageError
    from mertools.evaluation.plots import Panel, draw_boxes

    if not tracks.classes:
        raise UsageError(path, "box plots are of classes, not of a number", "leave --plot out")
    present = np.unique(tracks.values)
    panels = [
        Panel(
            f"{row.rank}. {row.feature}",
            _note(row),
            [tracks.X[tracks.values == k, column] for k in present],
        )
        for column, row in ranked
    ]
    classes = [tracks.classes[k] for k in present]
    draw_boxes(path, f"{tracks.target}, {len(tracks.values)} tracks", classes, panels)


def _note(row: Ranking) -> str:
    if row.weight is not None:
        return f"weight {row.weight:.3g}"
    return "F infinite or not defined" if row.f is None else f"F {row.f:.3g}, p {row.p:.1g}"

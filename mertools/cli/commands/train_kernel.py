"""`mer train kernel`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from mertools.cli.shared import options
from mertools.models.registry import MODELS

KERNEL = MODELS["kernel"]


def kernel(
    features: options.TrainingFeatures,
    labels: options.TrainingLabels,
    target: options.Target,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help=f"Model to write ({KERNEL.suffix})."),
    ],
    kind: Annotated[list[str], typer.Option(help="Kind of feature to learn from; repeatable.")] = [  # noqa: B006, typer copies it
        *KERNEL.feature_kinds
    ],
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=WEIGHT", help="Share of a kind in the kernel; the usual one is 1."
        ),
    ] = None,
    copies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Features of the same tracks with changed sound (quieter, coded, ...), to learn "
            "from beside; repeatable. They are never scored.",
        ),
    ] = None,
    cv: Annotated[int, typer.Option(min=2, help="Folds, over whole tracks.")] = 5,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARAM=VALUE,...",
            help="Values of gamma or ridge to try instead of the usual ones.",
        ),
    ] = None,
    licence: options.Licence = None,
    predictions: options.OutOfFold = None,
    folds: options.Folds = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Train kernel ridge regression of the annotators' distributions, and cross-validate it.

    Learns from all labels that are not marked test, and is scored on the kept ones. Each kind of
    feature has an RBF kernel of its own, and what is learnt from is their weighted mean. gamma and
    ridge are chosen by a grid search over folds of whole tracks, within each fold's training part
    for the scores. Predicts in milliseconds, without torch or scikit-learn.

    \b
    Examples:
      mer train kernel --features musicnn.h5 --kind musicnn --labels labels.csv --target valence \\
          -o valence.safetensors
      mer train kernel --features timbre.h5 --copies quiet.h5 --copies coded.h5 \\
          --kind musicnn --kind handcrafted --share musicnn=3 --labels labels.csv \\
          --target arousal --predictions kernel.csv -o arousal.safetensors
    """
    from pathlib import Path

    from mertools.artifacts.model_file import write_network
    from mertools.artifacts.rows import Prediction
    from mertools.cli.shared.console import track_progress
    from mertools.cli.shared.tables import open_table_output
    from mertools.cli.shared.training import (
        complete_card,
        prediction_rows,
        report_joined,
        report_scores,
    )
    from mertools.cli.shared.values import parse_grid
    from mertools.dataset.copies import join_copies
    from mertools.models.kernel import arrays_of
    from mertools.training.kernel import DEFAULT_GRID, KernelSettings, fit_kernel
    from mertools.training.scores import mean_of_groups

    settings = KernelSettings(
        tuple(kind),
        cv,
        seed,
        parse_grid("--grid", grid or [], dict.fromkeys(DEFAULT_GRID, float)),
        {
            name: weights[-1]
            for name, weights in parse_grid(
                "--share", share or [], dict.fromkeys(kind, float)
            ).items()
        },
        Path(folds) if folds else None,
    )
    joined, material = join_copies(
        [Path(name) for name in features],
        [Path(name) for name in copies or []],
        labels,
        target,
        kind,
    )
    report_joined(joined)

    def progress(fits: Iterable[Any]) -> Iterable[Any]:
        return track_progress(fits, "train", cv + 1)

    fitted = fit_kernel(material, settings, cluster or jobs, progress)
    card = complete_card(fitted.card(), joined, licence)
    write_network(Path(output), card, arrays_of(fitted.model))
    if predictions is not None:
        data = material.segments
        of_levels = {
            "track": mean_of_groups(fitted.posteriors, data.groups),
            "segment": fitted.posteriors,
        }
        with open_table_output(predictions, Prediction, len(data.classes)) as write:
            for level, posteriors in of_levels.items():
                for row in prediction_rows(data, level, posteriors):
                    write(row)
    chosen = ", ".join(f"{name} {value:g}" for name, value in fitted.chosen.items())
    report_scores(f"{target}: {cv} folds; chosen {chosen}", fitted.levels)

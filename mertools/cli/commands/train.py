"""`mer train svm`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import typer

from mertools.cli.shared import options
from mertools.models.registry import MODELS

SVM = MODELS["svm"]


def svm(
    features: options.TrainingFeatures,
    labels: options.TrainingLabels,
    target: options.Target,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help=f"Model to write ({SVM.suffix}).")
    ],
    kind: Annotated[list[str], typer.Option(help="Kind of feature to learn from; repeatable.")] = [  # noqa: B006, typer copies it
        *SVM.feature_kinds
    ],
    unit: Annotated[
        Literal["track", "segment"],
        typer.Option(help="Learn from tracks (means over their segments) or from each segment."),
    ] = "track",
    cv: Annotated[int, typer.Option(min=2, help="Folds, over whole tracks.")] = 5,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARAM=VALUE,...", help="Values of C or gamma to try instead of the usual ones."
        ),
    ] = None,
    licence: options.Licence = None,
    predictions: options.OutOfFold = None,
    folds: options.Folds = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Train a support vector machine (RBF kernel, standardised, calibrated) and cross-validate it.

    Learns from the kept rows of the labels that are not marked test. C and gamma are chosen by a
    grid search over folds of whole tracks; for the scores the search is done anew within each
    fold's training part. The model's card holds scores, parameters and the data's digest.

    \b
    Examples:
      mer train svm --features features.h5 --labels labels.csv --target arousal -o arousal.skops
      mer train svm --features features.h5 --labels labels.csv --target valence --cv 3 \\
          --grid C=0.1,1,10 --predictions svm.csv -o valence.skops
    """
    from pathlib import Path

    from mertools.artifacts.model_file import write_model
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
    from mertools.dataset.data import join
    from mertools.training.svm import PARAMETERS, SvmSettings, fit_svm

    types = dict.fromkeys(PARAMETERS, float)
    settings = SvmSettings(
        cv, seed, parse_grid("--grid", grid or [], types), Path(folds) if folds else None
    )
    joined = join([Path(name) for name in features], labels, target, kind, unit)
    report_joined(joined)

    def progress(fits: Iterable[Any]) -> Iterable[Any]:
        return track_progress(fits, "train", cv + 1)

    # Tracks are fitted to in less time than it takes processes to import scikit-learn.
    fitted = fit_svm(
        joined.training_set, settings, cluster or jobs or (1 if unit == "track" else None), progress
    )
    write_model(Path(output), complete_card(fitted.card(), joined, licence), fitted.estimator)
    if predictions is not None:
        n_classes = len(joined.training_set.classes)
        with open_table_output(predictions, Prediction, n_classes) as write:
            for level, out_of_fold in fitted.levels.items():
                for row in prediction_rows(joined.training_set, level, out_of_fold.posteriors):
                    write(row)
    chosen = ", ".join(f"{name} {value:g}" for name, value in fitted.chosen.items())
    report_scores(f"{target}: {cv} folds; chosen {chosen}", fitted.levels)

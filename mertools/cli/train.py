"""`mer train MODEL`: a command for each model in the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli import options
from mertools.models.registry import MODELS

if TYPE_CHECKING:
    from mertools.artifacts.tables import Prediction
    from mertools.training.data import Joined
    from mertools.training.svm import FittedSvm

SVM = MODELS["svm"]


def svm(
    features: Annotated[
        list[str],
        typer.Option("--features", metavar="FILE", help="Features to learn from; repeatable."),
    ],
    labels: Annotated[str, typer.Option(metavar="FILE", help="Labels to learn.")],
    target: Annotated[str, typer.Option(help="Which target of the labels to learn.")],
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
    predictions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write the cross-validation's predictions, each by a model that did not "
            "learn from the track.",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
) -> None:
    """Train a support vector machine (RBF kernel, standardised, calibrated) and cross-validate it.

    Learns from the kept rows of the labels that are not marked test. C and gamma are chosen by a
    grid search over folds of whole tracks; for the scores the search is done anew within each
    fold's training part. The model's card holds scores, parameters and the data's digest.

    \b
    Examples:
      mer train svm --features features.h5 --labels labels.csv --target arousal -o arousal.skops
      mer train svm --features f.h5 --labels l.csv --target valence --cv 10 \\
          --grid C=0.1,1,10 --predictions cv.csv -o valence.skops
    """
    from pathlib import Path

    from mertools.artifacts.model_file import write_model
    from mertools.artifacts.tables import Prediction
    from mertools.cli.console import say, track_progress
    from mertools.cli.output import open_table_output
    from mertools.cli.parse import parse_grid
    from mertools.training.data import join
    from mertools.training.svm import SvmSettings, fit_svm

    settings = SvmSettings(cv, seed, parse_grid("--grid", grid or []))
    joined = join([Path(name) for name in features], labels, target, kind, unit)
    say(
        f"{target}: {joined.n_train} tracks to learn from; {joined.n_test} kept for testing, "
        f"{joined.n_dropped} dropped for disagreement, {joined.n_without_features} without features"
    )

    def progress(fits: Iterable[Any]) -> Iterable[Any]:
        return track_progress(fits, "train", cv + 1)

    # Tracks are fitted to in less time than it takes processes to import scikit-learn.
    fitted = fit_svm(
        joined.training_set, settings, jobs or (1 if unit == "track" else None), progress
    )
    write_model(Path(output), _card(fitted, joined), fitted.estimator)
    if predictions is not None:
        n_classes = len(joined.training_set.classes)
        with open_table_output(predictions, Prediction, n_classes) as write:
            for row in _out_of_fold_rows(fitted):
                write(row)
    _report(fitted)


def _card(fitted: FittedSvm, joined: Joined) -> dict[str, Any]:
    card = fitted.card()
    card["features"] = [
        {
            "kind": kind.name,
            "params": dict(kind.params),
            "params_digest": kind.params_digest,
            "shape": list(kind.shape),
        }
        for kind in joined.kinds
    ]
    card["audio"] = {
        "sample_rate": joined.kinds[0].params["sample_rate"],
        "length_s": joined.length_s,
        "hop_s": joined.hop_s,
        "last": joined.last,
    }
    card["training"]["left_out"] = {
        "test": joined.n_test,
        "disagreement": joined.n_dropped,
        "without_features": joined.n_without_features,
    }
    return card


def _out_of_fold_rows(fitted: FittedSvm) -> Iterator[Prediction]:
    import numpy as np

    from mertools.prediction.predict import make_prediction

    data = fitted.training_set
    for level, out_of_fold in fitted.levels.items():
        for place, posterior in enumerate(out_of_fold.posteriors):
            of_unit = data.groups == place
            segment_id = None
            if level == "segment":
                of_unit = np.arange(len(data.row_ids)) == place
                segment_id = data.row_ids[place]
            start = float(data.starts[of_unit].min())
            end = float((data.starts[of_unit] + data.durations[of_unit]).max())
            track_id = data.track_ids[int(data.groups[of_unit][0])]
            yield make_prediction(
                data.target, data.classes, track_id, segment_id, start, end - start, posterior
            )


def _report(fitted: FittedSvm) -> None:
    from mertools.cli.console import print_table

    rows = [
        [
            f"{level}, {score.replace('_', ' ')}",
            f"{of['mean']:.3f} ± {of['std']:.3f}",
            f"{of['pooled']:.3f}",
            f"{of['majority']:.3f}",
        ]
        for level, out_of_fold in fitted.levels.items()
        for score, of in out_of_fold.summarise().items()
    ]
    chosen = ", ".join(f"{name} {value:g}" for name, value in fitted.chosen.items())
    title = f"{fitted.training_set.target}: {fitted.settings.n_folds} folds; chosen {chosen}"
    print_table(title, ["", "folds", "pooled", "majority class"], rows)

"""`mer predict`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mertools.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mertools.artifacts.journal import Journal
    from mertools.features.extract import FailedInput
    from mertools.parallel import Jobs
    from mertools.prediction.predict import PredictedTrack, Predictor


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Features (HDF5), sound files, folders, manifests, or -; any mixture.",
            show_default=False,
        ),
    ],
    model: Annotated[
        list[str],
        typer.Option("--model", "-m", metavar="FILE", help="Model; several for several targets."),
    ],
    output: options.Output = "-",
    level: Annotated[
        Literal["both", "track", "segment"], typer.Option(help="Rows to give.")
    ] = "both",
    format: Annotated[
        Literal["table", "csv", "json"] | None,
        typer.Option(help="Form of the rows.", show_default="table on a terminal, else csv"),
    ] = None,
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Predict what tracks express: posteriors of segments and tracks, from features or sound.

    Sound is converted, cut and measured in memory just as it was for the model's training. Rows
    come in the order of the inputs, a track's segments before the track, each as soon as known.
    With -o a run that was interrupted goes on where it was.

    \b
    Examples:
      mer predict -m arousal.skops song.mp3
      mer predict -m arousal.skops -m valence.skops features.h5 -o predictions.csv
      find music -name '*.flac' | mer predict -m arousal.skops - --level track > predictions.csv
    """
    from pathlib import Path

    from mertools.artifacts.tables import Prediction
    from mertools.cli.failures import Failures
    from mertools.cli.output import open_table_output
    from mertools.errors import InputError
    from mertools.features.extract import FailedInput
    from mertools.prediction.predict import load_predictor

    predictors = [load_predictor(Path(name), device) for name in model]
    _check_targets(predictors)
    n_classes = max(len(predictor.classes) for predictor in predictors)
    seen: set[str] = set()
    with (
        Failures("predict", failures) as failed,
        _open_journal(output) as journal,
        open_table_output(output, Prediction, n_classes, format) as write,
    ):
        outcomes = _predict_inputs(
            inputs, predictors, level, cluster or jobs, null, id_from, journal
        )
        for outcome in outcomes:
            if isinstance(outcome, FailedInput):
                failed.add(outcome.error, outcome.track_id, outcome.segment_id)
                continue
            track_id = outcome.rows[0].track_id
            if track_id in seen:
                again = InputError(track_id, "is the track_id of two tracks", "predict them apart")
                failed.add(again, track_id)
                continue
            seen.add(track_id)
            failed.count_done()
            for row in outcome.rows:
                write(row)


@contextmanager
def _open_journal(output: str) -> Iterator[Journal | None]:
    """Open the journal of a file that is being made; there is none for standard output."""
    from pathlib import Path

    from mertools.artifacts.files import is_replaced
    from mertools.artifacts.journal import Journal

    if not is_replaced(output):
        yield None
        return
    with Journal(Path(output)) as journal:
        yield journal
        journal.discard()


def _check_targets(predictors: Sequence[Predictor]) -> None:
    from mertools.errors import UsageError

    targets: set[str] = set()
    for predictor in predictors:
        if predictor.target in targets:
            raise UsageError(
                predictor.path, f"is a second model for {predictor.target}", "predict with it apart"
            )
        targets.add(predictor.target)


def _predict_inputs(
    inputs: Sequence[str],
    predictors: Sequence[Predictor],
    level: Literal["both", "track", "segment"],
    jobs: Jobs,
    null_separated: bool,
    id_from: Literal["stem", "path"],
    journal: Journal | None,
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict inputs in their order; sound files that follow each other are worked on together."""
    from itertools import groupby
    from pathlib import Path

    from mertools.artifacts.features_file import is_hdf5
    from mertools.cli.console import track_progress
    from mertools.cli.work import count_if_known, gather_sources
    from mertools.prediction.predict import predict_audio, predict_features
    from mertools.prediction.stream import predict_resumably

    for are_features, run in groupby(inputs, key=lambda name: is_hdf5(Path(name))):
        if are_features:
            yield from predict_features([Path(name) for name in run], predictors, level)
        else:
            sources = gather_sources(list(run), null_separated=null_separated, id_from=id_from)
            if journal is None:
                made = predict_audio(sources, predictors, level, jobs)
            else:
                made = predict_resumably(sources, predictors, level, jobs, journal)
            yield from track_progress(made, "predict", count_if_known(sources))

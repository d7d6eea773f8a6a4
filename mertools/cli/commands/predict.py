"""`mer predict`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mertools.audio.settings import WINDOW_HOP_S, WINDOW_S
from mertools.cli.shared import options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mertools.artifacts.journal import Journal
    from mertools.audio.sources import Source
    from mertools.cli.shared.failures import Failures
    from mertools.features.extract import FailedInput
    from mertools.prediction.predictor import Predictor
    from mertools.prediction.tracks import PredictedTrack
    from mertools.runtime.parallel import Jobs


def complete_models(incomplete: str) -> list[str]:
    """Complete the name of a model at hand, or of a model's file here; a shell knows other files.

    The command complains of a wrong MER_MODELS, not the completion.
    """
    from mertools.errors import UsageError
    from mertools.prediction.installed import find_installed, models_in

    try:
        names = [path.stem for path in find_installed()]
    except UsageError:
        names = []
    found = [*names, *(path.name for path in models_in(Path()))]
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]


def predict(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Features (HDF5), sound files, folders, manifests, or -; any mixture. None where "
            "models look at lyrics alone.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE|NAME",
            help="Model, as a file or by a name that mer models lists; several for several "
            "targets.",
            show_default="the first of each target in mer models that has what it needs",
            autocompletion=complete_models,
        ),
    ] = None,
    lyrics: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Lyrics of the tracks (lyrics.csv), for models that look at words.",
            show_default=False,
        ),
    ] = None,
    encoder: options.Encoder = None,
    output: options.Output = "-",
    level: Annotated[
        Literal["both", "track", "segment"], typer.Option(help="Rows to give.")
    ] = "both",
    over_time: Annotated[
        bool,
        typer.Option(
            "--over-time",
            help="Predict windows of the track that overlap, in place of segments as in training; "
            "all are whole.",
        ),
    ] = False,
    length: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Length of a window.",
            show_default=f"{WINDOW_S:g}, or the length of segments where models need it",
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="From the start of one window to the next one's.",
            show_default=f"{WINDOW_HOP_S:g}",
        ),
    ] = None,
    format: options.Format = None,
    wide: Annotated[
        bool,
        typer.Option(
            "--wide", help="A row a track: means, classes, quadrant and word of all targets."
        ),
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Order tracks by a column of --wide; -COLUMN puts the highest first.",
            show_default="as the inputs come",
        ),
    ] = None,
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    force: options.Force = False,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Figure (.png, .svg) to draw: a track over time, or several in the plane.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Page to write: player, curves, plane and a table of all tracks.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table to write (explanations.csv): what moved each prediction, by blocks of "
            "features or by attention over time.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Predict the emotions of tracks from sound or features.

    Sound is converted, cut and measured in memory just as it was for the model's training. Rows
    come in the order of the inputs, a track's segments before the track, each as soon as known.
    With -o a run that was interrupted goes on where it was; a file that is finished is predicted
    anew, as it does not say of what sound it is. On a terminal a table of tracks is
    drawn, or of windows with --over-time.

    A model of sound and words predicts a track without lyrics from its sound, and says so.

    Without -m the bundled models predict, or those in the folders that MER_MODELS names, separated
    by colons. Bundled models that need a network's weights predict where these are here (mer models
    fetch), and it is said.

    \b
    Examples:
      mer predict song.mp3
      mer predict song.mp3 --over-time --length 5 > curve.csv
      mer predict song.mp3 --over-time --plot song.svg --html song.html -o song.csv
      mer predict songs --wide --sort -valence -o songs.csv
      mer predict -m emotify-valence songs -o songs.csv --explain why.csv
      mer predict -m arousal.skops -m valence.skops features.h5 -o predictions.csv
      find songs -name '*.flac' | mer predict -m arousal.skops - --level track > p.csv
    """
    from collections import Counter
    from dataclasses import replace
    from itertools import groupby

    from mertools.cli.shared.console import count, say
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.lyrics import read_words
    from mertools.cli.shared.predictions import open_explanations, open_predictions
    from mertools.errors import InputError
    from mertools.features.extract import FailedInput
    from mertools.prediction.installed import choose_models, describe_model
    from mertools.prediction.predict import predict_words
    from mertools.prediction.predictor import load_predictors
    from mertools.presentation.output import open_presentation

    _check_rows(level, wide, sort)
    # Neighbouring inputs of one sort are read together, which keeps the order of all inputs.
    runs = [(are, list(names)) for are, names in groupby(inputs or [], key=_is_features)]
    stored = [Path(name) for are_features, names in runs if are_features for name in names]
    choice = choose_models(model or [], stored)
    for note in choice.notes:
        say(note)
    predictors = load_predictors(choice.paths, device)
    predictors = _cut_as_asked(predictors, over_time, length, hop)
    predictors = _explain_as_asked(predictors, explain, html)
    has_sound = not all(are_features for are_features, _ in runs)
    if has_sound:
        for predictor in predictors:
            predictor.recipe()  # what cannot be computed is said before anything is written
    words = read_words(predictors, inputs or [], lyrics, encoder)
    if words is not None:
        predictors = [predictor.with_words(words) for predictor in predictors]
    n_classes = max(predictor.n_classes for predictor in predictors)
    # The header is written before the first row, so its columns follow from models and inputs.
    optional = ["model"]
    if any(predictor.tells_unlike for predictor in predictors):
        optional.append("unlike")
    if has_sound:
        optional.append("path")
    models = [describe_model(predictor.path) for predictor in predictors if plot or html]
    sounds: dict[str, Path] = {}
    seen: set[str] = set()
    lacking: Counter[str] = Counter()
    with (
        Failures("predict", failures) as failed,
        _open_journal(output, force=force) as journal,
        open_presentation(plot, html, models) as show,
        open_explanations(explain) as write_explanations,
        open_predictions(
            output,
            format,
            n_classes,
            wide=wide,
            sort=sort,
            windows=level == "segment" or (over_time and level == "both"),
            optional=optional,
        ) as write,
    ):
        outcomes = (
            _predict_inputs(
                runs, predictors, level, cluster or jobs, null, id_from, journal, failed, sounds
            )
            if runs or words is None
            else predict_words(predictors, words)
        )
        for outcome in outcomes:
            if isinstance(outcome, FailedInput):
                failed.add(outcome.error, outcome.track_id, outcome.segment_id)
                continue
            track_id = outcome.rows[0].track_id
            # Rows of two tracks under one id could not be separated later.
            if track_id in seen:
                again = InputError(track_id, "is the track_id of two tracks", "predict them apart")
                failed.add(again, track_id)
                continue
            seen.add(track_id)
            failed.count_done()
            failed.count_kept(outcome.kept)
            lacking.update(outcome.lacks)
            sound = sounds.get(track_id)
            path = None if sound is None else str(sound)
            rows = [replace(row, path=path) for row in outcome.rows]
            write(rows, sound)
            write_explanations(outcome.explanations)
            show(rows, sound, outcome.explanations)
    for kind, n in lacking.items():
        have = "has" if n == 1 else "have"
        are = "is" if n == 1 else "are"
        say(f"{count(n, 'track')} {have} no {kind} and {are} predicted without")


def _check_rows(level: str, wide: bool, sort: str | None) -> None:
    from mertools.errors import UsageError

    for option, is_given in (("--wide", wide), ("--sort", sort is not None)):
        if is_given and level == "segment":
            raise UsageError(option, "needs rows of tracks", "leave out --level segment")


def _is_features(name: str) -> bool:
    from mertools.artifacts.features_check import is_hdf5

    return is_hdf5(Path(name))


@contextmanager
def _open_journal(output: str, *, force: bool) -> Iterator[Journal | None]:
    """Open the journal of an output file; there is none for standard output."""
    from mertools.artifacts.files import is_replaced
    from mertools.artifacts.journal import Journal

    if not is_replaced(output):
        yield None
        return
    with Journal(Path(output)) as journal:
        if force:
            journal.clear()
        yield journal
        # Reached without an error only: after one, the next run goes on from the journal.
        journal.discard()


def _cut_as_asked(
    predictors: list[Predictor], over_time: bool, length: float | None, hop: float | None
) -> list[Predictor]:
    """Give the models for windows over time, where those are asked for."""
    from mertools.errors import UsageError
    from mertools.prediction.predictor import predict_over_time

    if over_time:
        return predict_over_time(predictors, length, hop)
    for option, seconds in (("--length", length), ("--hop", hop)):
        if seconds is not None:
            raise UsageError(option, "is for windows over time", "give --over-time, too")
    return predictors


def _explain_as_asked(
    predictors: list[Predictor], explain: Path | None, html: Path | None
) -> list[Predictor]:
    """Give the models that say what moved their predictions, where that is written or shown."""
    from dataclasses import replace

    from mertools.prediction.explain import check_explainable, is_sum

    if explain is not None:
        check_explainable(predictors)
        return [replace(predictor, explains="both") for predictor in predictors]
    if html is not None:
        return [replace(p, explains="track") if is_sum(p) else p for p in predictors]
    return predictors


def _predict_inputs(
    runs: Iterable[tuple[bool, list[str]]],
    predictors: Sequence[Predictor],
    level: Literal["both", "track", "segment"],
    jobs: Jobs,
    null_separated: bool,
    id_from: Literal["stem", "path"],
    journal: Journal | None,
    failed: Failures,
    sounds: dict[str, Path],
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict inputs in their order: runs of features files, or of sound files and manifests.

    The file of each track that has one is noted in `sounds`.
    """
    from mertools.cli.shared.console import track_progress
    from mertools.cli.shared.inputs import count_if_known, gather_sources, tracks_among
    from mertools.errors import UsageError
    from mertools.prediction.predict import predict_audio
    from mertools.prediction.stored import predict_features
    from mertools.prediction.stream import predict_resumably

    over_time = predictors[0].windows is not None
    for are_features, names in runs:
        if are_features and over_time:
            raise UsageError(names[0], "holds segments that are cut already", "give the sound")
        if are_features:
            yield from predict_features([Path(name) for name in names], predictors, level)
        else:
            found = gather_sources(names, null_separated=null_separated, id_from=id_from)
            sources = _note_sounds(tracks_among(found, failed) if over_time else found, sounds)
            if journal is None:
                predicted = predict_audio(sources, predictors, level, jobs)
            else:
                predicted = predict_resumably(sources, predictors, level, jobs, journal)
            yield from track_progress(predicted, "predict", count_if_known(found))


def _note_sounds(sources: Iterable[Source], sounds: dict[str, Path]) -> Iterator[Source]:
    """Pass sources on, and note each track's file."""
    from mertools.errors import InputError

    for source in sources:
        if not isinstance(source, InputError):
            sounds.setdefault(source.track_id, Path(source.path))
        yield source

"""`mer train cnn`, `mer train lstm` and `mer train dual`: one command for all networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from mertools.cli.shared import options
from mertools.errors import UsageError
from mertools.models.registry import NOTES, ModelSpec
from mertools.training.recipes import Parameters, format_point, parameter_types

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mertools.artifacts.rows import CrossValidation, Row
    from mertools.dataset.data import Joined
    from mertools.dataset.segments import SegmentSet
    from mertools.runtime.parallel import Jobs
    from mertools.training.fit import Fit, NetworkSettings
    from mertools.training.search import PointResult

R = TypeVar("R", bound="Row")

HELP = """Train a network and cross-validate it: {summary}.

It learns from segments, of which it needs {kinds} features, of the tracks whose labels are kept and
not marked test. Training ends early by the loss on a validation part of these tracks, and the best
epoch's weights are kept. Each point of the grid is trained with each fold of whole tracks held out,
and the best point, by the mean macro F1 of tracks, then on all tracks.

Parameters for --set and --grid, with their usual values: {parameters}.

An interrupted run goes on with --resume, and ends as it would have.

\b
Examples:
  mer train {name} {features} --labels labels.csv \\
      --target arousal -o arousal.safetensors
  mer train {name} {features} --labels labels.csv \\
      --target valence --objective soft --grid batch_size=16,32 --grid learning_rate=0.001,0.002 \\
      --cv-table cv.csv --folds folds.csv --predictions {name}.csv -o valence.safetensors
"""


def network_help(spec: ModelSpec) -> str:
    """Write the help text of the command that trains a network."""
    files = {"notes.h5" if kind in NOTES else "features.h5": None for kind in spec.feature_kinds}
    return HELP.format(
        name=spec.name,
        summary=spec.summary,
        features=" ".join(f"--features {file}" for file in files),
        kinds=", ".join(spec.feature_kinds),
        parameters=format_point(Parameters(form=spec.parameters).values()).replace(" ", ", "),
    )


def train_network(
    spec: ModelSpec,
    features: options.TrainingFeatures,
    labels: options.TrainingLabels,
    target: options.Target,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Model to write (.safetensors).",
            show_default=False,
        ),
    ] = None,
    objective: Annotated[
        Literal["hard", "soft"],
        typer.Option(
            help="Learn the class, classes weighted by inverse frequency; or the annotators' "
            "distribution, of tracks dropped for disagreement too."
        ),
    ] = "hard",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PARAM=VALUE", help="Set a parameter; repeatable."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="PARAM=VALUE,...", help="Try some values of a parameter; repeatable."),
    ] = None,
    cv: Annotated[int, typer.Option(min=0, help="Folds, over whole tracks; 0 for none.")] = 5,
    folds: options.Folds = None,
    refit: Annotated[
        bool, typer.Option(help="Train the best point on all tracks and write the model.")
    ] = True,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Network to begin with: its weights of the same name and shape are taken over.",
            show_default=False,
        ),
    ] = None,
    freeze: Annotated[
        Literal["S0", "S1", "S2", "S3", "S4"],
        typer.Option(
            help="Convolution blocks that stay as --init has them: none, all four, or the first "
            "one, two, three."
        ),
    ] = "S0",
    licence: options.Licence = None,
    predictions: options.OutOfFold = None,
    cv_table: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write how each point does over the folds, as soon as it is known.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write every epoch of every training, as soon as that has ended.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run was.")
    ] = False,
    device: options.Device = "auto",
    threads: Annotated[
        int,
        typer.Option(min=1, help="Threads of each process; the last bits of results differ by it."),
    ] = 1,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Train a network."""
    from contextlib import ExitStack
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mertools.cli.shared.console import say, set_quiet
    from mertools.cli.shared.training import report_joined
    from mertools.cli.shared.values import parse_grid
    from mertools.dataset.folds import share_folds
    from mertools.dataset.segments import join_segments
    from mertools.runtime.devices import find_device
    from mertools.training import distributed as together
    from mertools.training.checkpoint import StateFolder
    from mertools.training.fit import NetworkSettings
    from mertools.training.search import check_points
    from mertools.training.transfer import load_start

    types = parameter_types(spec)
    fixed = parse_grid("--set", settings or [], types)
    for name, values in fixed.items():
        if len(values) > 1:
            raise UsageError(f"--set {name}", "is given several values", "try them with --grid")
    found = NetworkSettings(
        spec.name,
        objective,
        Parameters(form=spec.parameters).replaced(
            {"freeze": freeze, **{name: values[0] for name, values in fixed.items()}}
        ),
        parse_grid("--grid", grid or [], types),
        cv,
        seed,
        together.join(find_device(device)),
        threads,
        load_start(Path(init)) if init else None,
    )
    if not together.is_first():
        set_quiet(True)
    outputs = _Outputs(output if refit else None, predictions, cv_table, history, licence)
    place = outputs.check(found, refit=refit)
    joined = join_segments(
        [Path(name) for name in features], labels, target, spec.feature_kinds, objective
    )
    report_joined(joined)
    data = joined.training_set
    for line in check_points(data, found):
        say(line)
    path = Path(folds) if folds else None
    shared = share_folds(path, data.track_ids, data.y, data.kept, data.classes, cv, seed)
    with ExitStack() as stack:
        if not together.is_first():
            place = Path(stack.enter_context(TemporaryDirectory())) / place.name
            outputs = _Outputs(str(place) if refit else None, None, None, None, licence)
        state = stack.enter_context(StateFolder(place, resume=resume))
        _search(joined, found, shared, state.path, outputs, cluster or jobs)
        state.discard()
    together.leave()


@dataclass(frozen=True)
class _Outputs:
    """The files to write; those that are not asked for are None. And the model's licence."""

    model: str | None
    predictions: str | None
    cv_table: str | None
    history: str | None
    licence: str | None

    def check(self, settings: NetworkSettings, *, refit: bool) -> Path:
        """Tell beside which file to keep what is done. Raises UsageError for what cannot be."""
        from pathlib import Path

        from mertools.artifacts.files import is_replaced

        if refit and self.model is None:
            raise UsageError("--output", "is missing", "name the model, or give --no-refit")
        if not settings.n_folds:
            if len(settings.points()) > 1 or not refit:
                raise UsageError("--cv 0", "leaves nothing to choose by", "give --cv 5")
            for option, name in (("predictions", self.predictions), ("cv-table", self.cv_table)):
                if name is not None:
                    raise UsageError(f"--{option} {name}", "needs folds", "give --cv 5")
        names = (self.model, self.cv_table, self.predictions, self.history)
        files = [name for name in names if name is not None and is_replaced(name)]
        if not files:
            raise UsageError("--no-refit", "leaves nothing to write", "give --cv-table FILE")
        return Path(files[0])


def _search(
    joined: Joined[SegmentSet],
    settings: NetworkSettings,
    folds: NDArray[np.int64],
    folder: Path,
    outputs: _Outputs,
    jobs: Jobs,
) -> None:
    """Cross-validate, choose and train, and write each output as soon as it can be."""
    from pathlib import Path

    from mertools.artifacts.model_file import write_network
    from mertools.artifacts.rows import CrossValidation, History, Prediction
    from mertools.cli.shared.console import follow_long_work, say
    from mertools.cli.shared.training import complete_card, prediction_rows, report_scores
    from mertools.training.fit import LOG
    from mertools.training.scores import mean_of_groups
    from mertools.training.search import cross_validate, history_rows, make_card, refit

    def progress(fits: Iterable[Fit], total: int) -> Iterable[Fit]:
        return follow_long_work(fits, "train", total, lambda: _last_line(folder / LOG))

    data = joined.training_set
    results: list[PointResult] = []
    epochs: list[History] = []
    table: list[CrossValidation] = []
    then_refit = outputs.model is not None
    for result in cross_validate(
        data, settings, folds, folder, jobs, progress, then_refit=then_refit
    ):
        place = len(results)
        results.append(result)
        for fold, fit in enumerate(result.fits):
            epochs += history_rows(place, fold, fit)
        table.append(result.row(data, settings, place))
        _rewrite(outputs.cv_table, CrossValidation, table)
        _rewrite(outputs.history, History, epochs)
    best = max(range(len(results)), key=lambda place: results[place].criterion(), default=0)
    if results:
        chosen = results[best]
        if len(results) > 1:
            _report_points(table)
        title = f"{data.target}: {settings.n_folds} folds; {format_point(chosen.point)}".rstrip(
            "; "
        )
        report_scores(title, chosen.levels)
        of_tracks = mean_of_groups(chosen.posteriors, data.groups)
        rows = [
            *prediction_rows(data, "track", of_tracks),
            *prediction_rows(data, "segment", chosen.posteriors),
        ]
        _rewrite(outputs.predictions, Prediction, rows, len(data.classes))
    if outputs.model is not None:
        fit = refit(data, settings, best, folder, progress)
        epochs += history_rows(best, None, fit)
        card = complete_card(make_card(data, settings, results, best, fit), joined, outputs.licence)
        weights = {name: weight.numpy() for name, weight in fit.weights.items()}
        write_network(Path(outputs.model), card, weights)
        last = fit.history[fit.best_epoch - 1]
        say(
            f"{outputs.model}: epoch {fit.best_epoch} of {len(fit.history)}, "
            f"validation loss {last.validation_loss:.3f}, macro F1 {last.validation_macro_f1:.3f}"
        )
    for target, row_type, written in (
        (outputs.history, History, epochs),
        (outputs.cv_table, CrossValidation, table),
    ):
        _rewrite(target, row_type, written, at_end=True)


def _rewrite(
    target: str | None,
    row_type: type[R],
    rows: Sequence[R],
    n_classes: int = 0,
    *,
    at_end: bool = False,
) -> None:
    """Write a table anew, as far as it is known; to a stream only in the end."""
    from mertools.artifacts.files import is_replaced, open_output
    from mertools.artifacts.tables import write_table

    if target is not None and (at_end or is_replaced(target)):
        with open_output(target) as stream:
            write_table(stream, row_type, rows, n_classes)


def _last_line(path: Path) -> str:
    """Read the last line that a training has written."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def _report_points(table: Sequence[CrossValidation]) -> None:
    from mertools.cli.shared.console import print_table

    rows = [
        [
            row.parameters,
            f"{row.track_macro_f1:.3f} ± {row.track_macro_f1_std:.3f}",
            f"{row.track_accuracy:.3f} ± {row.track_accuracy_std:.3f}",
            f"{row.epochs:.1f}",
            f"{row.seconds:.0f}",
        ]
        for row in table
    ]
    columns = ["point", "macro F1 of tracks", "accuracy", "epochs", "seconds"]
    print_table(f"{table[0].target}: points of the grid", columns, rows)

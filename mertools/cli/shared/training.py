"""`mer train`: what is asked for, checked; the run; and what is written and said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from mertools.artifacts.files import is_replaced, open_output
from mertools.artifacts.model_file import write_model
from mertools.artifacts.rows import CrossValidation, History, Prediction, Row
from mertools.artifacts.tables import write_table
from mertools.cli.shared.console import (
    follow_long_work,
    print_table,
    say,
    set_quiet,
    track_progress,
)
from mertools.cli.shared.values import parse_grid
from mertools.dataset.dataset import Joined
from mertools.dataset.folds import describe_rare_classes, share_folds
from mertools.dataset.join import Request, find_targets, join
from mertools.dataset.relatives import read_groups
from mertools.dataset.vectors import load_vectors
from mertools.errors import UsageError
from mertools.models.registry import Architecture
from mertools.prediction.rows import make_predictions
from mertools.runtime.parallel import Jobs
from mertools.targets.pooling import Pooling
from mertools.training.plan import SELECTION_METHODS, Fit, Plan, Selection, Settings
from mertools.training.protocol import (
    PointResult,
    Trained,
    check_settings,
    criterion,
    cv_rows,
    history_rows,
    is_nested,
    make_card,
    run_protocol,
)
from mertools.training.recipes import (
    FREEZE,
    Recipe,
    parameter_types,
    parameters_of,
    read_recipe,
    usual_recipe,
)
from mertools.training.scores import GUESS_OF_CLASSES, GUESS_OF_NUMBERS, pool_tracks, summarise
from mertools.training.search import format_point, make_space

R = TypeVar("R", bound=Row)

SHOWN_SCORES = (
    *("macro_f1", "accuracy"),
    *("r2", "pearson_r", "ccc", "rmse", "mae"),
)
"""Scores that are shown to a person; the card has all."""


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `mer train`, as they were given."""

    features: tuple[str, ...]
    copies: tuple[str, ...]
    labels: str
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    unit: Literal["track", "segment"]
    shares: tuple[str, ...]
    objective: str | None
    fixed: tuple[str, ...]
    recipe: str | None
    grid: tuple[str, ...]
    search: Literal["grid", "bayes"] | None
    n_trials: int
    n_folds: int
    n_repeats: int
    folds: str | None
    group: str | None
    groups: str | None
    select: str | None
    pool: Pooling
    starts: tuple[str, ...]
    freeze: str | None
    device: str
    n_threads: int
    seed: int
    force: bool


@dataclass(frozen=True)
class Outputs:
    """The files to write; those that are not asked for are None. And the model's licence."""

    model: str | None
    predictions: str | None
    cv_table: str | None
    history: str | None
    licence: str | None

    def check(self, n_folds: int, *, refit: bool) -> Path:
        """Give the file beside which unfinished work is saved.

        Raises UsageError for what cannot be written.
        """
        if refit and self.model is None:
            raise UsageError("--output", "is missing", "name the model, or give --no-refit")
        if not n_folds:
            if not refit:
                raise UsageError("--cv 0", "leaves nothing to score", "give --cv 5")
            for option, name in (("predictions", self.predictions), ("cv-table", self.cv_table)):
                if name is not None:
                    raise UsageError(f"--{option} {name}", "needs folds", "give --cv 5")
        names = (self.model, self.cv_table, self.predictions, self.history)
        files = [name for name in names if name is not None and is_replaced(name)]
        if not files and self.model is None:
            raise UsageError("--no-refit", "leaves nothing to write", "give --cv-table FILE")
        return Path(files[0] if files else str(self.model))


def run_training(
    architecture: Architecture,
    request: TrainingRequest,
    outputs: Outputs,
    jobs: Jobs,
    *,
    refit: bool,
) -> None:
    """Join, search, score, train and write, as a command asks for it."""
    beside = outputs.check(request.n_folds, refit=refit)
    recipe, fixed = _read_recipe(architecture, request)
    grid = parse_grid("--grid", request.grid, parameter_types(architecture))
    selection = _parse_selection(request.select)
    kinds = _choose_kinds(architecture, request.kinds)
    weights = _parse_shares(kinds, request.shares) if "share" in architecture.options else ()
    device, starts = "cpu", ()
    if architecture.is_network:
        device, starts = _prepare_network(architecture, request)
    targets = find_targets(request.labels, request.targets)
    objective = architecture.choose_objective(targets[0], request.objective)
    joined = join(
        Request(
            tuple(map(Path, request.features)),
            request.labels,
            request.targets,
            kinds,
            tuple(map(Path, request.copies)),
            keeps_disputed=objective == "soft",
            groups=_read_groups(request),
        )
    )
    _report_joined(joined)
    data = joined.dataset
    vectors = None if architecture.is_network else load_vectors(data, request.unit)
    n_columns = vectors.n_columns if vectors is not None else 1
    parameters = parameters_of(architecture)
    space = make_space(
        parameters, fixed, grid, request.search, request.n_trials, request.seed, n_columns
    )
    settings = Settings(
        architecture,
        objective,
        recipe,
        space,
        request.n_folds,
        request.n_repeats,
        request.seed,
        request.pool,
        selection,
        weights,
        starts,
        device,
        request.n_threads,
    )
    for line in describe_rare_classes(data, request.n_folds):
        say(line)
    folds = share_folds(
        Path(request.folds) if request.folds else None,
        data,
        request.n_folds,
        request.n_repeats,
        request.seed,
    )
    plan = Plan(data, settings, tuple(folds), vectors)
    check_settings(plan)
    if architecture.is_network:
        _train_network(plan, joined, outputs, beside, jobs, force=request.force)
    else:
        # Tracks are fitted to in less time than it takes processes to import scikit-learn.
        few = jobs is None and request.unit == "track"
        _run(plan, joined, outputs, 1 if few else jobs, None)


def _read_recipe(
    architecture: Architecture, request: TrainingRequest
) -> tuple[Recipe, dict[str, Any]]:
    """Give the recipe, and the parameters that --set fixes."""
    fixed: dict[str, Any] = {}
    for name, values in parse_grid("--set", request.fixed, parameter_types(architecture)).items():
        if len(values) > 1:
            raise UsageError(f"--set {name}", "is given several values", "try them with --grid")
        fixed[name] = values[0]
    if request.freeze is not None:
        fixed[FREEZE] = request.freeze
    if not architecture.is_network:
        recipe = Recipe(architecture, {})
    elif request.recipe is None:
        recipe = usual_recipe(architecture)
    else:
        recipe = read_recipe(Path(request.recipe), architecture)
    return recipe.replaced(fixed), fixed


def _prepare_network(
    architecture: Architecture, request: TrainingRequest
) -> tuple[str, tuple[Any, ...]]:
    """Find the device, and load the networks to begin with."""
    from mertools.runtime.devices import find_device
    from mertools.training import distributed
    from mertools.training.transfer import load_start

    device = distributed.join(find_device(request.device))
    if not distributed.is_first():
        set_quiet(True)
    return device, tuple(load_start(text, architecture) for text in request.starts)


def _choose_kinds(architecture: Architecture, asked: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds that an architecture looks at, with those asked for as its vectors."""
    return tuple(
        kind
        for branch in architecture.branches
        for kind in (asked if asked and branch.accepts == "vectors" else branch.kinds)
    )


def _parse_shares(kinds: Sequence[str], texts: Sequence[str]) -> tuple[float, ...]:
    """Give each kind's share of the kernel, scaled to a sum of 1."""
    for text in texts:
        name = text.partition("=")[0]
        if name not in kinds:
            known = ", ".join(kinds)
            raise UsageError(f"--share {name}", "is not learnt from", f"choose from {known}")
    given = {
        name: values[-1]
        for name, values in parse_grid("--share", texts, dict.fromkeys(kinds, float)).items()
    }
    for kind, share in given.items():
        if not 0 < share < float("inf"):
            raise UsageError(f"--share {kind}", "needs a number above 0", f"give {kind}=1")
    shares = [given.get(kind, 1.0) for kind in kinds]
    return tuple(share / sum(shares) for share in shares)


def _parse_selection(text: str | None) -> Selection | None:
    """Parse METHOD:N[,max_correlation=R]."""
    if text is None:
        return None
    first, _, rest = text.partition(",")
    method, _, number = first.partition(":")
    key, _, value = rest.partition("=")
    try:
        n_columns, max_r = int(number), float(value) if rest else None
        (known,) = [name for name in SELECTION_METHODS if name == method]
        fits = n_columns > 0 and key in ("", "max_correlation")
        if not fits or (max_r is not None and not 0 < max_r <= 1):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--select {text}",
            "is not of the form METHOD:N[,max_correlation=R]",
            f"choose METHOD from {', '.join(SELECTION_METHODS)}",
        ) from None
    return Selection(known, n_columns, max_r)


def _read_groups(request: TrainingRequest) -> Mapping[str, str] | None:
    if request.group is None:
        if request.groups is not None:
            raise UsageError("--groups", "is given without --group", "name the column")
        return None
    return read_groups(request.groups or request.labels, request.group)


def _train_network(
    plan: Plan, joined: Joined, outputs: Outputs, beside: Path, jobs: Jobs, *, force: bool
) -> None:
    from dataclasses import replace

    from mertools.training import distributed
    from mertools.training.checkpoint import StateFolder
    from mertools.training.points import check_points

    for line in check_points(plan):
        say(line)
    with ExitStack() as stack:
        if not distributed.is_first():
            beside = Path(stack.enter_context(TemporaryDirectory())) / beside.name
            model = str(beside) if outputs.model is not None else None
            outputs = Outputs(model, None, None, None, outputs.licence)
        state = stack.enter_context(StateFolder(beside, resume=not force))
        _run(replace(plan, folder=state.path), joined, outputs, jobs, state.path)
        state.discard()
    distributed.leave()


def _run(plan: Plan, joined: Joined, outputs: Outputs, jobs: Jobs, folder: Path | None) -> None:
    """Run the protocol, and write each output as soon as it can be."""

    def progress(fits: Iterable[Fit], total: int) -> Iterable[Fit]:
        if folder is None:
            return track_progress(fits, "train", total)
        from mertools.training.networks import LOG

        return follow_long_work(fits, "train", total, lambda: _last_line(folder / LOG))

    def report(results: Sequence[PointResult]) -> None:
        _rewrite(outputs.cv_table, CrossValidation, list(cv_rows(plan, results)))
        _rewrite(outputs.history, History, list(_epochs(plan, results)))

    trained = run_protocol(plan, jobs, progress, report, then_refit=outputs.model is not None)
    _report_scores(plan, trained)
    if outputs.predictions is not None:
        _write_predictions(plan, trained, outputs.predictions)
    if outputs.model is not None:
        _write_model(plan, joined, trained, outputs.model, outputs.licence)
    epochs = list(_epochs(plan, trained.results, trained))
    table = list(cv_rows(plan, trained.results))
    _rewrite(outputs.history, History, epochs, at_end=True)
    _rewrite(outputs.cv_table, CrossValidation, table, at_end=True)


def _epochs(
    plan: Plan, results: Sequence[PointResult], trained: Trained | None = None
) -> Iterator[History]:
    for number, result in enumerate(results, start=1):
        for repeat, fits in enumerate(result.fits):
            for fold, fit in enumerate(fits):
                if plan.settings.n_folds:
                    yield from history_rows(number, repeat, fold, fit)
                elif trained is None or number != trained.chosen + 1:
                    yield from history_rows(number, fold, None, fit)
    if trained is not None:
        for repeat, fit in enumerate(trained.final):
            yield from history_rows(trained.chosen + 1, repeat, None, fit)


def _write_predictions(plan: Plan, trained: Trained, file: str) -> None:
    """Write cross-validation's predictions, each by a model that did not learn from the track."""
    result, n_repeats = trained.results[trained.chosen], plan.settings.n_repeats
    rows = [
        row
        for repeat in range(n_repeats)
        for row in _prediction_rows(plan, result, repeat, numbered=n_repeats > 1)
    ]
    optional = ["fold", "repeat"] if n_repeats > 1 else ["fold"]
    n_classes = len(plan.dataset.classes)
    with open_output(file) as stream:
        write_table(stream, Prediction, rows, n_classes, optional)


def _prediction_rows(
    plan: Plan, result: PointResult, repeat: int, *, numbered: bool
) -> Iterator[Prediction]:
    """Yield a repetition's predictions: of tracks, then of segments where these are the rows."""
    data = plan.vectors.dataset if plan.vectors is not None else plan.dataset
    folds, outputs = plan.folds[repeat], result.outputs[repeat]
    number = repeat + 1 if numbered else None
    ends = data.starts + data.durations
    of_tracks = pool_tracks(data, outputs, plan.settings.pool)
    for track, track_id in enumerate(data.track_ids):
        if folds[track] < 0 or data.is_copy[track]:
            continue
        rows = data.groups == track
        start = float(data.starts[rows].min())
        yield from make_predictions(
            data.targets,
            track_id,
            None,
            start,
            float(ends[rows].max()) - start,
            of_tracks[track],
            repeat=number,
            fold=int(folds[track]) + 1,
        )
    if plan.vectors is not None and plan.vectors.unit == "track":
        return
    for row, segment_id in enumerate(data.row_ids):
        track = int(data.groups[row])
        if folds[track] < 0 or data.is_copy[track]:
            continue
        yield from make_predictions(
            data.targets,
            data.track_ids[track],
            segment_id,
            float(data.starts[row]),
            float(data.durations[row]),
            outputs[row],
            repeat=number,
            fold=int(folds[track]) + 1,
        )


def _write_model(
    plan: Plan, joined: Joined, trained: Trained, file: str, licence: str | None
) -> None:
    card = make_card(plan, joined, trained, licence)
    final = trained.final[0]
    write_model(Path(file), card, final.arrays, plan.settings.architecture.suffix)
    if final.history:
        last = final.history[final.kept_epoch - 1]
        shown = {
            "training loss": last.train_loss,
            "validation loss": last.validation_loss,
            "macro F1": last.validation_macro_f1,
            "R2": last.validation_r2,
        }
        scores = ", ".join(
            f"{name} {value:.3f}" for name, value in shown.items() if value is not None
        )
        say(f"{file}: epoch {final.kept_epoch} of {len(final.history)}, {scores}")


def _rewrite(
    target: str | None, row_type: type[R], rows: Sequence[R], *, at_end: bool = False
) -> None:
    """Write a table anew, as far as it is known; to a stream only in the end."""
    if target is not None and (at_end or is_replaced(target)):
        with open_output(target) as stream:
            write_table(stream, row_type, rows)


def _last_line(path: Path) -> str:
    """Read the last line that a training has written."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def _report_joined(joined: Joined) -> None:
    """Say how many tracks there are to learn from."""
    data = joined.dataset
    copies = f"{joined.n_copies} copies beside, " if joined.n_copies else ""
    marked = int((data.labels.is_validation & ~data.is_copy).sum())
    validation = f"{marked} of them for validation, " if marked else ""
    names = ",".join(target.name for target in data.targets)
    say(
        f"{names}: {joined.n_train} tracks to learn from; {copies}{validation}"
        f"{joined.n_test} kept for testing, {joined.n_dropped} dropped for disagreement, "
        f"{joined.n_without_features} without features"
    )


def _report_scores(plan: Plan, trained: Trained) -> None:
    """Draw tables of cross-validation's scores for a person."""
    settings, data = plan.settings, plan.dataset
    names = ",".join(target.name for target in data.targets)
    if len(trained.results) > 1:
        _report_points(plan, trained, names)
    if not trained.results or not trained.results[trained.chosen].levels:
        return
    result = trained.results[trained.chosen]
    point = result.point or (trained.final[0].point if trained.final else {})
    chosen = format_point(point) if settings.space.n_points > 1 else ""
    repeats = f"{settings.n_repeats} x " if settings.n_repeats > 1 else ""
    title = f"{names}: {repeats}{settings.n_folds} folds; {chosen}".rstrip("; ")
    if not is_nested(plan):
        title += " (chosen by these folds, so they flatter it)"
    guess = GUESS_OF_CLASSES if data.classes else GUESS_OF_NUMBERS
    rows = [
        [
            f"{level}, {score.replace('_', ' ')}",
            f"{of['mean']:.3f} ± {of['std']:.3f}",
            f"{of['pooled']:.3f}",
            f"{of[guess]:.3f}" if guess in of else "",
        ]
        for level, scores in summarise(result.levels).items()
        for score, of in scores.items()
        if score in SHOWN_SCORES
    ]
    guess_name = "majority class" if data.classes else "mean number"
    print_table(title, ["", "folds", "pooled", guess_name], rows)


def _report_points(plan: Plan, trained: Trained, names: str) -> None:
    name = criterion(plan.settings).replace("_", " ")
    of = "validation" if not plan.settings.n_folds else "tracks"
    rows = [
        [format_point(result.point), f"{result.value:.3f}", "chosen" * (k == trained.chosen)]
        for k, result in enumerate(trained.results)
    ]
    print_table(f"{names}: points of the search", ["point", f"{name} of {of}", ""], rows)

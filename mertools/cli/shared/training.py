"""The run of `mer train`: features joined with labels, the protocol, and its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mertools.artifacts.rows import CrossValidation, History
from mertools.cli.shared.console import (
    follow_long_work,
    say,
    track_progress,
)
from mertools.cli.shared.training_output import (
    Outputs,
    last_line,
    list_epochs,
    report_joined,
    report_notes,
    report_scores,
    rewrite,
    write_predictions,
    write_trained,
)
from mertools.cli.shared.training_request import (
    TrainingRequest,
    choose_groups,
    choose_kinds,
    choose_recipe,
    parse_blocks,
    parse_oversampling,
    parse_selection,
    prepare_network,
)
from mertools.cli.shared.values import parse_grid
from mertools.dataset.dataset import Joined
from mertools.dataset.folds import describe_rare_classes, share_folds
from mertools.dataset.join import Request, find_targets, join, name_targets
from mertools.dataset.vectors import load_vectors
from mertools.models.registry import Architecture
from mertools.pretrained.text_encoder import find_encoder
from mertools.runtime.parallel import Jobs
from mertools.training.plan import Fit, Plan, Settings
from mertools.training.protocol import PointResult, check_settings, run_protocol
from mertools.training.recipes import parameter_types, parameters_of, usual_recipe
from mertools.training.search import make_space
from mertools.training.tables import cv_rows


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
    recipe, fixed = choose_recipe(architecture, request)
    grid = parse_grid("--grid", request.grid, parameter_types(architecture))
    selection = parse_selection(request.select)
    oversampling = parse_oversampling(request.oversample)
    kinds = choose_kinds(architecture, request.kinds)
    device, starts = "cpu", ()
    if architecture.is_network:
        device, starts = prepare_network(architecture, request)
    if not architecture.has_targets:
        request = replace(request, targets=name_targets(request.labels))
    targets = find_targets(request.labels, request.targets)
    objective = architecture.choose_objective(targets[0], request.objective)
    joined = join(
        Request(
            tuple(map(Path, request.features)),
            request.labels,
            request.targets,
            kinds,
            tuple(map(Path, request.copies)),
            keeps_disputed=objective in ("soft", "pairs"),
            groups=choose_groups(request),
            optional=tuple(kind for k, kind in enumerate(kinds) if architecture.may_lack(k)),
        )
    )
    report_joined(joined)
    data = joined.dataset
    has_blocks = "share" in architecture.options
    blocks = parse_blocks(data.stored.kinds, request) if has_blocks else ()
    vectors = None if architecture.is_network else load_vectors(data, request.unit)
    n_columns = vectors.n_columns if vectors is not None else 1
    if selection is not None:
        n_columns = min(n_columns, selection.n_columns)
    parameters = parameters_of(architecture)
    if request.recipe is not None:
        # What a recipe says is not for a search to vary, unless --grid names it.
        usual = usual_recipe(architecture).values
        settled = {n for n, v in recipe.values.items() if v != usual[n]}
        settled |= {name for phase in recipe.phases for name in phase}
        parameters = tuple(of for of in parameters if of.name not in settled - grid.keys())
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
        blocks,
        starts,
        device,
        request.n_threads,
        oversampling,
        find_encoder(request.encoder) if request.encoder is not None else None,
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
    # Settings that do not fit the data should end the run now, not after hours of training.
    check_settings(plan)
    if architecture.is_network:
        _train_network(plan, joined, outputs, beside, jobs, force=request.force)
    else:
        # Tracks are fitted to in less time than it takes processes to import scikit-learn.
        few = jobs is None and request.unit == "track"
        _run(plan, joined, outputs, 1 if few else jobs, None)


def _train_network(
    plan: Plan, joined: Joined, outputs: Outputs, beside: Path, jobs: Jobs, *, force: bool
) -> None:
    from mertools.training import distributed
    from mertools.training.checkpoint import StateFolder
    from mertools.training.points import check_points

    if plan.settings.architecture.has_targets:
        for line in check_points(plan):
            say(line)
    with ExitStack() as stack:
        # The first process alone writes the outputs; what the others write is thrown away.
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

        return follow_long_work(fits, "train", total, lambda: last_line(folder / LOG))

    def report(results: Sequence[PointResult]) -> None:
        rewrite(outputs.cv_table, CrossValidation, list(cv_rows(plan, results)))
        rewrite(outputs.history, History, list(list_epochs(plan, results)))

    trained = run_protocol(plan, jobs, progress, report, then_refit=outputs.model is not None)
    report_notes(trained)
    report_scores(plan, trained)
    if outputs.predictions is not None:
        write_predictions(plan, trained, outputs.predictions)
    if outputs.model is not None:
        write_trained(plan, joined, trained, outputs.model, outputs.licence)
    epochs = list(list_epochs(plan, trained.results, trained))
    table = list(cv_rows(plan, trained.results))
    rewrite(outputs.history, History, epochs, at_end=True)
    rewrite(outputs.cv_table, CrossValidation, table, at_end=True)

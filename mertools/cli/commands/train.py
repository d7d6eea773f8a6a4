"""`mer train NAME`: one command, generated for every architecture of the registry."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, Any, Literal

import typer

from mertools.cli.shared import options
from mertools.models.registry import Architecture
from mertools.targets.pooling import Pooling

OBJECTIVES: dict[str, str] = {
    "hard": "the class",
    "soft": "the annotators' distribution",
    "mse": "a number, by its squared error",
    "mae": "a number, by its absolute error",
    "reconstruction": "the features themselves",
}

ONLY_OF_TARGETS = (
    *("target", "objective", "grid", "search", "trials", "cv", "folds", "select", "oversample"),
    *("pool", "refit", "predictions", "cv_table"),
)
"""Arguments of `train` that what learns no target does without."""

ONLY_NETWORKS = ("recipe", "init", "freeze", "history", "device", "threads", "resume", "force")
"""Arguments of `train` that estimators do without."""

ONLY_PREDICTORS = (
    *("objective", "cv", "repeats", "folds", "group", "groups", "oversample", "pool", "refit"),
    *("predictions", "cv_table"),
)
"""Arguments of `train` that architectures do without whose outputs are no predictions."""


def train(
    architecture: Architecture,
    features: options.TrainingFeatures,
    labels: options.TrainingLabels,
    target: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Which target of the labels to learn; numbers also together: A,B.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Model to write.", show_default=False),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Kind of vectors to learn from; repeatable."),
    ] = None,
    unit: Annotated[
        Literal["track", "segment"],
        typer.Option(help="Learn from tracks (means over their segments) or from each segment."),
    ] = "track",
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="Share of a kind in the kernel, or of its columns whose names begin so: "
            "KIND.COLUMNS; a kind that is not named has 1.",
            show_default=False,
        ),
    ] = None,
    linear: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="Columns, named as in --share, whose effect is a straight line beside the kernel, "
            "also beyond the range of training.",
            show_default=False,
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="What to learn.", show_default="as the scale suggests")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter; repeatable."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Parameters and phases of training (TOML).", show_default=False
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=V,V", help="Values of a parameter to try; repeatable."),
    ] = None,
    search: Annotated[
        Literal["grid", "bayes"] | None,
        typer.Option(
            help="Try all values, or what Optuna's TPE proposes.",
            show_default="grid where there are values to try",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="Points that --search bayes tries.")
    ] = 10,
    cv: Annotated[
        int, typer.Option(min=0, metavar="N", help="Folds, over whole tracks; 0 for none.")
    ] = 5,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Repeat cross-validation with other folds; with --cv 0, train from other seeds.",
        ),
    ] = 1,
    folds: options.Folds = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Keep tracks together in folds that have the same value in this column, such as "
            "artist.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Table by track_id with that column.", show_default="the labels"
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD:N[,max_correlation=R]",
            help="Learn from the best N columns by f (ANOVA) or relieff, ranked within each part "
            "learnt from.",
            show_default=False,
        ),
    ] = None,
    oversample: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD[:N]",
            help="Add synthetic rows within each part learnt from, N of each class or else as many "
            "as make classes equally large: smote or borderline-smote2 of vectors; deepsmote of "
            "mel spectrograms (25 of each class).",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        Pooling | None,
        typer.Option(help="How a track follows from its segments.", show_default="mean"),
    ] = None,
    copies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Features of the same tracks with changed sound (quieter, coded, ...), to learn "
            "from beside; repeatable.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[BRANCH=]MODEL",
            help="Network to begin with: its weights of the same name and shape, or those of a "
            "branch; repeatable.",
            show_default=False,
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="What stays as --init has it: branches, or a scenario (S0: nothing, S1: all four "
            "convolution blocks, S2 to S4: the first one to three).",
            show_default="S0",
        ),
    ] = None,
    encoder: options.Encoder = None,
    refit: Annotated[
        bool, typer.Option(help="Train the best point on all tracks and write the model.")
    ] = True,
    licence: options.Licence = None,
    predictions: options.OutOfFold = None,
    cv_table: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write every score of each fold, at each point tried.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Also write every epoch of every training.", show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", hidden=True)] = False,
    force: options.Force = False,
    device: options.Device = "auto",
    threads: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Threads of each process; results differ in their last bits."
        ),
    ] = 1,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Train a model."""
    from mertools.cli.shared.training import run_training
    from mertools.cli.shared.training_output import Outputs
    from mertools.cli.shared.training_request import TrainingRequest

    run_training(
        architecture,
        TrainingRequest(
            features=tuple(features),
            copies=tuple(copies or ()),
            labels=labels,
            targets=tuple(target.split(",")) if target else (),
            kinds=tuple(kind or ()),
            unit=unit if unit in architecture.units else "segment",
            shares=tuple(share or ()),
            linear=tuple(linear or ()),
            objective=objective,
            fixed=tuple(set_ or ()),
            recipe=recipe,
            grid=tuple(grid or ()),
            search=search,
            n_trials=trials,
            n_folds=cv,
            n_repeats=repeats,
            folds=folds,
            group=group,
            groups=groups,
            select=select,
            oversample=oversample,
            pool=pool or architecture.pool,
            starts=tuple(init or ()),
            freeze=freeze,
            encoder=encoder,
            device=device,
            n_threads=threads,
            seed=seed,
            force=force,
        ),
        Outputs(output if refit else None, predictions, cv_table, history, licence),
        cluster or jobs,
        refit=refit,
    )


SIGNATURE = signature(train, eval_str=True)


def command_of(architecture: Architecture) -> tuple[Callable[..., None], dict[str, Any]]:
    """Give `train` with the options that suit an architecture, and the arguments that it fixes."""
    fixed: dict[str, Any] = {"architecture": architecture}
    defaults = {name: of.default for name, of in SIGNATURE.parameters.items()}
    left_out = [] if architecture.is_network else list(ONLY_NETWORKS)
    if not architecture.takes_others:
        left_out.append("kind")
    if not architecture.takes_vectors:
        left_out.append("select")
    if not (architecture.takes_vectors or architecture.kinds == ("mel",)):
        left_out.append("oversample")
    if not architecture.takes_tokens:
        left_out.append("encoder")
    if not architecture.predicts:
        left_out += ONLY_PREDICTORS
    if len(architecture.units) < 2:
        left_out.append("unit")
    if "share" not in architecture.options:
        left_out += ["share", "linear"]
    if not architecture.has_targets:
        left_out += ONLY_OF_TARGETS
    fixed |= {name: defaults[name] for name in left_out}
    if not architecture.has_targets:
        # Pairs have no folds: the labels' validation part chooses the epoch.
        fixed |= {"target": "", "cv": 0}
    if not architecture.is_network:
        fixed["device"] = "cpu"
    if not architecture.predicts:
        fixed["cv"] = 0

    # typer reads options from a function's signature, so each command needs its own function.
    def run(**arguments: Any) -> None:
        train(**arguments)

    changed = {
        "kind": typer.Option(
            metavar="NAME",
            help="Kind of the sound, then of the lyrics."
            if not architecture.has_targets
            else "Kind of vectors to learn from; repeatable."
            if architecture.takes_vectors
            else "Kind with frames over time to learn from.",
            autocompletion=options.complete_kinds,
            show_default=", ".join(architecture.kinds),
        ),
        "output": typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"Model to write ({architecture.suffix}).",
            show_default=False,
        ),
    }
    parameters = [_with_option(of, changed, architecture) for of in SIGNATURE.parameters.values()]
    run.__name__ = architecture.name
    run.__signature__ = SIGNATURE.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run, fixed


def _with_option(of: Parameter, changed: dict[str, Any], architecture: Architecture) -> Parameter:
    if of.name == "objective" and architecture.has_targets:
        names: Any = Literal.__getitem__(architecture.objectives)
        meanings = "; ".join(f"{name}: {OBJECTIVES[name]}" for name in architecture.objectives)
        option = typer.Option(
            help=f"What to learn. {meanings}.", show_default="as the scale suggests"
        )
        return of.replace(annotation=Annotated[names | None, option])
    if of.name not in changed:
        return of
    hint = of.annotation.__origin__
    return of.replace(annotation=Annotated[hint, changed[of.name]])

"""`mer`: the group of commands, and how failures become one line and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections import UserDict
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from mertools.cli.commands.aggregate_labels import aggregate_labels
from mertools.cli.commands.align import align
from mertools.cli.commands.annotate import annotate
from mertools.cli.commands.augment import augment
from mertools.cli.commands.convert import convert
from mertools.cli.commands.embed import embed
from mertools.cli.commands.evaluate import evaluate
from mertools.cli.commands.featurize import featurize
from mertools.cli.commands.import_corpus import corpus_help, import_corpus
from mertools.cli.commands.import_features import import_features
from mertools.cli.commands.import_weights import import_weights
from mertools.cli.commands.inspect import inspect
from mertools.cli.commands.match import match
from mertools.cli.commands.merge import merge
from mertools.cli.commands.models import models
from mertools.cli.commands.models_fetch import models_fetch
from mertools.cli.commands.predict import predict
from mertools.cli.commands.rank_features import rank_features
from mertools.cli.commands.rate_tags import rate_tags
from mertools.cli.commands.segment import segment
from mertools.cli.commands.train import command_of, train_help
from mertools.cli.commands.transcribe import transcribe
from mertools.cli.commands.validate import validate
from mertools.cli.shared import console, options
from mertools.cli.shared.help import MerCommand, MerGroup
from mertools.cli.shared.streams import discard_stdout, open_standard_streams
from mertools.errors import MerError
from mertools.importers.registry import CORPORA
from mertools.models.registry import ARCHITECTURES
from mertools.version import __version__

EXIT_ERROR = MerError.exit_status
EXIT_INTERRUPTED = 130

REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EBADF: "leave it open, or give another with -o",
}

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def main() -> None:
    """Run `mer` with the arguments of this process."""
    for variable in THREADS:
        # Several threads in one operation would change the last bits of results with --jobs.
        os.environ[variable] = "1"
    open_standard_streams()
    try:
        app(prog_name="mer")
    except SystemExit as end:
        status = end.code
    except OSError as error:  # help is written before any command runs
        status = _complain(error)
    sys.exit(_flush(status))


app = typer.Typer(
    name="mer",
    cls=MerGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def mer(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True)
    ] = False,
) -> None:
    """Music emotion recognition, from audio and ratings to predictions, by commands that chain.

    \b
    convert → segment → featurize, transcribe → train → predict → evaluate
    ratings → aggregate-labels ────────┘
    """
    if version:
        typer.echo(f"mer {__version__}")
        raise typer.Exit


def _ended_well(command: Callable[[], None], *, debug: bool) -> None:
    """Run a command; turn every way in which it can end into an exit code and at most one line."""
    try:
        command()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001, said in one line, and with --debug whole
        if debug:
            traceback.print_exc()
        raise typer.Exit(_complain(error)) from None


def _complain(error: Exception) -> int:
    """Say in one line what went wrong, and give the exit status for it."""
    status, line = _describe(error)
    console.complain(line)
    return status


def _flush(status: str | int | None) -> str | int | None:
    """Write what is left for standard output; give the exit status, which may change by that."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        discard_stdout()
        return status or _complain(error)
    return status


def _describe(error: Exception) -> tuple[int, str]:
    """Give the exit status and the line for an error."""
    if isinstance(error, MerError):
        return error.exit_status, str(error)
    if isinstance(error, MemoryError):
        return EXIT_ERROR, "memory: there is not enough of it: lower --jobs"
    if isinstance(error, OSError) and error.errno is not None:
        remedy = REMEDIES.get(error.errno, "mend that and run it again")
        return EXIT_ERROR, f"{error.filename or 'standard output'}: {error.strerror}: {remedy}"
    kind = type(error).__name__
    return EXIT_ERROR, f"a fault of mer itself: {kind} ({error}): run with --debug and report it"


def _with_common_options(command: Callable[..., None], **fixed: object) -> Callable[..., None]:
    """Give a command the options that every command has, and the way in which all end.

    `fixed` are arguments that are no options.
    """

    @functools.wraps(command)
    def run(*, quiet: bool, debug: bool, **arguments: Any) -> None:
        def checked() -> None:
            from mertools.cli.shared.overwriting import check_overwriting

            check_overwriting(own.parameters, arguments)
            command(**fixed, **arguments)

        console.set_quiet(quiet)
        _ended_well(checked, debug=debug)

    common = {"quiet": options.Quiet, "debug": options.Debug}
    own = signature(command, eval_str=True)  # get_type_hints wraps hints with None in 3.10
    parameters = [
        *(p for p in own.parameters.values() if p.name not in fixed),
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=hint)
            for name, hint in common.items()
        ),
    ]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


class _TrainCommands(UserDict[str, Any]):
    """A command for each architecture, built when it is looked up.

    Fifteen with forty options each would slow every other command's start.
    """

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            architecture = ARCHITECTURES[name]
            function, fixed = command_of(architecture)
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(
                name,
                cls=MerCommand,
                help=train_help(architecture),
                short_help=_sentence(architecture.summary),
            )(_with_common_options(function, **fixed))
            self.data[name] = typer.main.get_command(alone)
        return self.data[name]


class _TrainGroup(MerGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _TrainCommands(dict.fromkeys(ARCHITECTURES))


train = typer.Typer(
    cls=_TrainGroup, help="Train a model, and cross-validate it.", no_args_is_help=True
)

import_group = typer.Typer(
    cls=MerGroup,
    help="Import a corpus, vectors, or a network's weights.",
    no_args_is_help=True,
)
for _corpus in CORPORA.values():
    _command = _with_common_options(import_corpus, corpus=_corpus)
    import_group.command(_corpus.name, cls=MerCommand, help=corpus_help(_corpus))(_command)
import_group.command("features", cls=MerCommand)(_with_common_options(import_features))
import_group.command("weights", cls=MerCommand)(_with_common_options(import_weights))


class _ModelsGroup(MerGroup):
    """`mer models` alone lists, and so does it with arguments that are no command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


models_group = typer.Typer(
    cls=_ModelsGroup, help="List the models at hand, or fetch a network's weights."
)
models_group.command("list", cls=MerCommand)(_with_common_options(models))
models_group.command("fetch", cls=MerCommand)(_with_common_options(models_fetch))

GROUPS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Prepare": {
        "convert": convert,
        "augment": augment,
        "segment": segment,
        "featurize": featurize,
        "transcribe": transcribe,
        "merge": merge,
        "import": import_group,
        "match": match,
    },
    "Label": {
        "annotate": annotate,
        "aggregate-labels": aggregate_labels,
        "rate-tags": rate_tags,
    },
    "Learn": {"train": train, "embed": embed},
    "Judge": {"evaluate": evaluate, "align": align, "rank-features": rank_features},
    "Look": {"predict": predict, "models": models_group, "inspect": inspect, "validate": validate},
}
"""The commands, as `mer --help` lists them."""

for _group, _commands in GROUPS.items():
    for _name, _entry in _commands.items():
        if isinstance(_entry, typer.Typer):
            app.add_typer(_entry, name=_name, rich_help_panel=_group)
        else:
            app.command(_name, cls=MerCommand, rich_help_panel=_group)(_with_common_options(_entry))

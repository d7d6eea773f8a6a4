"""`mer`: the group of commands, and how failures become one line and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections import UserDict
from collections.abc import Callable, Iterable
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from mertools.cli.shared import console, options
from mertools.cli.shared.help import MerCommand, MerGroup
from mertools.cli.shared.streams import discard_stdout, open_standard_streams
from mertools.errors import MerError
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


def _build(
    name: str, command: Callable[..., None], fixed: dict[str, object] | None = None, **shown: Any
) -> Any:
    """Give click's command for a function, with the options that every command has."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=MerCommand, **shown)(_with_common_options(command, **(fixed or {})))
    return typer.main.get_command(alone)


class _Commands(UserDict[str, Any]):
    """The commands of a group, named when one is looked for and each built when it is found.

    All of them have some five hundred options, which would slow every command's start.
    """

    def __init__(self, names: Callable[[], Iterable[str]], build: Callable[[str], Any]) -> None:
        self._names = names
        self._build = build

    @functools.cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        return dict.fromkeys(self._names())

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            self.data[name] = self._build(name)
        return self.data[name]


def _group(
    name: str, summary: str, names: Callable[[], Iterable[str]], build: Callable[[str], Any]
) -> MerGroup:
    """Give a command that has commands of its own."""
    group = MerGroup(
        name=name,
        help=summary,
        no_args_is_help=True,
        rich_markup_mode=None,
        rich_help_panel=PANELS[name],
    )
    group.commands = _Commands(names, build)
    return group


def _function(name: str) -> Callable[..., None]:
    """Give a command's function: the one of its own name, in the module of its own name."""
    name = name.replace("-", "_")
    function: Callable[..., None] = getattr(import_module(f"mertools.cli.commands.{name}"), name)
    return function


def _train() -> MerGroup:
    def names() -> Iterable[str]:
        from mertools.models.registry import ARCHITECTURES

        return ARCHITECTURES

    def build(name: str) -> Any:
        from mertools.cli.commands.train import command_of
        from mertools.cli.shared.training_help import train_help
        from mertools.models.registry import ARCHITECTURES

        architecture = ARCHITECTURES[name]
        function, fixed = command_of(architecture)
        summary = f"{architecture.summary[0].upper()}{architecture.summary[1:]}."
        return _build(name, function, fixed, help=train_help(architecture), short_help=summary)

    return _group("train", "Train a model, and cross-validate it.", names, build)


def _import() -> MerGroup:
    def names() -> Iterable[str]:
        from mertools.importers.registry import CORPORA

        return [*CORPORA, "features", "weights"]

    def build(name: str) -> Any:
        from mertools.cli.commands.import_corpus import corpus_help, import_corpus
        from mertools.importers.registry import CORPORA

        if name not in CORPORA:
            return _build(name, _function(f"import-{name}"))
        corpus = CORPORA[name]
        return _build(name, import_corpus, {"corpus": corpus}, help=corpus_help(corpus))

    return _group("import", "Import a corpus, vectors, or a network's weights.", names, build)


def _models() -> MerGroup:
    def build(name: str) -> Any:
        return _build(name, _function(f"models-{name}"))

    summary = "List the models at hand, or fetch a network's weights."
    group = _group("models", summary, lambda: ("list", "fetch"), build)
    group.default, group.no_args_is_help = "list", False
    return group


GROUPS = {
    "Prepare": (
        "convert",
        "augment",
        "segment",
        "featurize",
        "transcribe",
        "merge",
        "import",
        "match",
    ),
    "Label": ("annotate", "aggregate-labels", "rate-tags"),
    "Learn": ("train", "embed"),
    "Judge": ("evaluate", "congruence", "align", "rank-features"),
    "Look": ("predict", "models", "inspect", "validate"),
}
"""The commands, as `mer --help` lists them."""

PANELS = {name: panel for panel, names in GROUPS.items() for name in names}

WITH_COMMANDS = {"train": _train, "import": _import, "models": _models}


def _command(name: str) -> Any:
    """Build a command of `mer` itself."""
    if name in WITH_COMMANDS:
        return WITH_COMMANDS[name]()
    return _build(name, _function(name), rich_help_panel=PANELS[name])


class _Mer(MerGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(lambda: PANELS, _command)


app = typer.Typer(
    name="mer",
    cls=_Mer,
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

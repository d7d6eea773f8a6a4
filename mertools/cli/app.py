"""`mer`: the group of commands, and the one place where failures become lines and exit codes."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from mertools import __version__
from mertools.cli import console, options
from mertools.cli.convert import convert
from mertools.cli.segment import segment
from mertools.errors import MerError

EXIT_ERROR = MerError.exit_status
EXIT_INTERRUPTED = 130

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_debug = False


class MerGroup(TyperGroup):
    """Turns every way in which a command can end into an exit code and at most one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except MerError as error:
            _complain(str(error))
            raise typer.Exit(error.exit_status) from None
        except OSError as error:
            if error.errno is None:
                raise
            hint = "free some space" if error.errno == errno.ENOSPC else "see the system's message"
            _complain(f"{error.filename or 'output'}: {error.strerror}: {hint}")
            raise typer.Exit(EXIT_ERROR) from None
        except MemoryError:
            _complain("memory: there is not enough of it: lower --jobs")
            raise typer.Exit(EXIT_ERROR) from None
        else:
            return result


def main() -> None:
    """Run `mer` with the arguments of this process."""
    for variable in THREADS:
        # Several threads in one operation would change the last bits of results with --jobs.
        os.environ[variable] = "1"
    app()


app = typer.Typer(
    name="mer",
    cls=MerGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def mer(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True)
    ] = False,
) -> None:
    """Music emotion recognition, from audio and ratings to predictions, by commands that chain.

    \b
    convert → segment → featurize → train → predict → evaluate
    ratings → aggregate-labels ────────┘
    """
    if version:
        typer.echo(f"mer {__version__}")
        raise typer.Exit


def _complain(line: str) -> None:
    if _debug:
        traceback.print_exc()
    console.complain(line)


def _discard_stdout() -> None:
    """Let nothing more be written to a pipe that nobody reads, nor be complained about at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every command has: --quiet and --debug."""

    @functools.wraps(command)
    def run(*, quiet: bool, debug: bool, **arguments: Any) -> None:
        global _debug
        _debug = debug
        console.set_quiet(quiet)
        command(**arguments)

    common = {"quiet": options.Quiet, "debug": options.Debug}
    hints = get_type_hints(command, include_extras=True) | common
    signature = inspect.signature(command)
    parameters = [p.replace(annotation=hints[p.name]) for p in signature.parameters.values()]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=hint)
        for name, hint in common.items()
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = hints
    return run


for _command in (convert, segment):
    app.command()(_with_common_options(_command))

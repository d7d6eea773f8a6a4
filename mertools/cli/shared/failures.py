"""Inputs that fail: a line for each, a table of all, and the exit code."""

from __future__ import annotations

from types import TracebackType

import typer

from mertools.artifacts.files import open_output
from mertools.artifacts.rows import Failure
from mertools.artifacts.tables import write_table
from mertools.cli.shared import console
from mertools.errors import InputError

EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 4


class Failures:
    """Collects a command's failures; leaving the context ends the command where there are any."""

    def __init__(self, command: str, file: str | None) -> None:
        self._command = command
        self._file = file
        self._rows: list[Failure] = []
        self._n_done = self._n_kept = 0

    def __enter__(self) -> Failures:
        return self

    def add(
        self, error: InputError, track_id: str | None = None, segment_id: str | None = None
    ) -> None:
        """Say that an input failed, and remember it."""
        console.complain(str(error))
        self._rows.append(
            Failure(self._command, error.subject, track_id, segment_id, error.problem, error.remedy)
        )

    def count_done(self) -> None:
        """Count an input that did not fail."""
        self._n_done += 1

    def count_kept(self, kept: bool) -> None:
        """Count an input, done by now, whose result an earlier run had left."""
        self._n_kept += kept

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Also after an error: what failed until then is worth knowing.
        if self._file is not None:
            with open_output(self._file) as stream:
                write_table(stream, Failure, self._rows)
        if kind is None and self._n_kept:
            console.say(f"kept {self._n_kept}, made {self._n_done - self._n_kept}")
        if kind is None and self._rows:
            console.say(f"{self._n_done} done, {len(self._rows)} failed")
            raise typer.Exit(EXIT_SOME_FAILED if self._n_done else EXIT_ALL_FAILED)

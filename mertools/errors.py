"""The few kinds of failure. They carry what a person needs; the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable


class MerError(Exception):
    """A failure that names its subject (usually a path), what is wrong, and what to do.

    `exit_status` is the status of a command that this failure ends.
    """

    exit_status = 1

    def __init__(self, subject: object, problem: str, remedy: str) -> None:
        super().__init__(subject, problem, remedy)
        self.subject = str(subject)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}: {self.remedy}"


class UsageError(MerError):
    """The command cannot be run as it was called."""

    exit_status = 2


class SchemaError(UsageError):
    """An artifact breaks its schema: the problem names the row, column or dataset."""


class InputError(MerError):
    """One input among possibly many cannot be processed; the others still are."""


MOST_CHOICES = 60
"""As many names are listed at most: features and tables may have thousands of columns."""


def choose_from(names: Iterable[str], asked: str) -> str:
    """Word the remedy for a name that does not exist: the nearest one that does, and the first."""
    from difflib import get_close_matches  # only errors need it

    known = list(names)
    if not known:
        return "there is none to choose from"
    by_case = {name.lower(): name for name in known}
    near = [by_case[name] for name in get_close_matches(asked.lower(), by_case, n=1)]
    guess = f"did you mean {near[0]}? " if near else ""
    more = f" and {len(known) - MOST_CHOICES} more" if len(known) > MOST_CHOICES else ""
    return f"{guess}choose from {', '.join(known[:MOST_CHOICES])}{more}"

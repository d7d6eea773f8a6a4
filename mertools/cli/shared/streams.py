"""The three standard streams: open whatever the caller closed, and never a cause of a traceback."""

from __future__ import annotations

import os
import sys

_MODES = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""How /dev/null stands in for a closed stream: reading standard input fails as it should, and so
does writing standard output; what is said on standard error is lost."""


def open_standard_streams() -> None:
    """Open what the caller closed (`>&-`), and read and write text as tables have it.

    A file that a command opens would get the number of a closed stream, and rows or messages.
    """
    for descriptor, mode in enumerate(_MODES):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, as all below are open.
            os.open(os.devnull, mode)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115, open to the end
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    # Names of files that are not UTF-8 pass through unchanged, in every locale.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]


def discard_stdout() -> None:
    """Let what is still to be written vanish, and not be complained about at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

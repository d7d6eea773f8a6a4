"""Trying in a child process what might crash or hang a library written in C."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn

ALLOWANCE_S = 5.0
"""Seconds of processor time that a child may take, and may take again after `renew_allowance`."""

_is_child = False


def survives(function: Callable[[], object]) -> bool:
    """Tell whether a forked child outlives `function`, whatever it gives or raises.

    It does not where a signal ends it, as a segmentation fault does, or the end of its time.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, whose locks stay as they are; `function` takes none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _run(function)
    try:
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return not os.WIFSIGNALED(status)


def renew_allowance() -> None:
    """Let a child go on for `ALLOWANCE_S` from here; in any other process nothing happens."""
    if _is_child:
        # Time spent waiting for a slow disk does not count.
        signal.setitimer(signal.ITIMER_PROF, ALLOWANCE_S)


def _run(function: Callable[[], object]) -> NoReturn:
    global _is_child
    try:
        _is_child = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the C library says why it aborts
        renew_allowance()
        function()
    finally:
        # Without the end of an interpreter: what is open or not yet written is the parent's.
        os._exit(0)

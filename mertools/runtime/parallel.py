"""Spreading work on many files over processes or a cluster, with results in the inputs' order."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from mertools.errors import MerError
from mertools.runtime.memory import keep_freed_memory

T = TypeVar("T")
U = TypeVar("U")

Jobs = int | str | None
"""Where work is done: in so many processes (None: one a core), or on the cluster at an address."""

TASKS_AHEAD = 3
"""Tasks handed out for each process: enough to keep it busy, few enough to bound memory."""

PROCESSES_PER_CORE = 8
"""More than this only take memory, even where they wait for a disk most of the time."""


def available_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(
    function: Callable[[T], U], items: Iterable[T], jobs: Jobs, *, grouped: bool = True
) -> Iterator[U]:
    """Apply `function` to each item, yielding in order.

    Items are drawn as they are needed. A single item, or `jobs` of 1, is worked on in process.
    There are no more processes than items, nor than `PROCESSES_PER_CORE` allows. A cluster gets
    several items at once where they are `grouped`, as those should be that take less than a second.
    Raises what `function` raises, and MerError where a process dies; `map_on_cluster` says what
    else may happen on a cluster.
    """
    if isinstance(jobs, str):
        from mertools.runtime.cluster import map_on_cluster

        yield from map_on_cluster(function, items, jobs, grouped=grouped)
        return
    keep_freed_memory()
    jobs = min(jobs or available_cores(), PROCESSES_PER_CORE * available_cores())
    source = iter(items)
    first = list(itertools.islice(source, max(2, jobs)))
    jobs = min(jobs, len(first))
    if jobs < 2:
        yield from map(function, itertools.chain(first, source))
        return
    context = multiprocessing.get_context("fork" if _may_fork() else "spawn")
    lifeline, held = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(lifeline, held, function)
    )
    try:
        pending: deque[Future[U]] = deque()
        for item in itertools.chain(first, source):
            with _interrupts_held():
                pending.append(executor.submit(_work_on, item))
            if len(pending) >= jobs * TASKS_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise MerError(
            f"{jobs} processes", "one of them died, perhaps for want of memory", "lower --jobs"
        ) from None
    except BaseException:
        # What is being worked on is wanted by nobody, and may take long.
        held.close()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _may_fork() -> bool:
    """Tell whether processes may be forked, which spares each of them the import of everything.

    A fork copies the locks that other threads hold, and what torch has begun with a device.
    """
    threads = Path("/proc/self/task")
    return threads.exists() and len(list(threads.iterdir())) == 1 and "torch" not in sys.modules


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: they inherit that, and leave it to the parent."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


_function: Callable[[Any], Any]
"""What this process is to apply. It comes once, not with each item: what waits in the queue stays
small, as Python 3.10 hangs when it is ended with more there than a pipe holds."""


def _start_worker(lifeline: Connection, held: Connection, function: Callable[[Any], Any]) -> None:
    """End when the parent closes `held`, its end of the lifeline, or is gone, killed or not."""
    global _function
    _function = function
    held.close()  # this process's copy
    keep_freed_memory()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _work_on(item: Any) -> Any:
    return _function(item)


def _end_with(lifeline: Connection) -> None:
    connection.wait([lifeline])
    os._exit(1)

"""Spreading work over the workers of a Dask cluster, with results in the order of the inputs."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mertools.errors import MerError, UsageError
from mertools.runtime.memory import keep_freed_memory
from mertools.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
U = TypeVar("U")

TASKS_AHEAD = 4
"""Tasks handed out for each thread of the cluster: they hide the way there and back."""

ITEMS_AT_ONCE = 8
"""Items of a task at most, as the scheduler takes about 2 ms for each task: the first tasks are of
one item, so that few items are spread well, and each round's are larger by one."""

RESULTS_AT_ONCE = 2
"""Tasks whose results are fetched together at most: few enough to bound memory."""

RETRIES = 2
"""How often a task is tried again that raises what `function` should not."""


def map_on_cluster(
    function: Callable[[T], U], items: Iterable[T], address: str, *, grouped: bool
) -> Iterator[U]:
    """Apply `function` to each item on the cluster whose scheduler is at `address`, in order.

    Workers join and leave as they like: what a lost one had in hand is done by another. Items are
    drawn as they are needed, and results wait with the workers. Leaving early cancels what no
    worker has begun.

    Raises UsageError where there is no such cluster or it cannot do the work of this program as
    this machine would, what `function` raises, and MerError where workers or scheduler are lost.
    """
    with _connected(address) as client:
        work = _Work(function, __version__, Path.cwd())
        source = iter(items)
        pending: deque[Future] = deque()
        n_drawn = 0
        while True:
            n_ahead = TASKS_AHEAD * max(1, sum(client.nthreads().values()))
            size = min(ITEMS_AT_ONCE, 1 + n_drawn // n_ahead) if grouped else 1
            drawn = list(itertools.islice(source, size * max(0, n_ahead - len(pending))))
            n_drawn += len(drawn)
            tasks = [drawn[begin : begin + size] for begin in range(0, len(drawn), size)]
            pending.extend(client.map(work, tasks, pure=False, retries=RETRIES))
            if not pending:
                return
            ready = [pending.popleft()]
            while pending and pending[0].done() and len(ready) < RESULTS_AT_ONCE:
                ready.append(pending.popleft())
            yield from itertools.chain.from_iterable(client.gather(ready))


_alone = threading.Lock()
"""Held by the one task at a time that a worker process does, whatever its threads: tasks change the
working folder, and no feature was ever computed by two threads at once."""


@dataclass(frozen=True)
class _Work(Generic[T, U]):
    """What a worker does for a client of some version, in the folder that its paths start from."""

    function: Callable[[T], U]
    version: str
    folder: Path

    def __call__(self, items: Sequence[T]) -> list[U]:
        host = socket.gethostname()
        if self.version != __version__:
            raise _other_version(f"the worker on {host}", __version__, self.version)
        if os.environ.get("OMP_NUM_THREADS") != "1":
            raise UsageError(
                f"the worker on {host}",
                "would add up in several threads, and so in another order",
                "start it with OMP_NUM_THREADS=1",
            )
        with _alone:
            keep_freed_memory()
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise UsageError(
                    f"the worker on {host}",
                    f"cannot enter {self.folder} ({error.strerror})",
                    "run mer in a folder that all machines share",
                ) from None
            return [self.function(item) for item in items]


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect to a cluster that has this version of mertools; turn its errors into ours."""
    try:
        from distributed import Client
        from distributed.comm import CommClosedError, get_address_host_port
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError:
        raise UsageError(
            "--cluster", "needs the package distributed", "pip install 'mertools[cluster]'"
        ) from None
    for name in ("distributed.client", "asyncio"):
        # What they would log, with a traceback, is in the errors below, or was asked for.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        get_address_host_port(address, strict=True)  # what a client finds wrong, it hangs on
        client = Client(address, name="mer", set_as_default=False)
    except ValueError as error:
        raise UsageError(
            address, f"is no address ({error})", "give one such as tcp://HOST:8786"
        ) from None
    except OSError:
        raise UsageError(
            address, "no Dask scheduler answers there", "start one (dask scheduler), or mend it"
        ) from None
    try:
        with client:
            _check_versions(address, client.get_versions(packages=["mertools"]))
            yield client
    except KilledWorker as error:
        raise MerError(
            address,
            f"a task lost {error.allowed_failures + 1} workers, perhaps for want of memory",
            "give each worker more, or look into its log",
        ) from None
    except (CancelledError, CommClosedError):
        raise MerError(
            address, "the scheduler was lost", "start it and run this again: what is done is kept"
        ) from None


def _check_versions(address: str, answer: Mapping[str, Any]) -> None:
    found = {"the scheduler": answer["scheduler"]}
    found |= {f"the worker {name}": of_worker for name, of_worker in answer["workers"].items()}
    mine = answer["client"]["packages"]["mertools"]
    for name, versions in found.items():
        version = versions["packages"]["mertools"]
        if version != mine:
            raise _other_version(f"{address}: {name}", version, __version__)


def _other_version(subject: str, found: str | None, wanted: str) -> UsageError:
    return UsageError(
        subject,
        f"has mertools {found}, not {wanted}" if found else "has no mertools",
        f"install mertools {wanted} there, too",
    )

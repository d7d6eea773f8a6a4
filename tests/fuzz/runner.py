"""Running commands on damaged files, each in a child of its own, and judging how they end."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.corpus import COMMANDS
from tests.fuzz.mutate import mutate_file

TIME_LIMIT_S = 40.0
MEMORY_LIMIT_BYTES = 1_200_000_000
ADDRESS_SPACE_BYTES = 6 << 30
"""A child that asks for more fails at once, before the machine does."""

PRINTED = (".stdout", ".stderr")
WITH_JOBS = ("augment", "convert", "featurize", "predict", "segment", "train", "transcribe")
GOOD_ENDS = (0, 2, 3, 4)
BAD_WORDS = ("a fault of mer itself", "Traceback", "Exception ignored", "Warning:")


@dataclass(frozen=True)
class Verdict:
    """How a case ended: `fault` is empty where that is as it should be."""

    case: int
    command: str
    mutation: str
    fault: str
    detail: str


def load_modules() -> None:
    """Import once what all children need; no thread may run when they are forked."""
    import h5py  # noqa: F401
    import scipy.signal  # noqa: F401
    import sklearn.svm  # noqa: F401
    import soundfile  # noqa: F401
    import soxr  # noqa: F401

    import mertools.cli.app
    import mertools.features.build
    import mertools.prediction.predict  # noqa: F401


def run_case(corpus: Path, seed: int, case: int, names: Sequence[str]) -> Verdict:
    """Damage one file of the corpus and run one command that reads it."""
    chance = random.Random(f"{seed}/{case}")
    name = chance.choice(names)
    command = chance.choice(COMMANDS[name]).format(f=name)
    with tempfile.TemporaryDirectory(prefix="mer-fuzz-") as place:
        folder = Path(place) / "case"
        folder.mkdir()
        for path in corpus.iterdir():
            # The whole ones are shared; none is ever written to.
            (folder / path.name).symlink_to(path)
        (folder / name).unlink()
        shutil.copy(corpus / name, folder / name)
        mutation = mutate_file(folder / name, chance)
        needs_jobs = command.split()[0] in WITH_JOBS
        words = [*command.split(), *(["-j", "1"] if needs_jobs else [])]
        started = time.monotonic()
        status, peak_bytes = _run(words, folder)
        text = (folder / PRINTED[1]).read_text("utf-8", "replace")
        fault = _judge(status, peak_bytes, time.monotonic() - started, text)
        return Verdict(case, " ".join(words), f"{name}: {mutation}", fault, text[-400:])


def _judge(status: int, peak_bytes: int, seconds: float, text: str) -> str:
    if seconds > TIME_LIMIT_S:
        return "hang"
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    if os.WEXITSTATUS(status) not in GOOD_ENDS:
        return f"status {os.WEXITSTATUS(status)}"
    if peak_bytes > MEMORY_LIMIT_BYTES:
        return f"{peak_bytes / 1e9:.1f} GB"
    return next((f"says {word!r}" for word in BAD_WORDS if word in text), "")


def start_command(words: Sequence[str], folder: Path) -> int:
    """Start a command in a child, the leader of a group of its own; give its process's number.

    What it prints goes into `PRINTED`, in the folder that it is called in.
    """
    child = os.fork()
    if child == 0:
        _be_child(words, folder)
    return child


def _run(words: Sequence[str], folder: Path) -> tuple[int, int]:
    """Run a command in a child; give its status as `wait` has it, and its peak of memory."""
    child = start_command(words, folder)
    deadline = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return status, usage.ru_maxrss * 1024
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return status, usage.ru_maxrss * 1024


def _be_child(words: Sequence[str], folder: Path) -> None:
    status = 99
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, PRINTED[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, PRINTED[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(name, flags, 0o600), descriptor)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # As in a process of its own, whatever captures these in the parent.
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.argv = ["mer", *words]
        from mertools.cli.app import main

        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)

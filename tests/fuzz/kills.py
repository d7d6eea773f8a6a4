"""Killing commands at random moments: a second run must make the same bytes and leave no trace."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = (
    "convert in -o w",
    "segment in --length 0.5 --write-audio w -o s.csv",
    "featurize in --kind mel --kind handcrafted --length 0.5 -o f.h5",
    "featurize in --kind mel --length 0.5 --shards shards --shard-size 2 -o f.h5",
    "predict in -m model.skops -o p.csv",
    "aggregate-labels annotations.csv -o labels.csv --summary s.json",
    "train svm --features features.h5 --labels labels.csv --target arousal --cv 2 -o m.skops",
    "merge features.h5 --copy -o f.h5",
)
SOUND = (".wav", ".flac", ".mp3", ".ogg", ".aiff", ".opus")


def run_kills(corpus: Path, seed: int, n: int) -> list[str]:
    """Kill `n` runs; say which second run made other bytes than one that was left alone."""
    chance = random.Random(f"kills/{seed}")
    expected: dict[str, tuple[float, dict[str, bytes]]] = {}
    faults = []
    for kill in range(n):
        command = chance.choice(COMMANDS)
        if command not in expected:
            with tempfile.TemporaryDirectory(prefix="mer-kill-") as place:
                started = time.monotonic()
                _start(command, _prepare(corpus, Path(place))).wait()
                seconds = time.monotonic() - started
                expected[command] = seconds, _contents(Path(place))
        seconds, whole = expected[command]
        with tempfile.TemporaryDirectory(prefix="mer-kill-") as place:
            folder = _prepare(corpus, Path(place))
            delays = [chance.uniform(0, 1.1 * seconds) for _ in range(chance.choice((1, 1, 2)))]
            for delay_s in delays:
                process = _start(command, folder)
                time.sleep(delay_s)
                process.kill()
                process.wait()
            process = _start(command, folder)
            status = process.wait()
            found = _contents(folder)
            if status or found != whole:
                differing = sorted(
                    name
                    for name in whole.keys() | found.keys()
                    if whole.get(name) != found.get(name)
                )
                said = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
                faults.append(
                    f"kill {kill}: {command}: after {delays}: status {status}, "
                    f"differing: {differing[:5]} {said[-300:]}"
                )
            _end_group(process)
    return faults


def _prepare(corpus: Path, folder: Path) -> Path:
    (folder / "in").mkdir()
    for path in corpus.iterdir():
        shutil.copy(path, folder / "in" if path.suffix in SOUND else folder)
    return folder


def _start(command: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mertools", *command.split(), "-q"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

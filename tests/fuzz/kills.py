"""Killing commands at random moments: a second run must make the same bytes and leave no trace."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

from tests.fuzz.runner import PRINTED, start_command

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
        words = [*command.split(), "-q"]
        if command not in expected:
            with tempfile.TemporaryDirectory(prefix="mer-kill-") as place:
                folder = _prepare(corpus, Path(place))
                started = time.monotonic()
                os.waitpid(start_command(words, folder), 0)
                expected[command] = time.monotonic() - started, _contents(folder)
        seconds, whole = expected[command]
        with tempfile.TemporaryDirectory(prefix="mer-kill-") as place:
            folder = _prepare(corpus, Path(place))
            delays = [chance.uniform(0, 1.1 * seconds) for _ in range(chance.choice((1, 1, 2)))]
            for delay_s in delays:
                child = start_command(words, folder)
                time.sleep(delay_s)
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            child = start_command(words, folder)
            _, status = os.waitpid(child, 0)
            found = _contents(folder)
            if status or found != whole:
                differing = sorted(
                    name
                    for name in whole.keys() | found.keys()
                    if whole.get(name) != found.get(name)
                )
                said = (folder / PRINTED[1]).read_text("utf-8", "replace")
                faults.append(
                    f"kill {kill}: {command}: after {delays}: status {status}, "
                    f"differing: {differing[:5]} {said[-300:]}"
                )
            _end_group(child)
    return faults


def _prepare(corpus: Path, folder: Path) -> Path:
    (folder / "in").mkdir()
    for path in corpus.iterdir():
        shutil.copy(path, folder / "in" if path.suffix in SOUND else folder)
    return folder


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in PRINTED
    }

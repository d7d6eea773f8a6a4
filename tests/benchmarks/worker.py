"""One side of a warm pair, in its own process, which does a round for each line of its input."""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.pairs import WarmPair
from benchmarks.registry import find_pair
from benchmarks.runner import from_text


class Turns:
    """Called after each round: prints its seconds, and waits for the next turn."""

    def __init__(self) -> None:
        # Libraries may print to standard output, which has the answers: theirs goes to the error.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._begin()

    def __call__(self) -> None:
        wall_s = time.perf_counter() - self._wall
        cpu_s = time.process_time() - self._cpu
        print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}), file=self._answers, flush=True)
        if not sys.stdin.readline():
            sys.exit()
        self._begin()

    def _begin(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def main(name: str, side: str, text: str) -> None:
    pair = find_pair(name)
    assert isinstance(pair, WarmPair)
    work = pair.ours if side == "ours" else pair.theirs
    work(from_text(text), Turns())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`python -m tests.fuzz`: mutates files and calls commands on them, and kills commands."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.corpus import COMMANDS, make_corpus
from tests.fuzz.kills import run_kills
from tests.fuzz.runner import load_modules, run_case


def main() -> int:
    """Run what the arguments ask for; the status is 1 where anything was amiss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=0, help="mutated files")
    parser.add_argument("--kills", type=int, default=0, help="killed runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", nargs="*", default=[], help="damage only these files")
    parser.add_argument("--no-network", action="store_true", help="without torch")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    names = [
        n for n in asked.only or COMMANDS if not (asked.no_network and n.startswith("network"))
    ]
    os.environ |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    n_faults: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="mer-corpus-") as place:
        corpus = Path(place)
        make_corpus(corpus, network="network.safetensors" in names)
        load_modules()
        if asked.n:
            with multiprocessing.get_context("fork").Pool(asked.jobs) as pool:
                run = partial(run_case, corpus, asked.seed, names=names)
                cases = range(asked.first, asked.first + asked.n)
                for verdict in pool.imap_unordered(partial(_call, run), cases, 4):
                    if verdict.fault:
                        n_faults[verdict.fault] += 1
                        print(
                            f"{verdict.case}: {verdict.fault}: mer {verdict.command}\n"
                            f"    {verdict.mutation[:300]}\n    {verdict.detail!r}",
                            flush=True,
                        )
        for fault in run_kills(corpus, asked.seed, asked.kills):
            n_faults["kill"] += 1
            print(fault, flush=True)
    print(f"seed {asked.seed}: {asked.n} cases, {asked.kills} kills, faults: {dict(n_faults)}")
    return bool(n_faults)


def _call(run, case):
    return run(case)


if __name__ == "__main__":
    sys.exit(main())

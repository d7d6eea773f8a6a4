"""The command: `python -m benchmarks`, or `tests/benchmarks/run`."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.pairs import ROOT, Pair
from benchmarks.registry import PAIRS
from benchmarks.report import (
    describe_machine,
    describe_versions,
    print_table,
    show_seconds,
    to_markdown,
    write_json,
)
from benchmarks.runner import Outcome, Round, measure
from benchmarks.setup import Setup
from mertools.runtime.parallel import available_cores

CORPUS = ROOT.parent / "shared" / "corpora" / "emotify"
CLIPS = ROOT / "examples" / "clips"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description="Measure mer beside what one would run instead."
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        default=CORPUS if CORPUS.is_dir() else CLIPS,
        help="folder with sound files; originals/ in it are the songs, audio/ the tracks "
        "(default: the corpus beside the project, else the project's own clips)",
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="pair to measure, * for any; repeatable"
    )
    parser.add_argument("--repeat", type=int, default=5, help="rounds of each pair (default: 5)")
    parser.add_argument("--tracks", type=int, default=300, help="tracks at most (default: 300)")
    parser.add_argument(
        "--jobs", type=int, default=available_cores(), help="processes (default: all cores)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--profile", action="store_true", help="print where our time goes, and the floor"
    )
    parser.add_argument("--list", action="store_true", help="name the pairs and end")
    return parser.parse_args()


def _chosen(patterns: list[str] | None) -> list[Pair]:
    for pattern in patterns or ():
        if not any(fnmatch(pair.name, pattern) for pair in PAIRS):
            sys.exit(f"benchmarks: --only {pattern}: there is no such pair: see --list")
    return [pair for pair in PAIRS if any(fnmatch(pair.name, p) for p in patterns or ["*"])]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure_all(
    pairs: list[Pair], setup: Setup, repeat: int, json: Path | None
) -> tuple[list[Outcome], dict[str, object]]:
    """Measure pairs in order; what is measured so far is written down after each."""
    about: dict[str, object] = {
        "machine": describe_machine(),
        "versions": describe_versions(),
        "corpus": str(setup.folder),
        "tracks": setup.n_tracks,
        "jobs": setup.jobs,
        "repeat": repeat,
    }
    outcomes = []
    for pair in pairs:

        def report(number: int, each: Round, name: str = pair.name) -> None:
            ours, theirs = show_seconds(each.ours.wall_s), show_seconds(each.theirs.wall_s)
            _say(f"{name}: round {number + 1} of {repeat}: {ours}, other {theirs}")

        outcomes.append(measure(pair, setup, repeat, report))
        if outcomes[-1].reason:
            _say(f"{pair.name}: {outcomes[-1].reason}")
        if json is not None:
            write_json(json, outcomes, about)
    return outcomes, about


def main() -> None:
    options = _options()
    pairs = _chosen(options.only)
    if options.list:
        print(*(f"{pair.name:28} {pair.work}, against {pair.against}" for pair in pairs), sep="\n")
        return
    if options.profile:
        from benchmarks.profiling import profile  # imports torch

        for pair in pairs:
            if pair.cost or pair.with_torch:
                profile(pair, Setup(options.corpus.resolve(), options.tracks, 1))
        return
    setup = Setup(options.corpus.resolve(), options.tracks, options.jobs)
    outcomes, about = _measure_all(pairs, setup, options.repeat, options.json)
    if options.markdown:
        print(to_markdown(outcomes, about))
    else:
        print_table(outcomes, about)
    if any(outcome.reason and outcome.reason.startswith("failed") for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

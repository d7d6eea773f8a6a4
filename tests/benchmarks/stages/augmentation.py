"""Changed copies of tracks."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.pairs import MER, PEERS, ColdPair, Faster, module, two_cores
from benchmarks.setup import Setup

MOST_TRACKS = 20
TRANSFORMS = ("pitch-shift", "gain", "equaliser", "distortion")


def _tracks(setup: Setup) -> list[str]:
    return [str(path) for path in setup.tracks()[:MOST_TRACKS]]


def _ours(n_processes: int, setup: Setup) -> list[list[str]]:
    with_ = [word for name in TRANSFORMS for word in ("--with", name)]
    return [[*MER, "augment", *_tracks(setup), *with_, "-o", ".", "--jobs", str(n_processes)]]


def _theirs(setup: Setup) -> list[list[str]]:
    return [[sys.executable, str(PEERS / "augment.py"), *_tracks(setup)]]


PAIRS = (
    ColdPair(
        name="augment",
        work="four copies of each track, two processes",
        against="a loop over audiomentations",
        goal=Faster(1.8),
        unit="track",
        amount=lambda setup: len(_tracks(setup)),
        needs=(two_cores, module("audiomentations")),
        ours=partial(_ours, 2),
        theirs=_theirs,
    ),
)

"""The whole chain: from tracks to features of all kinds."""

from __future__ import annotations

import sys

from benchmarks.pairs import MER, PEERS, ColdPair, Faster, module
from benchmarks.setup import Setup


def _ours(setup: Setup) -> list[list[str]]:
    tracks = [str(path) for path in setup.tracks()]
    jobs = ["--jobs", str(setup.jobs)]
    kinds = ["--kind", "handcrafted", "--kind", "mel"]
    return [
        [*MER, "featurize", *tracks, *kinds, *jobs, "-o", "features.h5"],
        [*MER, "transcribe", *tracks, "--context", "track", *jobs, "-o", "notes.h5"],
    ]


def _theirs(setup: Setup) -> list[list[str]]:
    tracks = [str(path) for path in setup.tracks()]
    return [[sys.executable, str(PEERS / "chain.py"), str(setup.jobs), *tracks]]


PAIRS = (
    ColdPair(
        name="chain",
        work="tracks to features of all kinds, from the shell",
        against="pyAudioAnalysis, librosa and basic-pitch in a process pool",
        goal=Faster(5),
        unit="track",
        amount=lambda setup: len(setup.tracks()),
        needs=tuple(map(module, ("pyAudioAnalysis", "librosa", "basic_pitch", "onnxruntime"))),
        ours=_ours,
        theirs=_theirs,
    ),
)

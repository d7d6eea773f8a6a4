"""Decoding and resampling."""

from __future__ import annotations

import shlex

from benchmarks.pairs import MER, ColdPair, Cost, Faster, program
from benchmarks.setup import Setup

SAMPLE_RATE = 8000


def _ours(setup: Setup) -> list[list[str]]:
    songs = map(str, setup.songs())
    return [[*MER, "convert", *songs, "-o", "wav", "--jobs", str(setup.jobs)]]


def _theirs(setup: Setup) -> list[list[str]]:
    calls = [
        [str(path), "-ac", "1", "-ar", str(SAMPLE_RATE), f"wav/{path.stem}.wav"]
        for path in setup.songs()
    ]
    words = shlex.join(word for call in calls for word in call)
    each = f"xargs -0 -n {len(calls[0])} -P {setup.jobs} ffmpeg -nostdin -v error -i"
    return [["sh", "-c", f"mkdir wav && printf '%s\\0' {words} | {each}"]]


PAIRS = (
    ColdPair(
        name="convert",
        work="convert songs to 8 kHz mono",
        against="xargs -P over ffmpeg",
        goal=Faster(1.5),
        unit="song",
        amount=lambda setup: len(setup.songs()),
        needs=(program("ffmpeg"), program("xargs")),
        ours=_ours,
        theirs=_theirs,
        cost=lambda setup: Cost(tuple(setup.songs())),
    ),
)

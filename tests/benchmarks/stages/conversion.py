"""Decoding and resampling."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.pairs import MER, ColdPair, Cost, Faster, at_once, program, two_cores
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


def _convert(tracks: Sequence[Path], n_processes: int) -> list[str]:
    return [*MER, "convert", *map(str, tracks), "-o", "wav", "--jobs", str(n_processes)]


def _tracks(n_processes: int, setup: Setup) -> list[list[str]]:
    return [_convert(setup.tracks(), n_processes)]


def _apart(setup: Setup) -> list[list[str]]:
    even, odd = setup.halves()
    return [at_once(_convert(even, 1), _convert(odd, 1))]


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
    ColdPair(
        name="convert-jobs",
        work="convert tracks to 8 kHz mono, two processes",
        against="mer, one process",
        goal=Faster(1.8),
        unit="track",
        amount=lambda setup: len(setup.tracks()),
        needs=(two_cores,),
        ours=partial(_tracks, 2),
        theirs=partial(_tracks, 1),
    ),
    ColdPair(
        name="convert-apart",
        work="convert tracks to 8 kHz mono, two processes",
        against="two mer at once, half of the tracks each",
        goal=Faster(0.9),
        unit="track",
        amount=lambda setup: len(setup.tracks()),
        needs=(two_cores,),
        ours=partial(_tracks, 2),
        theirs=_apart,
    ),
)

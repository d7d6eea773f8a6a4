"""All pairs, in the order of the chain."""

from __future__ import annotations

from benchmarks.pairs import Pair
from benchmarks.stages import (
    augmentation,
    chain,
    conversion,
    embeddings,
    features,
    startup,
    training,
    transcription,
)

PAIRS: tuple[Pair, ...] = (
    *conversion.PAIRS,
    *augmentation.PAIRS,
    *features.PAIRS,
    *embeddings.PAIRS,
    *transcription.PAIRS,
    *training.PAIRS,
    *chain.PAIRS,
    *startup.PAIRS,
)


def find_pair(name: str) -> Pair:
    """Find a pair by its whole name."""
    return next(pair for pair in PAIRS if pair.name == name)

"""Whether scored tracks were learnt from by the model that predicts them.

A model's card holds a hash of each track that it learnt from. Where the model is not at hand, the
split that the labels mark is the only hint. Rows of cross-validation that name their fold are of a
model that did not learn from the track.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from mertools.artifacts.files import DIGEST_BYTES
from mertools.evaluation.join import JoinedTarget, Origin

HASH_DIGITS = 8
LEARNT_SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Overlap:
    """Numbers of scored tracks of one target, by what is known of their part in training."""

    tracks: int
    out_of_fold: int
    """Held out in cross-validation."""
    learnt_from: int
    """Known from the model's card."""
    probably_learnt_from: int
    """Marked train or validation in the labels; the model is not at hand."""
    unknown: int
    """Predicted by a model that is not at hand, and marked as no part of a split."""


def hash_track(track_id: str) -> str:
    """Hash a track's key as model cards do."""
    # Keys that come from file names may hold bytes that are not UTF-8.
    key = track_id.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(key, digest_size=DIGEST_BYTES).hexdigest()[:HASH_DIGITS]


def parse_hashes(text: str) -> frozenset[str]:
    """Split the joined hashes of a model's card."""
    return frozenset(text[i : i + HASH_DIGITS] for i in range(0, len(text), HASH_DIGITS))


def count_overlap(origins: Mapping[str, Origin], learnt: Mapping[str, Set[str]]) -> Overlap:
    """Count scored tracks by their part in training.

    `learnt` has the hashes of the tracks learnt from for each model at hand whose card has them.
    """
    counts = dict.fromkeys(("out_of_fold", "learnt_from", "probably_learnt_from", "unknown"), 0)
    for track_id, origin in origins.items():
        known = [learnt[model] for model in origin.models if model and model in learnt]
        others = [model for model in origin.models if model not in learnt]
        # All rows are of folds, whose models did not learn from the track.
        if not origin.models:
            counts["out_of_fold"] += 1
        elif any(hash_track(track_id) in hashes for hashes in known):
            counts["learnt_from"] += 1
        # A card that lists its tracks is sure; the labels' split is a guess for other models only.
        elif others and origin.split in LEARNT_SPLITS:
            counts["probably_learnt_from"] += 1
        elif any(others) and origin.split is None:
            counts["unknown"] += 1
    return Overlap(len(origins), **counts)


def find_warnings(overlaps: Mapping[str, Overlap]) -> Iterator[str]:
    """Yield a line for each reason why scores may be too high."""
    for target, overlap in overlaps.items():
        of_all = f"of {overlap.tracks} scored tracks"
        if overlap.learnt_from:
            yield (
                f"{target}: {overlap.learnt_from} {of_all} were learnt from by the model that "
                "predicts them, so scores are too high"
            )
        if overlap.probably_learnt_from:
            yield (
                f"{target}: {overlap.probably_learnt_from} {of_all} were probably learnt from, as "
                "the labels mark them train or validation, so scores may be too high"
            )


def find_notes(overlaps: Mapping[str, Overlap]) -> Iterator[str]:
    """Yield a line for each target whose overlap with training is unknown."""
    for target, overlap in overlaps.items():
        if overlap.unknown:
            yield (
                f"{target}: whether {overlap.unknown} of {overlap.tracks} scored tracks were "
                "learnt from cannot be told: their model is not at hand or lists no tracks, and "
                "the labels mark them as no part of a split"
            )


def models_of(joined: Iterable[JoinedTarget]) -> list[str]:
    """Name the models whose rows are scored and not out of fold, in ascending order."""
    origins = (origin for entry in joined for origin in entry.origins.values())
    return sorted({model for origin in origins for model in origin.models if model})

"""What kernel ridge regression learns from: segments, and copies of them with changed sound."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import DIGEST_BYTES
from mertools.dataset.data import Joined
from mertools.dataset.segments import SegmentSet, join_segments, open_batches
from mertools.errors import SchemaError

Features = tuple[NDArray[np.float32], ...]
"""For each kind of feature, (n_rows, n_columns)."""


@dataclass(frozen=True)
class Material:
    """What is learnt from: the segments, their features, and those of changed copies of them.

    features: of the segments; copies: features and groups, (n_rows,), the place in
    `segments.track_ids` of each row's track, of each set of copies.
    """

    segments: SegmentSet
    features: Features
    copies: tuple[tuple[Features, NDArray[np.int64]], ...]
    copy_digests: tuple[str, ...]

    def digest(self) -> str:
        """Digest of all that is learnt from (BLAKE2b, 128 bit, hexadecimal)."""
        digest = hashlib.blake2b(self.segments.digest.encode(), digest_size=DIGEST_BYTES)
        for of_copies in self.copy_digests:
            digest.update(of_copies.encode())
        return digest.hexdigest()

    def learn_from(self, tracks: NDArray[np.bool_]) -> Rows:
        """Give the rows of some tracks, (n_tracks,): first those that may be landmarks."""
        groups = self.segments.groups
        features = [tuple(part[tracks[groups]] for part in self.features)]
        places = [groups[tracks[groups]]]
        weights = [np.ones(len(places[0]))]
        for of_copies, of_groups in self.copies:
            features.append(tuple(part[tracks[of_groups]] for part in of_copies))
            places.append(of_groups[tracks[of_groups]])
            weights.append(np.full(len(places[-1]), 1 / len(self.copies)))
        joined = tuple(np.concatenate(parts) for parts in zip(*features, strict=True))
        return Rows(joined, np.concatenate(places), np.concatenate(weights), len(places[0]))


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, of which the first `n_landmarks` are landmarks.

    Copies together weigh as much as what they are copies of.
    """

    features: Features
    groups: NDArray[np.int64]
    weights: NDArray[np.float64]
    n_landmarks: int


def join_copies(
    features: Sequence[Path],
    copies: Sequence[Path],
    labels: str,
    target: str,
    kinds: Sequence[str],
) -> tuple[Joined[SegmentSet], Material]:
    """Join features, and those of changed copies of the same tracks, with the labels of a target.

    Raises as `join_segments` does, and SchemaError where copies' features were made otherwise, or
    of other tracks.
    """
    joined = join_segments(features, labels, target, kinds, "soft")
    base = joined.training_set
    place = {track_id: i for i, track_id in enumerate(base.track_ids)}
    made, digests = [], []
    own = _read(base)
    for path in copies:
        other = join_segments([path], labels, target, kinds, "soft")
        if [kind.params_digest for kind in other.kinds] != [k.params_digest for k in joined.kinds]:
            raise SchemaError(
                path, "holds features made otherwise", "make both with the same parameters"
            )
        of_copies = other.training_set
        if unknown := set(of_copies.track_ids) - set(place):
            raise SchemaError(
                path,
                f"holds {min(unknown)}, which the features do not",
                "make copies of the same tracks",
            )
        groups = np.array([place[track_id] for track_id in of_copies.track_ids], np.int64)
        made.append((_read(of_copies), groups[of_copies.groups]))
        digests.append(of_copies.digest)
    return joined, Material(base, own, tuple(made), tuple(digests))


def _read(segments: SegmentSet) -> Features:
    rows = np.arange(len(segments.row_ids))
    parts = open_batches(segments.stored, 1).read(rows)
    return tuple(part.reshape(len(rows), -1).astype(np.float32) for part in parts)

"""Folds for cross-validation: whole tracks, the classes spread evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError

MIN_FOLDS = 2

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The rows to learn from, and the rows held out."""


def assign_folds(
    track_ids: Sequence[str], y: NDArray[np.int64], n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Assign each track to a fold, from 0 up: (n_tracks,).

    y: (n_tracks,), the class of each. The folds differ by at most one in their tracks of a class
    and in all their tracks. A track's lot is drawn from its id and the seed, so that the order of
    the tracks does not matter.
    """
    order = sorted(range(len(track_ids)), key=lambda i: (y[i], _lot(track_ids[i], seed)))
    folds = np.empty(len(track_ids), np.int64)
    folds[order] = np.arange(len(track_ids)) % n_folds
    return folds


def check_folds(y: NDArray[np.int64], classes: Sequence[str], n_folds: int) -> None:
    """Check that each class has a track in each fold, and two or more in the rest together.

    So a search by cross-validation within the rest has folds of its own. y: (n_tracks,).
    Raises UsageError naming the class that has too few.
    """
    if n_folds < MIN_FOLDS:
        raise UsageError(f"--cv {n_folds}", "is too few folds", f"give {MIN_FOLDS} or more")
    counts = np.bincount(y, minlength=len(classes))
    k = int(counts.argmin())
    count = int(counts[k])
    if _suffice(count, n_folds):
        return
    most = max((n for n in range(MIN_FOLDS, count + 1) if _suffice(count, n)), default=None)
    raise UsageError(
        f"--cv {n_folds}",
        f"class {classes[k]} has only {count} track{'s' * (count != 1)}",
        f"give --cv {most}, or rate more tracks"
        if most
        else "rate more tracks of it, or merge it with another class",
    )


def split_rows(folds: NDArray[np.int64], groups: NDArray[np.int64]) -> list[Split]:
    """Split rows by the folds of their tracks, one split a fold.

    folds: (n_tracks,); groups: (n_rows,), the place of each row's track in `folds`.
    """
    fold_of_row = folds[groups]
    return [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
        for fold in range(int(folds.max()) + 1)
    ]


def _suffice(count: int, n_folds: int) -> bool:
    """Tell whether a class of `count` tracks is enough for `n_folds`."""
    largest_fold = -(-count // n_folds)
    return count >= n_folds and count - largest_fold >= MIN_FOLDS


def _lot(track_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {track_id}".encode("utf-8", "surrogatepass")).digest()

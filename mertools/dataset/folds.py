"""Folds for cross-validation: whole tracks, the classes spread evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import open_output
from mertools.artifacts.rows import Fold
from mertools.artifacts.tables import read_table, write_table
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


def read_folds(path: Path, track_ids: Sequence[str], n_folds: int) -> dict[str, int]:
    """Read the folds, from 0 up, of those of some tracks that a table names.

    Raises UsageError where it cannot be read or is of another number of folds, SchemaError where it
    breaks its schema.
    """
    folds = {row.track_id: row.fold - 1 for row in read_table(str(path), Fold)}
    found = {folds[track_id] for track_id in track_ids if track_id in folds}
    if found != set(range(n_folds)):
        numbers = ", ".join(str(fold + 1) for fold in sorted(found)) or "none"
        raise UsageError(
            f"--folds {path}",
            f"has the folds {numbers} for these tracks, not 1 to {n_folds}",
            "give the --cv that it was made with, or another file",
        )
    return folds


def write_folds(path: Path, track_ids: Sequence[str], folds: NDArray[np.int64]) -> None:
    """Write the folds, from 0 up, of tracks; in the table they are from 1 up."""
    with open_output(str(path)) as stream:
        rows = (
            Fold(track_id, int(fold) + 1) for track_id, fold in zip(track_ids, folds, strict=True)
        )
        write_table(stream, Fold, rows)


def share_folds(
    path: Path | None,
    track_ids: Sequence[str],
    y: NDArray[np.int64],
    kept: NDArray[np.bool_],
    classes: Sequence[str],
    n_folds: int,
    seed: int,
) -> NDArray[np.int64]:
    """Assign tracks to folds as `assign_folds` does, or as the table `path` has it where it exists.

    Where it does not, it is written. Tracks that are not kept, which are learnt from but not
    scored, are spread over the folds apart, so that the others' folds do not depend on them; the
    table need not name them. No folds, 0, are one for all. Raises as `check_folds` and `read_folds`
    do, and UsageError for a kept track that the table does not name.
    """
    folds = np.zeros(len(track_ids), np.int64)
    if not n_folds:
        return folds
    check_folds(y[kept], classes, n_folds)
    for part in (kept, ~kept):
        ids = [track_ids[i] for i in np.flatnonzero(part)]
        folds[part] = assign_folds(ids, y[part], n_folds, seed)
    if path is None:
        return folds
    if not path.exists():
        write_folds(path, track_ids, folds)
        return folds
    read = read_folds(path, track_ids, n_folds)
    for i, track_id in enumerate(track_ids):
        if track_id in read:
            folds[i] = read[track_id]
        elif kept[i]:
            raise UsageError(
                f"--folds {path}", f"has no fold for track {track_id}", "give another file"
            )
    return folds


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

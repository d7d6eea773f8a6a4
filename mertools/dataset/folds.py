"""Folds for cross-validation: whole tracks, the classes or quantiles of a number spread evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import open_output
from mertools.artifacts.rows import Fold
from mertools.artifacts.tables import read_table, write_table
from mertools.dataset.dataset import Dataset
from mertools.errors import UsageError
from mertools.targets.scale import Classes

MIN_FOLDS = 2


def assign_folds(
    track_ids: Sequence[str],
    strata: NDArray[np.int64],
    n_folds: int,
    seed: int | str,
    units: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Assign each track to a fold, from 0 up: (n_tracks,).

    strata: (n_tracks,), what is spread evenly; units: (n_tracks,), tracks of one unit are in one
    fold. Where every track is a unit of its own, folds differ by at most one in their tracks of a
    stratum and in all their tracks. Tracks are drawn by their ids and the seed, so that their order
    does not matter.
    """
    draws = [_draw(track_id, seed) for track_id in track_ids]
    if units is not None and len(np.unique(units)) < len(units):
        return _assign_units(draws, strata, n_folds, units)
    # Strata one after another, dealt out in turn: no fold gets two more of a stratum than another.
    order = sorted(range(len(draws)), key=lambda i: (strata[i], draws[i]))
    folds = np.empty(len(draws), np.int64)
    folds[order] = np.arange(len(draws)) % n_folds
    return folds


def _assign_units(
    draws: Sequence[bytes], strata: NDArray[np.int64], n_folds: int, units: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Deal units out to folds, the largest first, each to where its strata are wanted most."""
    n_strata = int(strata.max()) + 1
    names, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((len(names), n_strata))
    np.add.at(counts, (unit, strata), 1)
    # Units are drawn by their first track, so that the tracks' order does not matter.
    first_draws = [min(draws[i] for i in np.flatnonzero(unit == u)) for u in range(len(names))]
    order = sorted(range(len(names)), key=lambda u: (-counts[u].sum(), first_draws[u]))
    shares = counts.sum(axis=0) / n_folds
    filled = np.zeros((n_folds, n_strata))
    fold_of_unit = np.empty(len(names), np.int64)
    for u in order:
        # The fold whose strata would then be nearest to an even share, and the emptiest of several.
        misses = np.square(filled + counts[u] - shares).sum(axis=1) - np.square(
            filled - shares
        ).sum(axis=1)
        best = min(range(n_folds), key=lambda fold: (misses[fold], filled[fold].sum(), fold))
        filled[best] += counts[u]
        fold_of_unit[u] = best
    return fold_of_unit[unit]


def check_folds(y: NDArray[np.int64], classes: Sequence[str], n_folds: int) -> None:
    """Check that folds can be made: each class has two tracks or more outside of any fold.

    So a search by cross-validation within the rest has folds of its own. As with scikit-learn's
    StratifiedKFold a rare class may be missing in some folds, but not every class. y: (n_tracks,).
    Raises UsageError naming the class that has too few.
    """
    _check_number(n_folds)
    counts = np.bincount(y, minlength=len(classes))
    k = int(counts.argmin())
    count = int(counts[k])
    if _suffice(count, n_folds) and counts.max() >= n_folds:
        return
    most = max(
        (n for n in range(MIN_FOLDS, int(counts.max()) + 1) if _suffice(count, n)), default=None
    )
    raise UsageError(
        f"--cv {n_folds}",
        f"class {classes[k]} has only {count} track{'s' * (count != 1)}",
        f"give --cv {most}, or rate more tracks"
        if most
        else "rate more tracks of it, or merge it with another class",
    )


def describe_rare_classes(data: Dataset, n_folds: int) -> Iterator[str]:
    """Say which classes have fewer scored tracks than there are folds, a line each."""
    scored = data.scored & ~data.labels.is_validation
    for k, name in enumerate(data.classes if n_folds else ()):
        count = int((data.labels.y[scored] == k).sum())
        if count < n_folds:
            yield f"class {name} has only {count} tracks, so that some of {n_folds} folds have none"


def _check_number(n_folds: int) -> None:
    if n_folds < MIN_FOLDS:
        raise UsageError(f"--cv {n_folds}", "is too few folds", f"give {MIN_FOLDS} or more")


def draw_folds(data: Dataset, n_folds: int, seed: int, repeat: int = 0) -> NDArray[np.int64]:
    """Assign the tracks of a dataset to folds: (n_tracks,).

    Tracks that are learnt from but not scored are spread over the folds apart, so that the others'
    folds do not depend on them. Copies are in the fold of their original. Tracks that the labels
    keep for validation are in no fold, -1. Raises UsageError where a class has too few tracks, or
    all of them in one group.
    """
    seed_of_repeat = seed if repeat == 0 else f"{seed}.{repeat}"
    in_folds = ~data.labels.is_validation
    scored = data.scored & in_folds
    if isinstance(data.targets[0].scale, Classes):
        check_folds(data.labels.y[scored], data.classes, n_folds)
    else:
        _check_number(n_folds)
        if scored.sum() < 2 * n_folds:
            raise UsageError(
                f"--cv {n_folds}", f"there are only {scored.sum()} tracks", "give a smaller --cv"
            )
    strata, folds = data.strata(), np.full(len(data.track_ids), -1, np.int64)
    for some in (scored, in_folds & ~data.is_copy & ~scored):
        chosen = np.flatnonzero(some & (folds < 0))
        if len(chosen):
            ids = [data.track_ids[i] for i in chosen]
            units = data.units[chosen]
            folds[chosen] = assign_folds(ids, strata[chosen], n_folds, seed_of_repeat, units)
            _follow_units(folds, data.units, chosen, in_folds)
    _check_units(data, folds, n_folds)
    # Copies whose original has no features here: any fold will do, the same at every run.
    left = np.flatnonzero(in_folds & (folds < 0))
    folds[left] = data.units[left] % n_folds
    return folds


def _check_units(data: Dataset, folds: NDArray[np.int64], n_folds: int) -> None:
    """Raise UsageError where units leave a fold empty, or nothing of a class outside a fold."""
    scored = data.scored & (folds >= 0)
    filled = np.unique(folds[scored])
    if len(filled) < n_folds:
        raise UsageError(
            f"--cv {n_folds}",
            f"is more than the groups can fill, {len(filled)}",
            "give fewer folds, or smaller groups",
        )
    if isinstance(data.targets[0].scale, Classes):
        check_classes(data.labels.y[scored], folds[scored], data.classes)


def check_classes(y: NDArray[np.int64], folds: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Check that each class of `y` is there outside of each fold, too: (n_tracks,) both.

    Raises UsageError naming a class that is in one fold alone, as groups may put it.
    """
    for k in np.unique(y):
        if len(np.unique(folds[y == k])) == 1:
            raise UsageError(
                "--group",
                f"leaves no track of class {classes[k]} to learn from when its fold is held out",
                "give smaller groups",
            )


def _follow_units(
    folds: NDArray[np.int64],
    units: NDArray[np.int64],
    chosen: NDArray[np.int64],
    in_folds: NDArray[np.bool_],
) -> None:
    """Put what belongs to a unit that has a fold into that fold."""
    fold_of_unit = np.full(int(units.max()) + 1, -1)
    fold_of_unit[units[chosen]] = folds[chosen]
    follows = in_folds & (folds < 0) & (fold_of_unit[units] >= 0)
    folds[follows] = fold_of_unit[units[follows]]


def read_folds(path: Path, track_ids: Sequence[str], n_folds: int) -> list[dict[str, int]]:
    """Read the folds, from 0 up, of those of some tracks that a table names, for each repetition.

    Raises UsageError where it cannot be read or is of another number of folds, SchemaError where it
    breaks its schema.
    """
    repeats: dict[int, dict[str, int]] = {}
    for row in read_table(str(path), Fold):
        repeats.setdefault(row.repeat or 1, {})[row.track_id] = row.fold - 1
    known = set(track_ids)
    for folds in repeats.values():
        found = {fold for track_id, fold in folds.items() if track_id in known}
        if found != set(range(n_folds)):
            numbers = ", ".join(str(fold + 1) for fold in sorted(found)) or "none"
            raise UsageError(
                f"--folds {path}",
                f"has the folds {numbers} for these tracks, not 1 to {n_folds}",
                "give the --cv that it was made with, or another file",
            )
    return [repeats[repeat] for repeat in sorted(repeats)]


def write_folds(path: Path, data: Dataset, repeats: Sequence[NDArray[np.int64]]) -> None:
    """Write the folds, from 0 up, of a dataset's original tracks; in the table they are from 1."""
    rows = [
        Fold(track_id, int(fold) + 1, number)
        for number, folds in enumerate(repeats, start=1)
        for track_id, fold, is_copy in zip(data.track_ids, folds, data.is_copy, strict=True)
        if fold >= 0 and not is_copy
    ]
    with open_output(str(path)) as stream:
        write_table(stream, Fold, rows, optional=["repeat"] if len(repeats) > 1 else [])


def share_folds(
    path: Path | None, data: Dataset, n_folds: int, n_repeats: int, seed: int
) -> list[NDArray[np.int64]]:
    """Assign tracks to folds as the table `path` says where it exists, else as `draw_folds` does.

    Returns (n_tracks,) for each repetition. Where the table does not exist, it is written. It need
    not name tracks that are not scored. No folds, 0, are one for all. Raises as `draw_folds` and
    `read_folds` do, and UsageError for a scored track that the table does not name.
    """
    if not n_folds:
        return [np.zeros(len(data.track_ids), np.int64)] * n_repeats
    drawn = [draw_folds(data, n_folds, seed, repeat) for repeat in range(n_repeats)]
    if path is None:
        return drawn
    if not path.exists():
        write_folds(path, data, drawn)
        return drawn
    read = read_folds(path, data.track_ids, n_folds)
    if len(read) < n_repeats:
        raise UsageError(
            f"--folds {path}", f"has {len(read)} of {n_repeats} repetitions", "give another file"
        )
    return [_take_over(path, data, of_repeat, folds) for of_repeat, folds in zip(read, drawn)]  # noqa: B905, the table may have more


def _take_over(
    path: Path, data: Dataset, read: dict[str, int], drawn: NDArray[np.int64]
) -> NDArray[np.int64]:
    folds = drawn.copy()
    named = np.zeros(len(folds), bool)
    for i, track_id in enumerate(data.track_ids):
        if drawn[i] < 0 or data.is_copy[i]:
            continue
        if track_id in read:
            folds[i], named[i] = read[track_id], True
        elif data.scored[i]:
            raise UsageError(
                f"--folds {path}", f"has no fold for track {track_id}", "give another file"
            )
    for unit in np.unique(data.units[named]):
        of_unit = data.units == unit
        found = np.unique(folds[of_unit & named])
        if len(found) > 1:
            raise UsageError(
                f"--folds {path}",
                f"puts relatives of {data.track_ids[int(np.flatnonzero(of_unit)[0])]} "
                "into several folds",
                "give another file",
            )
        folds[of_unit & (drawn >= 0)] = found[0]
    return folds


def _suffice(count: int, n_folds: int) -> bool:
    """Return whether a class of `count` tracks leaves enough outside of any of `n_folds`."""
    largest_fold = -(-count // n_folds)
    return count - largest_fold >= MIN_FOLDS


def _draw(track_id: str, seed: int | str) -> bytes:
    return hashlib.blake2b(f"{seed} {track_id}".encode("utf-8", "surrogatepass")).digest()

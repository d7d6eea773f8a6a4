"""Many annotators' ratings of a track taken together: mean, spread, distribution and class.

All statistics are ratios of whole numbers, computed from the counts of each rating: they depend on
no order, and a mean or deviation equal to a limit compares as equal to it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Annotation, Label
from mertools.errors import SchemaError
from mertools.labels.classes import Scale, Scales, for_target


@dataclass(frozen=True)
class Ratings:
    """Ratings as columns (n,), sorted by target, track and annotator.

    `target`, `track` and `annotator` number the names in `targets`, `track_ids` and
    `annotator_ids`, which are sorted; `value` is a level from 1 up.
    """

    targets: tuple[str, ...]
    track_ids: tuple[str, ...]
    annotator_ids: tuple[str, ...]
    target: NDArray[np.int32]
    track: NDArray[np.int32]
    annotator: NDArray[np.int32]
    value: NDArray[np.int32]


@dataclass(frozen=True)
class TargetLabels:
    """The labels of the n tracks rated for one target, by rising number of the track.

    `track` (n,) numbers `Ratings.track_ids`; `counts` (n, K) holds how many annotators gave each
    rating; `mean`, `std` (population) and `mad`, the mean absolute deviation from the mean, are
    (n,), as are `label`, the class number from 1, and `kept`, whether `mad` is within `max_mad`.
    """

    scale: Scale
    max_mad: float | None
    track: NDArray[np.int32]
    counts: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    mad: NDArray[np.float64]
    label: NDArray[np.int64]
    kept: NDArray[np.bool_]


def collect_ratings(sources: Iterable[tuple[str, Iterable[Annotation]]]) -> Ratings:
    """Gather annotations, whose values are whole numbers, from sources with their names.

    Raises SchemaError where an annotator rates a track for a target twice, naming the source.
    """
    codes: tuple[dict[str, int], ...] = ({}, {}, {})
    columns = tuple(array("i") for _ in range(4))
    targets, tracks, annotators = codes
    names: list[str] = []
    ends: list[int] = []
    for name, rows in sources:
        for row in rows:
            columns[0].append(targets.setdefault(row.target, len(targets)))
            columns[1].append(tracks.setdefault(row.track_id, len(tracks)))
            columns[2].append(annotators.setdefault(row.annotator_id, len(annotators)))
            columns[3].append(int(row.value))
        names.append(name)
        ends.append(len(columns[3]))
    keys = [_sorted_codes(code, column) for code, column in zip(codes, columns[:3], strict=True)]
    value = np.frombuffer(columns[3], dtype=np.int32)
    order = np.lexsort(keys[::-1])
    target, track, annotator = (key[order] for key in keys)
    ratings = Ratings(
        tuple(sorted(targets)),
        tuple(sorted(tracks)),
        tuple(sorted(annotators)),
        target,
        track,
        annotator,
        value[order],
    )
    again = (np.diff(target) == 0) & (np.diff(track) == 0) & (np.diff(annotator) == 0)
    if again.any():
        place = int(np.argmax(again))
        first, second = sorted(order[place : place + 2])
        here, there = (names[int(np.searchsorted(ends, n, "right"))] for n in (second, first))
        raise SchemaError(
            here,
            f"annotator {ratings.annotator_ids[annotator[place]]} rates track "
            f"{ratings.track_ids[track[place]]} for {ratings.targets[target[place]]} again "
            f"(first in {there})",
            "remove one of the ratings",
        )
    return ratings


def aggregate(
    ratings: Ratings, scales: Scales, max_mad: Mapping[str, float]
) -> Iterator[TargetLabels]:
    """Take the ratings of each track and target together, a target at a time.

    `max_mad` limits the mean absolute deviation per target, or for `EVERY_TARGET`: tracks above
    the limit are not kept. Raises UsageError where thresholds and classes contradict each other.
    """
    for number, target in enumerate(ratings.targets):
        rated = slice(*np.searchsorted(ratings.target, [number, number + 1]))
        track, row = np.unique(ratings.track[rated], return_inverse=True)
        value = ratings.value[rated].astype(np.int64)
        scale = scales.scale(target, int(value.max()))
        n_levels = len(scale.classes)
        cells = np.bincount(row * n_levels + value - 1, minlength=len(track) * n_levels)
        counts = cells.reshape(len(track), n_levels)

        levels = np.arange(1, n_levels + 1)
        n = counts.sum(axis=1)
        total = counts @ levels
        deviations = np.abs(n[:, np.newaxis] * levels - total[:, np.newaxis])  # n |level - mean|
        mean = total / n
        mad = (counts * deviations).sum(axis=1) / n**2
        std = np.sqrt((n * (counts @ levels**2) - total**2) / n**2)
        limit = for_target(max_mad, target)
        kept = np.ones(len(track), bool) if limit is None else mad <= limit
        yield TargetLabels(scale, limit, track, counts, mean, std, mad, scale.classify(mean), kept)


def label_rows(
    ratings: Ratings, labels: Sequence[TargetLabels], test: NDArray[np.bool_] | None
) -> Iterator[Label]:
    """Yield the rows of labels.csv by track and target.

    `test` tells for each of `Ratings.track_ids` whether it is in the test part; None is no split.
    """
    owners = np.repeat(np.arange(len(labels)), [len(target.track) for target in labels])
    rows = np.concatenate([np.arange(len(target.track)) for target in labels])
    tracks = np.concatenate([target.track for target in labels])
    for place in np.lexsort((owners, tracks)).tolist():
        target, row = labels[owners[place]], int(rows[place])
        counts = target.counts[row]
        label = int(target.label[row])
        track = int(target.track[row])
        yield Label(
            track_id=ratings.track_ids[track],
            target=target.scale.target,
            n_annotators=int(counts.sum()),
            mean=float(target.mean[row]),
            std=float(target.std[row]),
            mad=float(target.mad[row]),
            label=label,
            class_name=target.scale.classes[label - 1],
            kept=bool(target.kept[row]),
            distribution=tuple((counts / counts.sum()).tolist()),
            split=None if test is None else "test" if test[track] else "train",
        )


def _sorted_codes(codes: Mapping[str, int], column: array[int]) -> NDArray[np.int32]:
    """Renumber codes given by first appearance to follow the names' order."""
    ranks = np.empty(len(codes), np.int32)
    ranks[[codes[name] for name in sorted(codes)]] = np.arange(len(codes), dtype=np.int32)
    return ranks[np.frombuffer(column, dtype=np.int32)]

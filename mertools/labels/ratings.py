"""Ratings of tracks by annotators: one at a time as they are read, and all as columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mertools.errors import SchemaError

WHOLE_TRACK = -1.0
"""The start, in arrays, of ratings that are of the whole track."""


class Rating(NamedTuple):
    """One annotator's rating of a track, or of a stretch of it, for a target.

    `value` is a number, a word where classes have no order, or None where it is missing. `start`
    and `duration` are in seconds, None where the whole track was rated.
    """

    track_id: str
    annotator_id: str
    target: str
    value: float | str | None
    start: float | None = None
    duration: float | None = None


@dataclass(frozen=True)
class Ratings:
    """n ratings as columns, sorted by target, track, start and annotator.

    An item is what was rated: a track, or a stretch of one. `target`, `item` and `annotator` (n,)
    are indices into `targets`, the items and `annotator_ids`. `value` (n,) is the rating; of a
    target in `words`, it is the index of a word, from 0.

    `item_track` (m,) is each item's index into `track_ids`; `item_start` and `item_duration` (m,)
    are in seconds, `WHOLE_TRACK` where the item is a track. Names are sorted. `n_missing` counts
    the empty ratings of each target, which are left out.
    """

    targets: tuple[str, ...]
    track_ids: tuple[str, ...]
    annotator_ids: tuple[str, ...]
    target: NDArray[np.int32]
    item: NDArray[np.int64]
    annotator: NDArray[np.int32]
    value: NDArray[np.float64]
    item_track: NDArray[np.int64]
    item_start: NDArray[np.float64]
    item_duration: NDArray[np.float64]
    words: Mapping[str, tuple[str, ...]]
    n_missing: Mapping[str, int]

    @property
    def track(self) -> NDArray[np.int64]:
        """The index of each rating's track (n,)."""
        return self.item_track[self.item]

    @property
    def have_stretches(self) -> bool:
        """Whether any rating is of a stretch of a track."""
        return bool(np.any(self.item_start != WHOLE_TRACK))

    def rows_of(self, target: str) -> slice:
        """Find the rows of a target."""
        index = self.targets.index(target)
        first, last = np.searchsorted(self.target, [index, index + 1])
        return slice(int(first), int(last))


def collect_ratings(sources: Iterable[tuple[str, Iterable[Rating]]]) -> Ratings:
    """Gather ratings from sources with their names.

    Raises SchemaError, naming the source, where an annotator rates an item for a target twice, a
    target is rated in numbers and in words, or stretches begin together and differ in duration.
    """
    columns = _Columns()
    for name, rows in sources:
        columns.extend(name, rows)
    return columns.sort()


class _Columns:
    """Ratings in the order in which they are read, names as codes by first appearance."""

    def __init__(self) -> None:
        # Columns of numbers take far less memory than as many objects.
        self._codes: tuple[dict[str, int], ...] = ({}, {}, {})
        self._names = tuple(array("i") for _ in range(3))  # target, track, annotator
        self._value, self._start, self._duration = array("d"), array("d"), array("d")
        self._words: dict[str, dict[str, int]] = {}
        self._first_values: dict[str, float | str] = {}
        self._n_missing: Counter[str] = Counter()
        self._sources: list[str] = []
        self._ends: list[int] = []

    def extend(self, source: str, rows: Iterable[Rating]) -> None:
        """Append the ratings of one source."""
        targets, tracks, annotators = self._codes
        target, track, annotator = self._names
        for row in rows:
            value = row.value
            if value is None:
                self._n_missing[row.target] += 1
                continue
            first = self._first_values.setdefault(row.target, value)
            if isinstance(first, str) != isinstance(value, str):
                raise SchemaError(
                    source,
                    f"rates {row.target} in numbers and in words ({first!r} and {value!r})",
                    f"correct one, or take all for words with --scale {row.target}=unordered",
                )
            if isinstance(value, str):
                words = self._words.setdefault(row.target, {})
                value = words.setdefault(value, len(words))
            target.append(targets.setdefault(row.target, len(targets)))
            track.append(tracks.setdefault(row.track_id, len(tracks)))
            annotator.append(annotators.setdefault(row.annotator_id, len(annotators)))
            self._value.append(value)
            self._start.append(WHOLE_TRACK if row.start is None else row.start)
            self._duration.append(WHOLE_TRACK if row.duration is None else row.duration)
        self._sources.append(source)
        self._ends.append(len(self._value))

    def sort(self) -> Ratings:
        """Sort rows and names, so that nothing depends on the order of reading."""
        targets, tracks, annotators = (tuple(sorted(codes)) for codes in self._codes)
        keys = [
            _sorted_codes(codes, column)
            for codes, column in zip(self._codes, self._names, strict=True)
        ]
        start = np.frombuffer(self._start)
        # lexsort sorts by its last key first.
        order = np.lexsort((keys[2], start, keys[1], keys[0]))
        target, track, annotator = (key[order] for key in keys)
        start, duration = start[order], np.frombuffer(self._duration)[order]
        value = np.frombuffer(self._value)[order]
        for name, words in self._words.items():
            # Words are coded by first appearance; their index in sorted order replaces the code.
            rows = target == targets.index(name)
            ranks = {word: rank for rank, word in enumerate(sorted(words))}
            value[rows] = np.array([ranks[word] for word in words])[value[rows].astype(int)]
        # Sorting pairs takes long; nearly always, items are tracks and one column is enough.
        if np.any(start != WHOLE_TRACK):
            _, first, item = np.unique(
                np.stack([track, start]), axis=1, return_index=True, return_inverse=True
            )
            item = item.reshape(-1)
        else:
            _, first, item = np.unique(track, return_index=True, return_inverse=True)
        ratings = Ratings(
            targets,
            tracks,
            annotators,
            target,
            item,
            annotator,
            value,
            track[first].astype(np.int64),
            start[first],
            duration[first],
            {name: tuple(sorted(words)) for name, words in self._words.items()},
            dict(self._n_missing),
        )
        self._check_repeats(ratings, order)
        self._check_durations(ratings, duration, order)
        return ratings

    def _check_repeats(self, ratings: Ratings, order: NDArray[np.int64]) -> None:
        # Rows are sorted, so that a repeated key is that of the next row.
        same = [np.diff(column) == 0 for column in (ratings.target, ratings.item)]
        again = same[0] & same[1] & (np.diff(ratings.annotator) == 0)
        if not again.any():
            return
        row = int(np.argmax(again))
        first, second = sorted(order[row : row + 2].tolist())
        raise SchemaError(
            self._source(second),
            f"annotator {ratings.annotator_ids[ratings.annotator[row]]} rates "
            f"{_describe_item(ratings, int(ratings.item[row]))} for "
            f"{ratings.targets[ratings.target[row]]} again (first in {self._source(first)})",
            "remove one of the ratings",
        )

    def _check_durations(
        self, ratings: Ratings, duration: NDArray[np.float64], order: NDArray[np.int64]
    ) -> None:
        expected = ratings.item_duration[ratings.item]
        if np.array_equal(duration, expected):
            return
        row = int(np.argmax(duration != expected))
        raise SchemaError(
            self._source(int(order[row])),
            f"{_describe_item(ratings, int(ratings.item[row]))} is rated for {duration[row]:g} s "
            f"and for {expected[row]:g} s",
            "give stretches that begin together the same duration",
        )

    def _source(self, row: int) -> str:
        return self._sources[int(np.searchsorted(self._ends, row, "right"))]


def _describe_item(ratings: Ratings, item: int) -> str:
    track = f"track {ratings.track_ids[ratings.item_track[item]]}"
    start = ratings.item_start[item]
    return track if start == WHOLE_TRACK else f"{track} from {start:g} s on"


def _sorted_codes(codes: Mapping[str, int], column: Sequence[int]) -> NDArray[np.int32]:
    """Renumber codes given by first appearance to follow the names' order."""
    ranks = np.empty(len(codes), np.int32)
    ranks[[codes[name] for name in sorted(codes)]] = np.arange(len(codes), dtype=np.int32)
    return ranks[np.frombuffer(column, dtype=np.int32)]  # type: ignore[call-overload]

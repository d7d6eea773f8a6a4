"""A segment's sound as features are computed from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Excerpt:
    """A stretch of a track: its samples `y`, mono int16 (n_samples,), and its start in seconds.

    `whole` gives the whole track, for features of a segment that depend on what is around it.
    """

    def __init__(
        self,
        y: NDArray[np.int16],
        start_s: float = 0.0,
        whole: Callable[[], Excerpt] | None = None,
    ) -> None:
        self.y = y
        self.start_s = start_s
        self._whole = whole
        self._results: dict[Hashable, Any] = {}

    @property
    def whole(self) -> Excerpt:
        """The track that this is a stretch of; itself where that is all."""
        return self if self._whole is None else self._whole()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Memoise `make()` under `key`: several kinds of feature come from one run of a network."""
        if key not in self._results:
            self._results[key] = make()
        result: T = self._results[key]
        return result

    def recent(self, key: Hashable, starts: Sequence[int], make: Callable[[int], T]) -> list[T]:
        """Memoise `make(start)` for ascending `starts`, and drop results before `starts[0]`.

        Windows that overlap share what they have in common, in little memory.
        """
        known: dict[int, T] = self._results.get(key, {})
        results = {start: known[start] if start in known else make(start) for start in starts}
        later = {start: result for start, result in known.items() if start > starts[0]}
        self._results[key] = later | results
        return list(results.values())

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
        self._made: dict[Hashable, Any] = {}

    @property
    def whole(self) -> Excerpt:
        """The track that this is a stretch of; itself where that is all."""
        return self if self._whole is None else self._whole()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Give what `make` makes of this excerpt, made at the first call for `key` and kept.

        Several kinds of feature come from one run of a network.
        """
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def recent(self, key: Hashable, places: Sequence[int], make: Callable[[int], T]) -> list[T]:
        """Give what `make` makes at ascending places of this sound, of which some were asked for.

        What lies before the first of them is forgotten, so that windows which overlap share their
        work in little memory.
        """
        kept: dict[int, T] = self._made.get(key, {})
        made = {place: kept[place] if place in kept else make(place) for place in places}
        later = {place: value for place, value in kept.items() if place > places[0]}
        self._made[key] = later | made
        return list(made.values())

"""What models of several targets together say of a track or a window of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mertools.artifacts.rows import Prediction
from mertools.targets.plane import (
    TARGETS,
    Quadrant,
    find_quadrant,
    find_word,
    mean_rating,
    rating_spread,
)

UNLIKE = 0.5
"""From where on a person is told that a track is unlike the training music."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What a model says of one target: how likely listeners are to rate it as each of `classes`.

    `mean` is the mean rating on a scale from -1, the first class, to 1, the last one; `value` is
    that of predictions.csv.
    """

    target: str
    classes: tuple[str, ...]
    posterior: tuple[float, ...]
    predicted: str
    value: float | None
    mean: float

    @property
    def probability(self) -> float:
        """How likely the predicted class is."""
        return self.posterior[self.classes.index(self.predicted)]

    @property
    def spread(self) -> float:
        """The standard deviation of the ratings, on the scale of `mean`."""
        return rating_spread(self.posterior)


@dataclass(frozen=True, slots=True)
class Emotion:
    """What a track expresses, or a window of one: ratings by target, times in seconds.

    `quadrant` and `word` tell where on Russell's circumplex it lies, where arousal and valence are
    rated. `unlike` is how unlike the training music it is, from 0 to 1, where a model tells. A
    track has no segment_id.
    """

    track_id: str
    segment_id: str | None
    start: float
    duration: float
    ratings: Mapping[str, Rating]
    quadrant: Quadrant | None
    word: str | None
    unlike: float | None
    windows: tuple[Emotion, ...] = ()

    def __getitem__(self, target: str) -> Rating:
        """Give the rating of a target."""
        return self.ratings[target]


def gather_emotions(rows: Iterable[Prediction]) -> list[Emotion]:
    """Gather the rows of the same track or segment to what they say together, in their order."""
    gathered: dict[object, list[Prediction]] = {}
    for row in rows:
        # Models may cut a track differently: its segments are then apart, but not itself.
        place = row.segment_id and (row.segment_id, row.start, row.duration)
        gathered.setdefault((row.track_id, place), []).append(row)
    return [_join(some) for some in gathered.values()]


def _join(rows: list[Prediction]) -> Emotion:
    first = rows[0]
    ratings = {row.target: _rate(row) for row in rows}
    told = [row.unlike for row in rows if row.unlike is not None]
    quadrant = word = None
    if all(target in ratings for target in TARGETS):
        valence, arousal = (ratings[target] for target in TARGETS)
        quadrant = find_quadrant(valence.posterior, arousal.posterior)
        word = find_word(valence.mean, arousal.mean)
    return Emotion(
        first.track_id,
        first.segment_id,
        first.start,
        first.duration,
        ratings,
        quadrant,
        word,
        max(told, default=None),
    )


def _rate(row: Prediction) -> Rating:
    return Rating(
        row.target,
        row.class_names(),
        row.posteriors,
        row.predicted,
        row.value,
        mean_rating(row.posteriors),
    )

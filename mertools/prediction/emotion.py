"""The emotion of a track or window: the predictions of all its targets together.

Numbers that are shown are means, and words are chosen by the means. `predicted` is the likeliest
class, as in predictions.csv, and is always shown with its probability. The quadrant and Russell's
word are those of the point with the mean valence and arousal. So a track may be "strong 45 %" with
a mean near 0 and the word `neutral`: listeners would disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mertools.artifacts.rows import Prediction
from mertools.targets.plane import (
    DIMENSIONS,
    QUADRANT,
    QUADRANTS,
    TARGETS,
    Quadrant,
    find_quadrant,
    find_word,
    mean_rating,
    quadrant_probability,
    rating_spread,
)
from mertools.targets.scale import Classes, Range, Scale

UNLIKE = 0.5
"""Above this a track is said to be unlike the training music."""


@dataclass(frozen=True, slots=True, repr=False)
class Rating:
    """What a model predicts of one target.

    Classes have the `posterior` of each of `classes` and the likeliest, `predicted`; numbers have
    neither. `value` is that of predictions.csv: the expected level from 1 to K of ordered classes,
    or the number on its own scale. `mean` is the same from -1, the lowest class or number of the
    scale, to 1, the highest. Unordered classes have no value and no mean.
    """

    target: str
    scale: Scale
    posterior: tuple[float, ...] = ()
    predicted: str | None = None
    value: float | None = None
    mean: float | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the posterior; none where the target is a number."""
        return self.scale.names if isinstance(self.scale, Classes) else ()

    @property
    def posteriors(self) -> dict[str, float]:
        """The posterior by the class's name."""
        return dict(zip(self.classes, self.posterior, strict=True))

    @property
    def probability(self) -> float | None:
        """The posterior of the predicted class; None where the target is a number."""
        return self.posteriors[self.predicted] if self.predicted is not None else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the ratings on the scale of `mean`; of ordered classes only."""
        is_ordered = isinstance(self.scale, Classes) and self.scale.ordered
        return rating_spread(self.posterior) if is_ordered else None

    def format_mean(self) -> str:
        """Write the number that stands for the rating: +0.22 of -1..1, or 0.62 of its own scale.

        Empty for unordered classes.
        """
        if isinstance(self.scale, Range):
            return format_on(self.scale, self.value)
        # Adding 0 turns -0.0 into 0.0, which would be written as "-0.00".
        return "" if self.mean is None else f"{round(self.mean, 2) + 0.0:+.2f}"

    def format_class(self) -> str:
        """Write the likeliest class with its probability; empty where the target is a number."""
        return "" if self.predicted is None else f"{self.predicted} {self.probability:.0%}"

    def __repr__(self) -> str:
        return f"Rating({self})"

    def __str__(self) -> str:
        unit = f" of {self.scale}" if isinstance(self.scale, Range) else ""
        words = (self.target, self.format_mean() + unit, self.format_class())
        return " ".join(word for word in words if word)


def format_on(scale: Range, value: float | None) -> str:
    """Write a number to a hundredth of its scale's width, or a little finer."""
    if value is None:
        return ""
    decimals = count_decimals(scale)
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def count_decimals(scale: Range) -> int:
    """Give the decimals with which numbers of a scale are written: 2 for 0..1 and 1..9."""
    return max(0, 2 - math.floor(math.log10(scale.high - scale.low)))


def shown_scale(scale: Scale) -> str:
    """Name the scale of what `format_mean` writes; empty for unordered classes."""
    if isinstance(scale, Range):
        return str(scale)
    return "-1..1" if scale.ordered else ""


@dataclass(frozen=True, slots=True, repr=False)
class Emotion:
    """What is predicted of a track, or of a window of one; times in seconds.

    `quadrant` and `word` say where in the valence-arousal plane it lies, where models predict that.
    `unlike` is how unlike the training music it is, from 0 to 1, where a model predicts that. A
    track has no segment_id, and its start and duration may be unknown. `path` is its sound file.
    """

    track_id: str
    segment_id: str | None
    start: float | None
    duration: float | None
    ratings: Mapping[str, Rating]
    quadrant: Quadrant | None = None
    word: str | None = None
    unlike: float | None = None
    windows: tuple[Emotion, ...] = ()
    path: str | None = field(default=None, compare=False)

    def __getitem__(self, target: str) -> Rating:
        """Give the rating of a target."""
        return self.ratings[target]

    def __repr__(self) -> str:
        name = repr(self.track_id)
        if self.segment_id is not None and self.start is not None:
            name += f" at {self.start:g} s"
        quadrant = format_quadrant(self.quadrant)
        parts = [name, *map(str, self.ratings.values()), quadrant, self.word or ""]
        windows = f"{len(self.windows)} windows" if self.windows else ""
        return f"Emotion({', '.join(part for part in [*parts, windows] if part)})"


def format_quadrant(quadrant: Quadrant | None) -> str:
    """Write a quadrant with its probability, where that is known."""
    if quadrant is None:
        return ""
    if quadrant.probability is None:
        return quadrant.name
    return f"{quadrant.name} {quadrant.probability:.0%}"


def gather_emotions(rows: Iterable[Prediction]) -> list[Emotion]:
    """Gather rows of the same track or segment, in the order of their first rows."""
    gathered: dict[object, list[Prediction]] = {}
    for row in rows:
        # Two models may cut a track into different segments of the same name.
        segment = row.segment_id and (row.segment_id, row.start, row.duration)
        gathered.setdefault((row.track_id, segment), []).append(row)
    return [_gather(some) for some in gathered.values()]


def order_targets(targets: Iterable[str]) -> list[str]:
    """Order targets as they are shown: arousal, valence, dominance, then the others as they are."""
    known = dict.fromkeys(targets)
    return [name for name in DIMENSIONS if name in known] + [
        name for name in known if name not in DIMENSIONS
    ]


def rate(row: Prediction) -> Rating:
    """Read the rating of a row of predictions."""
    scale = row.parse_scale()
    mean = None
    if isinstance(scale, Range):
        if row.value is not None:
            mean = (row.value - scale.middle) / (scale.high - scale.middle)
        return Rating(row.target, scale, value=row.value, mean=mean)
    if scale.ordered:
        mean = mean_rating(row.posteriors)
    value = row.value if scale.ordered else None
    return Rating(row.target, scale, row.posteriors, row.predicted, value, mean)


def _gather(rows: list[Prediction]) -> Emotion:
    first = rows[0]
    ratings = {row.target: rate(row) for row in rows}
    quadrant, word = _locate(ratings)
    return Emotion(
        first.track_id,
        first.segment_id,
        first.start,
        first.duration,
        ratings,
        quadrant,
        word,
        # One model that does not know such music makes the whole answer doubtful.
        max((row.unlike for row in rows if row.unlike is not None), default=None),
        path=first.path,
    )


def _locate(ratings: Mapping[str, Rating]) -> tuple[Quadrant | None, str | None]:
    """Give the quadrant and the word of the plane.

    A model of the target `quadrant` decides, and the word is that of the quadrant's corner.
    """
    direct = ratings.get(QUADRANT)
    name = direct.predicted if direct is not None else None
    if direct is not None and name is not None and name in QUADRANTS:
        return Quadrant(name, direct.probability), find_word(*QUADRANTS[name])
    valence, arousal = (ratings.get(target) for target in TARGETS)
    if valence is None or arousal is None or valence.mean is None or arousal.mean is None:
        return None, None
    name = find_quadrant(valence.mean, arousal.mean)
    probability = None
    if valence.posterior and arousal.posterior:
        probability = quadrant_probability(name, valence.posterior, arousal.posterior)
    return Quadrant(name, probability), find_word(valence.mean, arousal.mean)


def flatten(emotion: Emotion, *, with_posteriors: bool = True) -> dict[str, object]:
    """Lay out the predictions of a track or window as columns of a table, a row each.

    For each target: TARGET, the likeliest class or the number; TARGET_mean, from -1 to 1, where
    classes are ordered; TARGET_CLASS, the posteriors. Then quadrant, its probability, word, unlike.
    """
    columns: dict[str, object] = {}
    for target, rating in emotion.ratings.items():
        columns[target] = rating.predicted if rating.classes else rating.value
        if rating.classes and rating.mean is not None:
            columns[f"{target}_mean"] = rating.mean
        if with_posteriors:
            columns |= {f"{target}_{name}": p for name, p in rating.posteriors.items()}
    if emotion.quadrant is not None:
        columns |= {
            "quadrant": emotion.quadrant.name,
            "quadrant_probability": emotion.quadrant.probability,
            "word": emotion.word,
        }
    return columns | {"unlike": emotion.unlike}

"""Labels from several annotators' ratings of a track: mean, spread, distribution and class.

Statistics of levels are ratios of whole numbers, computed from the counts of each level: a mean or
deviation equal to a limit compares as equal to it. Statistics of real ratings are rounded to the
decimals that tables have, so that what is compared is what the table shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Label
from mertools.artifacts.tables import NUMBER_DECIMALS
from mertools.errors import UsageError
from mertools.labels.classes import LabelRule, Scales, for_target
from mertools.labels.ratings import WHOLE_TRACK, Ratings

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TargetLabels:
    """The labels of the n items rated for one target, by rising index of the item.

    item, track: (n,), indices into the ratings' items and track_ids. n_annotators: (n,). counts:
    (n, K), how many annotators chose each class; K is 0 where labels are numbers. shares: (n, K),
    the distribution over classes. rating_mean: (n,), the mean on the ratings' own scale. mean, std
    (population) and mad (mean absolute deviation from the mean): (n,), of the levels 1 to K or of
    the numbers. All four are nan for unordered classes. label: (n,), the class from 1; 0 for
    numbers. kept: (n,), whether `mad` is within `max_mad`.
    """

    rule: LabelRule
    max_mad: float | None
    item: NDArray[np.int64]
    track: NDArray[np.int64]
    n_annotators: NDArray[np.int64]
    counts: FloatArray
    shares: FloatArray
    rating_mean: FloatArray
    mean: FloatArray
    std: FloatArray
    mad: FloatArray
    label: NDArray[np.int64]
    kept: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """The target's name."""
        return self.rule.target.name


def aggregate(
    ratings: Ratings, scales: Scales, max_mad: Mapping[str, float]
) -> Iterator[TargetLabels]:
    """Yield the labels of one target after the other, from the ratings of each item.

    `max_mad` limits the mean absolute deviation per target, or for `EVERY_TARGET`: items above the
    limit are not kept. Raises UsageError where settings of a target contradict each other.
    """
    for name in ratings.targets:
        if name in ratings.words:
            if name in max_mad:
                raise UsageError(
                    f"--max-mad {name}={max_mad[name]:g}",
                    f"{name} is rated in words, which have no deviation",
                    "limit numbers and ordered classes only",
                )
            yield _label_words(ratings, name, scales)
        else:
            yield _label_numbers(ratings, name, scales, for_target(max_mad, name))


def _label_words(ratings: Ratings, name: str, scales: Scales) -> TargetLabels:
    """Label each item with the word that most annotators chose, the first class of several."""
    words = ratings.words[name]
    rule = scales.word_rule(name, words)
    rows = ratings.rows_of(name)
    item, group = np.unique(ratings.item[rows], return_inverse=True)
    level_of_word = np.array([rule.classes.index(word) + 1 for word in words])
    counts = _count(group, level_of_word[ratings.value[rows].astype(int)], len(rule.classes))
    n = counts.sum(axis=1)
    unknown = np.full(len(item), np.nan)
    return TargetLabels(
        rule=rule,
        max_mad=None,
        item=item,
        track=ratings.item_track[item],
        n_annotators=n,
        counts=counts.astype(np.float64),
        shares=counts / n[:, None],
        rating_mean=unknown,
        mean=unknown,
        std=unknown,
        mad=unknown,
        label=counts.argmax(axis=1) + 1,
        kept=np.ones(len(item), bool),
    )


def _label_numbers(
    ratings: Ratings, name: str, scales: Scales, max_mad: float | None
) -> TargetLabels:
    """Label each item with the class of its mean rating, or with the mean itself."""
    rows = ratings.rows_of(name)
    value = ratings.value[rows]
    # Where nobody gave the scale, the highest rating says how many levels it has.
    rule = scales.rule(name, float(value.max()))
    item, group = np.unique(ratings.item[rows], return_inverse=True)
    n = np.bincount(group)
    # The class is that of the mean as ratings were given, not of the mean level.
    rating_mean, _, _ = _number_statistics(group, value)
    if rule.are_levels:
        counts = _count(group, value.astype(np.int64), len(rule.classes))
        mean, std, mad = _level_statistics(counts)
        rating_mean = mean
    elif rule.classes:
        counts = _count(group, rule.classify(value), len(rule.classes))
        mean, std, mad = _level_statistics(counts)
    else:
        counts = np.zeros((len(item), 0), np.int64)
        mean, std, mad = _number_statistics(group, rule.rescale(value))
    return TargetLabels(
        rule=rule,
        max_mad=max_mad,
        item=item,
        track=ratings.item_track[item],
        n_annotators=n,
        counts=counts.astype(np.float64),
        shares=counts / n[:, None],
        rating_mean=rating_mean,
        mean=mean,
        std=std,
        mad=mad,
        label=rule.classify(rating_mean) if rule.classes else np.zeros(len(item), np.int64),
        kept=np.ones(len(item), bool) if max_mad is None else mad <= max_mad,
    )


def _count(group: NDArray[np.int64], level: NDArray[np.int64], n_levels: int) -> NDArray[np.int64]:
    """Count the levels, from 1, of each group: (n_groups, n_levels)."""
    n_groups = int(group.max()) + 1
    # One number a cell of the table, so that a single bincount fills it.
    cells = np.bincount(group * n_levels + level - 1, minlength=n_groups * n_levels)
    return cells.reshape(n_groups, n_levels)


def _level_statistics(counts: NDArray[np.int64]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute mean, std and mad of levels from their counts, each with one division."""
    levels = np.arange(1, counts.shape[1] + 1)
    n = counts.sum(axis=1)
    total = counts @ levels
    # Multiplied out by n, so that all steps but the last are exact in whole numbers.
    deviations = np.abs(n[:, None] * levels - total[:, None])  # n |level - mean|
    mad = (counts * deviations).sum(axis=1) / n**2
    std = np.sqrt((n * (counts @ levels**2) - total**2) / n**2)
    return total / n, std, mad


def _number_statistics(
    group: NDArray[np.int64], value: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute mean, std and mad of each group's numbers, rounded as tables have them."""
    n = np.bincount(group)
    mean = np.round(np.bincount(group, value) / n, NUMBER_DECIMALS)
    # Rounding must not take a mean out of the ratings, and so out of the scale.
    mean = np.clip(mean, value.min(), value.max())
    deviation = value - mean[group]
    std = np.sqrt(np.bincount(group, deviation**2) / n)
    mad = np.bincount(group, np.abs(deviation)) / n
    return mean, np.round(std, NUMBER_DECIMALS), np.round(mad, NUMBER_DECIMALS)


def label_rows(
    ratings: Ratings, labels: Sequence[TargetLabels], split: NDArray[np.str_] | None = None
) -> Iterator[Label]:
    """Yield the rows of labels.csv by track, target and start.

    split: (n_tracks,), the part that each of `Ratings.track_ids` is in; None is no split.
    """
    owners = np.repeat(np.arange(len(labels)), [len(target.item) for target in labels])
    rows = np.concatenate([np.arange(len(target.item)) for target in labels])
    items = np.concatenate([target.item for target in labels])
    # Only indices are sorted: rows are built while they are written, not held all at once.
    for index in np.lexsort((items, owners, ratings.item_track[items])).tolist():
        yield _label_row(ratings, labels[owners[index]], int(rows[index]), split)


def _label_row(
    ratings: Ratings, target: TargetLabels, row: int, split: NDArray[np.str_] | None
) -> Label:
    label = int(target.label[row]) or None
    item, track = int(target.item[row]), int(target.track[row])
    is_stretch = ratings.item_start[item] != WHOLE_TRACK
    return Label(
        track_id=ratings.track_ids[track],
        target=target.name,
        # No annotator rated both of two targets: nobody's own ratings are behind the class.
        n_annotators=int(target.n_annotators[row]) or None,
        mean=_cell(target.mean, row),
        std=_cell(target.std, row),
        mad=_cell(target.mad, row),
        label=label,
        class_name=None if label is None else target.rule.classes[label - 1],
        kept=bool(target.kept[row]),
        distribution=tuple(target.shares[row].tolist()),
        split=None if split is None else str(split[track]),
        scale=str(target.rule.target.scale),
        start=float(ratings.item_start[item]) if is_stretch else None,
        duration=float(ratings.item_duration[item]) if is_stretch else None,
    )


def _cell(column: FloatArray, row: int) -> float | None:
    value = float(column[row])
    return None if math.isnan(value) else value

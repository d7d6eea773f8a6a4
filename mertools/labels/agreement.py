"""How well annotators agree, and how many labels each target has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mertools.labels.aggregate import FloatArray, TargetLabels
from mertools.labels.ratings import Ratings
from mertools.labels.splits import PARTS, VALIDATION

Measurement = Literal["ordinal", "nominal", "interval"]


@dataclass(frozen=True)
class TargetSummary:
    """The ratings and labels of one target, in figures.

    n_labels: rows of labels.csv, more than tracks where stretches were rated. n_missing: empty
    ratings, left out. class_counts: the kept labels of each class in each part of the split ("" is
    no split). part_counts: the same over all classes. mean_disagreement: the mean absolute
    difference of a rating from its track's mean, and for unordered classes the share of ratings
    that are not the track's class. krippendorff_alpha: None where it is not defined. annotators:
    each annotator's own mean disagreement.
    """

    target: str
    scale: str
    thresholds: tuple[float, ...]
    max_mad: float | None
    n_ratings: int
    n_missing: int
    n_annotators: int
    n_tracks: int
    n_labels: int
    n_kept: int
    n_dropped: int
    class_counts: Mapping[str, Mapping[str, int]]
    part_counts: Mapping[str, int]
    mean_disagreement: float | None
    krippendorff_alpha: float | None
    measurement: Measurement
    annotators: Mapping[str, float]


def summarise(
    ratings: Ratings, labels: Sequence[TargetLabels], split: NDArray[np.str_] | None = None
) -> Iterator[TargetSummary]:
    """Sum up each target; `split` is as in `label_rows`."""
    for target in labels:
        by_annotator, n_annotators = _annotators_disagreement(ratings, target)
        in_part = _find_parts(target, split)
        n = int(target.n_annotators.sum())
        yield TargetSummary(
            target=target.name,
            scale=str(target.rule.target.scale),
            thresholds=target.rule.thresholds,
            max_mad=target.max_mad,
            n_ratings=n,
            n_missing=ratings.n_missing.get(target.name, 0),
            n_annotators=n_annotators,
            n_tracks=len(np.unique(target.track)),
            n_labels=len(target.item),
            n_kept=int(target.kept.sum()),
            n_dropped=int((~target.kept).sum()),
            class_counts={part: _count_classes(target, chosen) for part, chosen in in_part.items()},
            part_counts={part: int(chosen.sum()) for part, chosen in in_part.items()},
            mean_disagreement=_mean_disagreement(target, n),
            krippendorff_alpha=_alpha(ratings, target),
            measurement=_measurement(target),
            annotators=by_annotator,
        )


def _mean_disagreement(target: TargetLabels, n_ratings: int) -> float | None:
    if not target.rule.is_unordered:
        # A mean of the items' means, weighted by their number of ratings, is that of all ratings.
        return float(target.mad @ target.n_annotators) / n_ratings
    agreeing = np.take_along_axis(target.counts, target.label[:, None] - 1, axis=1).sum()
    return 1 - float(agreeing) / n_ratings if n_ratings else None


def _annotators_disagreement(
    ratings: Ratings, target: TargetLabels
) -> tuple[dict[str, float], int]:
    """Compute each annotator's mean disagreement; a derived target has no ratings of its own."""
    if target.name not in ratings.targets:
        return {}, 0
    # Items are sorted in labels: each rating finds its own by bisection.
    rows = ratings.rows_of(target.name)
    index = np.searchsorted(target.item, ratings.item[rows])
    value, rule = ratings.value[rows], target.rule
    if rule.is_unordered:
        words = ratings.words[target.name]
        level_of_word = np.array([rule.classes.index(word) + 1 for word in words])
        disagreement = (level_of_word[value.astype(int)] != target.label[index]).astype(float)
    else:
        own = rule.rescale(value)
        if rule.classes and not rule.are_levels:
            own = rule.classify(value).astype(float)
        disagreement = np.abs(own - target.mean[index])
    annotator, row = np.unique(ratings.annotator[rows], return_inverse=True)
    means = np.bincount(row, disagreement) / np.bincount(row)
    names = (ratings.annotator_ids[code] for code in annotator)
    return dict(zip(names, means.tolist(), strict=True)), len(annotator)


def _measurement(target: TargetLabels) -> Measurement:
    if not target.rule.classes:
        return "interval"
    return "nominal" if target.rule.is_unordered else "ordinal"


def _alpha(ratings: Ratings, target: TargetLabels) -> float | None:
    if target.name not in ratings.targets:
        return None  # halves of annotators, on a centre, are no ratings that agree or disagree
    if target.rule.classes:
        return krippendorff_alpha(target.counts.astype(np.int64), _measurement(target))
    rows = ratings.rows_of(target.name)
    item = np.searchsorted(target.item, ratings.item[rows])
    return interval_alpha(item, ratings.value[rows])


def krippendorff_alpha(
    counts: NDArray[np.int64], measurement: Measurement = "ordinal"
) -> float | None:
    """Compute Krippendorff's alpha of classes from (n_items, K) counts of each rating.

    Computed by the krippendorff package. None where no two annotators rate an item in common, or
    all their ratings are the same: then nothing could have been disagreed on.
    """
    import krippendorff

    # An item with one rating cannot show whether annotators agree.
    pairable = counts[counts.sum(axis=1) > 1]
    if np.count_nonzero(pairable.sum(axis=0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=pairable, level_of_measurement=measurement))


def interval_alpha(item: NDArray[np.int64], value: FloatArray) -> float | None:
    """Compute Krippendorff's alpha for interval data from ratings (n,) and their items (n,).

    K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011. None as for classes.
    """
    n_of_item = np.bincount(item)
    is_pairable = n_of_item[item] > 1
    item, value = item[is_pairable], value[is_pairable]
    if not len(value) or np.all(value == value[0]):
        return None
    # The squared differences of all pairs of n values sum to 2 n times their squared deviations
    # from the mean. In closed form, no matrix of values is needed, however many there are.
    n_of_item = np.maximum(np.bincount(item), 1)
    deviation = value - (np.bincount(item, value) / n_of_item)[item]
    observed = np.sum(deviation**2 * (n_of_item / np.maximum(n_of_item - 1, 1))[item])
    expected = np.sum((value - value.mean()) ** 2) * len(value) / (len(value) - 1)
    return float(1 - observed / expected)


def _find_parts(
    target: TargetLabels, split: NDArray[np.str_] | None
) -> dict[str, NDArray[np.bool_]]:
    """Find the kept labels in each part of the split; validation only where it has tracks."""
    if split is None:
        return {"": target.kept}
    names = [part for part in PARTS if part != VALIDATION or np.any(split == VALIDATION)]
    return {part: target.kept & (split[target.track] == part) for part in names}


def _count_classes(target: TargetLabels, chosen: NDArray[np.bool_]) -> dict[str, int]:
    return {
        name: int(np.sum(target.label[chosen] == k))
        for k, name in enumerate(target.rule.classes, 1)
    }

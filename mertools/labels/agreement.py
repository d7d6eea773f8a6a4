"""How well annotators agree, and what became of their ratings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.labels.aggregate import Ratings, TargetLabels


@dataclass(frozen=True)
class TargetSummary:
    """What the ratings for one target amount to.

    `class_counts` holds the kept tracks of each class in each part of the split ("" is no split);
    `mean_disagreement` is the mean absolute difference of a rating from its track's mean;
    `krippendorff_alpha` is for ordinal data, None where it is not defined; `annotators` holds each
    annotator's own mean disagreement.
    """

    target: str
    thresholds: tuple[float, ...]
    max_mad: float | None
    n_ratings: int
    n_annotators: int
    n_tracks: int
    n_kept: int
    n_dropped: int
    class_counts: Mapping[str, Mapping[str, int]]
    mean_disagreement: float
    krippendorff_alpha: float | None
    annotators: Mapping[str, float]


def summarise(
    ratings: Ratings, labels: Sequence[TargetLabels], test: NDArray[np.bool_] | None
) -> Iterator[TargetSummary]:
    """Sum up each target; `test` is as in `label_rows`."""
    for number, target in enumerate(labels):
        rated = slice(*np.searchsorted(ratings.target, [number, number + 1]))
        mean = target.mean[np.searchsorted(target.track, ratings.track[rated])]
        disagreement = np.abs(ratings.value[rated] - mean)
        annotator, place = np.unique(ratings.annotator[rated], return_inverse=True)
        by_annotator = np.bincount(place, disagreement) / np.bincount(place)
        yield TargetSummary(
            target=target.scale.target,
            thresholds=target.scale.thresholds,
            max_mad=target.max_mad,
            n_ratings=len(disagreement),
            n_annotators=len(annotator),
            n_tracks=len(target.track),
            n_kept=int(target.kept.sum()),
            n_dropped=int((~target.kept).sum()),
            class_counts=_class_counts(target, test),
            mean_disagreement=float(disagreement.mean()),
            krippendorff_alpha=krippendorff_alpha(target.counts),
            annotators={
                ratings.annotator_ids[code]: float(value)
                for code, value in zip(annotator, by_annotator, strict=True)
            },
        )


def krippendorff_alpha(counts: NDArray[np.int64]) -> float | None:
    """Compute Krippendorff's alpha for ordinal data from (n_tracks, K) counts of each rating.

    Computed by the krippendorff package. None where no two annotators rate a track in common, or
    all their ratings are the same: then nothing could have been disagreed on.
    """
    import krippendorff

    pairable = counts[counts.sum(axis=1) > 1]
    if np.count_nonzero(pairable.sum(axis=0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=pairable, level_of_measurement="ordinal"))


def _class_counts(
    target: TargetLabels, test: NDArray[np.bool_] | None
) -> Mapping[str, Mapping[str, int]]:
    if test is None:
        parts = {"": target.kept}
    else:
        tested = test[target.track]
        parts = {"train": target.kept & ~tested, "test": target.kept & tested}
    names = target.scale.classes
    return {
        part: {name: int(np.sum(target.label[chosen] == k)) for k, name in enumerate(names, 1)}
        for part, chosen in parts.items()
    }

"""The target `quadrant`, derived from ratings of arousal and valence.

Q1 is high arousal and positive valence; Q2, Q3 and Q4 follow counter-clockwise in the plane with
valence to the right and arousal upwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.labels.aggregate import FloatArray, TargetLabels
from mertools.labels.classes import LabelRule, for_target
from mertools.labels.ratings import Ratings
from mertools.targets.scale import Classes, Target

QUADRANT = "quadrant"
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
AXES = AROUSAL, VALENCE = "arousal", "valence"


def derive_quadrants(
    ratings: Ratings, labels: Sequence[TargetLabels], centres: Mapping[str, float]
) -> TargetLabels:
    """Label with a quadrant each item that was rated for arousal and for valence.

    `centres` gives the centre per target, or for `EVERY_TARGET`, on the ratings' own scale; the
    middle of the scale where it is absent. The class is that of the mean ratings; a mean on the
    centre counts as high. The distribution is the mean over annotators who rated both, a rating on
    the centre counting half to either side; without such annotators it is the class alone. An item
    is kept where it is kept for both. Raises UsageError where a target is not rated in numbers.
    """
    arousal, valence = (_find(labels, name) for name in (AROUSAL, VALENCE))
    up_at, right_at = (find_centre(target.rule, centres) for target in (arousal, valence))
    items, arousal_rows, valence_rows = np.intersect1d(
        arousal.item, valence.item, assume_unique=True, return_indices=True
    )
    if not len(items):
        raise UsageError(
            "--quadrants", "no track is rated for arousal and for valence", "leave it out"
        )
    is_up = arousal.rating_mean[arousal_rows] >= up_at
    is_right = valence.rating_mean[valence_rows] >= right_at
    label = np.where(is_up, np.where(is_right, 1, 2), np.where(is_right, 4, 3))

    counts = _count_annotators(ratings, items, up_at, right_at)
    n = np.rint(counts.sum(axis=1)).astype(np.int64)
    alone = np.eye(len(QUADRANTS))[label - 1]
    unknown = np.full(len(items), np.nan)
    return TargetLabels(
        rule=LabelRule(Target(QUADRANT, Classes(QUADRANTS, ordered=False))),
        max_mad=None,
        item=items,
        track=ratings.item_track[items],
        n_annotators=n,
        counts=counts,
        shares=np.where(n[:, None] > 0, counts / np.maximum(n, 1)[:, None], alone),
        rating_mean=unknown,
        mean=unknown,
        std=unknown,
        mad=unknown,
        label=label,
        kept=arousal.kept[arousal_rows] & valence.kept[valence_rows],
    )


def find_centre(rule: LabelRule, centres: Mapping[str, float]) -> float:
    """Find where a target's scale is divided. Raises UsageError where that is not on its scale."""
    name = rule.target.name
    if rule.ratings is None:
        raise UsageError("--quadrants", f"{name} is rated in words", "give ratings in numbers")
    centre = for_target(centres, name)
    if centre is None:
        return rule.ratings.middle
    if centre not in rule.ratings:
        raise UsageError(
            f"--quadrant-centre {name}={centre:g}",
            f"is outside the scale {rule.ratings} on which {name} is rated",
            "give a number on the scale of the ratings",
        )
    return centre


def _find(labels: Sequence[TargetLabels], name: str) -> TargetLabels:
    for target in labels:
        if target.name == name:
            return target
    raise UsageError(
        "--quadrants",
        f"nobody rated {name} (found: {', '.join(target.name for target in labels)})",
        "give ratings of arousal and valence",
    )


def _count_annotators(
    ratings: Ratings, items: NDArray[np.int64], up_at: float, right_at: float
) -> FloatArray:
    """Count annotators who rated both targets by quadrant, halves included: (n_items, 4)."""
    n_annotators = len(ratings.annotator_ids)

    def find_sides(name: str, centre: float) -> tuple[NDArray[np.int64], FloatArray]:
        """Key each rating by item and annotator; low is 0, the centre 0.5, high 1."""
        rows = ratings.rows_of(name)
        keys = ratings.item[rows] * n_annotators + ratings.annotator[rows]
        return keys, (1 + np.sign(ratings.value[rows] - centre)) / 2

    up_keys, up = find_sides(AROUSAL, up_at)
    right_keys, right = find_sides(VALENCE, right_at)
    both, arousal_rows, valence_rows = np.intersect1d(
        up_keys, right_keys, assume_unique=True, return_indices=True
    )
    up, right = up[arousal_rows], right[valence_rows]
    # Annotators who rated one of the two only say nothing of the quadrant, and are not counted.
    row = np.searchsorted(items, both // n_annotators)
    weights = (up * right, up * (1 - right), (1 - up) * (1 - right), (1 - up) * right)
    return np.stack([np.bincount(row, weight, len(items)) for weight in weights], axis=1)

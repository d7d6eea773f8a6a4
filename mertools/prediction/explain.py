"""What moved a prediction: blocks of features, or the stretches that a network attends to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.explanation_rows import BASELINE, REST, Explanation
from mertools.artifacts.feature_rows import FeatureRow, Features
from mertools.artifacts.rows import Prediction
from mertools.errors import UsageError
from mertools.models.model import Terms
from mertools.prediction.emotion import rate
from mertools.prediction.predictor import Predictor
from mertools.targets.scale import Range, Target

STRETCH_S = 1.0
"""Attention is given for stretches of this length: frames are finer than anybody reads."""


def is_sum(predictor: Predictor) -> bool:
    """Return whether a model's outputs are a sum over blocks of features."""
    return hasattr(predictor.model, "explain")


def attends(predictor: Predictor) -> bool:
    """Return whether a model is a network that attends to some frames more than to others."""
    return getattr(predictor.model, "attending_branch", None) is not None


def check_explainable(predictors: Sequence[Predictor]) -> None:
    """Raise UsageError where a model has no way to say what moved its predictions."""
    for predictor in predictors:
        if not is_sum(predictor) and not attends(predictor):
            raise UsageError(
                predictor.path,
                f"cannot be explained: {predictor.card.architecture} is no sum over blocks of "
                "features and has no attention over time",
                "leave out --explain, or give models of kernel, lstm or dual",
            )


def explain_track(
    predictor: Predictor,
    predictions: Sequence[Prediction],
    rows: Sequence[FeatureRow],
    features: Sequence[Features],
    durations: NDArray[np.float64],
) -> Iterator[Explanation]:
    """Yield what moved each of a model's predictions of a track, where that is asked for.

    rows, features, durations: of its segments, as `Predictor.predict` takes them.
    """
    if predictor.explains is None:
        return
    if predictor.explains != "both":
        predictions = [row for row in predictions if row.level == predictor.explains]
    index = {row.segment_id: n for n, row in enumerate(rows)}
    if is_sum(predictor):
        terms = _TrackTerms.of(predictor, features, durations)
        for prediction in predictions:
            yield from terms.explain(prediction, index)
    elif attends(predictor):
        weights = predictor.model.attend(features)
        times = _frame_times(rows, weights.shape[1])
        for prediction in predictions:
            yield from _list_attention(predictor, prediction, index, weights, times)


def _begin_row(prediction: Prediction) -> Any:
    """Return `Explanation` with all filled in that it has in common with the prediction."""
    return partial(
        Explanation,
        level=prediction.level,
        track_id=prediction.track_id,
        segment_id=prediction.segment_id,
        target=prediction.target,
        scale=prediction.scale,
        model=prediction.model,
    )


@dataclass(frozen=True)
class _TrackTerms:
    """The terms of a track's segments, and what each part adds to the outputs of the track.

    of_track: (n_parts, n_outputs).
    """

    targets: Sequence[Target]
    terms: Terms
    of_track: NDArray[np.float64]

    @classmethod
    def of(
        cls, predictor: Predictor, features: Sequence[Features], durations: NDArray[np.float64]
    ) -> _TrackTerms:
        terms: Terms = predictor.model.explain(features)
        # A pooling that is no mean has its difference in the rest.
        of_track = terms.added.mean(axis=0)
        if predictor.card.unit == "track":
            means = predictor.mean_features(features, durations)
            of_track = predictor.model.explain(means).added[0]
        return cls(predictor.card.targets, terms, of_track)

    def explain(self, prediction: Prediction, index: Mapping[str, int]) -> Iterator[Explanation]:
        """Yield the rows of a prediction: the baseline, the parts and the rest, which sum to it."""
        segment = prediction.segment_id
        added = self.of_track if segment is None else self.terms.added[index[segment]]
        weights, offset, predicted = self._read_scale(prediction)
        baseline = offset + float(self.terms.baseline @ weights)
        contributions = (added @ weights).tolist()
        rest = predicted - baseline - sum(contributions)
        row = _begin_row(prediction)
        is_unordered = prediction.value is None
        for part, contribution in zip(
            (BASELINE, *self.terms.parts, REST), (baseline, *contributions, rest), strict=True
        ):
            yield row(
                start=prediction.start,
                duration=prediction.duration,
                class_name=prediction.predicted if is_unordered else None,
                part=part,
                contribution=contribution,
            )

    def _read_scale(self, prediction: Prediction) -> tuple[NDArray[np.float64], float, float]:
        """Give how outputs are weighed and what is added to be on the prediction's scale, and it.

        That is the mean from -1 to 1 of ordered classes, the number itself, or the posterior of the
        predicted class.
        """
        (number,) = (n for n, of in enumerate(self.targets) if of.name == prediction.target)
        rating = rate(prediction)
        weights: NDArray[np.float64] = np.zeros(len(self.terms.baseline))
        if isinstance(rating.scale, Range):
            weights[number] = rating.scale.high - rating.scale.low
            return weights, rating.scale.low, prediction.value or 0.0
        if rating.mean is None:
            likeliest = int(np.argmax(rating.posterior))
            weights[likeliest] = 1.0
            return weights, 0.0, rating.posterior[likeliest]
        weights[:] = np.linspace(-1.0, 1.0, len(weights))
        return weights, 0.0, rating.mean


def _frame_times(rows: Sequence[FeatureRow], n_frames: int) -> NDArray[np.float64]:
    """Give the middles of all segments' frames, in seconds of the track: (n_segments, n_frames)."""
    middles = (np.arange(n_frames) + 0.5) / n_frames
    return np.array([row.start + row.duration * middles for row in rows])


def _list_attention(
    predictor: Predictor,
    prediction: Prediction,
    index: Mapping[str, int],
    weights: NDArray[np.float64],
    times: NDArray[np.float64],
) -> Iterator[Explanation]:
    """Yield a prediction's attention to each stretch, from that to its frames, (n, n_frames)."""
    segment = prediction.segment_id
    start = prediction.start or 0.0
    end = start + (prediction.duration or 0.0)
    if segment is not None:
        weights, times = weights[[index[segment]]], times[[index[segment]]]
    numbers = ((times - start) / STRETCH_S).astype(np.int64)
    shares = np.bincount(numbers.ravel(), weights.ravel()) / len(weights)
    row = _begin_row(prediction)
    for number, share in enumerate(shares.tolist()):
        begin = start + number * STRETCH_S
        yield row(
            start=begin,
            # A last segment that was filled up goes on beyond the end of the track.
            duration=min(STRETCH_S, end - begin) if begin < end else STRETCH_S,
            class_name=None,
            part=predictor.model.attending_branch,
            attention=share,
        )

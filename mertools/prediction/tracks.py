"""A track's rows: what models predict of it and its segments, and what moved the predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.feature_rows import FeatureRow, Features
from mertools.artifacts.rows import Prediction
from mertools.prediction.explain import explain_track
from mertools.prediction.predictor import Level, Predictor
from mertools.prediction.rows import make_predictions

MODEL_DIGITS = 12
"""Of the digest of a model's file, as many digits name it in predictions.csv."""


class TrackRows(NamedTuple):
    """What one model says of a track; explanations only where it is asked for them."""

    predictions: list[Prediction]
    explanations: list[Explanation]


@dataclass(frozen=True, slots=True)
class PredictedTrack:
    """A track's rows, the digest of its sound, and whether an interrupted run had `kept` them.

    `lacks` are the kinds of feature that it was predicted without.
    """

    rows: list[Prediction]
    source_digest: str
    kept: bool = False
    lacks: tuple[str, ...] = ()
    explanations: Sequence[Explanation] = ()

    @classmethod
    def of(
        cls, found: Sequence[TrackRows], source_digest: str, lacks: Collection[str]
    ) -> PredictedTrack:
        """Gather what several models say of a track."""
        return cls(
            [row for of_model in found for row in of_model.predictions],
            source_digest,
            lacks=tuple(sorted(lacks)),
            explanations=[row for of_model in found for row in of_model.explanations],
        )


def predict_track(
    predictor: Predictor,
    rows: Sequence[FeatureRow],
    features: Sequence[Features],
    level: Level,
    track_s: float | None = None,
) -> TrackRows:
    """Give a track's rows: its segments', then its own.

    Where the track's length in seconds, `track_s`, is not known, it ends with its last segment. A
    track that is one row as a whole, as its lyrics are, has no segments and no length.
    """
    durations = np.array([row.duration for row in rows])
    predictions = list(_predict_rows(predictor, rows, features, durations, level, track_s))
    explanations = list(explain_track(predictor, predictions, rows, features, durations))
    return TrackRows(predictions, explanations)


def _predict_rows(
    predictor: Predictor,
    rows: Sequence[FeatureRow],
    features: Sequence[Features],
    durations: NDArray[np.float64],
    level: Level,
    track_s: float | None,
) -> Iterator[Prediction]:
    is_whole = rows[0].duration == 0
    of_segments, of_track = predictor.predict(features, durations)
    unlike = predictor.unlike(features)
    targets, track_id = predictor.card.targets, rows[0].track_id
    model = predictor.digest[:MODEL_DIGITS]
    if level != "track" and not is_whole:
        for k, row in enumerate(rows):
            yield from make_predictions(
                targets,
                track_id,
                row.segment_id,
                row.start,
                row.duration,
                of_segments[k],
                unlike=None if unlike is None else float(unlike[k]),
                model=model,
            )
    if level != "segment" or is_whole:
        start = 0.0 if track_s is not None else min(row.start for row in rows)
        end = max(row.start + row.duration for row in rows) if track_s is None else track_s
        yield from make_predictions(
            targets,
            track_id,
            None,
            None if is_whole else start,
            None if is_whole else end - start,
            of_track,
            unlike=None if unlike is None else float(unlike.mean()),
            model=model,
        )

"""Models joined with audio or lyrics: predictions of segments and tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mertools.artifacts.feature_rows import FeatureRow
from mertools.audio.sources import Source
from mertools.errors import InputError
from mertools.features.extract import (
    FailedInput,
    Outcome,
    SegmentFeatures,
    extract,
    join_recipes,
)
from mertools.prediction.predictor import Level, Predictor
from mertools.prediction.tracks import PredictedTrack, TrackRows, predict_track
from mertools.prediction.words import TrackWords
from mertools.runtime.parallel import Jobs


def skip_copies(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield sources but for those that a manifest names as augmented copies."""
    return (source for source in sources if isinstance(source, InputError) or not source.original)


def predict_audio(
    sources: Iterable[Source], predictors: Sequence[Predictor], level: Level, jobs: Jobs
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict tracks and segments from their sound, in order, each track once it is whole.

    Sound is converted, cut and measured as each model's card says it was in training. Augmented
    copies are passed over.
    """
    sources = skip_copies(sources)
    recipes, indices = join_recipes([predictor.recipe() for predictor in predictors])
    # Every recipe reads all sources; an iterator would be empty after the first.
    if len(recipes) > 1:
        sources = list(sources)
    streams = [_by_track(extract(sources, recipe, jobs)) for recipe in recipes]
    for tracks in zip(*streams, strict=True):
        found: list[TrackRows] = []
        for predictor, index in zip(predictors, indices, strict=True):
            track = tracks[index]
            # Each track gets rows of all models or of none.
            if isinstance(track, FailedInput):
                yield track
                break
            rows = [segment.row for segment in track]
            of_words = predictor.inputs_of_words
            features = [
                predictor.read_words(needed, rows[0].track_id, len(rows))
                if needed in of_words
                else np.stack([np.asarray(segment.features[needed.kind]) for segment in track])
                for needed in predictor.card.inputs
            ]
            found.append(predict_track(predictor, rows, features, level, track[0].track_s))
        else:
            lacks = {kind for of in predictors for kind in of.missing_words(rows[0].track_id)}
            yield PredictedTrack.of(found, rows[0].source_digest, lacks)


def predict_words(predictors: Sequence[Predictor], words: TrackWords) -> Iterator[PredictedTrack]:
    """Predict the tracks of a table of lyrics by models that look at words alone, in its order."""
    for track_id in words.texts:
        row = FeatureRow(track_id, track_id, 0.0, 0.0, silent=False, padded=False, source_digest="")
        found = []
        for predictor in predictors:
            inputs = [predictor.read_words(of, track_id, 1) for of in predictor.card.inputs]
            found.append(predict_track(predictor, [row], inputs, "track"))
        lacks = {kind for of in predictors for kind in of.missing_words(track_id)}
        yield PredictedTrack.of(found, "", lacks)


def _by_track(outcomes: Iterable[list[Outcome]]) -> Iterator[list[SegmentFeatures] | FailedInput]:
    """Gather segments that follow each other to tracks; a segment that fails fails its track."""
    track: list[Outcome] = []
    for outcome in (outcome for some in outcomes for outcome in some):
        if track and _track_id(outcome) != _track_id(track[0]):
            yield _whole(track)
            track = []
        track.append(outcome)
    if track:
        yield _whole(track)


def _track_id(outcome: Outcome) -> object:
    if isinstance(outcome, SegmentFeatures):
        return outcome.row.track_id
    return outcome.track_id or outcome


def _whole(track: list[Outcome]) -> list[SegmentFeatures] | FailedInput:
    failed = [outcome for outcome in track if isinstance(outcome, FailedInput)]
    return failed[0] if failed else [o for o in track if isinstance(o, SegmentFeatures)]

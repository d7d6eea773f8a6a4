"""Predicting many files in order, without repeating tracks of an interrupted run."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.files import digest_file, digest_json
from mertools.artifacts.journal import Header, Journal
from mertools.artifacts.rows import Prediction, Segment, Track
from mertools.audio.sources import Source
from mertools.features.extract import FailedInput
from mertools.prediction.predict import predict_audio, skip_copies
from mertools.prediction.predictor import Level, Predictor
from mertools.prediction.tracks import PredictedTrack
from mertools.runtime.parallel import Jobs


def predict_resumably(
    sources: Iterable[Source],
    predictors: Sequence[Predictor],
    level: Level,
    jobs: Jobs,
    journal: Journal,
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict as `predict_audio` does, but keep the tracks that the journal holds.

    A track is kept where the same file was predicted by the same models, level and windows, and
    explained where that is asked for.
    """
    models = [
        (each.digest, _cutting(each), _words_digest(each), each.explains) for each in predictors
    ]
    # Rows of a release with other columns are no rows of this run.
    columns = [
        [field.name for field in dataclasses.fields(row_type)]
        for row_type in (Prediction, Explanation)
    ]
    run = digest_json([level, columns, *models])
    records = {
        (header["track_id"], header["source_digest"]): (offset, header)
        for header, offset in journal.records()
        if header.get("run") == run
    }
    # For each track in order: the journal's record of its predictions, or None if to be predicted.
    order: deque[tuple[int, Header] | None] = deque()

    def to_predict() -> Iterator[Source]:
        last_track = None
        for source in skip_copies(sources):
            record = records.get(_key(source)) if records and isinstance(source, Track) else None
            # Segments of a track in a row are predicted together, so they have one entry.
            if not isinstance(source, Segment) or source.track_id != last_track:
                order.append(record)
            last_track = source.track_id if isinstance(source, Segment) else None
            if record is None:
                yield source

    def kept() -> Iterator[PredictedTrack]:
        while order and (record := order[0]) is not None:
            order.popleft()
            offset, header = record
            rows, explanations = json.loads(journal.read(offset, header["n_bytes"]))
            yield PredictedTrack(
                [_restore(row) for row in rows],
                "",
                kept=True,
                lacks=tuple(header["lacks"]),
                explanations=[Explanation(**row) for row in explanations],
            )

    for outcome in predict_audio(to_predict(), predictors, level, jobs):
        # Kept tracks that come before this one go first, which keeps the order of the inputs.
        yield from kept()
        order.popleft()
        if isinstance(outcome, PredictedTrack):
            both = (outcome.rows, outcome.explanations)
            data = json.dumps([[dataclasses.asdict(row) for row in rows] for rows in both]).encode()
            header = {
                "run": run,
                "track_id": outcome.rows[0].track_id,
                "source_digest": outcome.source_digest,
                "n_bytes": len(data),
                "lacks": outcome.lacks,
            }
            journal.append(header, data)
        yield outcome
    yield from kept()


def _words_digest(predictor: Predictor) -> str:
    return predictor.lyrics.words.digest if predictor.lyrics is not None else ""


def _cutting(predictor: Predictor) -> dict[str, object]:
    recipe = predictor.recipe()
    return dataclasses.asdict(recipe.segment) | {"as_windows": recipe.as_windows}


def _key(track: Track) -> tuple[str, str]:
    try:
        return track.track_id, digest_file(Path(track.path))
    except OSError:
        return track.track_id, ""  # prediction says what is wrong with the file


def _restore(row: dict[str, object]) -> Prediction:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Prediction(**values)  # type: ignore[arg-type]

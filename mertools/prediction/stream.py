"""Many files predicted in order; what a killed run had predicted is taken over."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mertools.artifacts.files import digest_file, digest_json
from mertools.artifacts.journal import Journal
from mertools.artifacts.rows import Prediction, Segment, Track
from mertools.audio.sources import Source
from mertools.features.extract import FailedInput
from mertools.prediction.predict import Level, PredictedTrack, Predictor, predict_audio
from mertools.runtime.parallel import Jobs


def predict_resumably(
    sources: Iterable[Source],
    predictors: Sequence[Predictor],
    level: Level,
    jobs: Jobs,
    journal: Journal,
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict as `predict_audio` does, but take over the tracks that the journal holds.

    A track is taken over where the same file was predicted with the same models, level and windows.
    """
    models = [(digest_file(predictor.path), _cutting(predictor)) for predictor in predictors]
    # Rows of a release with other columns are no rows of this run.
    columns = [field.name for field in dataclasses.fields(Prediction)]
    run = digest_json([level, columns, *models])
    places = {
        (header["track_id"], header["source_digest"]): (place, header["n_bytes"])
        for header, place in journal.records()
        if header.get("run") == run
    }
    # For each track in order: where its predictions lie in the journal, or None if to be made.
    order: deque[tuple[int, int] | None] = deque()

    def to_be_made() -> Iterator[Source]:
        last_track = None
        for source in sources:
            place = places.get(_key(source)) if places and isinstance(source, Track) else None
            if not isinstance(source, Segment) or source.track_id != last_track:
                order.append(place)
            last_track = source.track_id if isinstance(source, Segment) else None
            if place is None:
                yield source

    def kept() -> Iterator[PredictedTrack]:
        while order and (place := order[0]) is not None:
            order.popleft()
            rows = json.loads(journal.read(*place))
            yield PredictedTrack([_restore(row) for row in rows], "")

    for made in predict_audio(to_be_made(), predictors, level, jobs):
        yield from kept()
        order.popleft()
        if isinstance(made, PredictedTrack):
            data = json.dumps([dataclasses.astuple(row) for row in made.rows]).encode()
            header = {
                "run": run,
                "track_id": made.rows[0].track_id,
                "source_digest": made.source_digest,
                "n_bytes": len(data),
            }
            journal.append(header, data)
        yield made
    yield from kept()


def _cutting(predictor: Predictor) -> dict[str, object]:
    recipe = predictor.recipe()
    return dataclasses.asdict(recipe.segment) | {"as_windows": recipe.as_windows}


def _key(track: Track) -> tuple[str, str]:
    try:
        return track.track_id, digest_file(Path(track.path))
    except OSError:
        return track.track_id, ""  # what is wrong with the file shows when it is predicted


def _restore(row: list[object]) -> Prediction:
    values = [tuple(value) if isinstance(value, list) else value for value in row]
    return Prediction(*values)  # type: ignore[arg-type]

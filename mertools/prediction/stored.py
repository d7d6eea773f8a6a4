"""Predictions of tracks whose features are in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mertools.artifacts.feature_rows import FeatureRow
from mertools.artifacts.features_file import MISSING, FeaturesFile, open_features, read_rows
from mertools.dataset.locate import KindRows, Located, align_levels, locate_rows
from mertools.errors import InputError, SchemaError
from mertools.features.extract import FailedInput
from mertools.features.words import are_lyrics
from mertools.models.registry import NOTES, find_architecture
from mertools.prediction.predictor import Level, Predictor
from mertools.prediction.tracks import PredictedTrack, predict_track
from mertools.prediction.words import are_blank, blank_lyrics


def predict_features(
    paths: Sequence[Path], predictors: Sequence[Predictor], level: Level
) -> Iterator[PredictedTrack | FailedInput]:
    """Predict the tracks of features files, in the order in which they first appear.

    The files may hold different kinds, or different segments; one with kinds that no model needs,
    but of the same segments, is passed over, and so are augmented copies.

    Raises UsageError where one cannot be read, SchemaError where there are no features that a model
    needs, or some twice.
    """
    wanted = [
        (predictor, needed, find_architecture(predictor.card.architecture).may_lack(number))
        for predictor in predictors
        for number, needed in enumerate(predictor.card.inputs)
    ]
    with ExitStack() as stack:
        files = [stack.enter_context(open_features(path)) for path in paths]
        # A copy is one whichever of the files says so.
        copies = {row.track_id for file in files for row in file.rows if row.original}
        kinds: dict[KindKey, KindRows] = {}
        used = set()
        for predictor, needed, optional in wanted:
            key = needed.kind, needed.params_digest
            found = [file for file in files if _digest_of(file, needed.kind) == key[1]]
            if not found and not optional:
                raise _no_features(files[0].path, needed.kind, predictor)
            if not found:
                continue  # no track has it
            used |= {file.path for file in found}
            of_originals = locate_rows(found, needed.kind, lambda row: row.track_id not in copies)
            kinds[key] = KindRows(needed.level, of_originals, optional)
        located = dict(zip(kinds, align_levels(list(kinds.values())), strict=True))
        rows: dict[str, FeatureRow] = {}
        for of_kind in located.values():
            for name, segment in of_kind.items():
                rows.setdefault(name, segment.row)
        names = {needed.kind for _, needed, _ in wanted}
        # A file that no model needs is passed over only where it is of the same segments: a typo in
        # its name would otherwise go unnoticed.
        for file in files:
            is_needless = not names & file.kinds.keys() and all(
                row.segment_id in rows or row.track_id in copies for row in file.rows
            )
            if file.path not in used and not is_needless:
                raise _no_features(file.path, wanted[0][1].kind, wanted[0][0])
        tracks: dict[str, list[FeatureRow]] = {}
        for row in rows.values():
            tracks.setdefault(row.track_id, []).append(row)
        for of_track in tracks.values():
            yield _predict_stored(of_track, predictors, located, level)


KindKey = tuple[str, str]
"""A kind of feature and the digest of its parameters."""


def _digest_of(file: FeaturesFile, kind: str) -> str | None:
    return file.kinds[kind].params_digest if kind in file.kinds else None


def _no_features(path: Path, kind: str, predictor: Predictor) -> SchemaError:
    command = "mer transcribe" if kind in NOTES else "mer featurize"
    return SchemaError(
        path,
        f"holds no {kind} features that {predictor.path} can use",
        f"make them with {command} and the parameters that mer inspect {predictor.path} shows",
    )


def _predict_stored(
    rows: Sequence[FeatureRow],
    predictors: Sequence[Predictor],
    located: Mapping[KindKey, Mapping[str, Located]],
    level: Level,
) -> PredictedTrack | FailedInput:
    """Predict a track from its segments' features, unless some are missing."""
    features = {}
    for (kind, digest), of_kind in located.items():
        for row in rows:
            if row.segment_id not in of_kind:
                problem = f"has no {kind} features, but others"
                error = InputError(row.segment_id, problem, "make all kinds of the same segments")
                return FailedInput(row.track_id, row.segment_id, error)
        located_rows = [of_kind[row.segment_id] for row in rows]
        indices = [(each.file, each.index) for each in located_rows]
        features[kind, digest] = read_rows(kind, indices)
    found = []
    for predictor in predictors:
        inputs = [
            features[of.kind, of.params_digest]
            if (of.kind, of.params_digest) in features
            else blank_lyrics(of, len(rows))
            for of in predictor.card.inputs
        ]
        found.append(predict_track(predictor, rows, inputs, level))
    lacks = {
        kind
        for kind, digest in located
        if (are_lyrics(kind) and are_blank(kind, features[kind, digest]))
        or all(located[kind, digest][row.segment_id].index == MISSING for row in rows)
    }
    lacks |= {of.kind for each in predictors for of in each.card.inputs} - {k for k, _ in located}
    return PredictedTrack.of(found, rows[0].source_digest, lacks)

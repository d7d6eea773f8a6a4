"""Comparing the sound and the lyrics of tracks by a Siamese model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.features_file import open_features, read_rows
from mertools.errors import UsageError
from mertools.evaluation.congruence import Songs, agreement_of, number_equal, read_plane
from mertools.models.siamese import TrainedSiamese
from mertools.prediction.embed import BATCH_SIZE, find_inputs
from mertools.prediction.predictor import Predictor
from mertools.targets.pooling import duration_weighted_means


@dataclass(frozen=True)
class Compared:
    """Tracks that have both sound and lyrics, in the order of their ids.

    similarity: (n, n), of each one's sound and each one's lyrics: from -1 to 1 by a Siamese model,
    from 0 to 1 by what models of one of both predict.
    """

    track_ids: tuple[str, ...]
    similarity: NDArray[np.float64]
    songs: Songs
    n_without_words: int


def compare_tracks(
    paths: Sequence[Path],
    predictor: Predictor,
    wanted: Collection[str] | None,
    groups: Mapping[str, str] | None = None,
) -> Compared:
    """Compare the sound and lyrics of tracks in files of features: of all, or of those `wanted`.

    A track of several segments has the mean of their sound. Augmented copies are passed over, and
    so are tracks whose lyrics are zeros, as those without words. `groups` maps tracks to artists.
    Raises UsageError where the model is no Siamese one or no track is left, SchemaError where files
    hold no features that it can use.
    """
    if not isinstance(predictor.model, TrainedSiamese):
        raise UsageError(
            predictor.path, f"is a {predictor.card.architecture}", "give a siamese model"
        )
    model = predictor.model
    with ExitStack() as stack:
        files = [stack.enter_context(open_features(path)) for path in paths]
        of_sound, of_lyrics = find_inputs(files, predictor)
        rows = [
            located.row
            for name, located in of_sound.items()
            if name in of_lyrics
            and not located.row.original
            and (wanted is None or located.row.track_id in wanted)
        ]
        if not rows:
            raise UsageError(paths[0], "shares no track with the others", "check the track_id")
        pooled, words = [], []
        for begin in range(0, len(rows), BATCH_SIZE):
            batch = [row.segment_id for row in rows[begin : begin + BATCH_SIZE]]
            sound, lyrics = (
                read_rows(kind, [(located[name].file, located[name].index) for name in batch])
                for kind, located in zip(predictor.kind_names, (of_sound, of_lyrics), strict=True)
            )
            pooled.append(model.pool_sound(sound))
            words.append(lyrics.reshape(len(lyrics), -1).astype(np.float32))
    track_ids = sorted({row.track_id for row in rows})
    index = {track_id: k for k, track_id in enumerate(track_ids)}
    groups_of_rows = np.array([index[row.track_id] for row in rows], np.int64)
    durations = np.array([row.duration for row in rows])
    weights = durations if durations.any() else np.ones(len(rows))
    sound_vectors, word_vectors = (
        duration_weighted_means(np.concatenate(parts), groups_of_rows, weights)
        for parts in (pooled, words)
    )
    kept = np.flatnonzero(word_vectors.any(axis=1))
    if not len(kept):
        raise UsageError(paths[0], "holds no track with lyrics", "give tracks with words")
    ids = tuple(track_ids[k] for k in kept)
    similarity: Any = (
        model.embed_sound(sound_vectors[kept]) @ model.embed_lyrics(word_vectors[kept]).T
    )
    artists = [("artist", groups[name]) if groups and name in groups else name for name in ids]
    texts = number_equal([row.tobytes() for row in word_vectors[kept]])
    songs = Songs(number_equal(artists), texts, texts[:0])
    n_without = len(track_ids) - len(kept)
    return Compared(ids, similarity.astype(np.float64).clip(-1, 1), songs, n_without)


def compare_predictions(
    tracks: Compared,
    by_sound: Mapping[str, Mapping[str, float]],
    by_lyrics: Mapping[str, Mapping[str, float]],
) -> Compared:
    """Compare the same tracks by how much sound and lyrics alone agree, which needs no training.

    Both are valence and arousal in 0..1 by track, as `unit_values` reads them; tracks that either
    lacks are left out. Raises UsageError where none is left.
    """
    rows = [k for k, name in enumerate(tracks.track_ids) if name in by_sound and name in by_lyrics]
    if not rows:
        raise UsageError(
            "--audio-only and --lyrics-only", "predict none of the tracks", "predict their part"
        )
    ids = tuple(tracks.track_ids[k] for k in rows)
    heard, read = (read_plane(values, ids) for values in (by_sound, by_lyrics))
    songs = tracks.songs.take(np.array(rows))
    return Compared(ids, agreement_of(heard[:, None], read[None]), songs, tracks.n_without_words)

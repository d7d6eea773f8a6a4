"""Trained models with their cards: what they look at, and what they predict of a track."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.files import digest_file
from mertools.artifacts.model_card import Input, ModelCard
from mertools.audio.settings import WINDOW_HOP_S, WINDOW_S, Last, SegmentSettings
from mertools.errors import SchemaError, UsageError
from mertools.features.extract import Recipe
from mertools.features.registry import KINDS, RequestedKind, find_kind, request_kind
from mertools.features.words import are_lyrics
from mertools.models.model import load_model
from mertools.models.registry import find_architecture
from mertools.prediction.words import TrackWords, WordsReader, blank_lyrics
from mertools.pretrained.user_weights import digest_weights, find_weights
from mertools.runtime.devices import find_device
from mertools.targets.pooling import duration_weighted_means, pool_segments, side_by_side

Level = Literal["both", "segment", "track"]


@dataclass(frozen=True)
class Predictor:
    """A trained model with its card; `digest` is of its file.

    `windows`: how tracks are cut to be predicted over time; None cuts them as in training.
    `lyrics`: reads the words of tracks; without it none has any. `explains`: of which rows it is to
    say what moved them.
    """

    path: Path
    card: ModelCard
    model: Any
    digest: str
    windows: SegmentSettings | None = None
    lyrics: WordsReader | None = None
    explains: Level | None = None

    @property
    def inputs_of_words(self) -> tuple[Input, ...]:
        """What it looks at of words: kinds of lyrics, and others that tracks may lack."""
        architecture = find_architecture(self.card.architecture)
        return tuple(
            needed
            for number, needed in enumerate(self.card.inputs)
            if are_lyrics(needed.kind)
            or (needed.kind not in KINDS and architecture.may_lack(number))
        )

    @property
    def inputs_of_sound(self) -> tuple[Input, ...]:
        """What it looks at of sound; nothing where it looks at words alone."""
        of_words = self.inputs_of_words
        return tuple(needed for needed in self.card.inputs if needed not in of_words)

    def with_words(self, words: TrackWords) -> Predictor:
        """Return the same model with the words of tracks."""
        return replace(self, lyrics=WordsReader(words, self.model))

    def missing_words(self, track_id: str) -> list[str]:
        """Name the kinds of words that it looks at and a track has not."""
        if self.lyrics is not None and self.lyrics.words.has(track_id):
            return []
        return [needed.kind for needed in self.inputs_of_words]

    def read_words(self, needed: Input, track_id: str, n_rows: int) -> Features:
        """Give each of a track's rows the features of its words: (n_rows, *shape)."""
        if self.lyrics is None:
            return blank_lyrics(needed, n_rows)
        one = self.lyrics.read(needed, _restore_kind(self.path, needed), track_id)
        repeated: Any = np.repeat(one[None], n_rows, axis=0)
        return cast(Features, repeated)

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds of feature that it needs."""
        return self.card.kinds

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 where it predicts numbers."""
        return len(self.card.classes)

    def recipe(self) -> Recipe:
        """Return how its features are computed from sound.

        Raises SchemaError where this program computes them otherwise than for its training, and
        UsageError where it cannot compute them from sound.
        """
        cutting = self.card.cutting
        kinds = tuple(_restore_kind(self.path, needed) for needed in self.inputs_of_sound)
        last = cast(Last, cutting.last)
        segments = self.windows or SegmentSettings(cutting.length_s, cutting.hop_s, last)
        rate, peak_db, over_time = self.card.sample_rate, self.card.peak_db, bool(self.windows)
        return Recipe(kinds, rate, segments, as_windows=over_time, peak_db=peak_db)

    @property
    def fixed_length_s(self) -> float | None:
        """The length in seconds that a window must have, where its features have frames."""
        has_frames = any(find_kind(of.kind).has_time_axis for of in self.inputs_of_sound)
        return self.card.cutting.length_s if has_frames else None

    def over_time(self, length_s: float, hop_s: float) -> Predictor:
        """Return the same model for windows of `length_s`, one each `hop_s`, instead of segments.

        Windows end with the track: none is filled up with silence, unless the track is shorter
        than one. Raises UsageError for what is no length of time, and where its features have
        frames, so that windows must be as long as the segments of its training.
        """
        for name, seconds in (("window", length_s), ("hop", hop_s)):
            if not 0 < seconds < math.inf:
                raise UsageError(name, f"{seconds} s is no length of time", "give more than 0")
        cutting = self.card.cutting
        for name in (needed.kind for needed in self.inputs_of_sound):
            if find_kind(name).has_time_axis and length_s != cutting.length_s:
                raise UsageError(
                    self.path,
                    f"looks at {name} features of {cutting.length_s:g} s, not of {length_s:g} s",
                    f"give a window of {cutting.length_s:g} s",
                )
        return replace(self, windows=SegmentSettings(length_s, hop_s, "whole"))

    def predict(
        self, features: Sequence[Features], durations: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict one track from its segments.

        features: for each kind that the card names, (n_segments, ...); durations: (n_segments,).
        Returns the outputs of the segments, (n_segments, n_outputs), and of the track,
        (n_outputs,). Raises SchemaError where features are not of the shape that the card names.
        """
        for needed, part in zip(self.card.inputs, features, strict=True):
            if part.shape[1:] != needed.shape:
                raise SchemaError(
                    self.path,
                    f"needs {needed.kind} of shape {needed.shape}, not {part.shape[1:]}",
                    "cut segments as for its training",
                )
        of_segments: NDArray[np.float64] = self.model.predict(features)
        one_track = np.zeros(len(durations), np.int64)
        # Such a model learnt from mean features of tracks, so segments' outputs are not pooled.
        if self.card.unit == "track":
            means = self.mean_features(features, durations)
            return of_segments, self.model.predict(means)[0]
        pooled = pool_segments(
            of_segments, one_track, self.card.pool, are_posteriors=self.n_classes > 0
        )
        return of_segments, pooled[0]

    def mean_features(
        self, features: Sequence[Features], durations: NDArray[np.float64]
    ) -> Sequence[Features]:
        """Average a track's vectors, as `predict` takes them, by duration: (1, n_columns) each."""
        one_track = np.zeros(len(durations), np.int64)
        means = duration_weighted_means(side_by_side(features), one_track, durations)
        ends = np.cumsum([math.prod(needed.shape) for needed in self.card.inputs])
        return np.split(means, ends[:-1], axis=1)

    @property
    def tells_unlike(self) -> bool:
        """Whether it scores how far a track is from the music of its training."""
        return hasattr(self.model, "unlike")

    def unlike(self, features: Sequence[Features]) -> NDArray[np.float64] | None:
        """Score how far segments are from the music of its training, 0 to 1: (n_segments,).

        features: as `predict` takes them. None where the model has no such score.
        """
        return self.model.unlike(features) if self.tells_unlike else None


def load_predictor(path: Path, device: str = "auto") -> Predictor:
    """Load a model to predict with; a network predicts on `device`.

    Raises UsageError where it cannot be read or the device is not there, SchemaError where it is no
    whole model.
    """
    # Before the file is read: a device that is not there is what to mend first.
    found = find_device(device)
    card, model = load_model(path)
    if find_architecture(card.architecture).is_network:
        model = cast(Any, model).on_device(found)
    return Predictor(path, card, model, digest_file(path))


def load_predictors(paths: Iterable[Path], device: str = "auto") -> list[Predictor]:
    """Load the models of several targets as `load_predictor` does.

    Raises UsageError where two are of the same target, too, and where one predicts nothing.
    """
    find_device(device)
    predictors = [load_predictor(path, device) for path in paths]
    for predictor in predictors:
        if not predictor.card.targets:
            name = predictor.card.architecture
            raise UsageError(predictor.path, f"is a {name}, of no target", "give it mer congruence")
    of_target: dict[str, Predictor] = {}
    for predictor in predictors:
        find_architecture(predictor.card.architecture).check_predicts(predictor.path)
        for target in predictor.card.targets:
            if target.name in of_target:
                raise UsageError(
                    predictor.path,
                    f"is a second model for {target.name}, beside {of_target[target.name].path}",
                    "run mer predict once for each",
                )
            of_target[target.name] = predictor
    return predictors


def predict_over_time(
    predictors: Sequence[Predictor], length_s: float | None, hop_s: float | None
) -> list[Predictor]:
    """Give the same models for windows of `length_s` seconds, one each `hop_s`.

    Unless given, the length is the one that models need whose features have frames. Raises
    UsageError as `Predictor.over_time` does.
    """
    if length_s is None:
        length_s = next((p.fixed_length_s for p in predictors if p.fixed_length_s), WINDOW_S)
    hop_s = WINDOW_HOP_S if hop_s is None else hop_s
    return [predictor.over_time(length_s, hop_s) for predictor in predictors]


def _restore_kind(path: Path, needed: Input) -> RequestedKind:
    if needed.kind not in KINDS:
        raise UsageError(
            path,
            f"looks at {needed.kind}, which is not computed from sound",
            "give a features file that holds it",
        )
    kind = request_kind(needed.kind, settings=needed.params)
    _check_weights(path, kind)
    # Features of another algorithm would be taken for music that the model never heard.
    if kind.digest != needed.params_digest:
        raise SchemaError(
            path,
            f"was trained on {kind.name} features as another version computes them",
            "train it again, or use the version of mer that its card names",
        )
    return kind


def _check_weights(path: Path, kind: RequestedKind) -> None:
    """Raise UsageError where weights of a user are needed, and none or others are here."""
    network = KINDS[kind.name].user_weights
    if network and (found := digest_weights(network)) != kind.params.weights:
        raise UsageError(
            path,
            f"learnt from weights of {network} ({kind.params.weights}) that are others than those "
            f"in {find_weights(network)} ({found})",
            f"mer import weights {network} FILE (mer models fetch gets some)",
        )

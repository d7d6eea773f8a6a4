"""Models that need different kinds of feature of the same sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mertools.artifacts.rows import Prediction, Track
from mertools.features.extract import join_recipes
from mertools.features.registry import request_kind
from mertools.prediction.installed import choose_models
from mertools.prediction.predict import predict_audio
from mertools.prediction.predictor import Predictor, load_predictors
from mertools.prediction.tracks import PredictedTrack

CLIP = Path(__file__).resolve().parents[2] / "examples" / "clips" / "piece01.ogg"


def rows(*predictors: Predictor) -> list[Prediction]:
    (made,) = predict_audio([Track("song", str(CLIP))], predictors, "both", 1)
    assert isinstance(made, PredictedTrack)
    return made.rows


def test_models_say_together_what_each_says_alone() -> None:
    arousal, valence = load_predictors(choose_models([]).paths)
    assert arousal.kind_names != valence.kind_names
    assert rows(arousal, valence) == rows(arousal) + rows(valence)


def test_sound_is_heard_once_where_it_is_cut_and_measured_alike() -> None:
    one, other = (p.recipe() for p in load_predictors(choose_models([]).paths))
    ((joined,), places) = join_recipes([one, other, one])
    assert set(joined.kinds) == set(one.kinds) | set(other.kinds)
    assert len(joined.kinds) == 4
    assert places == [0, 0, 0]
    overlapping = replace(one, kinds=(request_kind("musicnn", 16000, {"hop_frames": 94}),))
    shorter = replace(one, segment=replace(one.segment, length_s=5.0))
    recipes, places = join_recipes([one, overlapping, shorter, other])
    assert places == [0, 1, 2, 0]
    assert recipes == [joined, overlapping, shorter]

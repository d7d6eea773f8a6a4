from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from mertools.artifacts.rows import Track
from mertools.audio.settings import SegmentSettings
from mertools.features.build import build_features
from mertools.features.extract import Recipe, SegmentFeatures, extract
from mertools.features.registry import request_kind

WriteTone = Callable[..., Path]


def test_windows_that_overlap_do_not_lie_in_memory_all_at_once(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    """At two sample rates; the windows are 32 MB together, the file 1 MB."""
    path = write_tone(tmp_path / "a.wav", 60.0, 8000)
    kinds = request_kind("mel", 8000, {"n_mels": 4}), request_kind("handcrafted", 7000)
    recipe = Recipe(kinds, 8000, SegmentSettings(length_s=10.0, hop_s=0.25, last="drop"))
    tracemalloc.start()
    [outcomes] = extract([Track("a", str(path))], recipe, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outcomes) == 201
    assert all(isinstance(outcome, SegmentFeatures) for outcome in outcomes)
    assert peak < 20e6


def test_sound_that_changed_and_changed_back_is_made_anew(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    """The features of a run that was broken off in between are of the other sound."""
    target, path = tmp_path / "features.h5", tmp_path / "a.wav"
    recipe = Recipe((request_kind("handcrafted", 8000),), 8000, SegmentSettings())

    def make(hz: float) -> None:
        write_tone(path, 20.0, 8000, hz=hz)
        made = build_features(target, [Track("a", str(path))], recipe, 1, force=False)
        if hz == 880.0:
            next(made)
            made.close()
            return
        list(made)

    def stored() -> np.ndarray:
        with h5py.File(target) as file:
            return file["features/handcrafted"][...]

    make(440.0)
    first = stored()
    make(880.0)
    make(440.0)
    np.testing.assert_array_equal(stored(), first)

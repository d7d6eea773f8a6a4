"""Windows of a track that overlap: what they share is what each would have made by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mertools.features import notestats
from mertools.features.excerpt import Excerpt
from mertools.features.musicnn import HOP_LENGTH, MusicnnParams, cut_patches, run_network
from mertools.features.notes import decode_notes
from mertools.features.registry import KINDS, RequestedKind, request_kind
from mertools.features.transcription import Posteriorgrams

RNG = np.random.default_rng(0)
LENGTH_S = 18


def music(rate: int) -> NDArray[np.int16]:
    """A new chord each second, over noise."""
    t = np.arange(LENGTH_S * rate) / rate
    root_hz = 220 * 2 ** (np.array([0, 5, 7, -3, 2])[t.astype(int) % 5] / 12)
    y = sum(np.sin(2 * np.pi * root_hz * ratio * t) for ratio in (1, 1.26, 1.5))
    y = y * np.exp(-2 * (t % 1)) + RNG.normal(0, 0.02, len(t))
    return (8000 * y / 3).astype(np.int16)


def window(whole: Excerpt, rate: int, start_s: float, length_s: float) -> Excerpt:
    first, n = round(start_s * rate), round(length_s * rate)
    y = whole.y[first : first + n]
    return Excerpt(np.pad(y, (0, n - len(y))), start_s, lambda: whole)


def describe(kind: RequestedKind, y: NDArray[np.int16], *starts_s: float) -> NDArray[np.float64]:
    """Compute the features of windows of 6 s of one track."""
    whole = Excerpt(y)
    made = [kind.compute_window(window(whole, kind.sample_rate, start, 6)) for start in starts_s]
    return np.array(made, np.float64)


@pytest.mark.parametrize("rate", [8000, 22050])
@pytest.mark.parametrize("name", ["note", "contour", "tonal"])
def test_a_transcription_by_windows_is_that_of_the_track(name: str, rate: int) -> None:
    y, starts_s = music(rate), (0, 0.5, 1, 9, 14.25)  # the last is filled up
    made = describe(request_kind(name, rate), y, *starts_s)
    at_once = request_kind(name, rate, {"context": "track"})
    whole = Excerpt(y)
    expected = [at_once.compute(window(whole, rate, start, 6)) for start in starts_s]
    np.testing.assert_array_equal(made, expected)
    assert np.ptp(made, axis=0).max() > 0.1


def test_notes_of_a_window_are_decoded_from_its_stretch_of_the_track() -> None:
    y, starts_s = music(22050), (0, 0.5, 1, 9, 14.25)
    whole = Excerpt(y)
    windows = [window(whole, 22050, start, 6) for start in starts_s]
    kinds = {
        name: request_kind(name, 22050, {"context": "track"})
        for name in ("note", "onset", "contour")
    }
    expected = []
    for excerpt in windows:
        stretch = {name: kind.compute(excerpt) for name, kind in kinds.items()}
        notes = decode_notes(
            Posteriorgrams(**{k: v.astype(np.float32) for k, v in stretch.items()})
        )
        expected.append(notestats.describe_notes(notes, 0, 6))
    made = describe(request_kind("notestats", 22050), y, *starts_s)
    np.testing.assert_allclose(made, expected, atol=1e-4)
    # Close to those of the same sound by itself, which is heard without what is around it.
    alone = [request_kind("notestats", 22050).compute(Excerpt(excerpt.y)) for excerpt in windows]
    names = list(notestats.COLUMN_NAMES)
    for name, least in (("simultaneous_mean", 0.5), ("note_rate", 1), ("register_mean", 1)):
        column = names.index(name)
        np.testing.assert_allclose(made[:, column], np.array(alone)[:, column], atol=least)
    assert made[:, names.index("note_rate")].min() > 1


def test_patches_of_musicnn_are_3_s_apart_and_hear_what_is_around_them() -> None:
    kind, y = request_kind("musicnn", 16000), music(16000)
    for length_s in (1, 3, 5):  # no patch, and one
        whole = Excerpt(y)
        made = kind.compute_window(window(whole, 16000, 0, length_s))
        np.testing.assert_array_equal(made, kind.compute(Excerpt(y[: length_s * 16000])))
    frames_before = 10
    patches = [
        cut_patches(
            y[start_s * 16000 - frames_before * HOP_LENGTH :][:80_000], MusicnnParams(hop_frames=1)
        )[frames_before]
        for start_s in (4, 7)
    ]
    penultimate = run_network(np.array(patches))[-1]
    (made,) = describe(kind, y, 4)
    np.testing.assert_array_equal(made[-400:-200], penultimate.mean(axis=0))
    np.testing.assert_array_equal(made[-200:], penultimate.std(axis=0))


@pytest.mark.parametrize(
    ("name", "rate"),
    [("musicnn", 16000), ("musicnn", 8000), ("tonal", 22050), ("notestats", 22050)],
)
def test_a_window_is_the_same_whatever_windows_came_before(name: str, rate: int) -> None:
    kind, y = request_kind(name, rate), music(rate)
    starts_s = (0, 0.7, 3, 3, 9, 13, 17)
    alone = np.concatenate([describe(kind, y, start) for start in starts_s])
    np.testing.assert_array_equal(describe(kind, y, *starts_s), alone)
    assert np.isfinite(alone).all()


def test_kinds_that_share_nothing_describe_a_window_by_itself() -> None:
    sharing = {name for name, kind in KINDS.items() if kind.of_window}
    assert sharing == {
        *("note", "onset", "contour", "musicnn", "musicnn-change", "tonal", "key", "notestats"),
    }
    bundled = {
        name for name, kind in KINDS.items() if kind.user_weights is None and not kind.is_of_lyrics
    }
    for name in bundled - sharing:
        kind, y = request_kind(name, 8000), music(8000)
        expected = kind.compute(Excerpt(y[8000 : 7 * 8000]))
        np.testing.assert_array_equal(describe(kind, y, 1)[0], expected.astype(np.float64))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12))
def test_each_place_is_made_once_and_kept_no_longer_than_needed(n: int, hop: int) -> None:
    sound, made = Excerpt(np.zeros(1, np.int16)), list[int]()

    def make(place: int) -> int:
        made.append(place)
        return -place

    for first in range(0, 60, hop):
        places = range(first, first + n)
        assert sound.recent("key", places, make) == [-place for place in places]
        assert len(sound._results["key"]) <= n
    assert len(made) == len(set(made))

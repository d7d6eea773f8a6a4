from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mertools.artifacts.rows import Track
from mertools.audio.convert import read_converted
from mertools.audio.segment import cut, read_segments, read_track, segment_track
from mertools.audio.settings import SegmentSettings
from mertools.errors import InputError

WriteTone = Callable[..., Path]


def spans(n_frames: int, length: int, hop: int | None = None, last: str = "auto") -> list:
    settings = SegmentSettings(float(length), None if hop is None else float(hop), last)
    made = cut(Track("t", "t.wav"), n_frames, 1, settings)
    return [(round(segment.start), round(segment.duration)) for segment in made]


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [(99, [(0, 100)]), (100, [(0, 100)]), (149, [(0, 100)]), (199, [(0, 100), (50, 100)])],
)
def test_under_whole_a_remainder_is_dropped_and_a_short_track_padded(
    n_frames: int, expected: list[tuple[int, int]]
) -> None:
    settings = SegmentSettings(1.0, 0.5, "whole")
    found = cut(Track("x", "x.wav"), n_frames, 100, settings)
    assert [(s.start * 100, s.duration * 100) for s in found] == expected


@pytest.mark.parametrize(
    ("n_frames", "last", "expected"),
    [
        (30, "auto", [(0, 10), (10, 10), (20, 10)]),
        (34, "auto", [(0, 10), (10, 10), (20, 10)]),
        (35, "auto", [(0, 10), (10, 10), (20, 10), (30, 10)]),
        (3, "auto", [(0, 10)]),
        (34, "keep", [(0, 10), (10, 10), (20, 10), (30, 4)]),
        (39, "drop", [(0, 10), (10, 10), (20, 10)]),
        (31, "pad", [(0, 10), (10, 10), (20, 10), (30, 10)]),
    ],
)
def test_the_remainder(n_frames: int, last: str, expected: list) -> None:
    assert spans(n_frames, 10, last=last) == expected


def test_overlapping_segments() -> None:
    assert spans(20, 10, 5) == [(0, 10), (5, 10), (10, 10)]
    assert spans(22, 10, 5, "drop") == [(0, 10), (5, 10), (10, 10)]


def test_a_track_shorter_than_a_segment_cannot_be_dropped_in_silence() -> None:
    with pytest.raises(InputError, match="shorter than a segment"):
        spans(3, 10, last="drop")


@given(
    st.integers(1, 500),
    st.integers(1, 60),
    st.integers(1, 90),
    st.sampled_from(["auto", "keep", "pad"]),
)
def test_segments_lie_on_the_grid_and_start_within(
    n_frames: int, length: int, hop: int, last: str
) -> None:
    made = spans(n_frames, length, hop, last)
    assert [start for start, _ in made] == [i * hop for i in range(len(made))]
    assert all(start < n_frames for start, _ in made)
    assert all(n == length for _, n in made[:-1])
    if hop <= length and last != "auto":
        assert made[-1][0] + made[-1][1] >= n_frames


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_a_segment_read_alone_is_part_of_the_whole(
    tmp_path: Path, write_tone: WriteTone, name: str, sample_rate: int
) -> None:
    path = write_tone(tmp_path / name, 3.0, sample_rate)
    whole = read_converted(path, 8000)
    for begin, seconds in ((0.0, 1.0), (1.25, 0.5), (2.0, 1.0)):
        (made,) = read_segments(path, [(begin, seconds)], 8000)
        first, n = round(begin * 8000), round(seconds * 8000)
        np.testing.assert_array_equal(made.y, whole[first : first + n])
        assert not made.padded


def test_beyond_the_end_is_filled_up_or_refused(tmp_path: Path, write_tone: WriteTone) -> None:
    path = write_tone(tmp_path / "a.wav", 1.5)
    padded, beyond = read_segments(path, [(1.0, 1.0), (2.0, 1.0)], 8000)
    assert padded.padded
    assert len(padded.y) == 8000
    assert not padded.y[4000:].any()
    assert isinstance(beyond, InputError)
    assert "before the segment at 2.000 s" in str(beyond)


def test_stereo_segments_equal_the_converted_track(tmp_path: Path) -> None:
    y = np.random.default_rng(0).uniform(-1, 1, (16000, 2))
    soundfile.write(tmp_path / "a.wav", y, 8000)
    (made,) = read_segments(tmp_path / "a.wav", [(0.5, 1.0)], 8000)
    np.testing.assert_array_equal(made.y, read_converted(tmp_path / "a.wav", 8000)[4000:12000])


@pytest.mark.parametrize("sample_rate", [8000, 22050])
def test_two_routes_cut_alike(tmp_path: Path, write_tone: WriteTone, sample_rate: int) -> None:
    path = write_tone(tmp_path / "a.wav", 2.7, sample_rate)
    settings = SegmentSettings(1.0)
    track = Track("a", str(path))
    by_track = list(read_track(track, 8000, settings).segments)
    rows = segment_track(track, settings)
    assert [s.segment_id for s, _ in by_track] == [s.segment_id for s in rows]
    by_rows = list(read_segments(path, [(s.start, s.duration) for s in rows], 8000))
    for (_, one), other in zip(by_track, by_rows, strict=True):
        np.testing.assert_array_equal(one.y, other.y)


def test_written_segments_hold_what_the_rows_say(tmp_path: Path, write_tone: WriteTone) -> None:
    path = write_tone(tmp_path / "é a.wav", 2.6)
    rows = segment_track(Track("é a", str(path)), SegmentSettings(1.0), tmp_path / "segments")
    expected = read_segments(path, [(row.start, row.duration) for row in rows], 8000)
    for row, made in zip(rows, expected, strict=True):
        y, _ = soundfile.read(tmp_path / "segments" / f"{row.segment_id}.wav", dtype="int16")
        np.testing.assert_array_equal(y, made.y)

"""Cutting tracks into segments: the rule, and reading a segment's samples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mertools.artifacts.names import output_path, replacing_named
from mertools.artifacts.rows import Segment, Track
from mertools.audio.convert import read_converted
from mertools.audio.io import (
    check_finite,
    check_rate,
    damaged,
    mix_to_mono,
    open_sound,
    probe,
    read_blocks,
    to_int16,
)
from mertools.audio.provenance import with_provenance
from mertools.audio.settings import SegmentSettings
from mertools.errors import InputError

SEEKABLE_CONTAINERS = frozenset({"WAV", "WAVEX", "FLAC", "AIFF"})
"""Where libsndfile seeks to the very sample; in MP3 and Ogg it may land beside it."""

MOST_PADDING_S = 600.0
"""A segment that asks for more silence than this after its file's end does not belong to it."""

FARTHEST_FRAME = 1 << 62

KEEPING_SHORT_TRACKS = ("auto", "whole")
"""The rules for a remainder under which a track shorter than a segment is padded, not lost."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment's samples: mono int16 (n_samples,), and whether its end was filled up."""

    y: NDArray[np.int16]
    padded: bool


def segment_track(
    track: Track, settings: SegmentSettings, audio_folder: Path | None = None
) -> list[Segment]:
    """Cut a track into segments by its header alone (an MP3 without one is decoded).

    With `audio_folder` each is also written there, as `segment_id.wav`, mono and 16 bit.
    Raises InputError where the file cannot be read or is too short for a single segment.
    """
    path = Path(track.path)
    info = probe(path)
    check_rate(path, info, track.sample_rate)
    n_frames = info.frames
    if n_frames is None:
        n_frames = sum(len(block) for block in read_blocks(path, info))
    segments = cut(track, n_frames, info.sample_rate, settings)
    if audio_folder is not None:
        _write_segments(audio_folder, segments)
    return segments


def cut(track: Track, n_frames: int, sample_rate: int, settings: SegmentSettings) -> list[Segment]:
    """Cut a track of `n_frames` samples at `sample_rate` (Hz) into segments.

    Raises InputError where nothing is left of the track.
    """
    length = max(1, round(min(settings.length_s * sample_rate, FARTHEST_FRAME)))
    hop_s = settings.length_s if settings.hop_s is None else settings.hop_s
    # At least a sample, or cutting would never end.
    hop = max(1, round(min(hop_s * sample_rate, FARTHEST_FRAME)))
    n_whole = (n_frames - length) // hop + 1 if n_frames >= length else 0
    spans = [(index * hop, length) for index in range(n_whole)]
    # With a hop below the length, whole segments may cover the end already.
    start = n_whole * hop
    covered = (n_whole - 1) * hop + length if n_whole else 0
    remainder = n_frames - start
    if covered < n_frames and remainder > 0:
        if settings.last == "keep":
            spans.append((start, remainder))
        elif (
            settings.last == "pad"
            or (settings.last == "auto" and 2 * remainder >= length)
            or (settings.last in KEEPING_SHORT_TRACKS and not spans)
        ):
            spans.append((start, length))
    if not spans:
        raise InputError(
            track.path,
            f"is {n_frames / sample_rate:.3f} s long, shorter than a segment",
            "pass --last pad or --last keep",
        )
    return [
        with_provenance(
            Segment(
                f"{track.track_id}_{index:04d}",
                track.track_id,
                track.path,
                first / sample_rate,
                n / sample_rate,
                sample_rate,
            ),
            track,
        )
        for index, (first, n) in enumerate(spans)
    ]


def read_segments(
    path: Path, spans: Sequence[tuple[float, float]], sample_rate: int
) -> Iterator[Cut | InputError]:
    """Read stretches of a file (start and duration in seconds) as `convert` would make them.

    A file that is at `sample_rate` (Hz) already is read by seeking, any other is converted first.
    A stretch that starts beyond the end yields an InputError instead.
    Raises InputError where the file cannot be read.
    """
    info = probe(path)
    if info.decoder == "libsndfile" and info.sample_rate == sample_rate:
        with open_sound(path) as sound:
            if sound.format in SEEKABLE_CONTAINERS:
                for first, n in _in_frames(spans, sample_rate):
                    if first >= sound.frames:
                        yield _beyond_end(path, first, sound.frames, sample_rate)
                    else:
                        yield _filled_up(_read_at(path, sound, first, n), path, n, sample_rate)
                return
    # Resampling or seeking in compressed sound gives other samples than a run from the start.
    y = read_converted(path, sample_rate)
    for start, duration in spans:
        yield cut_out(y, path, start, duration, sample_rate)


def cut_out(
    y: NDArray[np.int16], path: Path, start: float, duration: float, sample_rate: int
) -> Cut | InputError:
    """Cut a stretch (start and duration in seconds) out of a file's samples, as they are there.

    A stretch that starts beyond the end gives an InputError.
    """
    [(first, n)] = _in_frames([(start, duration)], sample_rate)
    if first >= len(y):
        return _beyond_end(path, first, len(y), sample_rate)
    return _filled_up(y[first : first + n], path, n, sample_rate)


@dataclass(frozen=True, slots=True)
class CutTrack:
    """A whole track's length in seconds, and its segments, read as they are drawn."""

    duration_s: float
    segments: Iterator[tuple[Segment, Cut | InputError]]


def read_track(track: Track, sample_rate: int, settings: SegmentSettings) -> CutTrack:
    """Cut a whole track at `sample_rate` (Hz) and read its segments, as `read_segments` does.

    Raises InputError where the file cannot be read or is too short for a single segment.
    """
    path = Path(track.path)
    info = probe(path)
    if info.sample_rate == sample_rate and info.frames is not None:
        segments = cut(track, info.frames, sample_rate, settings)
        spans = [(segment.start, segment.duration) for segment in segments]
        found = zip(segments, read_segments(path, spans, sample_rate), strict=True)
        return CutTrack(info.frames / sample_rate, found)
    y = read_converted(path, sample_rate)
    return CutTrack(
        len(y) / sample_rate,
        (
            (segment, cut_out(y, path, segment.start, segment.duration, sample_rate))
            for segment in cut(track, len(y), sample_rate, settings)
        ),
    )


def _write_segments(folder: Path, segments: Sequence[Segment]) -> None:
    path, sample_rate = Path(segments[0].path), segments[0].sample_rate
    spans = [(segment.start, segment.duration) for segment in segments]
    for segment, stretch in zip(segments, read_segments(path, spans, sample_rate), strict=True):
        if isinstance(stretch, InputError):
            raise stretch
        target = output_path(folder, segment.segment_id, "wav")
        if target.exists() and target.samefile(path):
            raise InputError(path, "would be replaced by its own segment", "choose another folder")
        with replacing_named(target) as part:
            soundfile.write(os.fsencode(part), stretch.y, sample_rate, "PCM_16", format="WAV")


def _read_at(
    path: Path, sound: soundfile.SoundFile, first: int, n_frames: int
) -> NDArray[np.int16]:
    """Read samples from a position in an open file, fewer where it ends."""
    try:
        sound.seek(first)
        block = sound.read(n_frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise damaged(path, first / sound.samplerate, error.error_string) from None
    if len(block) < min(n_frames, sound.frames - first):
        raise damaged(path, (first + len(block)) / sound.samplerate, "samples are missing")
    check_finite(path, block)
    return to_int16(mix_to_mono(block)[:, 0])


def _in_frames(spans: Sequence[tuple[float, float]], sample_rate: int) -> Iterator[tuple[int, int]]:
    for start_s, duration_s in spans:
        first = round(min(start_s * sample_rate, FARTHEST_FRAME))
        yield first, max(1, round(min(duration_s * sample_rate, FARTHEST_FRAME)))


def _filled_up(
    y: NDArray[np.int16], path: Path, n_samples: int, sample_rate: int
) -> Cut | InputError:
    """Fill a segment up with silence, which the end of a track needs."""
    missing = n_samples - len(y)
    if missing > MOST_PADDING_S * sample_rate:
        return InputError(
            path,
            f"has {len(y) / sample_rate:.3f} s of a segment of {n_samples / sample_rate:g} s",
            "segment the file again, shorter",
        )
    return Cut(np.pad(y, (0, missing)), padded=True) if missing > 0 else Cut(y, padded=False)


def _beyond_end(path: Path, first: int, n_frames: int, sample_rate: int) -> InputError:
    return InputError(
        path,
        f"ends at {n_frames / sample_rate:.3f} s, before the segment at "
        f"{first / sample_rate:.3f} s starts",
        "segment the file again",
    )

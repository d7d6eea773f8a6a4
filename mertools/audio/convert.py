"""Converting sound files to the form that features are computed from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mertools.artifacts.files import digest_file, make_folder, replacing
from mertools.artifacts.tables import Track
from mertools.audio.io import AudioInfo, probe, read_blocks, to_int16
from mertools.errors import InputError

SAMPLE_RATE_HZ = 8000
FORMATS = {"wav": "WAV", "flac": "FLAC"}
VERSION = 1
"""Counts up when the same input and settings would give other samples than before."""


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """How sound is converted: resampled by soxr, 16 bit, mixed to mono before resampling."""

    sample_rate: int = SAMPLE_RATE_HZ
    keep_channels: bool = False
    format: str = "wav"


@dataclass(frozen=True, slots=True)
class ConvertTask:
    """A track to convert into a folder."""

    track: Track
    folder: Path
    settings: ConvertSettings
    force: bool


def convert(task: ConvertTask) -> Track:
    """Convert a track to `folder/track_id.format`; a file made before from the same is kept.

    The settings and the digest of the source stand in the file's comment, which is how a later
    run tells. Raises InputError where the source cannot be converted.
    """
    track, settings = task.track, task.settings
    source = Path(track.path)
    info = probe(source)
    target = output_path(task.folder, track.track_id, settings)
    if target.exists() and target.samefile(source):
        raise InputError(source, "would be replaced by its own conversion", "choose another -o")
    comment = json.dumps(
        {"mer convert": VERSION, **asdict(settings), "source": digest_file(source)}, sort_keys=True
    )
    if task.force or not _was_made_with(target, comment):
        make_folder(target.parent)
        channels = info.channels if settings.keep_channels else 1
        with replacing(target) as part:
            output = soundfile.SoundFile(
                os.fsencode(part),
                "w",
                settings.sample_rate,
                channels,
                "PCM_16",
                format=FORMATS[settings.format],
            )
            with output:
                output.comment = comment
                for block in convert_blocks(source, info, settings):
                    output.write(block)
    made = soundfile.info(os.fsencode(target))
    return Track(
        track.track_id,
        str(target),
        made.samplerate,
        made.channels,
        made.frames,
        made.frames / made.samplerate,
        track.path,
    )


def output_path(folder: Path, track_id: str, settings: ConvertSettings) -> Path:
    """Name the file that a track is converted to.

    Raises InputError for a track_id that leads out of the folder.
    """
    relative = PurePosixPath(f"{track_id}.{settings.format}")
    if relative.is_absolute() or ".." in relative.parts:
        raise InputError(track_id, "is a track_id that leads out of the folder", "rename it")
    return folder / relative


def read_converted(path: Path, sample_rate: int) -> NDArray[np.int16]:
    """Convert a sound file in memory: mono int16 (n_samples,), the samples `convert` would write.

    Raises InputError where that is not possible.
    """
    settings = ConvertSettings(sample_rate)
    return np.concatenate([b[:, 0] for b in convert_blocks(path, probe(path), settings)])


def convert_blocks(
    path: Path, info: AudioInfo, settings: ConvertSettings
) -> Iterator[NDArray[np.int16]]:
    """Decode and convert a file block by block: int16 (n_frames, channels).

    A file shorter than one sample at the new rate is filled up with silence to one.
    """
    n_frames = 0
    for block in _resampled(_mixed(read_blocks(path, info), settings), info, settings):
        n_frames += len(block)
        if len(block):
            yield to_int16(block)
    if n_frames == 0:
        yield np.zeros((1, info.channels if settings.keep_channels else 1), np.int16)


def _mixed(
    blocks: Iterator[NDArray[np.float32]], settings: ConvertSettings
) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        if settings.keep_channels or block.shape[1] == 1:
            yield block
        else:
            # A product, as a mean along the short axis takes twice as long.
            weights = np.full((block.shape[1], 1), 1 / block.shape[1], np.float32)
            yield block @ weights


def _resampled(
    blocks: Iterator[NDArray[np.float32]], info: AudioInfo, settings: ConvertSettings
) -> Iterator[NDArray[np.float32]]:
    if info.sample_rate == settings.sample_rate:
        yield from blocks
        return
    channels = info.channels if settings.keep_channels else 1
    stream = soxr.ResampleStream(info.sample_rate, settings.sample_rate, channels, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _was_made_with(target: Path, comment: str) -> bool:
    if not target.exists():
        return False
    try:
        with soundfile.SoundFile(os.fsencode(target)) as made:
            return bool(made.comment == comment)
    except soundfile.LibsndfileError:
        return False  # not ours: it is replaced

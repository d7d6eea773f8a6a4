"""Converting sound files to the form that features are computed from."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mertools.artifacts.files import digest_file, raise_write_error
from mertools.artifacts.names import output_path, replacing_named
from mertools.artifacts.rows import Track
from mertools.audio.io import (
    AudioInfo,
    check_rate,
    mix_to_mono,
    open_sound,
    probe,
    read_blocks,
    to_int16,
)
from mertools.audio.provenance import with_provenance
from mertools.audio.settings import ConvertSettings
from mertools.errors import InputError

FORMATS = {"wav": "WAV", "flac": "FLAC"}
LONGEST_BYTES = 1 << 30
"""How much sound is held in memory at most, at all rates together: 18 hours at 8000 Hz, 3 at 44100.
A file of zeros can be packed so tight that it would take all memory there is."""

VERSION = 1
"""Counts up when the same input and settings would give other samples than before."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted track; `kept` tells that the file is of an earlier run."""

    track: Track
    kept: bool


def convert(track: Track, folder: Path, settings: ConvertSettings, *, force: bool) -> Converted:
    """Convert a track to `folder/track_id.format`.

    An earlier file of the same source and settings is kept: a later run tells by the comment in
    the file, which holds the settings and the source's digest. Raises InputError where the source
    cannot be converted.
    """
    source = Path(track.path)
    info = probe(source)
    check_rate(source, info, track.sample_rate)
    target = output_path(folder, track.track_id, settings.format)
    if target.exists() and target.samefile(source):
        raise InputError(source, "would be replaced by its own conversion", "choose another -o")
    # A file of before peaks could be asked for has none in its comment.
    asked = {name: value for name, value in asdict(settings).items() if value is not None}
    comment = json.dumps(
        {"mer convert": VERSION, **asked, "source": digest_file(source)}, sort_keys=True
    )
    kept = not force and _is_converted_with(target, comment)
    if not kept:
        channels = info.channels if settings.keep_channels else 1
        with replacing_named(target) as part:
            try:
                _write(part, comment, channels, settings, convert_blocks(source, info, settings))
            except soundfile.LibsndfileError as error:
                raise_write_error(part)
                raise InputError(
                    source,
                    f"cannot be written as {FORMATS[settings.format]} of {channels} channels at "
                    f"{settings.sample_rate} Hz ({error.error_string.rstrip('. ')})",
                    "mix it to mono, or choose another --format",
                ) from None
    with open_sound(target) as sound:
        converted = Track(
            track.track_id,
            str(target),
            sound.samplerate,
            sound.channels,
            sound.frames,
            sound.frames / sound.samplerate,
            track.path,
        )
    converted = with_provenance(converted, track)
    if settings.peak_db is not None:
        converted = replace(converted, peak=settings.peak_db)
    return Converted(converted, kept)


def read_converted(path: Path, sample_rate: int) -> NDArray[np.int16]:
    """Convert a sound file in memory: mono int16 (n_samples,), the samples `convert` would write.

    Raises InputError where that is not possible.
    """
    return read_at_rates(path, [sample_rate])[0]


def read_at_rates(
    path: Path, sample_rates: Sequence[int], peak_db: float | None = None
) -> list[NDArray[np.int16]]:
    """Convert a sound file as `read_converted` does to several rates in Hz, decoding it once.

    With `peak_db` its largest sample at the first rate is brought to that level in dBFS, for which
    it is decoded twice.
    Raises InputError where that is not possible, or takes more memory than `LONGEST_BYTES`.
    """
    info = probe(path)
    gain = find_gain(path, info, ConvertSettings(sample_rates[0], peak_db=peak_db))
    sources = itertools.tee(map(mix_to_mono, read_blocks(path, info)), len(sample_rates))
    converted = [
        _convert_blocks(source, info, ConvertSettings(rate), gain)
        for source, rate in zip(sources, sample_rates, strict=True)
    ]
    # One growing buffer a rate: joining a list of blocks would hold all sound twice.
    samples = [bytearray() for _ in sample_rates]
    for blocks in itertools.zip_longest(*converted):
        for buffer, block in zip(samples, blocks, strict=True):
            buffer += b"" if block is None else block.tobytes()
        if sum(map(len, samples)) > LONGEST_BYTES:
            hours = len(samples[0]) / 2 / sample_rates[0] / 3600
            raise InputError(path, f"is longer than {hours:.1f} h", "cut it into shorter files")
    return [np.frombuffer(buffer, np.int16) for buffer in samples]


def convert_blocks(
    path: Path, info: AudioInfo, settings: ConvertSettings
) -> Iterator[NDArray[np.int16]]:
    """Decode and convert a file block by block: int16 (n_frames, channels).

    A file shorter than one sample at the new rate is filled up with silence to one.
    """
    gain = find_gain(path, info, settings)
    return _convert_blocks(_mixed(path, info, settings), info, settings, gain)


def find_gain(path: Path, info: AudioInfo, settings: ConvertSettings) -> np.float32 | None:
    """Find what samples are multiplied by, so that the largest one is at the peak asked for.

    The file is decoded for it. None where no peak is asked for, or the file is silent.
    """
    if settings.peak_db is None:
        return None
    blocks = _resampled(_mixed(path, info, settings), info, settings)
    peaks = [np.abs(block).max() for block in blocks if len(block)]
    largest: np.float32 = max(peaks, default=np.float32(0))
    if not largest:
        return None
    gain: np.float32 = np.float32(10 ** (settings.peak_db / 20)) / largest
    return gain


def _mixed(path: Path, info: AudioInfo, settings: ConvertSettings) -> Iterator[NDArray[np.float32]]:
    blocks = read_blocks(path, info)
    return blocks if settings.keep_channels else map(mix_to_mono, blocks)


def _convert_blocks(
    blocks: Iterator[NDArray[np.float32]],
    info: AudioInfo,
    settings: ConvertSettings,
    gain: np.float32 | None,
) -> Iterator[NDArray[np.int16]]:
    n_frames = 0
    for block in _resampled(blocks, info, settings):
        n_frames += len(block)
        if len(block):
            yield to_int16(block if gain is None else block * gain)
    if n_frames == 0:
        yield np.zeros((1, info.channels if settings.keep_channels else 1), np.int16)


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
    # The resampler's filter still holds the last samples.
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _write(
    path: Path,
    comment: str,
    channels: int,
    settings: ConvertSettings,
    blocks: Iterator[NDArray[np.int16]],
) -> None:
    form = FORMATS[settings.format]
    with soundfile.SoundFile(
        os.fsencode(path), "w", settings.sample_rate, channels, "PCM_16", format=form
    ) as output:
        output.comment = comment
        for block in blocks:
            output.write(block)


def _is_converted_with(target: Path, comment: str) -> bool:
    """Tell whether a file has this comment, and is whole."""
    try:
        with open_sound(target) as sound:
            if sound.comment != comment:
                return False
        # Only decoding tells a FLAC file that is cut off.
        return all(map(len, read_blocks(target, probe(target))))
    except (OSError, soundfile.LibsndfileError, InputError):
        return False  # missing, not ours, or damaged: it is replaced

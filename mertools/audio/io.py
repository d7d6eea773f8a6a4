"""Reading sound files of any kind, block by block, and writing them.

libsndfile decodes in process; what it cannot read goes through the `ffmpeg` program.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mertools.audio.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mertools.audio.truncation import find_truncation
from mertools.errors import InputError

BLOCK_FRAMES = 1 << 16
BLOCK_CHANNELS = 8
"""Blocks of more channels than this have fewer frames, so that they take no more memory."""

MOST_CHANNELS = 1024
MOST_FRAMES_PER_BYTE = 8192
"""No codec packs sound tighter: FLAC has 65535 equal samples in 11 bytes or more."""

PROBE_LIMIT_S = 60.0
"""After so long `ffprobe` is taken to hang."""

FULL_SCALE = 32768
"""int16 samples are the floating-point samples in [-1, 1) times this."""

CONTAINERS_WITH_DURATION = frozenset({"mov", "matroska", "webm", "asf", "avi", "flv"})
"""Containers whose header tells a duration; elsewhere ffmpeg only estimates one."""

FFMPEG_PROBE_SCORE = 51
"""ffmpeg's confidence from which its guess at a format rests on content, not on the name alone."""

DURATION_TOLERANCE_S = 0.5
"""How much shorter than its container says a file may decode; codecs' delays are below it."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a sound file's header says. `frames` is None where only decoding can tell."""

    sample_rate: int
    channels: int
    frames: int | None
    decoder: str


def probe(path: Path) -> AudioInfo:
    """Read a sound file's header.

    Raises InputError, naming the cause, where the file is missing, empty, cut off or no audio.
    """
    check_readable(path)
    try:
        with open_sound(path) as sound:
            # Only a guess in an MP3 without a length header.
            frames = None if sound.format == "MP3" else sound.frames
            info = AudioInfo(sound.samplerate, sound.channels, frames, "libsndfile")
            container = sound.format
    except soundfile.LibsndfileError as error:
        info = _probe_with_ffmpeg(path, error.error_string.rstrip(". "))
    else:
        find_truncation(path, container)
    _check_plausible(path, info)
    return info


def check_rate(path: Path, info: AudioInfo, declared: int | None) -> None:
    """Raise InputError where a file is not at the sample rate in Hz that a manifest declares."""
    if declared is not None and declared != info.sample_rate:
        raise InputError(
            path,
            f"is at {info.sample_rate} Hz, but its manifest says {declared} Hz",
            "make the manifest again from the files as they are now",
        )


@contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file with libsndfile, by its content alone: a name makes no raw file sound.

    Raises LibsndfileError where it is none that libsndfile reads.
    """
    with path.open("rb") as stream:
        with _native_messages_hidden():
            sound = soundfile.SoundFile(stream.fileno(), closefd=False)
        with sound:
            yield sound


def _check_plausible(path: Path, info: AudioInfo) -> None:
    """Raise InputError where a header declares what its file cannot be.

    Memory and time follow from rate, channels and length, so a damaged header would take gigabytes.
    """
    remedy = "its header is damaged; fetch or export it again"
    if not LOWEST_RATE_HZ <= info.sample_rate <= HIGHEST_RATE_HZ:
        raise InputError(path, f"declares a sample rate of {info.sample_rate} Hz", remedy)
    if not 1 <= info.channels <= MOST_CHANNELS:
        raise InputError(path, f"declares {info.channels} channels", remedy)
    most = MOST_FRAMES_PER_BYTE * path.stat().st_size
    if info.frames is not None and not 0 <= info.frames <= most:
        raise InputError(path, f"declares {info.frames} samples, more than it can hold", remedy)


def read_blocks(path: Path, info: AudioInfo) -> Iterator[NDArray[np.float32]]:
    """Decode a file: blocks of shape (n_frames, channels), float32 in [-1, 1).

    Raises InputError where decoding breaks off or a sample is not a number.
    """
    blocks = _read_with_libsndfile if info.decoder == "libsndfile" else _read_with_ffmpeg
    n_frames = 0
    for block in blocks(path, info):
        check_finite(path, block)
        n_frames += len(block)
        yield block
    if n_frames == 0:
        raise InputError(path, "holds no samples", "leave it out or record it again")
    if info.frames is not None and n_frames < info.frames - DURATION_TOLERANCE_S * info.sample_rate:
        raise InputError(
            path,
            f"is cut off: {n_frames / info.sample_rate:.2f} s of "
            f"{info.frames / info.sample_rate:.2f} s could be decoded",
            "fetch or export it again",
        )


def check_finite(path: Path, y: NDArray[np.float32]) -> None:
    """Raise InputError where a file's sample is not a number."""
    if not np.isfinite(y).all():
        raise InputError(
            path, "holds samples that are not finite numbers", "export it from its source again"
        )


def mix_to_mono(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix samples of shape (n_frames, channels) to (n_frames, 1): the mean over channels."""
    if y.shape[1] == 1:
        return y
    # A product, as a mean along the short axis takes twice as long.
    weights = np.full((y.shape[1], 1), 1 / y.shape[1], np.float32)
    return y @ weights


def to_int16(y: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round samples in [-1, 1) to 16 bit, without dither; what lies beyond full scale is clipped.

    Plain rounding keeps digital silence silent and makes the same file at every run.
    """
    scaled = np.rint(y * np.float32(FULL_SCALE))
    clipped: NDArray[np.int16] = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return clipped


def check_readable(path: Path) -> None:
    """Raise InputError where a file is missing, no plain file, may not be read, or is empty."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or device in a folder or list may never end
            raise InputError(path, "is no file but a folder, pipe or device", "leave it out")
        with path.open("rb"):
            pass
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(path, f"{reason}", "check the path and its permissions") from None
    except ValueError:
        raise InputError(
            path, "has a NUL in its name", "end names by newlines, or pass -0"
        ) from None
    if found.st_size == 0:
        raise InputError(path, "is empty", "fetch or export it again")


@contextmanager
def _native_messages_hidden() -> Iterator[None]:
    """Keep decoders written in C from writing to standard error; their errors come as values."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _read_with_libsndfile(path: Path, info: AudioInfo) -> Iterator[NDArray[np.float32]]:
    decoded_frames = 0
    try:
        with open_sound(path) as sound:
            while True:
                with _native_messages_hidden():
                    block = sound.read(_block_frames(info), dtype="float32", always_2d=True)
                if not len(block):
                    return
                decoded_frames += len(block)
                yield block
    except soundfile.LibsndfileError as error:
        raise damaged(path, decoded_frames / info.sample_rate, error.error_string) from None


def damaged(path: Path, seconds: float, reason: str) -> InputError:
    """Say that a file cannot be decoded beyond some time."""
    return InputError(
        path,
        f"cannot be decoded beyond {seconds:.2f} s ({reason.rstrip('. ')})",
        "it is damaged or cut off; fetch or export it again",
    )


def _block_frames(info: AudioInfo) -> int:
    return BLOCK_FRAMES * BLOCK_CHANNELS // max(BLOCK_CHANNELS, info.channels)


def _probe_with_ffmpeg(path: Path, refusal: str) -> AudioInfo:
    if shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None:
        raise InputError(
            path,
            f"is no sound file that libsndfile can read ({refusal})",
            "if it plays elsewhere (M4A, WMA, video), install the ffmpeg program",
        )
    entries = "format=probe_score,format_name,duration:stream=sample_rate,channels"
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", entries]
    command += ["-of", "json", f"file:{path}"]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_LIMIT_S)
        found = json.loads(answer.stdout or b"{}")
        container = found.get("format", {})
        if answer.returncode != 0 or container.get("probe_score", 0) < FFMPEG_PROBE_SCORE:
            raise ValueError("ffprobe gives up on it")
        if not found.get("streams"):
            raise InputError(path, "holds no sound, only other media", "leave it out")
        return _parse_probe(container, found["streams"][0])
    except (
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
        subprocess.SubprocessError,
    ):
        raise InputError(
            path, "is not audio, or damaged beyond recognition", "leave it out or fetch it again"
        ) from None


def _parse_probe(container: Mapping[str, Any], stream: Mapping[str, Any]) -> AudioInfo:
    """Parse what ffprobe says of a container and its sound; of a damaged one it may lack any."""
    sample_rate = int(stream["sample_rate"])
    frames = None
    if "duration" in container and CONTAINERS_WITH_DURATION & set(
        container["format_name"].split(",")
    ):
        frames = round(float(container["duration"]) * sample_rate)
    return AudioInfo(sample_rate, int(stream["channels"]), frames, "ffmpeg")


def _read_with_ffmpeg(path: Path, info: AudioInfo) -> Iterator[NDArray[np.float32]]:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "a:0"]
    command += ["-f", "f32le", "-ac", str(info.channels), "-ar", str(info.sample_rate), "pipe:1"]
    frame_bytes = 4 * info.channels
    block_bytes = _block_frames(info) * frame_bytes
    with (
        # Not a pipe: ffmpeg would wait for a reader of its complaints, and we for its sound.
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, bufsize=block_bytes
        ) as decoder,
    ):
        assert decoder.stdout is not None  # noqa: S101
        try:
            while block := decoder.stdout.read(block_bytes):
                whole = len(block) - len(block) % frame_bytes
                yield np.frombuffer(block[:whole], "<f4").reshape(-1, info.channels)
            decoder.wait()
        finally:
            decoder.kill()
        complaints.seek(0)
        message = complaints.read().decode(errors="replace").strip()
    if decoder.returncode > 0:
        raise InputError(
            path,
            f"cannot be decoded by ffmpeg ({message.splitlines()[-1] if message else 'no reason'})",
            "it is damaged or cut off; fetch or export it again",
        )

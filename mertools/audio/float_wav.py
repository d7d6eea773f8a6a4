"""Writing WAV of 32-bit floating-point samples, the same bytes for the same samples.

libsndfile, which writes all other sound here, puts the time of day into such files.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mertools.artifacts.names import replacing_named

FLOAT_FORMAT = 3
MOST_BYTES = 2**32 - 2**16
"""A WAV file's sizes are of 32 bits."""


def write_float_wav(path: Path, y: NDArray[np.float32], sample_rate: int, comment: str) -> None:
    """Write samples, (n_frames, channels), whole or not at all; `comment` stands in the file.

    Raises ValueError where they are more than a WAV file holds, InputError where the file cannot be
    beside others (`replacing_named`).
    """
    n_frames, channels = y.shape
    data = np.ascontiguousarray(y, "<f4").tobytes()
    if len(data) > MOST_BYTES:
        raise ValueError("is longer than a WAV file can be")
    form = struct.pack(
        "<HHIIHHH",
        FLOAT_FORMAT,
        channels,
        sample_rate,
        sample_rate * channels * 4,
        channels * 4,
        32,
        0,
    )
    text = comment.encode("ascii") + b"\0"
    chunks = (
        _chunk(b"fmt ", form),
        _chunk(b"fact", struct.pack("<I", n_frames)),
        _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", text)),
        _chunk(b"data", data),
    )
    size = 4 + sum(map(len, chunks))
    with replacing_named(path) as part, part.open("wb") as stream:
        stream.write(b"RIFF" + struct.pack("<I", size) + b"WAVE")
        for chunk in chunks:
            stream.write(chunk)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def read_comment(path: Path) -> str | None:
    """Read a sound file's comment; None where there is no such file, or none that can be read."""
    if not path.exists():
        return None
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return str(file.comment)
    except soundfile.LibsndfileError:
        return None

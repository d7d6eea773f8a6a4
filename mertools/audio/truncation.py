"""Telling a file that was cut off from a shorter one, where its decoder does not.

libsndfile reads the first half of a WAV, AIFF, Ogg or MP3 file without complaint. Each of these
formats says in its own way where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from mertools.errors import InputError

BLOCK_BYTES = 1 << 20
"""Read at once of a file that is followed from its beginning: one of hours has hundreds of MB."""

OGG_PAGE_BYTES = 27 + 255 + 255 * 255
OGG_END_OF_STREAM = 0x04
STREAMED_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""Sizes written by programs that could not know it, such as one that writes to a pipe."""

_MPEG_BITRATES_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_SAMPLE_RATES_HZ = {
    3: (44100, 48000, 32000),
    2: (22050, 24000, 16000),
    0: (11025, 12000, 8000),
}


def find_truncation(path: Path, container: str) -> None:
    """Raise InputError where a file of this container (libsndfile's name for it) is cut off."""
    ends_whole = _CHECKS.get(container)
    if ends_whole is None:
        return
    size = path.stat().st_size
    with path.open("rb") as stream:
        if not ends_whole(stream, size):
            raise InputError(path, "is cut off before its end", "fetch or export it again")


def _riff_ends(stream: BinaryIO, size: int) -> bool:
    """Follow a WAV file's chunks to see that its sound lies within the file."""
    return _chunks_end(stream, size, b"data", "little")


def _aiff_ends(stream: BinaryIO, size: int) -> bool:
    return _chunks_end(stream, size, b"SSND", "big")


def _chunks_end(stream: BinaryIO, size: int, sound: bytes, byte_order: str) -> bool:
    offset = 12
    while offset + 8 <= size:
        stream.seek(offset)
        name, length = stream.read(4), int.from_bytes(stream.read(4), byte_order)  # type: ignore[arg-type]
        if name == sound:
            return length in STREAMED_SIZES or offset + 8 + length <= size
        offset += 8 + length + length % 2  # chunks are filled up to an even length
    return True


def _ogg_ends(stream: BinaryIO, size: int) -> bool:
    """See that the last page of an Ogg stream is whole and marked as the last."""
    stream.seek(max(0, size - 2 * OGG_PAGE_BYTES))
    tail = stream.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return False
    n_parts = tail[page + 26]
    parts = tail[page + 27 : page + 27 + n_parts]
    whole = len(parts) == n_parts and len(tail) >= page + 27 + n_parts + sum(parts)
    return whole and bool(tail[page + 5] & OGG_END_OF_STREAM)


def _mpeg_ends(stream: BinaryIO, size: int) -> bool:
    """Follow the frames of an MPEG audio stream to see that the last one is whole."""
    offset = _id3v2_bytes(stream.read(10))
    begin, block, n_frames = 0, b"", 0
    while offset + 4 <= size:
        if not begin <= offset <= begin + len(block) - 4:
            stream.seek(offset)
            begin, block = offset, stream.read(BLOCK_BYTES)
        length = _mpeg_frame_bytes(block[offset - begin : offset - begin + 4])
        if length == 0:
            # One frame alone may be chance in junk before the sound.
            if n_frames > 1:
                return True  # a tag, or junk as players pass over
            offset += 1
            continue
        n_frames += 1
        offset += length
    return n_frames == 0 or offset <= size


def _id3v2_bytes(head: bytes) -> int:
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    return 10 + sum((head[6 + i] & 0x7F) << (7 * (3 - i)) for i in range(4))


@lru_cache(maxsize=1024)  # a file has few different headers, of thousands of frames
def _mpeg_frame_bytes(header: bytes) -> int:
    """Give a frame's length from its header (ISO 11172-3, 2.4.1.3), 0 where it is no header."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    kbps = _MPEG_BITRATES_KBPS[1 if version == 3 else 2, layer][bitrate - 1]
    sample_rate = _MPEG_SAMPLE_RATES_HZ[version][rate]
    if layer == 1:
        return (12000 * kbps // sample_rate + padding) * 4
    samples_per_byte = 72000 if layer == 3 and version != 3 else 144000
    return samples_per_byte * kbps // sample_rate + padding


_CHECKS: Mapping[str, Callable[[BinaryIO, int], bool]] = {
    "WAV": _riff_ends,
    "WAVEX": _riff_ends,
    "AIFF": _aiff_ends,
    "OGG": _ogg_ends,
    "MP3": _mpeg_ends,
    "MPEG": _mpeg_ends,
}

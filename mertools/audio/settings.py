"""How sound is converted and cut unless a user says otherwise: the thesis' recipe (section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AudioFormat = Literal["wav", "flac"]
Last = Literal["auto", "keep", "drop", "pad", "whole"]
IdFrom = Literal["stem", "path"]


LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 768_000
"""Sample rates of sound: a tenth of the telephone's to the highest that recorders have."""


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """How sound is converted: mixed to mono, resampled to `sample_rate` (Hz), 16 bit.

    `peak_db` is the level in dBFS that the largest sample is brought to; None leaves the level.
    """

    sample_rate: int = 8000
    keep_channels: bool = False
    format: AudioFormat = "wav"
    peak_db: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How a track is cut into segments `length_s` long, one each `hop_s` (None: the length).

    `last` says what becomes of a remainder shorter than a length: "keep" it as it is, "drop" it,
    "pad" it with silence, "auto": drop it below half a length, else pad it, or "whole": drop it. A
    track that is shorter than a length is always padded under "auto" and "whole", so that it is not
    lost.
    """

    length_s: float = 10.0
    hop_s: float | None = None
    last: Last = "auto"


LOWEST_PEAK_DB = -60.0
"""Sound that is brought to a lower peak than this would be nothing but the noise of rounding."""

WINDOW_S = 10.0
WINDOW_HOP_S = 1.0
"""The windows of prediction over time: their length, and from one's start to the next one's."""

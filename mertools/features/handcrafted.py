"""The 136 handcrafted features: pyAudioAnalysis' short-term features and their mid-term statistics.

The short-term features of all frames are computed at once, with numpy alone. The reference, and the
second engine, is pyAudioAnalysis 0.3.14 (T. Giannakopoulos, *pyAudioAnalysis: An Open-Source Python
Library for Audio Signal Analysis*, PLoS ONE 10(12), 2015). What it computes is kept as it is, the
surprising parts included: `docs/features.md` names them, and the few places where we differ.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields

from mertools.errors import UsageError

FULL_SCALE = 2.0**15  # of 16-bit PCM
EPS = sys.float_info.epsilon

N_MFCC = 13
N_CHROMA = 12
N_ENTROPY_BLOCKS = 10
ROLLOFF = 0.90  # share of the spectral energy below the roll-off frequency

# The mel filters: centres 66.7 Hz apart up to 933 Hz, then each 1.07 times the one before.
N_LINEAR_FILTERS = 13
N_LOG_FILTERS = 27
LOWEST_FILTER_HZ = 133.33
LINEAR_SPACING_HZ = 200 / 3
LOG_SPACING = 1.0711703
CHROMA_BASE_HZ = 27.5  # A0

SHORT_TERM_NAMES: tuple[str, ...] = (
    "zcr",
    "energy",
    "energy_entropy",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{i}" for i in range(1, N_MFCC + 1)),
    *(f"chroma_{i}" for i in range(1, N_CHROMA + 1)),
    "chroma_std",
)
N_SHORT_TERM = len(SHORT_TERM_NAMES)
_WITH_DELTAS = (*SHORT_TERM_NAMES, *(f"delta {name}" for name in SHORT_TERM_NAMES))
COLUMN_NAMES: tuple[str, ...] = (
    *(f"{name}_mean" for name in _WITH_DELTAS),
    *(f"{name}_std" for name in _WITH_DELTAS),
)

BLOCK_FRAMES = 256  # computed at once: small enough for the processor's cache
BLOCK_WINDOWS = 1024  # mid-term windows


@dataclass(frozen=True, slots=True)
class HandcraftedParams:
    """Lengths of the short-term and mid-term windows, in seconds, and the sample rate in Hz.

    Raises UsageError for values that have no meaning, or with which the reference fails.
    """

    sample_rate: int = 8000
    window_s: float = 0.05
    step_s: float = 0.05
    mid_window_s: float = 1.0
    mid_step_s: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(
                    f"handcrafted.{field.name}", f"{value} is no length", "give a positive number"
                )
        highest_hz = _filter_edges_hz()[-1]
        if self.sample_rate <= highest_hz:
            raise UsageError(
                "handcrafted.sample_rate",
                f"{self.sample_rate} Hz does not hold the reference's mel filters",
                f"give more than {highest_hz:.0f} Hz",
            )
        # The reference keeps one cell a semitone in an array as long as the spectrum.
        highest_semitone = round(12 * math.log2(self.sample_rate / 2 / CHROMA_BASE_HZ))
        shortest = 2 * (highest_semitone + 1)
        if self.window < shortest:
            raise UsageError(
                "handcrafted.window_s",
                f"{self.window_s} s is too short for the reference's chroma features",
                f"give {shortest / self.sample_rate:.4f} s or more",
            )
        for name, count in (
            ("step_s", self.step),
            ("mid_window_s", self.mid_window_frames),
            ("mid_step_s", self.mid_step_frames),
        ):
            if count < 1:
                unit = "sample" if name == "step_s" else "short-term frame"
                raise UsageError(
                    f"handcrafted.{name}", f"is shorter than one {unit}", "give a longer time"
                )

    @property
    def window(self) -> int:
        """Short-term window in samples."""
        return round(self.window_s * self.sample_rate)

    @property
    def step(self) -> int:
        """Short-term step in samples."""
        return round(self.step_s * self.sample_rate)

    @property
    def mid_window_frames(self) -> int:
        """Mid-term window in short-term frames."""
        mid_window = round(self.mid_window_s * self.sample_rate)
        return round((mid_window - (self.window - self.step)) / self.step)

    @property
    def mid_step_frames(self) -> int:
        """Mid-term step in short-term frames."""
        return round(round(self.mid_step_s * self.sample_rate) / self.step)

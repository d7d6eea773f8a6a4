"""Mel-frequency cepstral coefficients over time, as librosa computes them.

The fast engine needs numpy alone. The reference, and the second engine, is librosa 0.11,
`feature.mfcc(n_mfcc=13, n_fft=2048, hop_length=1024)`: mel bands of Slaney's scale in decibels
above a floor, and an orthonormal DCT-II over them. The settings are those of paper 003, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.mel import LOWEST_POWER, mel_spectrogram, mel_spectrogram_reference
from mertools.features.params import check_least, check_range_of_decibels
from mertools.runtime.devices import CPU

SEGMENT, TRACK = "segment", "track"
"""What coefficients are computed of: the segment alone, or the whole track, then cut in slices."""

SWITCH = {"yes": "yes", "no": "no", "1": "yes", "0": "no", "true": "yes", "false": "no"}
"""What a switch may be set to, and what that is stored as."""


@dataclass(frozen=True, slots=True)
class MfccParams:
    """How coefficients are computed: rates in Hz, lengths in samples.

    `top_db` is how far below the loudest cell the floor lies; 0 means none but that of a power of
    1e-10. With a `scope` of "track" the slices of a track follow each other frame by frame, and
    share its floor. `drop_c0`, "yes" or "no", leaves out coefficient 0, the loudness.
    Raises UsageError for values that have no meaning.
    """

    sample_rate: int = 22050
    n_mfcc: int = 13
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 128
    top_db: float = 80.0
    scope: str = SEGMENT
    drop_c0: str = "no"

    def __post_init__(self) -> None:
        check_least("mfcc", self, sample_rate=1, n_fft=2, hop_length=1, n_mels=1)
        check_range_of_decibels("mfcc", self.top_db)
        if self.scope not in (SEGMENT, TRACK):
            raise UsageError(
                "mfcc.scope", f"{self.scope!r} is no scope", f"choose from {SEGMENT}, {TRACK}"
            )
        if self.drop_c0 not in SWITCH:
            raise UsageError("mfcc.drop_c0", f"{self.drop_c0!r} is no switch", "give yes or no")
        # A frozen instance: so that equal settings have equal digests however they are written.
        object.__setattr__(self, "drop_c0", SWITCH[self.drop_c0])
        if not self.first < self.n_mfcc <= self.n_mels:
            raise UsageError(
                "mfcc.n_mfcc",
                f"{self.n_mfcc} coefficients do not come from {self.n_mels} bands",
                f"give {self.first + 1} to {self.n_mels}",
            )

    @property
    def first(self) -> int:
        """The number of the first coefficient that is kept."""
        return int(self.drop_c0 == "yes")

    @property
    def columns(self) -> tuple[str, ...]:
        """The coefficients' names."""
        return tuple(f"mfcc_{number}" for number in range(self.first, self.n_mfcc))


Compute = Callable[[NDArray[np.int16], MfccParams], NDArray[np.float32]]


def feature(excerpt: Excerpt, params: MfccParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the coefficients of an excerpt: (n_frames, n_mfcc)."""
    return _of_scope(excerpt, params, mfcc)


def reference(excerpt: Excerpt, params: MfccParams, device: str = CPU) -> NDArray[np.float32]:
    """Give what `feature` does, computed by librosa itself."""
    return _of_scope(excerpt, params, mfcc_reference)


def _of_scope(excerpt: Excerpt, params: MfccParams, compute: Compute) -> NDArray[np.float32]:
    n_frames = count_frames(len(excerpt.y), params)
    whole = excerpt.whole
    if params.scope == SEGMENT or count_frames(len(whole.y), params) < n_frames:
        return compute(excerpt.y, params)
    of_track = whole.once((compute, params), lambda: compute(whole.y, params))
    # Slices are whole frames: 15 s begin every 323 frames, although they are 322.998 long.
    length_s = len(excerpt.y) / params.sample_rate
    begin = min(round(excerpt.start_s / length_s * n_frames), len(of_track) - n_frames)
    return of_track[begin : begin + n_frames]


def count_frames(n_samples: int, params: MfccParams) -> int:
    """Count the frames of a signal; an empty one is taken as one sample of silence."""
    n_padded = max(1, n_samples) + 2 * (params.n_fft // 2)
    return 1 + (n_padded - params.n_fft) // params.hop_length


def mfcc(y: NDArray[np.int16], params: MfccParams) -> NDArray[np.float32]:
    """Compute the coefficients of a mono signal, (n_samples,): (n_frames, n_mfcc).

    A frame is centred on every hop, with zeros beyond the ends: 1 + n_samples // hop_length of them
    for an even `n_fft`.
    """
    S = mel_spectrogram(y, params.sample_rate, params.n_fft, params.hop_length, params.n_mels)
    # In float64: coefficient 0 of silence is -1131, where float32 has no four decimals.
    S_db = 10 * np.log10(np.maximum(S, LOWEST_POWER, dtype=np.float64))
    if params.top_db:
        np.maximum(S_db, S_db.max() - params.top_db, out=S_db)
    basis = dct_basis(params.n_mels, params.n_mfcc)[params.first :]
    return np.ascontiguousarray((basis @ S_db).T, np.float32)


@lru_cache(maxsize=8)
def dct_basis(n_bands: int, n_coefficients: int) -> NDArray[np.float64]:
    """Give the orthonormal DCT-II: (n_coefficients, n_bands)."""
    k, n = np.arange(n_coefficients)[:, None], np.arange(n_bands)
    basis = np.cos(np.pi * k * (n + 0.5) / n_bands) * math.sqrt(2 / n_bands)
    basis[0] /= math.sqrt(2)
    return basis


def mfcc_reference(y: NDArray[np.int16], params: MfccParams) -> NDArray[np.float32]:
    """Compute what `mfcc` does with librosa itself."""
    import librosa

    S = mel_spectrogram_reference(
        y, params.sample_rate, params.n_fft, params.hop_length, params.n_mels
    )
    S_db = librosa.power_to_db(S, amin=LOWEST_POWER, top_db=params.top_db or None)
    coefficients = librosa.feature.mfcc(S=S_db, n_mfcc=params.n_mfcc)[params.first :]
    return np.ascontiguousarray(coefficients.T, np.float32)

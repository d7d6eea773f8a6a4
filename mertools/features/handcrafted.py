"""The 136 handcrafted features: pyAudioAnalysis' short-term features and their mid-term statistics.

The short-term features of all frames are computed at once, with numpy alone. The reference, and the
second engine, is pyAudioAnalysis 0.3.14 (T. Giannakopoulos, *pyAudioAnalysis: An Open-Source Python
Library for Audio Signal Analysis*, PLoS ONE 10(12), 2015). What it computes is kept as it is, the
surprising parts included: `docs/features.md` names them, and the few places where we differ.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

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

BLOCK_FRAMES = 256  # computed at once: few enough to stay in the processor's cache
MID_TERM_BLOCK_FRAMES = 2**14


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
        # The reference looks for the top of its highest mel filter below the sample rate.
        lowest_rate = math.floor(_filter_edges_hz()[-1]) + 1
        if self.sample_rate < lowest_rate:
            raise UsageError(
                "handcrafted.sample_rate",
                f"{self.sample_rate} Hz does not hold the reference's mel filters",
                f"give {lowest_rate} Hz or more",
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
        if self.step < 1:
            raise UsageError(
                "handcrafted.step_s",
                f"{self.step_s} s is shorter than one sample",
                f"give {1 / self.sample_rate:.6f} s or more",
            )
        for name, frames in (
            ("mid_window_s", self.mid_window_frames),
            ("mid_step_s", self.mid_step_frames),
        ):
            if frames < 1:
                raise UsageError(
                    f"handcrafted.{name}",
                    f"{getattr(self, name)} s holds no short-term frame",
                    f"give more than the window ({self.window_s} s) and the step ({self.step_s} s)",
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


def handcrafted(y: NDArray[np.int16], params: HandcraftedParams) -> NDArray[np.float32]:
    """Compute the 136 features of a segment or track, named by `COLUMN_NAMES`.

    `y` is a mono signal, shape (n_samples,), of any length. Returns shape (136,): averages over all
    mid-term windows of each short-term feature's mean, then of its standard deviation. Every value
    is finite, whatever the signal.
    """
    return _long_term_mean(short_term_features(y, params), params)


def handcrafted_reference(y: NDArray[np.int16], params: HandcraftedParams) -> NDArray[np.float32]:
    """Compute what `handcrafted` does with the short-term features of pyAudioAnalysis itself.

    Only its short-term module is imported: its mid-term module needs packages that are not to be
    had on every Python, and is followed here instead.
    """
    from pyAudioAnalysis import ShortTermFeatures  # imports matplotlib and scipy

    features, _ = ShortTermFeatures.feature_extraction(
        _at_least_one_window(y, params), params.sample_rate, params.window, params.step
    )
    return _long_term_mean(features, params)


def short_term_features(y: NDArray[np.int16], params: HandcraftedParams) -> NDArray[np.float64]:
    """Compute the 34 short-term features of every frame, and their deltas.

    `y` is a mono signal, shape (n_samples,); one shorter than a window is filled up with zeros to
    one window, and of others a last part shorter than a window is left out. Returns shape
    (68, n_frames): the rows are `SHORT_TERM_NAMES`, then how much each differs from the frame
    before (zero in the first).
    Source: pyAudioAnalysis 0.3.14, `ShortTermFeatures.feature_extraction`.
    """
    y = _at_least_one_window(y, params)
    offset, scale = _normalisation(y)
    n_bins = params.window // 2
    frames = sliding_window_view(y, params.window)[:: params.step]
    features = np.empty((2 * N_SHORT_TERM, len(frames)))
    direct, delta = features[:N_SHORT_TERM], features[N_SHORT_TERM:]
    magnitude_before: NDArray[np.float64] | None = None
    for start in range(0, len(frames), BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        x = (frames[block] / FULL_SCALE - offset) / scale
        magnitude = np.abs(np.fft.rfft(x))[:, :n_bins] / n_bins
        if magnitude_before is None:
            magnitude_before = magnitude[:1]
        direct[:, block] = np.vstack(
            (
                _temporal(x),
                _spectral(magnitude, magnitude_before, params.sample_rate),
                _mfcc(magnitude, params.sample_rate),
                _chroma(magnitude, params.sample_rate),
            )
        )
        magnitude_before = magnitude[-1:]
    delta[:, 0] = 0.0
    np.subtract(direct[:, 1:], direct[:, :-1], out=delta[:, 1:])
    return features


def _at_least_one_window(y: NDArray[np.int16], params: HandcraftedParams) -> NDArray[np.int16]:
    missing = params.window - len(y)
    return np.pad(y, (0, missing)) if missing > 0 else y


def _normalisation(y: NDArray[np.int16]) -> tuple[float, float]:
    """Mean and peak of the whole signal, as the reference removes and divides them.

    Sums of 16-bit samples are exact, and rounding keeps order: so these are the reference's own
    numbers to the last bit, without its float64 copies of the signal.
    """
    mean = int(y.sum(dtype=np.int64)) / FULL_SCALE / len(y)
    peak = max(abs(int(y.min()) / FULL_SCALE - mean), abs(int(y.max()) / FULL_SCALE - mean))
    return mean, peak + 1e-10


def _temporal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero-crossing rate, energy and its entropy of frames (n_frames, window): (3, n_frames)."""
    length = x.shape[1]
    # A step between zero and either sign is half a crossing.
    positive, negative = x > 0, x < 0
    half_crossings = np.count_nonzero(positive[:, 1:] != positive[:, :-1], axis=1)
    half_crossings += np.count_nonzero(negative[:, 1:] != negative[:, :-1], axis=1)
    power = x**2
    total = power.sum(axis=1)
    return np.stack((half_crossings / 2 / (length - 1), total / length, _entropy(power, total)))


def _entropy(power: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy, in bits, of the shares of ten equal blocks of `power` (n_frames, n): (n_frames,)."""
    block = power.shape[1] // N_ENTROPY_BLOCKS
    blocks = power[:, : block * N_ENTROPY_BLOCKS].reshape(-1, N_ENTROPY_BLOCKS, block)
    share = blocks.sum(axis=2) / (total[:, None] + EPS)
    entropy: NDArray[np.float64] = -(share * np.log2(share + EPS)).sum(axis=1)
    return entropy


def _spectral(
    magnitude: NDArray[np.float64], magnitude_before: NDArray[np.float64], sample_rate: int
) -> NDArray[np.float64]:
    """Centroid, spread, entropy, flux and roll-off of spectra (n_frames, n_bins): (5, n_frames).

    `magnitude_before`, shape (1, n_bins), is the spectrum before the first.
    """
    n_bins = magnitude.shape[1]
    nyquist_hz = sample_rate / 2
    hz = np.arange(1, n_bins + 1) * (nyquist_hz / n_bins)

    peak = magnitude.max(axis=1, keepdims=True)
    weight = magnitude / np.where(peak == 0, EPS, peak)
    total_weight = weight.sum(axis=1) + EPS
    centroid = weight @ hz / total_weight
    deviation = hz - centroid[:, None]
    spread = np.sqrt(np.einsum("ij,ij,ij->i", deviation, deviation, weight) / total_weight)

    shape = np.concatenate((magnitude_before, magnitude))
    shape /= shape.sum(axis=1, keepdims=True) + n_bins * EPS
    flux = (np.diff(shape, axis=0) ** 2).sum(axis=1)

    # Here a comparison decides: the order of every operation is the reference's.
    power = magnitude**2
    energy = power.sum(axis=1)
    reached = np.cumsum(power, axis=1) + EPS > ROLLOFF * energy[:, None]
    rolloff = reached.argmax(axis=1) / n_bins

    entropy = _entropy(power, energy)
    return np.stack((centroid / nyquist_hz, spread / nyquist_hz, entropy, flux, rolloff))


def _mfcc(magnitude: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Mel-frequency cepstral coefficients of spectra (n_frames, n_bins): (13, n_frames)."""
    filters = _mel_filters(sample_rate, magnitude.shape[1])
    coefficients: NDArray[np.float64] = _dct() @ np.log10(magnitude @ filters + EPS).T
    return coefficients


def _chroma(magnitude: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Shares of the twelve pitch classes, and their deviation: (13, n_frames)."""
    power = magnitude**2
    energy = power.sum(axis=1)
    classes = (power @ _chroma_map(sample_rate, magnitude.shape[1])).T
    classes /= np.where(energy == 0, EPS, energy)
    return np.vstack((classes, classes.std(axis=0)))


@lru_cache(maxsize=1)
def _filter_edges_hz() -> NDArray[np.float64]:
    """Edges of the triangular mel filters: filter i rises from i to i + 1 and falls to i + 2."""
    linear = LOWEST_FILTER_HZ + np.arange(N_LINEAR_FILTERS) * LINEAR_SPACING_HZ
    logarithmic = linear[-1] * LOG_SPACING ** np.arange(1, N_LOG_FILTERS + 3)
    return np.concatenate((linear, logarithmic))


@lru_cache(maxsize=8)
def _mel_filters(sample_rate: int, n_bins: int) -> NDArray[np.float64]:
    """Triangular filters of equal area, shape (n_bins, 40).

    The reference takes the bins, which span up to half the sample rate, to span all of it: so each
    filter lies at half its nominal frequency. Kept, as everything built on it expects.
    """
    edges_hz = _filter_edges_hz()
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    height = 2 / (high - low)
    hz = (np.arange(n_bins) / n_bins * sample_rate)[:, None]
    # Sides are divided at whole bins, so that rounding at an edge falls as in the reference.
    passed = np.arange(n_bins)[:, None] > np.floor(edges_hz * n_bins / sample_rate)
    rising = passed[:, :-2] & ~passed[:, 1:-1]
    falling = passed[:, 1:-1] & ~passed[:, 2:]
    filters = np.zeros(rising.shape)
    np.multiply(height / (centre - low), hz - low, out=filters, where=rising)
    np.multiply(height / (high - centre), high - hz, out=filters, where=falling)
    return filters


@lru_cache(maxsize=1)
def _dct() -> NDArray[np.float64]:
    """Orthonormal DCT-II of the 40 filters' outputs, its first rows, shape (13, 40)."""
    n = N_LINEAR_FILTERS + N_LOG_FILTERS
    order, position = np.arange(N_MFCC)[:, None], np.arange(n)
    basis: NDArray[np.float64] = np.cos(np.pi * order * (2 * position + 1) / (2 * n))
    basis *= math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    return basis


@lru_cache(maxsize=8)
def _chroma_map(sample_rate: int, n_bins: int) -> NDArray[np.float64]:
    """Weights of the bins in the twelve pitch classes from A, shape (n_bins, 12).

    The reference gives each semitone the power of its last bin alone, divided by the number of bins
    of another semitone (it looks the number up by semitone where bins are counted), and semitones
    below A0 land at the array's end. The map is linear, so it is one matrix; kept as it is.
    """
    hz = np.arange(1, n_bins + 1) * sample_rate / (2 * n_bins)
    semitone = np.round(12 * np.log2(hz / CHROMA_BASE_HZ)).astype(int)
    _, which, counts = np.unique(semitone, return_inverse=True, return_counts=True)
    bins_of_semitone = counts[which]
    weights = np.zeros((n_bins, N_CHROMA))
    last_bin = dict(zip((semitone % n_bins).tolist(), range(n_bins), strict=True))
    for cell, last in last_bin.items():
        weights[last, cell % N_CHROMA] = 1 / bins_of_semitone[semitone[cell]]
    return weights


def _long_term_mean(
    features: NDArray[np.float64], params: HandcraftedParams
) -> NDArray[np.float32]:
    """Average the mid-term means and standard deviations of (68, n_frames) over time: (136,)."""
    total = np.zeros((2, len(features)))
    n_windows = 0
    for windows in _mid_term_windows(features, params.mid_window_frames, params.mid_step_frames):
        total += windows.mean(axis=2).sum(axis=1), windows.std(axis=2).sum(axis=1)
        n_windows += windows.shape[1]
    return (total / n_windows).ravel().astype(np.float32)


def _mid_term_windows(
    features: NDArray[np.float64], length: int, step: int
) -> Iterator[NDArray[np.float64]]:
    """Yield every mid-term window, in arrays (n_features, n_windows, length).

    As in pyAudioAnalysis' `mid_feature_extraction` a window starts at every step, and those that
    pass the end are shortened.
    """
    n_frames = features.shape[1]
    n_whole = max(0, (n_frames - length) // step + 1)
    if n_whole:
        whole = sliding_window_view(features, length, axis=1)[:, ::step]
        block = max(1, MID_TERM_BLOCK_FRAMES // length)
        for first in range(0, n_whole, block):
            yield whole[:, first : first + block]
    for start in range(n_whole * step, n_frames, step):
        yield features[:, None, start : start + length]

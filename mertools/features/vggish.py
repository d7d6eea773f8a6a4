"""VGGish's embedding over time: 128 numbers for each 0.96 s, from weights that a user brings.

The front end is that of the authors' `vggish_input.py` and `mel_features.py` (TensorFlow models,
research/audioset), whose names the constants have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.htk_mel import htk_mel_filters
from mertools.features.params import check_least
from mertools.features.resampling import samples_at
from mertools.pretrained.vggish import (
    N_BANDS,
    N_VALUES,
    NETWORK,
    PATCH_FRAMES,
    PCA_MEANS,
    PCA_VECTORS,
)
from mertools.runtime.devices import CPU

SAMPLE_RATE = 16000
WINDOW = 400
HOP_LENGTH = 160
N_FFT = 512
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01

PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP_LENGTH + WINDOW
"""Samples that the first patch needs: 15,600, or 0.975 s."""

PCA_LIMIT = 2.0
PCA_STEPS = 255

COLUMN_NAMES = tuple(f"vggish_{number}" for number in range(1, N_VALUES + 1))


@dataclass(frozen=True, slots=True)
class VggishParams:
    """How patches are cut: from sound at `sample_rate` in Hz, resampled to 16 kHz.

    `n_frames` is the number of patches to keep at most, of 0.96 s each; 0 keeps all. With `pca`
    "yes", they are transformed, clipped and quantised to 0 .. 255 as AudioSet's embeddings are.
    `weights` begins the digest of the weights' file. Raises UsageError for values that have no
    meaning.
    """

    sample_rate: int = SAMPLE_RATE
    n_frames: int = 0
    pca: str = "no"
    weights: str = ""

    def __post_init__(self) -> None:
        check_least("vggish", self, sample_rate=1, n_frames=0)
        if self.pca not in ("yes", "no"):
            raise UsageError("vggish.pca", f"{self.pca!r} is no switch", "give yes or no")

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that fills a patch."""
        return math.ceil(PATCH_SAMPLES * self.sample_rate / SAMPLE_RATE)


def feature(excerpt: Excerpt, params: VggishParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the embedding of each patch of an excerpt: (n_patches, 128).

    Raises UsageError where there are no weights or others than `params` names.
    """
    patches = cut_patches(samples_at(excerpt.y, params.sample_rate, SAMPLE_RATE))
    embedding = NETWORK.run(patches[: params.n_frames or None], params.weights, device)
    if params.pca == "no":
        return embedding
    weights = NETWORK.weights(params.weights)
    if PCA_VECTORS not in weights:
        raise UsageError(
            "vggish.pca", "needs weights that this file lacks", "import them, too, or leave it out"
        )
    return quantise(embedding, weights[PCA_VECTORS], weights[PCA_MEANS])


def quantise(
    embedding: NDArray[np.float32], vectors: NDArray[np.float32], means: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Transform (n, 128) by a principal component analysis and quantise to whole numbers to 255."""
    limited = ((embedding - means) @ vectors.T).clip(-PCA_LIMIT, PCA_LIMIT)
    # Truncated, as TensorFlow does; the port to torch rounds.
    return np.floor((limited + PCA_LIMIT) * (PCA_STEPS / (2 * PCA_LIMIT))).astype(np.float32)


def cut_patches(y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cut the logarithmic mel spectrogram of samples at 16 kHz into patches: (n, 96, 64).

    Frames at the end that fill no patch are left out; a signal that fills none is filled up with
    silence.
    """
    if len(y) < PATCH_SAMPLES:
        y = np.pad(y, (0, PATCH_SAMPLES - len(y)))
    S = log_mel_spectrogram(y)
    n_patches = len(S) // PATCH_FRAMES
    patches = S[: n_patches * PATCH_FRAMES].reshape(n_patches, PATCH_FRAMES, N_BANDS)
    return patches.astype(np.float32)


def log_mel_spectrogram(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ln(S + 0.01) of the mel bands of magnitudes: (1 + (n_samples - 400) // 160, 64).

    Frames are not centred and nothing is padded.
    """
    frames = sliding_window_view(y, WINDOW)[::HOP_LENGTH]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitude = np.abs(np.fft.rfft(frames * window, N_FFT))
    logarithm: NDArray[np.float64] = np.log(magnitude @ mel_filters() + LOG_OFFSET)
    return logarithm


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """Give the bands' filters, (257, 64)."""
    return htk_mel_filters(SAMPLE_RATE, N_FFT, N_BANDS, LOWEST_HZ, HIGHEST_HZ)

"""OpenL3's embedding of music, pooled over a segment, from weights that a user brings.

The front end is that of the authors' `core.py` with librosa ("mel256"): windows of a second, the
first centred on the first sample, each in decibels of mel bands of magnitudes below its loudest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.mel import MelParams, mel_spectrogram_db
from mertools.features.params import check_least
from mertools.features.resampling import FULL_SCALE, samples_at
from mertools.pretrained.openl3 import N_BANDS, N_VALUES, NETWORK
from mertools.runtime.devices import CPU

SAMPLE_RATE = 48000
WINDOW = SAMPLE_RATE
FRONT_END = MelParams(
    sample_rate=SAMPLE_RATE,
    n_fft=2048,
    hop_length=242,
    n_mels=N_BANDS,
    top_db=80.0,
    n_frames=0,
    power=1,
)
BATCH_SIZE = 8

POOLS = ("mean", "meanstd", "flatten", "first")


@dataclass(frozen=True, slots=True)
class Openl3Params:
    """How a segment is embedded: from sound at `sample_rate` in Hz, resampled to 48 kHz.

    A window begins every `hop_s` seconds. `pool`: the mean over windows, "meanstd", with their
    standard deviation beside, "flatten", `n_windows` of them one after the other (more are left
    out, missing ones are zeros), or "first", the first window. `weights` begins the digest of the
    weights' file. Raises UsageError for values that have no meaning.
    """

    sample_rate: int = SAMPLE_RATE
    hop_s: float = 0.1
    pool: str = "mean"
    n_windows: int = 298
    weights: str = ""

    def __post_init__(self) -> None:
        check_least("openl3", self, sample_rate=1, n_windows=1)
        if not (math.isfinite(self.hop_s) and self.hop_length >= 1):
            raise UsageError("openl3.hop_s", f"{self.hop_s} is no hop", "give seconds, such as 0.1")
        if self.pool not in POOLS:
            raise UsageError(
                "openl3.pool", f"{self.pool!r} is no pooling", f"choose from {', '.join(POOLS)}"
            )

    @property
    def hop_length(self) -> int:
        """Samples at 48 kHz from one window to the next."""
        return int(self.hop_s * SAMPLE_RATE)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values."""
        values = range(1, N_VALUES + 1)
        if self.pool == "flatten":
            return tuple(
                f"openl3_{window}_{k}" for window in range(1, self.n_windows + 1) for k in values
            )
        names = tuple(f"openl3_{k}" for k in values)
        if self.pool == "meanstd":
            return tuple(f"{name}_{part}" for part in ("mean", "std") for name in names)
        return names


def feature(excerpt: Excerpt, params: Openl3Params, device: str = CPU) -> NDArray[np.float32]:
    """Give the pooled embedding of an excerpt: (512,), (1024,) or (n_windows * 512,).

    Raises UsageError where there are no weights or others than `params` names.
    """
    y = samples_at(excerpt.y, params.sample_rate, SAMPLE_RATE) * FULL_SCALE
    windows = cut_windows(y.astype(np.float32), params.hop_length)
    if params.pool == "first":
        windows = windows[:1]
    return pool_windows(run_network(windows, params.weights, device), params)


def pool_windows(embedding: NDArray[np.float32], params: Openl3Params) -> NDArray[np.float32]:
    """Pool the embeddings of windows, (n, 512), as `params.pool` says."""
    first: NDArray[np.float32] = embedding[0]
    if params.pool == "first":
        return first
    if params.pool == "flatten":
        flat = np.zeros((params.n_windows, N_VALUES), np.float32)
        kept = embedding[: params.n_windows]
        flat[: len(kept)] = kept
        return flat.reshape(-1)
    mean: NDArray[np.float32] = embedding.mean(axis=0)
    return mean if params.pool == "mean" else np.concatenate([mean, embedding.std(axis=0)])


def cut_windows(y: NDArray[np.float32], hop_length: int) -> NDArray[np.float32]:
    """Cut windows of a second, (n, 48000), from samples at 48 kHz, half a second of zeros before.

    As many as it takes for every sample to be in one; the last is filled up with zeros.
    """
    n_samples = len(y) + WINDOW // 2
    n = 1 + max(0, math.ceil((n_samples - WINDOW) / hop_length))
    after = (n - 1) * hop_length + WINDOW - n_samples
    padded = np.pad(y, (WINDOW // 2, after))
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop_length]


def run_network(
    windows: NDArray[np.float32], digest: str, device: str = CPU
) -> NDArray[np.float32]:
    """Embed windows of sound, (n, 48000), to (n, 512), with the weights of a digest.

    Raises UsageError where there are no such weights.
    """
    parts = []
    for begin in range(0, len(windows), BATCH_SIZE):
        some = windows[begin : begin + BATCH_SIZE]
        S = np.stack([mel_spectrogram_db(y, FRONT_END) for y in some])
        parts.append(NETWORK.run(S, digest, device))
    return np.concatenate(parts)

"""Statistics over a segment of the layers of MusiCNN, a network that was trained to tag music.

The reference is musicnn 0.1.0, `extractor.py` with the model `MSD_musicnn`. Its front end, in
float16, overflows on loud music, and is float32 here; and it repeats the first patch's penultimate
layer for all, where each patch has its own here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.mel import mel_spectrogram
from mertools.features.params import check_least
from mertools.pretrained.musicnn import LIVE_CHANNELS, N_BANDS, PATCH_FRAMES, WEIGHTS
from mertools.pretrained.weight_files import load_weights
from mertools.runtime.devices import CPU

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from mertools.pretrained.musicnn_torch import Musicnn

SAMPLE_RATE = 16000
N_FFT = 512
HOP_LENGTH = 256
COMPRESSION = 10_000

TAGS = (
    "rock",
    "pop",
    "alternative",
    "indie",
    "electronic",
    "female vocalists",
    "dance",
    "00s",
    "alternative rock",
    "jazz",
    "beautiful",
    "metal",
    "chillout",
    "male vocalists",
    "classic rock",
    "soul",
    "indie rock",
    "Mellow",
    "electronica",
    "80s",
    "folk",
    "90s",
    "chill",
    "instrumental",
    "punk",
    "oldies",
    "blues",
    "hard rock",
    "ambient",
    "acoustic",
    "experimental",
    "female vocalist",
    "guitar",
    "Hip-Hop",
    "70s",
    "party",
    "country",
    "easy listening",
    "sexy",
    "catchy",
    "funk",
    "electro",
    "heavy metal",
    "Progressive rock",
    "60s",
    "rnb",
    "indie pop",
    "sad",
    "House",
    "happy",
)

LAYERS = {
    "tags": TAGS,
    "mean_pool": tuple(str(channel + 1) for channel in LIVE_CHANNELS),
    "max_pool": tuple(str(channel + 1) for channel in LIVE_CHANNELS),
    "penultimate": tuple(map(str, range(1, 201))),
}
"""The layers in order, with the names of their values: pools have one a live channel."""

STATISTICS = {
    "tags": ("mean", "std"),
    "mean_pool": ("mean",),
    "max_pool": ("max",),
    "penultimate": ("mean", "std"),
}
"""What describes each layer's values over the patches of a segment."""

COLUMN_NAMES = tuple(
    f"{layer}_{name}_{statistic}"
    for layer, statistics in STATISTICS.items()
    for statistic in statistics
    for name in LAYERS[layer]
)

CHANGING = ("mean_pool", "max_pool")
"""The layers that the kind `musicnn-change` describes."""

CHANGE_COLUMN_NAMES = tuple(
    f"{layer}_{name}_log_std" for layer in CHANGING for name in LAYERS[layer]
)

LEAST_CHANGE = 0.01
"""Added before the logarithm, without which a steady sound would be near to any music."""

PATCHES_AT_ONCE = 64
"""On a GPU. On a CPU patches run one by one, so that none changes another's bytes."""


Sound = NDArray[np.int16] | NDArray[np.float32]
Layers = tuple[NDArray[np.float32], ...]
"""Each of `LAYERS`, (n_patches, n)."""


@dataclass(frozen=True, slots=True)
class MusicnnParams:
    """How patches are cut: from sound at `sample_rate` in Hz, resampled to 16 kHz.

    A patch begins every `hop_frames` frames, of which 62.5 are a second. Raises UsageError for
    values that have no meaning.
    """

    sample_rate: int = SAMPLE_RATE
    hop_frames: int = PATCH_FRAMES

    def __post_init__(self) -> None:
        check_least("musicnn", self, sample_rate=1, hop_frames=1)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that fills a patch: 2.98 s."""
        return math.ceil((PATCH_FRAMES - 1) * HOP_LENGTH * self.sample_rate / SAMPLE_RATE)


def feature(excerpt: Excerpt, params: MusicnnParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the statistics of the layers over the patches of an excerpt: (924,)."""
    return _summarise(_run_once(excerpt, params, device))


def window_feature(excerpt: Excerpt, params: MusicnnParams) -> NDArray[np.float32]:
    """Give the statistics over the patches of a window of a track: (924,).

    Patches begin whole tenths of a second apart (3 s for 2.992 s), so that windows that overlap
    have some in common, and hear what is around them. A window shorter than a patch is a segment.
    """
    return _summarise(_run_on_window(excerpt, params))


def change(excerpt: Excerpt, params: MusicnnParams, device: str = CPU) -> NDArray[np.float32]:
    """Give the logarithms of how far the pools of an excerpt's patches deviate: (424,)."""
    return _changes(_run_once(excerpt, params, device))


def window_change(excerpt: Excerpt, params: MusicnnParams) -> NDArray[np.float32]:
    """Give the same of the patches of a window of a track, those of `window_feature`: (424,)."""
    return _changes(_run_on_window(excerpt, params))


def _run_once(excerpt: Excerpt, params: MusicnnParams, device: str) -> Layers:
    key = (run_network, device, params)
    return excerpt.once(key, lambda: run_network(cut_patches(excerpt.y, params), device))


def _run_on_window(excerpt: Excerpt, params: MusicnnParams) -> Layers:
    n_beyond_a_patch = len(excerpt.y) - params.least_samples
    if n_beyond_a_patch < 0:
        return _run_once(excerpt, params, CPU)
    spacing_s = max(1, round(10 * params.hop_frames * HOP_LENGTH / SAMPLE_RATE)) / 10
    n_patches = 1 + int(n_beyond_a_patch / (spacing_s * params.sample_rate))
    starts = [
        round((excerpt.start_s + index * spacing_s) * SAMPLE_RATE) for index in range(n_patches)
    ]
    whole = excerpt.whole
    y = whole.once((_resampled, params), lambda: _resampled(whole.y, params))
    outputs = whole.recent(
        (run_network, params), starts, lambda start: run_network(_cut_patch(y, start)[None])
    )
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True))


def _summarise(layers: Layers) -> NDArray[np.float32]:
    return np.concatenate(
        [
            getattr(values, statistic)(axis=0)
            for layer, values in zip(LAYERS, layers, strict=True)
            for statistic in STATISTICS[layer]
        ]
    )


def _changes(layers: Layers) -> NDArray[np.float32]:
    named = dict(zip(LAYERS, layers, strict=True))
    deviations = np.concatenate([named[layer].std(axis=0) for layer in CHANGING])
    logarithms: NDArray[np.float32] = np.log(deviations + np.float32(LEAST_CHANGE))
    return logarithms


def cut_patches(y: NDArray[np.int16], params: MusicnnParams) -> NDArray[np.float32]:
    """Cut the logarithmic mel spectrogram of a mono signal: (n_patches, 187, 96).

    Frames at the end that fill no patch are left out. The frames of a signal that has fewer than a
    patch are repeated, as they were in the network's training.
    """
    S = _log_mel_spectrogram(_resampled(y, params))
    if len(S) < PATCH_FRAMES:
        S = np.take(S, np.arange(PATCH_FRAMES), axis=0, mode="wrap")
    return sliding_window_view(S, PATCH_FRAMES, axis=0)[:: params.hop_frames].transpose(0, 2, 1)


def _cut_patch(y: Sound, start: int) -> NDArray[np.float32]:
    """Cut the patch that begins at a sample of sound at 16 kHz, with silence around: (187, 96)."""
    first, end = start - HOP_LENGTH, start + PATCH_FRAMES * HOP_LENGTH
    heard = y[max(0, first) : end]
    around, before = np.zeros(end - first, np.float32), max(0, -first)
    around[before : before + len(heard)] = heard
    return _log_mel_spectrogram(around)[1:-1]  # the outer frames lack half of their sound


def _log_mel_spectrogram(y: Sound) -> NDArray[np.float32]:
    S = mel_spectrogram(y, SAMPLE_RATE, N_FFT, HOP_LENGTH, N_BANDS).T
    return np.log10(COMPRESSION * S + 1)


def _resampled(y: NDArray[np.int16], params: MusicnnParams) -> Sound:
    if params.sample_rate == SAMPLE_RATE:
        return y
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(
        y.astype(np.float32), params.sample_rate, SAMPLE_RATE
    )
    return resampled


def run_network(patches: NDArray[np.float32], device: str = CPU) -> Layers:
    """Run the network on patches, (n_patches, 187, 96).

    onnxruntime runs it on a CPU, where it is the faster one and starts sooner, torch elsewhere.
    Raises UsageError where the weights are missing.
    """
    if device == CPU:
        session = _load_session()
        outputs = [session.run(list(LAYERS), {"patches": patch[None]}) for patch in patches]
    else:
        outputs = list(_run_on(device, patches))
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True))


def _run_on(device: str, patches: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    import torch

    network = _load_module(device)
    # TensorFloat-32, which torch lets cuDNN use, is too coarse to agree with the reference.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for first in range(0, len(patches), PATCHES_AT_ONCE):
            batch = torch.from_numpy(patches[first : first + PATCHES_AT_ONCE].copy())
            yield [part.cpu().numpy() for part in network(batch.to(device))]


@cache
def _load_session() -> InferenceSession:
    from mertools.pretrained.musicnn_onnx import build_model
    from mertools.pretrained.onnx_session import start_session

    return start_session(build_model(load_weights(WEIGHTS)))


@cache
def _load_module(device: str) -> Musicnn:
    from mertools.pretrained.musicnn_torch import Musicnn

    return Musicnn(load_weights(WEIGHTS)).to(device)

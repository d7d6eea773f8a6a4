"""Posteriors of notes, onsets and pitch contours over time, by the network of Basic Pitch.

The reference is basic-pitch 0.4.0, `inference.run_inference` with its ONNX model: the same windows,
overlapping by 30 frames, put together in the same way.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mertools.artifacts.files import digest_file
from mertools.devices import CPU
from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.onnx_weights import read_weights

if TYPE_CHECKING:
    from mertools.features.basic_pitch import BasicPitch

SAMPLE_RATE = 22050
FULL_SCALE = 2.0**15  # of 16-bit PCM
HOP_SAMPLES = 256
N_NOTES = 88  # A0 to C8
N_CONTOUR_BINS = 264  # three a semitone
LOWEST_PITCH = 21  # A0 in MIDI
NOTE_COLUMNS = tuple(f"pitch_{LOWEST_PITCH + row}" for row in range(N_NOTES))
CONTOUR_COLUMNS = tuple(f"bin_{row + 1}" for row in range(N_CONTOUR_BINS))

WINDOW_SAMPLES = 2 * SAMPLE_RATE - HOP_SAMPLES
OVERLAP_FRAMES = 30
OVERLAP_SAMPLES = OVERLAP_FRAMES * HOP_SAMPLES
WINDOW_HOP_SAMPLES = WINDOW_SAMPLES - OVERLAP_SAMPLES
WINDOW_HOP_FRAMES = 142
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES

FRAMES_IN_10_S = 858
"""Frames of a segment's features, in proportion to its length; the network gives a few more."""

WINDOWS_AT_ONCE = {CPU: 2}
"""On a CPU few enough to stay in its cache. The number decides the last bits of results."""
WINDOWS_AT_ONCE_ELSEWHERE = 64

MODEL_FILE = "saved_models/icassp_2022/nmp.onnx"
MODEL_DIGEST = "d7f5f53349ff3ef7737a69cc02efe76f"
PACKAGE = "basic-pitch==0.4.0"

SEGMENT, TRACK = "segment", "track"


@dataclass(frozen=True, slots=True)
class TranscriptionParams:
    """How segments are transcribed; `sample_rate` is that of the sound in Hz.

    `context` is "segment": each by itself, or "track": all of a track at once, then cut. Raises
    UsageError for values that have no meaning.
    """

    sample_rate: int = SAMPLE_RATE
    context: str = SEGMENT

    def __post_init__(self) -> None:
        if self.sample_rate < 1:
            raise UsageError(
                "transcription.sample_rate", f"{self.sample_rate} is too small", "give 1 or more"
            )
        if self.context not in (SEGMENT, TRACK):
            raise UsageError(
                "transcription.context",
                f"{self.context!r} is no context",
                f"choose from {SEGMENT}, {TRACK}",
            )

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that has a frame."""
        return math.ceil(10 * self.sample_rate / FRAMES_IN_10_S)

    def n_frames(self, n_samples: int) -> int:
        """Count the frames of the features of a segment: 858 for 10 s."""
        return max(1, n_samples * FRAMES_IN_10_S // (10 * self.sample_rate))


@dataclass(frozen=True, slots=True)
class Posteriorgrams:
    """Posteriors a frame, float32 in [0, 1].

    note: whether each of 88 notes sounds, (n_frames, 88); onset: whether it begins, the same;
    contour: whether there is a pitch, a third of a semitone a bin, (n_frames, 264).
    """

    note: NDArray[np.float32]
    onset: NDArray[np.float32]
    contour: NDArray[np.float32]

    def frames(self, first: int, end: int) -> Posteriorgrams:
        """Give a stretch of frames."""
        return Posteriorgrams(self.note[first:end], self.onset[first:end], self.contour[first:end])


def transcribe(y: NDArray[np.float32], device: str = CPU) -> Posteriorgrams:
    """Transcribe sound as `basic_pitch.inference.run_inference` does.

    `y` is mono sound at 22,050 Hz in [-1, 1), of any length. Like the reference it leaves out the
    last 7 of 1,000 frames; there is none for less than 257 samples.

    Raises UsageError where the basic-pitch package, whose model this is, is not installed.
    """
    return _transcribe_whole(y, device).frames(0, reference_frames(len(y)))


def reference_frames(n_samples: int) -> int:
    """Count the frames that the reference gives for sound at 22,050 Hz."""
    return math.floor(n_samples * (FRAMES_PER_SECOND / SAMPLE_RATE))


def find_context(excerpt: Excerpt, params: TranscriptionParams) -> Excerpt:
    """Find what of the track is transcribed at once: the excerpt or all that it is from."""
    return excerpt if params.context == SEGMENT else excerpt.whole


def transcribe_once(sound: Excerpt, params: TranscriptionParams, device: str) -> Posteriorgrams:
    """Transcribe sound for all that is made from it, to the end of the network's last window."""
    return sound.once(
        (transcribe, params, device),
        lambda: _transcribe_whole(_resampled(sound.y, params.sample_rate), device),
    )


def feature(
    name: str, device: str, excerpt: Excerpt, params: TranscriptionParams
) -> NDArray[np.float16]:
    """Give the `name`d posteriorgram of an excerpt: (n_frames, n_bins).

    The frames are as many as `params` says, cropped or filled up with zeros.
    """
    n_frames = params.n_frames(len(excerpt.y))
    first = 0 if params.context == SEGMENT else _frame_at(excerpt.start_s)
    made = transcribe_once(find_context(excerpt, params), params, device)
    values: NDArray[np.float32] = getattr(made.frames(first, first + n_frames), name)
    missing = n_frames - len(values)
    return np.pad(values, ((0, missing), (0, 0))).astype(np.float16)


def _resampled(y: NDArray[np.int16], sample_rate: int) -> NDArray[np.float32]:
    scaled = y.astype(np.float32) / np.float32(FULL_SCALE)
    if sample_rate == SAMPLE_RATE:
        return scaled
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(scaled, sample_rate, SAMPLE_RATE)
    return resampled


def _transcribe_whole(y: NDArray[np.float32], device: str) -> Posteriorgrams:
    """Transcribe sound, and the silence after it to the end of the last window."""
    made = zip(*_run_network(y, device), strict=True)
    return Posteriorgrams(*(_unwrapped(windows) for windows in made))


def _unwrapped(windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Put windows together, (n_windows, 172, n_bins) each, without the half of each overlap."""
    cut = slice(OVERLAP_FRAMES // 2, -OVERLAP_FRAMES // 2)
    return np.concatenate([part[:, cut].reshape(-1, part.shape[2]) for part in windows])


def _run_network(y: NDArray[np.float32], device: str) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """Yield note, onset and contour of some windows after the other: (n_windows, 172, n_bins)."""
    import torch

    network = _load_network(device)
    # Two at least, as torch computes a single one otherwise, further from the reference.
    n_windows = max(2, -(-(len(y) + OVERLAP_SAMPLES // 2) // WINDOW_HOP_SAMPLES))
    n_padded = (n_windows - 1) * WINDOW_HOP_SAMPLES + WINDOW_SAMPLES
    padded = np.zeros(n_padded, np.float32)
    padded[OVERLAP_SAMPLES // 2 :][: len(y)] = y
    windows = sliding_window_view(padded, WINDOW_SAMPLES)[::WINDOW_HOP_SAMPLES]
    at_once = WINDOWS_AT_ONCE.get(device, WINDOWS_AT_ONCE_ELSEWHERE)
    # TensorFloat-32, which torch lets cuDNN use, is too coarse to agree with the reference.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for batch in np.array_split(windows, max(1, n_windows // at_once)):
            made = network(torch.from_numpy(batch.copy()).to(device))
            yield tuple(part.cpu().numpy() for part in made)


@cache
def _load_network(device: str) -> BasicPitch:
    from mertools.features.basic_pitch import BasicPitch

    content = find_model().read_bytes()
    weights = {name.rsplit(";")[-1]: values for name, values in read_weights(content).items()}
    return BasicPitch(weights).to(device)


def find_model() -> Path:
    """Find the model in the installed basic-pitch package, without importing that.

    Raises UsageError where it is not there or not the one that this program knows.
    """
    spec = importlib.util.find_spec("basic_pitch")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / MODEL_FILE if folders else None
    remedy = f"pip install --no-deps {PACKAGE}"
    if path is None or not path.is_file():
        raise UsageError("basic-pitch", "is not installed, and its model is needed", remedy)
    if digest_file(path) != MODEL_DIGEST:
        raise UsageError(path, f"is not the model of {PACKAGE}", remedy)
    return path


def _frame_at(time_s: float) -> int:
    """Find the frame of a whole track's posteriorgram at a time.

    Windows follow each other by less than their frames' hops, so frames are not quite even.
    """
    window, sample = divmod(round(time_s * SAMPLE_RATE), WINDOW_HOP_SAMPLES)
    return window * WINDOW_HOP_FRAMES + round(sample / HOP_SAMPLES)

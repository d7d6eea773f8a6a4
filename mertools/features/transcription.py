"""Posteriors of notes, onsets and pitch contours over time, by the network of Basic Pitch.

The reference is basic-pitch 0.4.0, `inference.run_inference` with its ONNX model: the same windows,
overlapping by 30 frames, put together in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mertools.errors import UsageError
from mertools.features.excerpt import Excerpt
from mertools.features.params import check_least
from mertools.pretrained.basic_pitch import (
    HOP_SAMPLES,
    N_CONTOUR_BINS,
    N_NOTES,
    WEIGHTS,
    WINDOW_SAMPLES,
)
from mertools.pretrained.weight_files import load_weights
from mertools.runtime.devices import CPU

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from mertools.pretrained.basic_pitch_torch import BasicPitch

SAMPLE_RATE = 22050
FULL_SCALE = 2.0**15  # of 16-bit PCM
OUTPUTS = ("note", "onset", "contour")
LOWEST_PITCH = 21  # A0 in MIDI
NOTE_COLUMNS = tuple(f"pitch_{LOWEST_PITCH + row}" for row in range(N_NOTES))
CONTOUR_COLUMNS = tuple(f"bin_{row + 1}" for row in range(N_CONTOUR_BINS))

OVERLAP_FRAMES = 30
OVERLAP_SAMPLES = OVERLAP_FRAMES * HOP_SAMPLES
WINDOW_HOP_SAMPLES = WINDOW_SAMPLES - OVERLAP_SAMPLES
WINDOW_HOP_FRAMES = 142
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES

FRAMES_IN_10_S = 858
"""Frames of a segment's features, in proportion to its length; the network gives a few more."""

WINDOWS_AT_ONCE = 64
"""On an accelerator. On a CPU windows run one by one, so that none changes another's bytes."""

SEGMENT, TRACK = "segment", "track"

Sound = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TranscriptionParams:
    """How segments are transcribed; `sample_rate` is that of the sound in Hz.

    `context` is "segment": each by itself, or "track": all of a track at once, then cut. Raises
    UsageError for values that have no meaning.
    """

    sample_rate: int = SAMPLE_RATE
    context: str = SEGMENT

    def __post_init__(self) -> None:
        check_least("transcription", self, sample_rate=1)
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

    Raises UsageError where the weights are missing.
    """
    return _transcribe_whole(y, device).frames(0, reference_frames(len(y)))


def reference_frames(n_samples: int) -> int:
    """Count the frames that the reference gives for sound at 22,050 Hz."""
    return math.floor(n_samples * (FRAMES_PER_SECOND / SAMPLE_RATE))


def find_context(excerpt: Excerpt, params: TranscriptionParams) -> Excerpt:
    """Choose what is transcribed at once: the excerpt, or the whole track that it is from."""
    return excerpt if params.context == SEGMENT else excerpt.whole


def transcribe_once(sound: Excerpt, params: TranscriptionParams, device: str) -> Posteriorgrams:
    """Transcribe sound once for all kinds, to the end of the network's last window."""
    return sound.once(
        (transcribe, params, device),
        lambda: _transcribe_whole(_scaled(_resampled(sound.y, params.sample_rate)), device),
    )


def feature(
    name: str, excerpt: Excerpt, params: TranscriptionParams, device: str = CPU
) -> NDArray[np.float16]:
    """Give the `name`d posteriorgram of an excerpt: (n_frames, n_bins).

    The frames are as many as `params` says, cropped or filled up with zeros.
    """
    n_frames = params.n_frames(len(excerpt.y))
    first = 0 if params.context == SEGMENT else _frame_at(excerpt.start_s)
    outputs = transcribe_once(find_context(excerpt, params), params, device)
    return _filled_up(getattr(outputs.frames(first, first + n_frames), name), n_frames)


def window_feature(name: str, excerpt: Excerpt, params: TranscriptionParams) -> NDArray[np.float16]:
    """Give the `name`d posteriorgram of a window of a track as `feature` cuts it from the track's.

    But only the network's windows that it draws on are computed.
    """
    n_frames, first = params.n_frames(len(excerpt.y)), _frame_at(excerpt.start_s)
    whole = excerpt.whole
    y = whole.once((_resampled, params), lambda: _resampled(whole.y, params.sample_rate))
    numbers = range(
        first // WINDOW_HOP_FRAMES,
        min(_count_windows(y), -(-(first + n_frames) // WINDOW_HOP_FRAMES)),
    )
    outputs = whole.recent((_run_on_cpu, params), numbers, lambda n: _transcribe_window(y, n))
    values = np.concatenate([getattr(output, name) for output in outputs])
    first -= numbers[0] * WINDOW_HOP_FRAMES
    return _filled_up(values[first : first + n_frames], n_frames)


def _filled_up(values: NDArray[np.float32], n_frames: int) -> NDArray[np.float16]:
    return np.pad(values, ((0, n_frames - len(values)), (0, 0))).astype(np.float16)


def _resampled(y: NDArray[np.int16], sample_rate: int) -> Sound:
    if sample_rate == SAMPLE_RATE:
        return y
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(y.astype(np.float32), sample_rate, SAMPLE_RATE)
    return resampled


def _scaled(y: Sound) -> NDArray[np.float32]:
    return y.astype(np.float32) / np.float32(FULL_SCALE)


def _transcribe_whole(y: NDArray[np.float32], device: str) -> Posteriorgrams:
    """Transcribe sound, and the silence after it to the end of the last window.

    onnxruntime runs the network on a CPU, where it is the faster one and starts sooner, torch
    elsewhere.
    """
    n_frames = _count_windows(y) * WINDOW_HOP_FRAMES
    # Filled in place: of hours of music these are gigabytes, and no other copy is wanted.
    posteriors = [
        np.empty((n_frames, n_bins), np.float32) for n_bins in (N_NOTES, N_NOTES, N_CONTOUR_BINS)
    ]
    windows, first = _cut_windows(y), 0
    for outputs in _run_on_cpu(windows) if device == CPU else _run_on(device, windows):
        end = first + len(outputs[0])
        for whole, output in zip(posteriors, outputs, strict=True):
            whole[first:end] = output
        first = end
    return Posteriorgrams(*posteriors)


def _transcribe_window(y: Sound, number: int) -> Posteriorgrams:
    """Transcribe one of the windows of sound in 16 bit: its frames as `_transcribe_whole`'s."""
    (outputs,) = _run_on_cpu([_scaled(_cut_window(y, number))])
    return Posteriorgrams(*outputs)


def _count_windows(y: Sound) -> int:
    return -(-(len(y) + OVERLAP_SAMPLES // 2) // WINDOW_HOP_SAMPLES)


def _cut_windows(y: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Cut sound, with silence around it, into windows that overlap: (43844,) each."""
    for number in range(_count_windows(y)):
        yield _cut_window(y, number)


def _cut_window(y: Sound, number: int) -> NDArray[np.float32]:
    first = number * WINDOW_HOP_SAMPLES - OVERLAP_SAMPLES // 2
    heard = y[max(0, first) : first + WINDOW_SAMPLES]
    window, before = np.zeros(WINDOW_SAMPLES, np.float32), max(0, -first)
    window[before : before + len(heard)] = heard
    return window


def _run_on_cpu(windows: Iterable[NDArray[np.float32]]) -> Iterator[list[NDArray[np.float32]]]:
    """Yield note, onset and contour of one window after the other, as `_inner_frames` has them."""
    session = _load_session()
    for window in windows:
        yield _inner_frames(session.run(OUTPUTS, {"sound": window[None]}))


def _run_on(
    device: str, windows: Iterator[NDArray[np.float32]]
) -> Iterator[list[NDArray[np.float32]]]:
    """Yield note, onset and contour of some windows after the other, as `_run_on_cpu` does."""
    import torch

    network = _load_module(device)
    # TensorFloat-32, which torch lets cuDNN use, is too coarse to agree with the reference.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        while batch := list(islice(windows, WINDOWS_AT_ONCE)):
            outputs = network(torch.from_numpy(np.stack(batch)).to(device))
            yield _inner_frames([output.cpu().numpy() for output in outputs])


def _inner_frames(outputs: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Leave out the half of each overlap: from (n_windows, 172, n_bins) to (n_frames, n_bins)."""
    inner = slice(OVERLAP_FRAMES // 2, -OVERLAP_FRAMES // 2)
    return [output[:, inner].reshape(-1, output.shape[2]) for output in outputs]


@cache
def _load_session() -> InferenceSession:
    from mertools.pretrained.basic_pitch_onnx import build_model
    from mertools.pretrained.onnx_session import start_session

    return start_session(build_model(load_weights(WEIGHTS)))


@cache
def _load_module(device: str) -> BasicPitch:
    from mertools.pretrained.basic_pitch_torch import BasicPitch

    return BasicPitch(load_weights(WEIGHTS)).to(device)


def _frame_at(time_s: float) -> int:
    """Find the frame of a whole track's posteriorgram at a time.

    Windows follow each other by less than their frames' hops, so frames are not quite even.
    """
    window, sample = divmod(round(time_s * SAMPLE_RATE), WINDOW_HOP_SAMPLES)
    return window * WINDOW_HOP_FRAMES + round(sample / HOP_SAMPLES)

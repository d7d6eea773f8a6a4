"""Key and mode of a segment, by a small network of our own on the notes that transcription finds.

Its layers are convolutions around the circle of pitch classes (as those of E. Kong and others,
"S-KEY: self-supervised learning of major and minor keys from audio", ICASSP 2025, end in), so that
music a semitone higher gives the same keys a semitone higher, exactly. `examples/key` trains it on
music whose key is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.transcription import (
    FRAMES_PER_SECOND,
    LOWEST_PITCH,
    TranscriptionParams,
)
from mertools.features.transcription import (
    feature as posteriorgram,
)
from mertools.features.transcription import (
    window_feature as window_posteriorgram,
)
from mertools.pretrained.basic_pitch import N_NOTES
from mertools.runtime.devices import CPU

if TYPE_CHECKING:
    from mertools.pretrained.weight_files import Weights

Floats = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("key.safetensors")

OCTAVE = 12
STEP_FRAMES = FRAMES_PER_SECOND // 2
"""Posteriors are averaged over steps of half a second."""
CONTEXT_STEPS = 3
"""The first layer looks at a step and its neighbours."""
VIEWS = ("all", "bass", "top", "onset")
MODES = ("major", "minor")
LEAST_SHARE = 1e-3
"""Of notes that sound; a segment with less has no key."""

COLUMN_NAMES = (
    *(f"{mode}_{interval}" for mode in MODES for interval in range(OCTAVE)),
    "minor_logit",
    "clarity",
)


def feature(
    excerpt: Excerpt, params: TranscriptionParams, device: str = CPU
) -> NDArray[np.float32]:
    """Estimate the key of an excerpt: (26,), as `describe_key` has it."""
    note, onset = (posteriorgram(name, excerpt, params, device) for name in ("note", "onset"))
    return describe_key(note, onset)


def window_feature(excerpt: Excerpt, params: TranscriptionParams) -> NDArray[np.float32]:
    """Estimate the key of a window of a track, transcribed as that is at once: (26,)."""
    note, onset = (window_posteriorgram(name, excerpt, params) for name in ("note", "onset"))
    return describe_key(note, onset)


def describe_key(note: NDArray[np.float16], onset: NDArray[np.float16]) -> NDArray[np.float32]:
    """Estimate the key from posteriorgrams of notes and onsets, both (n_frames, 88): (26,).

    The posteriors of the keys, major then minor, by their interval in semitones above the likeliest
    tonic; the logit of minor, summed over tonics; and the clarity, from 0, where all keys are as
    likely, to 1, where one is certain. Without notes all keys are as likely.
    """
    frames = fold_pitches(note, onset)
    if not frames.any():
        return np.array([*[1 / (2 * OCTAVE)] * (2 * OCTAVE), 0.0, 0.0], np.float32)
    logits = key_logits(frames, _load_weights()).astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    tonic = int(p.sum(axis=0).argmax())
    # Of logits and not of posteriors, which rounding may make 0.
    major, minor = np.logaddexp.reduce(logits, axis=1)
    entropy = -(p * np.log(np.maximum(p, np.finfo(float).tiny))).sum()
    clarity = 1 - entropy / np.log(p.size)
    return np.array([*np.roll(p, -tonic, axis=1).ravel(), minor - major, clarity], np.float32)


def fold_pitches(note: NDArray[np.float16], onset: NDArray[np.float16]) -> Floats:
    """Fold posteriorgrams, (n_frames, 88), to pitch classes over time: (n_steps, 4, 12).

    The views are all notes, the lowest and the highest one (the posterior that a note sounds and
    none below or above it), and onsets, each in steps of half a second. They are relative to the
    mean of what sounds, so that how sure the transcription is leaves no trace; zero where nothing
    sounds.
    """
    note, onset = note.astype(np.float32), onset.astype(np.float32)
    silent = np.cumprod(1 - note, axis=1)
    silent_above = np.cumprod(1 - note[:, ::-1], axis=1)[:, ::-1]
    bass, top = note.copy(), note.copy()
    bass[:, 1:] *= silent[:, :-1]
    top[:, :-1] *= silent_above[:, 1:]
    views = np.stack([note, bass, top, onset], axis=1)
    n_steps = max(1, len(note) // STEP_FRAMES)
    steps = np.stack([part.mean(axis=0) for part in np.array_split(views, n_steps)])
    by_octave = np.zeros((n_steps, len(VIEWS), -(-N_NOTES // OCTAVE) * OCTAVE), np.float32)
    by_octave[:, :, :N_NOTES] = steps
    folded = by_octave.reshape(n_steps, len(VIEWS), -1, OCTAVE).sum(axis=2)
    folded = np.roll(folded, LOWEST_PITCH % OCTAVE, axis=2)
    sums = folded.sum(axis=2).mean(axis=0)
    if sums[0] < LEAST_SHARE:
        return np.zeros_like(folded)
    relative: Floats = folded / np.maximum(sums, LEAST_SHARE)[:, None]
    return relative


def key_logits(frames: Floats, weights: Mapping[str, Floats]) -> Floats:
    """Run the network on pitch classes over time, (n_steps, 4, 12): logits of keys, (2, 12)."""
    x = np.sqrt(frames)
    beside = np.pad(x, ((CONTEXT_STEPS // 2, CONTEXT_STEPS // 2), (0, 0), (0, 0)))
    x = np.concatenate([beside[n : n + len(x)] for n in range(CONTEXT_STEPS)], axis=1)
    for layer in ("chord", "harmony"):
        x = np.maximum(_around_circle(x, weights, layer), 0)
    # The mean over time, and what is there most clearly at some time.
    x = np.concatenate([x.mean(axis=0), x.max(axis=0)])[None]
    x = np.maximum(_around_circle(x, weights, "phrase"), 0)
    logits: Floats = _around_circle(x, weights, "key")[0]
    return logits


def _around_circle(x: Floats, weights: Mapping[str, Floats], layer: str) -> Floats:
    """Convolve around the circle of pitch classes: (n, n_in, 12) to (n, n_out, 12)."""
    weight = weights[f"{layer}_weight"]
    n_out, n_in, _ = weight.shape
    steps = (np.arange(OCTAVE)[:, None] - np.arange(OCTAVE)) % OCTAVE
    # (n_out, n_in, from, to): what is heard at an interval above each pitch class.
    matrix = weight[:, :, steps].transpose(1, 2, 0, 3).reshape(n_in * OCTAVE, n_out * OCTAVE)
    y = (x.reshape(len(x), -1) @ matrix).reshape(len(x), n_out, OCTAVE)
    return y + weights[f"{layer}_bias"][:, None]


@cache
def _load_weights() -> Weights:
    from safetensors.numpy import load_file

    return load_file(WEIGHTS)

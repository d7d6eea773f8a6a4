"""Harmony, register and density of a segment, from the notes that transcription finds.

Key and mode are those of C. L. Krumhansl and E. J. Kessler, "Tracing the dynamic changes in
perceived tonal organization", Psychological Review 89(4), 1982; the consonance of interval classes
that of D. Huron, "Interval-class content in equally tempered pitch-class sets", Music Perception
11(3), 1994; the Fourier transform of pitch classes that of I. Quinn, "General equal-tempered
harmony", Perspectives of New Music 44(2), 2006.
"""

from __future__ import annotations

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

Floats = NDArray[np.float64]

KINDS = ("note", "onset")
"""The posteriorgrams that are described."""

NOTE_THRESHOLD, ONSET_THRESHOLD = 0.3, 0.5
"""From which posterior on a note sounds, or begins: the defaults of basic-pitch."""
SURE_THRESHOLD = 0.5
"""From which posterior on a note counts for the melody."""

OCTAVE = 12
PITCH_CLASSES = (np.arange(N_NOTES) + LOWEST_PITCH) % OCTAVE
LOW_END, HIGH_START = 49, 73  # C sharp 3 and C sharp 5 in MIDI
LEAST_ACTIVITY = 1e-4
CHANGE_S = 0.5
"""Harmony is compared over this time."""

MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""How well each pitch class above the tonic fits a key, as listeners said."""
KEYS = np.array([[np.roll(scale, tonic) for tonic in range(OCTAVE)] for scale in (MAJOR, MINOR)])
# Centred here once, so that products with a centred profile are correlations but for the norms.
KEYS -= KEYS.mean(axis=2, keepdims=True)

CONSONANCE = np.array([-1.428, -0.582, 0.594, 0.386, 1.240, -0.453])
"""Of the interval classes from 1, minor second or major seventh, to 6, tritone."""

TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8)}

COLUMN_NAMES = (
    "key_major",
    "key_minor",
    "key_mode",
    "key_clarity",
    "key_third",
    *(f"chroma_fourier_{n}" for n in range(1, 7)),
    *(f"interval_class_{n}" for n in range(1, 7)),
    "consonance",
    *(f"triad_{name}" for name in TRIADS),
    "triad_mode",
    "harmonic_change",
    "register_mean",
    "register_std",
    "register_low",
    "register_high",
    "melody_mean",
    "melody_step",
    "polyphony_mean",
    "polyphony_std",
    "note_activity",
    "onset_rate",
    "onset_activity",
    "sustain",
)


def feature(
    excerpt: Excerpt, params: TranscriptionParams, device: str = CPU
) -> NDArray[np.float32]:
    """Describe the notes of an excerpt: (36,), all zero where there are none."""
    note, onset = (posteriorgram(name, excerpt, params, device) for name in KINDS)
    return describe_notes(note.astype(np.float64), onset.astype(np.float64))


def window_feature(excerpt: Excerpt, params: TranscriptionParams) -> NDArray[np.float32]:
    """Describe the notes of a window of a track, transcribed as that is at once: (36,)."""
    note, onset = (window_posteriorgram(name, excerpt, params) for name in KINDS)
    return describe_notes(note.astype(np.float64), onset.astype(np.float64))


def describe_notes(note: Floats, onset: Floats) -> NDArray[np.float32]:
    """Describe posteriorgrams of notes and onsets, both (n_frames, 88): (36,)."""
    sounding = np.where(note > NOTE_THRESHOLD, note, 0.0)
    if not sounding.any():
        return np.zeros(len(COLUMN_NAMES), np.float32)
    chroma = np.zeros((len(note), OCTAVE))
    for pitch_class in range(OCTAVE):
        chroma[:, pitch_class] = sounding[:, pitch_class == PITCH_CLASSES].sum(axis=1)
    values = (
        *_key(chroma.sum(axis=0) / chroma.sum()),
        *_intervals(chroma),
        *_triads(chroma),
        _harmonic_change(chroma),
        *_register(note, sounding),
        *_density(note, onset),
    )
    return np.array(values, np.float32)


def _key(profile: Floats) -> list[float]:
    """Correlate how often pitch classes sound, (12,), with all keys; and transform that."""
    centred = profile - profile.mean()
    norms = np.linalg.norm(KEYS, axis=2) * np.linalg.norm(centred)
    correlations = np.divide(KEYS @ centred, norms, out=np.zeros((2, OCTAVE)), where=norms > 0)
    major, minor = correlations.max(axis=1)
    tonic = int(correlations.max(axis=0).argmax())
    # The third above the likeliest tonic is what distinguishes major from minor.
    third = profile[(tonic + 4) % OCTAVE] - profile[(tonic + 3) % OCTAVE]
    fourier = np.abs(np.fft.rfft(profile))[1:]
    return [major, minor, major - minor, max(major, minor), third, *fourier]


def _intervals(chroma: Floats) -> list[float]:
    """Measure the share of each interval class among notes at once, and their consonance."""
    shares = np.array(
        [np.minimum(chroma, np.roll(chroma, n, axis=1)).sum() for n in range(1, OCTAVE // 2 + 1)]
    )
    shares[-1] /= 2  # the tritone's two notes are each other's
    if shares.any():
        shares /= shares.sum()
    return [*shares, float(shares @ CONSONANCE)]


def _triads(chroma: Floats) -> list[float]:
    """Measure how much of what sounds is in triads of each kind, and how major these are."""
    sums = {
        name: np.minimum.reduce([np.roll(chroma, -step, axis=1) for step in steps]).sum()
        for name, steps in TRIADS.items()
    }
    both = sums["major"] + sums["minor"]
    mode = (sums["major"] - sums["minor"]) / both if both > 0 else 0.0
    return [*(total / chroma.sum() for total in sums.values()), mode]


def _harmonic_change(chroma: Floats) -> float:
    """Measure how far pitch classes move from one half second to the next: 0 to the root of 2."""
    size = round(CHANGE_S * FRAMES_PER_SECOND)
    n_steps = len(chroma) // size
    if n_steps < 2:
        return 0.0
    steps = chroma[: n_steps * size].reshape(n_steps, size, OCTAVE).mean(axis=1)
    norms = np.linalg.norm(steps, axis=1, keepdims=True)
    units = np.divide(steps, norms, out=np.zeros_like(steps), where=norms > 0)
    return float(np.linalg.norm(np.diff(units, axis=0), axis=1).mean())


def _register(note: Floats, sounding: Floats) -> list[float]:
    """Describe where notes lie, in MIDI pitch, and how the highest moves, in semitones."""
    pitches = np.arange(LOWEST_PITCH, LOWEST_PITCH + N_NOTES)
    weights = sounding.sum(axis=0) / sounding.sum()
    mean = float(weights @ pitches)
    spread = float(np.sqrt(weights @ (pitches - mean) ** 2))
    sure = note > SURE_THRESHOLD
    # On reversed rows argmax finds the highest note that sounds.
    top = pitches[-1] - sure[sure.any(axis=1), ::-1].argmax(axis=1)
    moves = np.abs(np.diff(top))
    step = float(np.minimum(moves[moves > 0], 2 * OCTAVE).mean()) if moves.any() else 0.0
    melody = float(top.mean()) if len(top) else mean
    return [
        mean,
        spread,
        float(weights[pitches < LOW_END].sum()),
        float(weights[pitches >= HIGH_START].sum()),
        melody,
        step,
    ]


def _density(note: Floats, onset: Floats) -> list[float]:
    """Measure how many notes sound, how many begin a second, and how long they are held."""
    n_sounding = (note > NOTE_THRESHOLD).sum(axis=1)
    begins = onset > ONSET_THRESHOLD
    n_begun = (begins[1:] & ~begins[:-1]).sum()
    activity, onset_activity = float(note.mean()), float(onset.mean())
    return [
        float(n_sounding.mean()),
        float(n_sounding.std()),
        activity,
        float(n_begun) * FRAMES_PER_SECOND / len(onset),
        onset_activity,
        activity / (onset_activity + LEAST_ACTIVITY),
    ]

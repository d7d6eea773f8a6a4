"""Statistics of a segment's transcribed notes: texture, density, durations and register.

They stand in for the note-based features of R. Panda, R. Malheiro and R. P. Paiva, "Novel audio
features for music emotion recognition", IEEE Transactions on Affective Computing 11(4), 2020
(section 3.2: texture layers are the notes that sound at the same time; register and durations),
whose extractors are not public. Here the notes are those that Basic Pitch transcribes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.notes import NoteEvent, decode_notes, notes_in
from mertools.features.transcription import Posteriorgrams, TranscriptionParams
from mertools.features.transcription import window_feature as window_posteriorgram
from mertools.runtime.devices import CPU

MOST_LAYERS = 3
"""From so many notes at once on, a texture counts as one of many layers."""

LOW_END, HIGH_START = 49, 73  # C sharp 3 and C sharp 5 in MIDI, as in the kind `tonal`

COLUMN_NAMES = (
    "simultaneous_mean",
    "simultaneous_std",
    "simultaneous_max",
    *(f"layers_{n}" for n in range(MOST_LAYERS)),
    f"layers_{MOST_LAYERS}_or_more",
    "layer_transitions",
    "note_rate",
    "duration_mean",
    "duration_std",
    "duration_median",
    "duration_max",
    "register_mean",
    "register_std",
    "register_low",
    "register_high",
    "register_range",
)


def feature(
    excerpt: Excerpt, params: TranscriptionParams, device: str = CPU
) -> NDArray[np.float32]:
    """Describe the notes of an excerpt: (18,).

    With `context` "track" these are the notes that begin in it.
    """
    length_s = len(excerpt.y) / params.sample_rate
    notes = notes_in(excerpt, excerpt.start_s + length_s, params, device)
    return describe_notes(notes, excerpt.start_s, length_s)


def window_feature(excerpt: Excerpt, params: TranscriptionParams) -> NDArray[np.float32]:
    """Describe the notes of a window of a track, decoded from its stretch of the track's: (18,)."""
    stretch = Posteriorgrams(
        *(
            window_posteriorgram(name, excerpt, params).astype(np.float32)
            for name in ("note", "onset", "contour")
        )
    )
    notes = [note.shifted(excerpt.start_s) for note in decode_notes(stretch)]
    return describe_notes(notes, excerpt.start_s, len(excerpt.y) / params.sample_rate)


def describe_notes(
    notes: Sequence[NoteEvent], start_s: float, length_s: float
) -> NDArray[np.float32]:
    """Describe notes of a stretch of `length_s` seconds that begins at `start_s`: (18,).

    Rates are per second, durations in seconds, registers in MIDI pitch. Shares of layers are of
    time and add up to 1. Without notes all but the share of silence is 0.
    """
    values = [*_texture(notes, start_s, length_s), len(notes) / length_s]
    if not notes:
        return np.array([*values, *[0.0] * (len(COLUMN_NAMES) - len(values))], np.float32)
    durations = np.array([note.end_s - note.start_s for note in notes])
    pitches = np.array([note.pitch_midi for note in notes])
    values += [durations.mean(), durations.std(), np.median(durations), durations.max()]
    # Long notes are heard for longer: the register is weighed by how long its notes sound.
    weights = durations / durations.sum()
    mean = float(weights @ pitches)
    values += [
        mean,
        float(np.sqrt(weights @ (pitches - mean) ** 2)),
        float(weights[pitches < LOW_END].sum()),
        float(weights[pitches >= HIGH_START].sum()),
        float(np.ptp(pitches)),
    ]
    return np.array(values, np.float32)


def _texture(notes: Sequence[NoteEvent], start_s: float, length_s: float) -> list[float]:
    """Tell how many notes sound at once, for what share of time, and how often that changes."""
    end_s = start_s + length_s
    begins = np.clip([note.start_s for note in notes], start_s, end_s)
    ends = np.clip([note.end_s for note in notes], start_s, end_s)
    times, places = np.unique([start_s, end_s, *begins, *ends], return_inverse=True)
    changes = np.zeros(len(times), np.int64)
    np.add.at(changes, places[2 : 2 + len(notes)], 1)
    np.add.at(changes, places[2 + len(notes) :], -1)
    # Between two times that follow each other, the number of sounding notes stays the same.
    sounding = np.cumsum(changes)[:-1]
    shares = np.diff(times) / length_s
    mean = float(shares @ sounding)
    layers = np.minimum(sounding, MOST_LAYERS)
    return [
        mean,
        float(np.sqrt(shares @ (sounding - mean) ** 2)),
        float(sounding.max()),
        *(float(shares[layers == n].sum()) for n in range(MOST_LAYERS + 1)),
        float(np.count_nonzero(np.diff(layers))) / length_s,
    ]

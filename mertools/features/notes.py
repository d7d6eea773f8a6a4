"""Note events from posteriorgrams, as basic-pitch decodes them.

The reference is basic-pitch 0.4.0, `note_creation.model_output_to_notes`, with the thresholds that
its `predict` has by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.transcription import (
    LOWEST_PITCH,
    SAMPLE_RATE,
    SEGMENT,
    Posteriorgrams,
    TranscriptionParams,
    find_context,
    reference_frames,
    transcribe_once,
)
from mertools.pretrained.basic_pitch import (
    HOP_SAMPLES,
    N_CONTOUR_BINS,
    N_NOTES,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
)

BENDS_PER_SEMITONE = 3

ONSET_THRESHOLD = 0.5
FRAME_THRESHOLD = 0.3
MIN_NOTE_FRAMES = 11  # 127.7 ms; a note is longer than that
QUIET_FRAMES = 11  # that end a note
PITCHES_AT_ONCE = 11
QUIET = b"\1" * QUIET_FRAMES

BEND_RANGE = 25  # bins of the contour on either side of a note
BEND_DEVIATION = 5.0  # of the Gaussian that weighs them

WINDOW_SHIFT_S = (HOP_SAMPLES * WINDOW_FRAMES - WINDOW_SAMPLES) / SAMPLE_RATE + 0.0018
"""By how much the reference's frames come early, a window after the other."""


@dataclass(frozen=True, slots=True)
class NoteEvent:
    """A note: when it starts and ends in seconds, its MIDI pitch and its amplitude in [0, 1].

    `bends` are its deviations from that pitch, evenly over its length, in thirds of a semitone.
    """

    start_s: float
    end_s: float
    pitch_midi: int
    amplitude: float
    bends: tuple[int, ...]

    @property
    def velocity(self) -> int:
        """MIDI velocity."""
        return round(127 * self.amplitude)

    def shifted(self, seconds: float) -> NoteEvent:
        """Give the same note so much later."""
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds)


def notes_in(
    excerpt: Excerpt, end_s: float, params: TranscriptionParams, device: str
) -> tuple[NoteEvent, ...]:
    """Decode the notes of an excerpt, their times from the start of its track.

    Those of an excerpt transcribed by itself are all its own; of a whole track's, those that start
    in the excerpt, before `end_s`.
    """
    sound = find_context(excerpt, params)
    n_samples = round(len(sound.y) * SAMPLE_RATE / params.sample_rate)
    posteriorgrams = transcribe_once(sound, params, device).frames(0, reference_frames(n_samples))
    notes = sound.once((decode_notes, params, device), lambda: decode_notes(posteriorgrams))
    if params.context == SEGMENT:
        return tuple(note.shifted(excerpt.start_s) for note in notes)
    return tuple(note for note in notes if excerpt.start_s <= note.start_s < end_s)


def decode_notes(posteriorgrams: Posteriorgrams) -> list[NoteEvent]:
    """Decode note events, sorted by start, end and pitch."""
    note, contour = posteriorgrams.note, posteriorgrams.contour
    if not len(note):
        return []
    times_s = _frame_times(len(note))
    events = [
        NoteEvent(
            float(times_s[start]),
            float(times_s[end]),
            LOWEST_PITCH + row,
            float(np.mean(note[start:end, row])),
            _bends(contour, start, end, row),
        )
        for start, end, row in _find_notes(note, posteriorgrams.onset)
    ]
    return sorted(events, key=lambda event: (event.start_s, event.end_s, event.pitch_midi))


def _find_notes(
    note: NDArray[np.float32], onset: NDArray[np.float32]
) -> list[tuple[int, int, int]]:
    """Find notes: first frame, frame after the last, and row (pitch)."""
    spans = _Spans(note)
    found: list[tuple[int, int, int]] = []
    frames, rows = np.nonzero(_is_onset(onset, note))
    # From the last onset back, as in the reference: a note silences the frames that it takes.
    for start, row in zip(frames[::-1].tolist(), rows[::-1].tolist(), strict=True):
        end = spans.end_of_note(start, row)
        if end - start > MIN_NOTE_FRAMES:
            spans.silence(start, end, row)
            found.append((start, end, row))
    # What is left and loud, the loudest first, are notes whose onset was missed.
    loud = (note > np.float64(FRAME_THRESHOLD)) & spans.sounding()
    frames, rows = np.nonzero(loud)
    order = np.argsort(-note[frames, rows], kind="stable")
    for middle, row in zip(frames[order].tolist(), rows[order].tolist(), strict=True):
        if not spans.sounds(middle, row):
            continue
        start, end = spans.silence_around(middle, row)
        if end - start > MIN_NOTE_FRAMES:
            found.append((start, end, row))
    return found


def _is_onset(onset: NDArray[np.float32], note: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find peaks of the onsets, or of the notes' rise over two frames where that is greater."""
    is_peak = np.zeros(note.shape, bool)
    # Some pitches at a time: what is computed of hours of music would be gigabytes.
    slices = [
        np.s_[:, first : first + PITCHES_AT_ONCE] for first in range(0, N_NOTES, PITCHES_AT_ONCE)
    ]
    steepest = max(_rise(note[pitches]).max() for pitches in slices)
    if steepest == 0:
        # The reference divides by it: nothing but NaN is left, and no onset.
        return is_peak
    for pitches in slices:
        strength = np.maximum(onset[pitches], onset.max() * _rise(note[pitches]) / steepest)
        middle = strength[1:-1]
        is_peak[pitches][1:-1] = (middle > strength[:-2]) & (middle > strength[2:])
        is_peak[pitches] &= strength >= ONSET_THRESHOLD
    return is_peak


def _rise(note: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure by how much each frame is above both of the two before it, at least 0."""
    rise = np.zeros(note.shape)
    now = note[2:].astype(np.float64)
    rise[2:] = np.minimum(now - note[1:-1], now - note[:-2])
    return np.maximum(rise, 0, out=rise)


class _Spans:
    """Where notes still sound: for each row a byte a frame, 1 where it is quiet.

    Searching bytes for a run of quiet ones is much faster than a loop over frames.
    """

    def __init__(self, note: NDArray[np.float32]) -> None:
        self._n_frames = len(note)
        quiet = (note < np.float64(FRAME_THRESHOLD)).T.astype(np.uint8)
        self._quiet = [bytearray(row.tobytes()) for row in quiet]

    def sounds(self, frame: int, row: int) -> bool:
        """Check whether a note sounds in a frame."""
        return not self._quiet[row][frame]

    def sounding(self) -> NDArray[np.bool_]:
        """Return where notes sound: (n_frames, n_rows)."""
        quiet = np.array([np.frombuffer(row, np.uint8) for row in self._quiet])
        sounding: NDArray[np.bool_] = quiet.T == 0
        return sounding

    def end_of_note(self, start: int, row: int) -> int:
        """Find the frame after the last of a note."""
        return self._end(start, row)[0]

    def silence(self, start: int, end: int, row: int) -> None:
        """Make some frames quiet, in this row and its neighbours."""
        for near in range(max(0, row - 1), min(N_NOTES, row + 2)):
            self._quiet[near][start:end] = b"\1" * (end - start)

    def silence_around(self, middle: int, row: int) -> tuple[int, int]:
        """Find the note around a frame, and make quiet all that was searched.

        Returns its first frame and its last, as the reference takes that for its end.
        """
        self._quiet[row][middle] = 1
        end, searched_to = self._end(middle, row)
        self.silence(middle + 1, searched_to, row)
        start, searched_from = self._start(middle, row)
        self.silence(searched_from, middle, row)
        return start, end - 1

    def _end(self, start: int, row: int) -> tuple[int, int]:
        """Give the frame after the last of a note, and the frame that the search ended before."""
        first, last = start + 1, self._n_frames - 1
        quiet = self._quiet[row]
        run = quiet.find(QUIET, first, last)
        if run >= 0:
            return run, run + QUIET_FRAMES
        searched_to = max(first, last)
        n_quiet = searched_to - first - len(quiet[first:searched_to].rstrip(b"\1"))
        return searched_to - n_quiet, searched_to

    def _start(self, end: int, row: int) -> tuple[int, int]:
        """Give the first frame of the note that goes on to `end`, and the first searched."""
        quiet = self._quiet[row]
        run = quiet.rfind(QUIET, 1, end)
        if run >= 0:
            return run + QUIET_FRAMES, run
        searched = quiet[1:end]
        return min(1, end) + len(searched) - len(searched.lstrip(b"\1")), min(1, end)


def _bends(contour: NDArray[np.float32], start: int, end: int, row: int) -> tuple[int, ...]:
    """Find a note's pitch in each frame: the bin where the contour, weighted, is greatest."""
    centre = BENDS_PER_SEMITONE * row
    first = max(0, centre - BEND_RANGE)
    bins = np.arange(first, min(N_CONTOUR_BINS, centre + BEND_RANGE + 1))
    weights = np.exp(-((bins - centre) ** 2) / (2 * BEND_DEVIATION**2))
    greatest = np.argmax(contour[start:end, bins[0] : bins[-1] + 1] * weights, axis=1)
    return tuple((greatest + first - centre).tolist())


def _frame_times(n_frames: int) -> NDArray[np.float64]:
    """Give the times of frames in seconds: (n_frames,)."""
    frames = np.arange(n_frames)
    times_s: NDArray[np.float64] = frames * HOP_SAMPLES / SAMPLE_RATE - WINDOW_SHIFT_S * (
        frames // WINDOW_FRAMES
    )
    return times_s

"""The basic-pitch package itself, run on samples: what our transcription is compared with."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mertools.features.notes import NoteEvent
from mertools.features.transcription import SAMPLE_RATE, Posteriorgrams
from tools.basic_pitch_weights import MODEL_FILE, PACKAGE

# The package complains of every runtime that is not installed.
logging.disable(logging.WARNING)
try:
    from basic_pitch import inference, note_creation
finally:
    logging.disable(logging.NOTSET)

MODEL = inference.Model(Path(inference.__file__).parent / PACKAGE.folder / MODEL_FILE)


def transcribe_with_package(y: NDArray[np.float32], folder: Path) -> Posteriorgrams:
    """`run_inference` on samples at 22,050 Hz, which a float file hands over unchanged."""
    path = folder / "reference.wav"
    soundfile.write(path, y, SAMPLE_RATE, "FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # librosa's readers, as it loads them
        made = inference.run_inference(path, MODEL)
    return Posteriorgrams(made["note"], made["onset"], made["contour"])


def decode_with_package(made: Posteriorgrams) -> tuple[list[NoteEvent], bytes]:
    """Notes in order, and the MIDI file, as `basic_pitch.inference.predict` makes them."""
    output = {name: getattr(made, name).copy() for name in ("note", "onset", "contour")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it divides by 0 where nothing rises
        midi, events = note_creation.model_output_to_notes(output, 0.5, 0.3, min_note_len=11)
    written = io.BytesIO()
    midi.write(written)
    notes = [
        NoteEvent(float(start), float(end), int(pitch), float(amplitude), tuple(map(int, bends)))
        for start, end, pitch, amplitude, bends in sorted(events, key=lambda event: event[:3])
    ]
    return notes, written.getvalue()

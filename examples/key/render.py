"""Play notes of a known key and transcribe them: `render.py notes.csv --clips 1800 -o clips.npz`.

Each clip is an excerpt of a work, or a made progression of chords, in some key, tempo and timbre,
with an accompaniment where it is a tune, and with drums, noise or distortion at times. What is
stored is what the network hears: pitch classes over time (`mertools.features.key.fold_pitches`).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.features.key import fold_pitches
from mertools.features.transcription import SAMPLE_RATE, transcribe

CLIP_S = 10.0
N_HARMONICS = 14
TABLE = 2048
MODES = ("major", "minor")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = {
    "major": ("1564", "1645", "1625", "1451", "1415", "4511", "1365", "2511", "1464", "1545"),
    "minor": ("1637", "1673", "1451", "1675", "1461", "6711", "1765", "1417", "2511", "1676"),
}
"""Degrees of chords, a bar each; in minor the fifth is major half of the times. No progression is
in both with another tonic, as 6415 of major is 1637 of minor."""
HELD_OUT = 5
"""Every fifth work is held out."""
SEED = 0

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A work in a key; notes: onset and duration in quarter notes, MIDI pitch, (n_notes, 3)."""

    work: str
    source: str
    tonic: int
    mode: str
    notes: NDArray[np.float64]


def read_pieces(path: Path) -> list[Piece]:
    """Read the table of `notes.py`."""
    rows = defaultdict(list)
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            key = (row["work"], row["source"], int(row["tonic"]), row["mode"])
            rows[key].append([float(row[name]) for name in ("onset", "duration", "pitch")])
    return [Piece(*key, np.array(notes)) for key, notes in rows.items()]


def triad(degree: int, mode: str, chance: np.random.Generator) -> list[int]:
    """Give the semitones above the tonic of the triad on a degree, from 1."""
    scale = SCALES[mode]
    tones = [scale[(degree - 1 + step) % 7] for step in (0, 2, 4)]
    if mode == "minor" and degree == 5 and chance.random() < 0.5:
        tones[1] = 11  # the leading note
    return tones


def accompany(bars: Sequence[Sequence[int]], beats: float, tonic: int, chance: np.random.Generator):
    """Play triads, a bar of `beats` quarter notes each: blocks, broken chords, or a bass alone."""
    style = chance.choice(["block", "broken", "bass", "power"])
    root, played = 36 + tonic, []
    for number, tones in enumerate(bars):
        start = number * beats
        played.append((start, beats, root + tones[0]))
        chord = [root + 12 + tone for tone in tones]
        if style == "block":
            played += [(start, beats, pitch) for pitch in chord]
        elif style == "broken":
            order = [chord[n % 3] for n in (0, 2, 1, 2)]
            played += [(start + beats * n / 4, beats / 4, pitch) for n, pitch in enumerate(order)]
        elif style == "power":
            played += [(start, beats, root + 12 + tones[n]) for n in (0, 2)]
    return played


def make_song(chance: np.random.Generator, mode: str) -> Piece:
    """Make a progression of four chords, twice, with a melody over it."""
    degrees = chance.choice(PROGRESSIONS[mode])
    bars = [triad(int(degree), mode, chance) for degree in degrees * 2]
    tonic, played = int(chance.integers(12)), []
    for number, tones in enumerate(bars):
        # Chords' notes on the beats, and notes of the scale between them.
        for beat in range(4):
            if chance.random() < 0.8:
                choice = tones if beat % 2 == 0 else SCALES[mode]
                pitch = 60 + tonic + int(chance.choice(choice))
                played.append((4 * number + beat, float(chance.choice([0.5, 1, 2])), pitch))
    if chance.random() < 0.2:
        played = []
    notes = np.array([*played, *accompany(bars, 4, tonic, chance)], float)
    return Piece("", "songs", tonic, mode, notes)


def harmonise(piece: Piece, chance: np.random.Generator) -> Piece:
    """Set chords of the key under a tune, two quarter notes each, that fit its notes best."""
    notes, bars = piece.notes, []
    for start in np.arange(0, notes[:, 0].max() + 1, 2.0):
        inside = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + 2)]
        weights = np.bincount(inside[:, 2].astype(int) % 12, inside[:, 1], 12)
        fits = []
        for degree in (1, 4, 5, 6, 2, 3, 7) if piece.mode == "minor" else (1, 4, 5, 6, 2, 3):
            tones = triad(degree, piece.mode, chance)
            fit = weights[(np.array(tones) + piece.tonic) % 12].sum() + 0.3 * (degree in (1, 4, 5))
            fits.append((fit, tones))
        bars.append(max(fits, key=lambda fit: fit[0])[1])
    under = accompany(bars, 2, piece.tonic, chance)
    return Piece(piece.work, piece.source, piece.tonic, piece.mode, np.array([*notes, *under]))


def play(notes: NDArray[np.float64], chance: np.random.Generator) -> Floats:
    """Play notes, their times in seconds, for ten seconds."""
    n = int(CLIP_S * SAMPLE_RATE)
    y = np.zeros(n + SAMPLE_RATE, np.float32)
    numbers = np.arange(1, N_HARMONICS + 1)
    slope, odd = chance.uniform(0.7, 2.2), chance.choice([1.0, 0.3])
    levels = numbers**-slope * np.where(numbers % 2 == 0, odd, 1.0) * chance.uniform(0.3, 1, 14)
    phases = 2 * np.pi * np.arange(TABLE) / TABLE
    waves = np.cumsum(levels[:, None] * np.sin(numbers[:, None] * phases), axis=0)
    decay = float(np.exp(chance.uniform(np.log(0.2), np.log(4))))
    plucked, attack = chance.random() < 0.65, chance.uniform(0.003, 0.05)
    vibrato = chance.uniform(0, 0.004) * (not plucked)
    tuning = chance.uniform(-0.2, 0.2)
    for onset, duration, pitch in notes:
        hz = 440 * 2 ** ((pitch - 69 + tuning) / 12)
        first = int(onset * SAMPLE_RATE)
        length = min(len(y) - first, int((duration + 0.15) * SAMPLE_RATE))
        if first < 0 or length <= 0:
            continue
        t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        wave = waves[max(1, min(N_HARMONICS, int(SAMPLE_RATE / 2.2 / hz))) - 1]
        phase = hz * t + hz * vibrato / 35 * np.sin(35 * t)
        sound = wave[(phase * TABLE).astype(np.int64) % TABLE]
        envelope = np.minimum(1, t / attack) * np.minimum(1, (duration + 0.15 - t) / 0.1)
        if plucked:
            envelope = envelope * np.exp(-t / decay)
        y[first : first + length] += chance.uniform(0.4, 1) * envelope.clip(0) * sound
    y = y[:n] / max(1e-6, np.abs(y).max())
    if chance.random() < 0.25:
        y = np.tanh(chance.uniform(2, 8) * y)
    if chance.random() < 0.4:
        _drum(y, chance)
    y += chance.uniform(0, 0.02) * chance.standard_normal(n).astype(np.float32)
    return (chance.uniform(0.05, 0.9) * y / np.abs(y).max()).astype(np.float32)


def _drum(y: Floats, chance: np.random.Generator) -> None:
    length = SAMPLE_RATE // 6
    t = np.arange(length) / SAMPLE_RATE
    noise = chance.standard_normal(length) * np.exp(-t * 30)
    kick = np.sin(2 * np.pi * 55 * t) * np.exp(-t * 15)
    level, every = chance.uniform(0.1, 0.6), int(chance.uniform(0.2, 0.5) * SAMPLE_RATE)
    for number, first in enumerate(range(0, len(y) - length, every)):
        y[first : first + length] += level * (kick if number % 2 == 0 else noise)


def make_clip(pieces: Mapping[str, Sequence[Piece]], number: int):
    """Make a clip by its number: (frames, tonic, mode, work, source)."""
    chance = np.random.default_rng([SEED, number])
    mode = MODES[number % 2]
    source = chance.choice(["chorales", "tunes", "songs", "harmonised"], p=[0.3, 0.1, 0.35, 0.25])
    if source == "songs":
        piece = make_song(chance, mode)
        work = f"song-{number}"
    else:
        name = "chorales" if source == "chorales" else "tunes"
        of_mode = [piece for piece in pieces[name] if piece.mode == mode]
        piece = of_mode[chance.integers(len(of_mode))]
        work = piece.work
        if source == "harmonised":
            piece = harmonise(piece, chance)
    semitones, notes = int(chance.integers(-6, 6)), piece.notes.copy()
    pace = chance.uniform(0.3, 0.75)  # seconds a quarter note
    last = max(0.0, notes[:, 0].max() - 0.8 * CLIP_S / pace)
    notes[:, 0] -= chance.choice([0.0, last, chance.uniform(0, last + 1e-9)])
    notes[:, :2] *= pace
    notes[:, 2] += semitones + (12 * int(chance.integers(-1, 2)) if source == "tunes" else 0)
    heard = transcribe(play(notes, chance))
    frames = fold_pitches(heard.note.astype(np.float16), heard.onset.astype(np.float16))
    return frames, (piece.tonic + semitones) % 12, MODES.index(mode), work, str(source)


def main() -> None:
    """Make the clips that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--clips", type=int, default=1800)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-o", dest="out", type=Path, required=True)
    options = parser.parse_args()
    pieces = defaultdict(list)
    for piece in read_pieces(options.notes):
        pieces[piece.source].append(piece)
    with Pool(options.jobs) as pool:
        made = pool.map(partial(make_clip, pieces), range(options.clips), chunksize=10)
    frames, tonics, modes, works, sources = zip(*made, strict=True)
    ordered = {work: number for number, work in enumerate(sorted(set(works)))}
    held_out = [ordered[work] % HELD_OUT == 0 for work in works]
    arrays = {"tonic": tonics, "mode": modes, "source": sources, "held_out": held_out}
    np.savez(options.out, frames=np.stack(frames).astype(np.float16), **arrays)


if __name__ == "__main__":
    main()

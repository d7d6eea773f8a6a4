"""Make the example clips and their ratings: short synthesised pieces, rated by simulated listeners.

Nobody played these pieces and nobody listened to them. They exist so that the examples and tests
have something to run on that may be passed on; no figure computed from them says anything about
music. Usage: `make_clips.py [FOLDER]` writes FOLDER/clips/* and FOLDER/annotations.csv.

A piece is melody, chords, bass and drums over four chords. Its energy sets tempo, loudness, timbre
and drums, which now and then contradict each other; its mood sets mode and register. The listeners
hear only those, as cues of the sign that A. Gabrielsson and E. Lindström ("The role of structure
in the musical expression of emotions", in Handbook of Music and Emotion, 2010) report for arousal
and valence. Each listener has weights and a bias of their own, and rates with noise.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Signal = NDArray[np.float64]

SAMPLE_RATE = 22050  # half of it in the containers that do not compress well
N_PIECES = 24
N_ANNOTATORS = 7
SEED = 3
MIDDLE_C_HZ = 261.6256
HIGHEST_HZ = 5500.0  # harmonics stop here, below half the lower sampling rate
MAX_HARMONICS = 30
FADE_S = 0.25
CONTAINERS = ("ogg", "mp3", "flac", "ogg", "mp3", "ogg", "mp3", "wav", "ogg", "mp3")


@dataclass(frozen=True)
class Timbre:
    """Harmonic k has amplitude k**-rolloff; notes swell for attack_s and halve in half_life_s."""

    name: str
    rolloff: float
    attack_s: float
    half_life_s: float
    odd_only: bool = False
    vibrato: float = 0.0  # depth, as a share of the frequency

    @property
    def brightness(self) -> float:
        """From 0, dull, to 1, shrill."""
        return (3.0 - self.rolloff) / 2.2


# Softest first: two for each level of energy.
TIMBRES = (
    Timbre("flute", 3.0, 0.08, 2.0, vibrato=0.004),
    Timbre("strings", 2.3, 0.15, 3.0, vibrato=0.003),
    Timbre("harp", 1.9, 0.005, 0.25),
    Timbre("clarinet", 1.6, 0.03, 1.5, odd_only=True),
    Timbre("harpsichord", 1.1, 0.003, 0.2),
    Timbre("synthesiser", 0.8, 0.01, 1.0),
)

# Scale degrees in semitones, and chord roots as steps of the scale; darkest first.
MODES = (
    ("minor", (0, 2, 3, 5, 7, 8, 10), ((0, 5, 2, 6), (0, 3, 4, 0), (0, 3, 5, 4))),
    ("dorian", (0, 2, 3, 5, 7, 9, 10), ((0, 3, 0, 6), (0, 6, 3, 0), (0, 2, 3, 0))),
    ("major", (0, 2, 4, 5, 7, 9, 11), ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4))),
)


@dataclass(frozen=True)
class Piece:
    """The description of a piece; loudness in dB re full scale, register in octaves."""

    track_id: str
    container: str
    seed: int
    duration_s: float
    tempo_bpm: float
    mode: int
    register: int
    loudness_db: float
    timbre: Timbre
    drums: int  # 0 none, 1 hi-hat, 2 the whole set


def compose(number: int) -> Piece:
    """Choose the parameters of one piece: all nine pairs of energy and mood come round."""
    rng = np.random.default_rng([SEED, number])
    energy, mood = number % 3, number // 3 % 3
    weight = 2 - energy if number % 7 == 6 else energy  # loud and slow, or quiet and quick
    return Piece(
        track_id=f"piece{number + 1:02d}",
        container=CONTAINERS[number % len(CONTAINERS)],
        seed=number,
        duration_s=float(rng.integers(8, 13)),
        tempo_bpm=float(rng.integers(*((60, 85), (95, 121), (140, 181))[energy])),
        mode=mood,
        register=int(rng.integers(-1, 1)) + (0, rng.integers(2), 1)[mood],
        loudness_db=float(rng.integers(*((-26, -19), (-18, -11), (-9, -3))[weight])),
        timbre=TIMBRES[2 * weight + int(rng.integers(2))],
        drums=weight,
    )


def make_note(timbre: Timbre, frequency_hz: float, duration_s: float) -> Signal:
    """Return one note of about unit peak, its end faded out."""
    time_s = np.arange(int(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * frequency_hz * time_s
    phase += timbre.vibrato * frequency_hz / 5.5 * np.sin(2 * np.pi * 5.5 * time_s)
    n_harmonics = min(int(HIGHEST_HZ / frequency_hz), MAX_HARMONICS)
    harmonics = np.arange(1, n_harmonics + 1, 2 if timbre.odd_only else 1)
    amplitudes = harmonics**-timbre.rolloff
    wave = sum(a * np.sin(k * phase) for k, a in zip(harmonics, amplitudes, strict=True))
    envelope = np.minimum(time_s / timbre.attack_s, 1) * 0.5 ** (time_s / timbre.half_life_s)
    return wave / amplitudes.sum() * envelope * np.clip((duration_s - time_s) / 0.03, 0, 1)


def make_drum(name: str, rng: np.random.Generator) -> Signal:
    """Return one stroke: a falling sine (kick), noise with a tone (snare), thin noise (hat)."""
    time_s = np.arange(int(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.uniform(-1, 1, len(time_s))
    if name == "kick":
        return np.sin(2 * np.pi * (50 * time_s - 4 * np.exp(-time_s / 0.03))) * np.exp(
            -time_s / 0.06
        )
    if name == "snare":
        return (0.6 * noise + 0.4 * np.sin(2 * np.pi * 185 * time_s)) * np.exp(-time_s / 0.05)
    return np.diff(noise, prepend=0.0) * np.exp(-time_s / 0.015)


class Mix:
    """A track that notes are added to by beat."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.signal = np.zeros(int(piece.duration_s * SAMPLE_RATE))
        self.n_beats = int(piece.duration_s * piece.tempo_bpm / 60)

    def add(self, beat: float, wave: Signal, gain: float) -> None:
        """Add `wave` from `beat` on; what would sound after the end is cut."""
        start = int(beat * 60 / self.piece.tempo_bpm * SAMPLE_RATE)
        stretch = self.signal[start : start + len(wave)]
        stretch += gain * wave[: len(stretch)]

    def add_degree(self, beat: float, n_beats: float, degree: int, gain: float) -> None:
        """Add the note of a scale degree (7 is an octave up) for `n_beats`."""
        octave, step = divmod(degree, 7)
        semitones = 12 * (octave + self.piece.register) + MODES[self.piece.mode][1][step]
        frequency_hz = MIDDLE_C_HZ * 2 ** (semitones / 12)
        duration_s = n_beats * 60 / self.piece.tempo_bpm
        self.add(beat, make_note(self.piece.timbre, frequency_hz, duration_s), gain)


def perform(piece: Piece) -> Signal:
    """Return the piece's samples, mono, between -1 and 1."""
    rng = np.random.default_rng([SEED, piece.seed, 1])
    mix = Mix(piece)
    progressions = MODES[piece.mode][2]
    roots = progressions[rng.integers(len(progressions))]
    notes_per_beat = (1, 1, 2)[piece.drums]
    melody = 7
    for beat in range(mix.n_beats):
        root = roots[beat // 4 % 4]
        if beat % 4 == 0:
            for third in (0, 2, 4):
                mix.add_degree(beat, 4, root + third, 0.25)
        if beat % 2 == 0:
            mix.add_degree(beat, 2, root - 7, 0.5)
        for part in range(notes_per_beat):
            if part == 0 and beat % 2 == 0:  # a chord tone on the strong beat, the nearest one
                melody = min(
                    (root + 7 + third for third in (-3, 0, 2, 4)),
                    key=lambda degree: abs(degree - melody),
                )
            else:
                melody = int(np.clip(melody + rng.integers(-2, 3), 4, 14))
            mix.add_degree(beat + part / notes_per_beat, 1 / notes_per_beat, melody, 0.6)
        if piece.drums:
            for half in (0, 0.5):
                mix.add(beat + half, make_drum("hat", rng), 0.1)
        if piece.drums == 2:
            mix.add(beat, make_drum("snare" if beat % 2 else "kick", rng), 0.5)
    signal = mix.signal
    n_fade = int(FADE_S * SAMPLE_RATE)
    signal[-n_fade:] *= np.linspace(1, 0, n_fade)
    return signal / np.abs(signal).max() * 10 ** (piece.loudness_db / 20)


def write_clip(path: Path, signal: Signal) -> None:
    """Write `signal` in the container that the name's ending says, small rather than fine."""
    if path.suffix in {".wav", ".flac"}:
        soundfile.write(path, signal[::2], SAMPLE_RATE // 2, subtype="PCM_16")
    else:
        soundfile.write(path, signal, SAMPLE_RATE, compression_level=0.7)


def rate(pieces: list[Piece]) -> list[tuple[str, str, str, int]]:
    """Return the simulated listeners' rows of annotations.csv: ratings from 1 to 3."""
    rng = np.random.default_rng([SEED, N_PIECES])
    cues = np.array(
        [
            (
                (piece.tempo_bpm - 110) / 40,
                (piece.loudness_db + 14) / 8,
                2 * piece.timbre.brightness - 1,
                piece.drums - 1,
                piece.mode - 1,
                piece.register,
            )
            for piece in pieces
        ]
    )
    typical_weights = {
        "arousal": (0.45, 0.2, 0.2, 0.2, 0, 0),
        "valence": (0.1, 0, 0, 0, 0.7, 0.2),
    }
    rows = []
    for target, weights in typical_weights.items():
        own_weights = rng.lognormal(0, 0.6, (N_ANNOTATORS, len(weights))) * weights
        bias = rng.normal(0, 0.15, N_ANNOTATORS)
        noise = rng.normal(0, 0.5, (len(pieces), N_ANNOTATORS))
        ratings = np.digitize(cues @ own_weights.T + bias + noise, (-0.5, 0.5)) + 1
        rows += [
            (piece.track_id, f"listener{column + 1}", target, int(value))
            for piece, values in zip(pieces, ratings, strict=True)
            for column, value in enumerate(values)
        ]
    return rows


def main() -> None:
    """Write the clips and their ratings."""
    parser = argparse.ArgumentParser(description="Make the example clips and their ratings.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    pieces = [compose(number) for number in range(N_PIECES)]
    for piece in pieces:
        write_clip(folder / "clips" / f"{piece.track_id}.{piece.container}", perform(piece))
    with (folder / "annotations.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("track_id", "annotator_id", "target", "value"))
        writer.writerows(rate(pieces))


if __name__ == "__main__":
    main()

"""Write the notes of pieces of music21's corpus whose key is known: `notes.py > notes.csv`.

Bach's chorales say their key and mode beside the clefs; the tunes of O'Neill's and Aird's
collections in their field `K:`. Runs where music21 is installed, which nothing else needs.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
from collections.abc import Iterator

import music21

FOLK = ("oneills1850", "airdsAirs")
MODES = dict.fromkeys(("minor", "m", "min", "dor", "dorian", "aeo", "phr"), "minor")
MODES |= dict.fromkeys(("", "maj", "major", "mix", "mixolydian", "lyd", "lydian"), "major")
"""Major or minor by the third above the tonic."""
KEY = re.compile(r"^K:\s*([A-G][b#]?)[ ]?([A-Za-z]*)", re.MULTILINE)
LEAST_NOTES = 24
MOST_BEATS = 48.0
"""Notes after that are left out: music moves away from the key that it begins in."""
SEED = 0
Work = tuple[str, music21.stream.Score, int, str]
"""Its name, score, the pitch class of its tonic, and its mode."""
FIELDS = ("work", "source", "tonic", "mode", "onset", "duration", "pitch")


def chorales() -> Iterator[Work]:
    """Yield chorales that name their mode: (work, score, tonic, mode)."""
    paths = music21.corpus.getComposer("bach")
    for path in sorted(path for path in paths if path.suffix == ".mxl"):
        score = music21.converter.parse(path)
        keys = list(score.recurse().getElementsByClass(music21.key.Key))
        if keys and keys[0].mode in ("major", "minor"):
            yield path.stem, score, keys[0].tonic.pitchClass, keys[0].mode


def tunes(most: int) -> Iterator[Work]:
    """Yield tunes of the collections, so many in minor and in major at most."""
    listed = list(list_tunes())
    chance = random.Random(SEED)  # noqa: S311, which is no secret
    for mode in ("minor", "major"):
        of_mode = [tune for tune in listed if tune[3] == mode]
        for work, text, tonic, _ in sorted(chance.sample(of_mode, min(most, len(of_mode)))):
            yield work, music21.converter.parse(text, format="abc"), tonic, mode


def list_tunes() -> Iterator[tuple[str, str, int, str]]:
    """Yield the tunes that have one key from end to end: (work, text in ABC, tonic, mode)."""
    for folder in FOLK:
        paths = music21.corpus.getComposer(folder)
        for path in sorted(path for path in paths if path.suffix == ".abc"):
            text = path.read_text("utf-8", errors="replace")
            for number, tune in enumerate(re.split(r"(?m)^(?=X:)", text)[1:]):
                keys = KEY.findall(tune)
                if len(keys) == 1 and (mode := MODES.get(keys[0][1].lower())):
                    tonic = music21.pitch.Pitch(keys[0][0].replace("b", "-")).pitchClass
                    yield f"{folder}-{path.stem}-{number}", tune, tonic, mode


def notes(score: music21.stream.Score) -> list[tuple[float, float, int]]:
    """List the notes of a score by onset: (onset, duration), in quarter notes, and MIDI pitch."""
    found = {
        (float(note.offset), float(note.quarterLength), pitch.midi)
        for note in score.flatten().notes
        if not isinstance(note, music21.harmony.ChordSymbol)
        for pitch in note.pitches
        if note.quarterLength > 0 and note.offset < MOST_BEATS
    }
    return sorted(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tunes", type=int, default=260, help="of each mode, at most")
    options = parser.parse_args()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(FIELDS)
    sources = {"chorales": chorales(), "tunes": tunes(options.tunes)}
    for source, pieces in sources.items():
        for work, score, tonic, mode in pieces:
            if len(rows := notes(score)) >= LEAST_NOTES:
                for onset, duration, pitch in rows:
                    row = (f"{onset:.4f}", f"{duration:.4f}", pitch)
                    table.writerow((work, source, tonic, mode, *row))


if __name__ == "__main__":
    main()

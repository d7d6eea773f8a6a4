"""Fuse what models of sound alone and of lyrics alone predict (late fusion): a mean of both.

    late.py audio.csv lyrics.csv -o late.csv
    late.py audio.csv lyrics.csv --congruence congruence.csv -o weighted.csv

With congruence.csv lyrics weigh the less, the less similar they are to the sound: half at a
similarity of 1, as in the plain mean, and nothing at -1. Tracks that it lacks are left out. The
draft of paper 004 has only the idea; the weight is ours.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from mertools.artifacts.rows import Congruence, Prediction
from mertools.artifacts.tables import read_table, write_table

EQUAL = 0.5


def read_tracks(source: str) -> dict[tuple[str, str], tuple[Prediction, float]]:
    """Read the numbers that are predicted of whole tracks, by track_id and target."""
    return {
        (row.track_id, row.target): (row, row.value)
        for row in read_table(source, Prediction)
        if row.level == "track" and row.value is not None
    }


def main() -> None:
    """Read predictions, write predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio")
    parser.add_argument("lyrics")
    parser.add_argument("--congruence")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    by_sound, by_lyrics = read_tracks(options.audio), read_tracks(options.lyrics)
    weights: dict[str, float] = {}
    if options.congruence:
        pairs = read_table(options.congruence, Congruence)
        weights = {pair.track_id: EQUAL * (1 + pair.similarity) / 2 for pair in pairs}
    fused = []
    for (track_id, target), (row, heard) in by_sound.items():
        if (track_id, target) not in by_lyrics or (weights and track_id not in weights):
            continue
        _, read = by_lyrics[track_id, target]
        weight = weights[track_id] if weights else EQUAL
        value = (1 - weight) * heard + weight * read
        fused.append(dataclasses.replace(row, value=value))
    with options.output.open("w", encoding="utf-8") as stream:
        write_table(stream, Prediction, fused)


if __name__ == "__main__":
    main()

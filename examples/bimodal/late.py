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


def read_tracks(source: str) -> dict[tuple[str, str], Prediction]:
    """Read the predictions of whole tracks, by track_id and target."""
    rows = read_table(source, Prediction)
    return {(row.track_id, row.target): row for row in rows if row.level == "track"}


def main() -> None:
    """Read predictions, write predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio")
    parser.add_argument("lyrics")
    parser.add_argument("--congruence")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    by_sound, by_lyrics = read_tracks(options.audio), read_tracks(options.lyrics)
    weights = None
    if options.congruence:
        pairs = read_table(options.congruence, Congruence)
        weights = {pair.track_id: EQUAL * (1 + pair.similarity) / 2 for pair in pairs}
    fused = []
    for (track_id, target), row in by_sound.items():
        other = by_lyrics.get((track_id, target))
        if other is None or (weights is not None and track_id not in weights):
            continue
        weight = EQUAL if weights is None else weights[track_id]
        assert row.value is not None and other.value is not None  # as numbers have one
        value = (1 - weight) * row.value + weight * other.value
        fused.append(dataclasses.replace(row, value=value))
    with options.output.open("w", encoding="utf-8") as stream:
        write_table(stream, Prediction, fused)


if __name__ == "__main__":
    main()

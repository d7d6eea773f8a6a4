"""Pair tracks with sentences of like valence and arousal: pairs made up by us, of no song.

    pair.py labels.csv emobank.csv --seed 42 > lyrics.csv

No corpus with sound, words and ratings can be had freely. For each track a sentence of EmoBank is
drawn from the nearest ones of the same part of the split (its development part is our validation),
each at most once. Both planes are ranked, as their scales differ. On such pairs it shows whether
fusion and congruence learn what they should, and not what they are worth on songs.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PARTS = {"train": "train", "dev": "validation", "test": "test"}
"""EmoBank's parts, and ours."""
NEAREST = 5
"""A sentence is drawn from so many, so that its words do not give the ratings away."""

Plane = NDArray[np.float64]


def read_tracks(path: Path) -> tuple[list[str], list[str], Plane]:
    """Read track_ids, parts of the split, and valence and arousal, (n, 2)."""
    points: dict[str, dict[str, float]] = {}
    parts: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["target"] in ("valence", "arousal"):
                points.setdefault(row["track_id"], {})[row["target"]] = float(row["mean"])
                parts[row["track_id"]] = row["split"] or "train"
    ids = sorted(track for track, point in points.items() if len(point) == 2)
    plane = np.array([[points[track]["valence"], points[track]["arousal"]] for track in ids])
    return ids, [parts[track] for track in ids], plane


def read_sentences(path: Path) -> tuple[list[str], list[str], Plane]:
    """Read texts, parts, and valence and arousal, (n, 2)."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    plane = np.array([[float(row["V"]), float(row["A"])] for row in rows])
    return [row["text"] for row in rows], [PARTS[row["split"]] for row in rows], plane


def rank(plane: Plane) -> Plane:
    """Rank each column, from 0 to 1; equal values by their mean."""
    ranked = np.empty_like(plane)
    for k, column in enumerate(plane.T):
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranked[:, k] = (ends - (counts + 1) / 2)[inverse] / max(1, len(column) - 1)
    return ranked


def pair(tracks: Plane, sentences: Plane, generator: np.random.Generator) -> list[int]:
    """Give each track's sentence: tracks (n, 2) and sentences (m, 2), ranked, m at least n."""
    free = np.ones(len(sentences), bool)
    chosen = np.zeros(len(tracks), int)
    # In any order, so that no part of the plane is always served first.
    for track in generator.permutation(len(tracks)):
        distance = np.where(free, np.hypot(*(sentences - tracks[track]).T), np.inf)
        near = np.argsort(distance, kind="stable")[: min(NEAREST, int(free.sum()))]
        chosen[track] = generator.choice(near)
        free[chosen[track]] = False
    return chosen.tolist()


def main() -> None:
    """Read labels and sentences, write lyrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ids, parts, tracks = read_tracks(options.labels)
    texts, parts_of_texts, sentences = read_sentences(options.sentences)
    tracks, sentences = rank(tracks), rank(sentences)
    generator = np.random.default_rng(options.seed)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["track_id", "text"])
    for part in dict.fromkeys(parts):
        rows = [k for k, of in enumerate(parts) if of == part]
        among = [k for k, of in enumerate(parts_of_texts) if of == part]
        if len(among) < len(rows):
            sys.exit(f"pair.py: {len(rows)} {part} tracks and only {len(among)} sentences")
        for track, sentence in zip(
            rows, pair(tracks[rows], sentences[among], generator), strict=True
        ):
            writer.writerow([ids[track], texts[among[sentence]]])


if __name__ == "__main__":
    main()

"""Make up vectors of lyrics: what a text encoder could say of tracks that have none.

    made_words.py labels.csv > words.csv

A vector is valence and arousal, mixed into 16 columns, with noise. It is for `make small`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

N_COLUMNS = 16
NOISE = 0.3


def main() -> None:
    """Read labels, write vectors."""
    plane: dict[str, dict[str, float]] = {}
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            plane.setdefault(row["track_id"], {})[row["target"]] = float(row["mean"])
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(2, N_COLUMNS))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["track_id", *(f"w{k}" for k in range(N_COLUMNS))])
    for track_id, values in sorted(plane.items()):
        point = np.array([values["valence"], values["arousal"]]) - 0.5
        vector = point @ mixing + generator.normal(0, NOISE, N_COLUMNS)
        writer.writerow([track_id, *(f"{value:.6g}" for value in vector)])


if __name__ == "__main__":
    main()

"""Give the songs of the test part each other's lyrics: features of lyrics, with rows exchanged.

    shuffle.py lyrics.h5 labels.csv --seed 42 -o shuffled.h5

A fusion that uses the words predicts worse with these; one that does not, as well as before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mertools.artifacts.features_file import open_features, write_features
from mertools.artifacts.rows import Label
from mertools.artifacts.tables import read_table


def main() -> None:
    """Read features, write them with rows exchanged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    tested = {row.track_id for row in read_table(options.labels, Label) if row.split == "test"}
    with open_features(options.features) as file:
        rows = list(file.rows)
        taken = np.arange(len(rows))
        among = [k for k, row in enumerate(rows) if row.track_id in tested]
        # In one circle, so that no song keeps its own.
        order = np.random.default_rng(options.seed).permutation(among)
        taken[order] = np.roll(order, 1)
        write_features(
            options.output,
            rows,
            list(file.kinds.values()),
            lambda kind, row: file.read(kind, int(taken[row])),
            file.cutting,
        )


if __name__ == "__main__":
    main()

"""A fold at a time, for what takes several commands to learn: the forest on an autoencoder's codes.

    one_fold.py hold-out 2-5 --folds folds.csv --labels labels.csv > labels-2-5.csv
    one_fold.py gather cv.csv predictions.csv --folds folds.csv --labels labels.csv \\
        --target quadrant out/2-5.csv out/...

`hold-out` marks the tracks of repetition 2's fold 5 as test, so that no command learns from them;
`gather` puts the predictions of all folds, named by repetition and fold, into the tables that
`mer train` writes of cross-validation.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mertools.evaluation.metrics import score_labels

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def tracks_of(folds: Sequence[Row], name: str) -> set[str]:
    """Give the tracks of a fold, which is named REPETITION-FOLD."""
    return {row["track_id"] for row in folds if f"{row.get('repeat') or 1}-{row['fold']}" == name}


def hold_out(options: argparse.Namespace) -> None:
    """Write the labels, with the tracks of a fold as the test part."""
    held_out = tracks_of(read_rows(options.folds), options.name)
    labels = read_rows(options.labels)
    table = csv.DictWriter(sys.stdout, [*labels[0]], lineterminator="\n")
    table.writeheader()
    for row in labels:
        table.writerow(row | {"split": "test"} if row["track_id"] in held_out else row)


def gather(options: argparse.Namespace) -> None:
    """Write the scores of each fold, and all predictions of tracks that were held out."""
    folds = read_rows(options.folds)
    labels = {
        row["track_id"]: row["class"]
        for row in read_rows(options.labels)
        if row["target"] == options.target and row["kept"] == "true"
    }
    scores: list[Row] = []
    predictions: list[Row] = []
    for path in options.files:
        repeat, _, fold = path.stem.partition("-")
        held_out = tracks_of(folds, path.stem) & labels.keys()
        rows = [row for row in read_rows(path) if row["track_id"] in held_out]
        predictions += [row | {"repeat": repeat, "fold": fold} for row in rows]
        classes = rows[0]["classes"].split("|")
        reference = np.array([classes.index(labels[row["track_id"]]) for row in rows])
        estimated = np.array([classes.index(row["predicted"]) for row in rows])
        point = {"repeat": repeat, "fold": fold, "level": "track"}
        scores += [
            point | {"score": name, "value": str(value)}
            for name, value in score_labels(reference, estimated, len(classes)).items()
        ]
    for path, rows in ((options.scores, scores), (options.predictions, predictions)):
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, [*rows[0]], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


def main() -> None:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("hold-out")
    first.add_argument("name")
    first.set_defaults(run=hold_out)
    second = commands.add_parser("gather")
    second.add_argument("scores", type=Path)
    second.add_argument("predictions", type=Path)
    second.add_argument("files", type=Path, nargs="+")
    second.add_argument("--target", default="quadrant")
    second.set_defaults(run=gather)
    for command in (first, second):
        command.add_argument("--folds", type=Path, required=True)
        command.add_argument("--labels", type=Path, required=True)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

"""How long a network's trainings may take, before they start: a row of a table.

    estimate.py METHOD --recipe recipes/choi.toml --labels labels.csv --target quadrant \\
        --folds 10 --repeats 10 -- mer train choi --features clips.h5 --recipe recipes/choi.toml

The command is run on some tracks for one epoch and for three, or for more until it takes twice as
long: what these differ by is epochs, without what it takes to start. An epoch of the tracks that a
fold leaves takes as much longer as it has more tracks. The hours are at most those, as most recipes
end at a training accuracy.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from mertools.models.registry import find_architecture
from mertools.training.recipes import Recipe, read_recipe

SHORT, LONG = 1, (3, 9, 27)
"""Epochs of the trainings that are measured: the second takes twice as long, or is the last."""


def write_sample(labels: Path, target: str, n_tracks: int, to: Path) -> tuple[int, int]:
    """Write the labels of some tracks, one of each class in turn; count them, and all tracks."""
    with labels.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["target"] == target]
    of_class = defaultdict(list)
    for row in rows:
        of_class[row["class"]].append(row)
    in_turn = [row for rank in itertools.zip_longest(*of_class.values()) for row in rank if row]
    with to.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, [*rows[0]], lineterminator="\n")
        table.writeheader()
        table.writerows(in_turn[:n_tracks])
    return min(n_tracks, len(rows)), len(rows)


def time_epoch(command: list[str], labels: Path, target: str, folder: Path) -> float:
    """Give the seconds of an epoch of all tracks that some labels name."""

    def time_training(n_epochs: int) -> float:
        options = ("--cv", "0", "--set", f"max_epochs={n_epochs}", "--set", "stop=epochs")
        data = ("--labels", str(labels), "--target", target, "--quiet", "--force")
        begun = time.perf_counter()
        subprocess.run(
            [*command, *data, *options, "-o", str(folder / "model.safetensors")], check=True
        )
        return time.perf_counter() - begun

    short = time_training(SHORT)
    for n_epochs in LONG:
        # A start takes seconds, by how many no two agree: epochs have to stand out from that.
        long = time_training(n_epochs)
        if long >= 2 * short:
            break
    return max(0.0, long - short) / (n_epochs - SHORT)


def count_epochs(recipe: Recipe) -> int:
    """Count the epochs of a recipe at most, those of branches that are trained first included."""
    return int(recipe["max_epochs"]) + sum(map(count_epochs, recipe.parts.values()))


def main() -> None:
    """Measure, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--folds", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--tracks", type=int, default=32, help="tracks to measure on")
    own, command = (
        list(part) for is_mark, part in itertools.groupby(sys.argv[1:], "--".__eq__) if not is_mark
    )
    options = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.csv"
        n_some, n_all = write_sample(options.labels, options.target, options.tracks, labels)
        seconds = time_epoch(command, labels, options.target, Path(folder))
    architecture = command[command.index("train") + 1]
    n_epochs = count_epochs(read_recipe(options.recipe, find_architecture(architecture)))
    seconds *= n_all * (1 - 1 / options.folds) / n_some
    hours = seconds * n_epochs * options.folds * options.repeats / options.jobs / 3600
    row = f"| {options.method} | {seconds:.3g} s | {n_epochs} | {hours:.3g} h |"
    print(row)
    print(row, file=sys.stderr)


if __name__ == "__main__":
    main()

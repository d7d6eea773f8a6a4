"""Draw the corpus' plane: histograms of valence and arousal, and one against the other.

    figures.py labels.csv -o doughnut.png

MERGE left tracks near the middle out, which the shades show: its plane is a doughnut.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mertools.artifacts.figures import COLOURS, STYLE, save_figure

EMPTY = (0.4, 0.6)
N_BINS = 40


def main() -> None:
    """Read labels, write a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    values: dict[str, dict[str, float]] = {"valence": {}, "arousal": {}}
    with options.labels.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["target"] in values:
                values[row["target"]][row["track_id"]] = float(row["mean"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.6, 4.2), layout="constrained")
        *histograms, plane = figure.subplots(1, 3)
        for axes, colour, (name, of_tracks) in zip(
            histograms, COLOURS, values.items(), strict=False
        ):
            axes.hist(
                list(of_tracks.values()), np.linspace(0, 1, N_BINS + 1).tolist(), color=colour
            )
            axes.axvspan(*EMPTY, color="#DDDDDD", zorder=0)
            axes.set(xlim=(0, 1), xlabel=name, ylabel="tracks")
        both = sorted(values["valence"].keys() & values["arousal"].keys())
        x, y = ([of_tracks[track] for track in both] for of_tracks in values.values())
        plane.fill_between(EMPTY, *EMPTY, color="#DDDDDD", linewidth=0)
        plane.scatter(x, y, s=8, color=COLOURS[2], alpha=0.5, linewidth=0)
        plane.set(xlim=(0, 1), ylim=(0, 1), xlabel="valence", ylabel="arousal", aspect=1)
        save_figure(figure, options.output, options.output.suffix[1:])


if __name__ == "__main__":
    main()

"""Draw what networks look at, and how they learnt: for examples/vad.

    figures.py OUT --kinds mfcc vggish --audio SONGS --labels OUT/words.csv --runs RUN ...

Writes OUT/figures/KIND.png, the first slice of OUT/features/KIND.h5, time by column;
OUT/figures/loss.png, the loss of both parts by epoch of all trainings in OUT/history; and
OUT/figures/songs.png, six songs over time beside their labels, by OUT/predictions/RUN.csv of the
networks that are named, one for all targets or one for each.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mertools.artifacts.features_file import open_features
from mertools.artifacts.figures import COLOURS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.artifacts.rows import Label, Prediction, Track
from mertools.artifacts.tables import read_table
from mertools.audio.sources import find_sources
from mertools.presentation.tracks import read_outline
from mertools.targets.scale import parse_range

COLUMNS = {"training": "train_loss", "validation": "validation_loss"}
PANELS_OF_A_ROW = 2
N_SONGS = 6
OUTLINE_BINS = 300


def draw_frames(path: Path, kind: str) -> Figure:
    """Draw the first slice: frames to the right, columns upwards."""
    with open_features(path) as features:
        frames = features.read(kind, 0)
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(frames.T, origin="lower", aspect="auto", cmap="viridis")
    axes.set(xlabel="frame", ylabel="column", title=f"{kind}, first slice")
    figure.colorbar(image, ax=axes)
    return figure


def draw_losses(folder: Path) -> Figure:
    """Draw a panel a training, and in it a line a fold and part."""
    paths = sorted(folder.glob("*.csv"))
    n_rows = -(-len(paths) // PANELS_OF_A_ROW)
    figure = Figure(figsize=(9, 2.4 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, PANELS_OF_A_ROW, squeeze=False).flat
    for axes, path in zip(panels, paths, strict=False):
        for colour, (part, column) in zip(COLOURS, COLUMNS.items(), strict=False):
            for number, losses in enumerate(read_losses(path, column).values()):
                epochs = range(1, len(losses) + 1)
                label = part if number == 0 else None
                axes.plot(epochs, losses, color=colour, marker=".", label=label)
        axes.set(title=path.stem, xlabel="epoch", ylabel="MSE")
        axes.set_ylim(bottom=0)
        axes.legend()
    for axes in list(panels):
        axes.set_axis_off()
    return figure


def read_losses(path: Path, column: str) -> dict[str, list[float]]:
    """Read the losses of a part by fold."""
    losses: dict[str, list[float]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row[column]:
                losses[row["fold"]].append(float(row[column]))
    return losses


Slices = dict[str, dict[str, list[Prediction]]]
"""Predictions of slices in the order of time, by target and track."""


def read_slices(paths: Iterable[Path]) -> Slices:
    """Read the predictions of slices."""
    slices: Slices = defaultdict(lambda: defaultdict(list))
    for path in paths:
        for row in read_table(str(path), Prediction):
            if row.level == "segment":
                slices[row.target][row.track_id].append(row)
    for of_tracks in slices.values():
        for rows in of_tracks.values():
            rows.sort(key=lambda row: row.start or 0.0)
    return slices


def choose_songs(truths: dict[str, float]) -> list[str]:
    """Choose songs from the lowest true value to the highest, at equal distances in rank."""
    ranked = sorted(truths, key=lambda track_id: (truths[track_id], track_id))
    return [
        ranked[k] for k in np.linspace(0, len(ranked) - 1, min(N_SONGS, len(ranked)), dtype=int)
    ]


def draw_songs(
    slices: Slices, labels: dict[tuple[str, str], float], sounds: dict[str, Path]
) -> Figure:
    """Draw a column a song: its waveform, and each target on the scale's axis and on its own.

    Numbers are shown from -1 to 1. The broken line is the label, which holds of the whole song: a
    network was never taught what its slices have beyond that.
    """
    targets = list(slices)
    common = set.intersection(*(set(of_tracks) for of_tracks in slices.values()))
    songs = choose_songs({song: labels[song, targets[0]] for song in common & set(sounds)})
    n_rows = 1 + 2 * len(targets)
    figure = Figure(figsize=(2.4 * len(songs), 1.3 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, len(songs), squeeze=False, sharex="col")
    for column, song in zip(panels.T, songs, strict=True):
        outline, duration = read_outline(sounds[song], OUTLINE_BINS)
        times = np.linspace(0, duration, OUTLINE_BINS)
        column[0].fill_between(times, -outline, outline, color=REFERENCE_COLOUR, linewidth=0)
        column[0].set_axis_off()
        column[0].set_title(song, fontsize=9)
        for k, target in enumerate(targets):
            rows = slices[target][song]
            scale = parse_range(str(rows[0].scale))
            values = np.array([row.value for row in rows] + [labels[song, target]])
            means = 2 * scale.to_unit(values) - 1
            edges = [*(row.start or 0.0 for row in rows), duration]
            for axes in column[1 + 2 * k : 3 + 2 * k]:
                axes.stairs(means[:-1], edges, baseline=None, color=COLOURS[k], linewidth=1.5)
                axes.axhline(means[-1], color=REFERENCE_COLOUR, linestyle="--", linewidth=1)
                axes.tick_params(labelsize=7)
            column[1 + 2 * k].set_ylim(-1.04, 1.04)
    for k, target in enumerate(targets):
        panels[1 + 2 * k, 0].set_ylabel(target)
        panels[2 + 2 * k, 0].set_ylabel("on its own")
    figure.supxlabel("seconds; broken: the song's label", fontsize=9)
    return figure


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="*", default=[])
    parser.add_argument("--audio", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--runs", nargs="+", required=True)
    options = parser.parse_args()
    with mpl.rc_context(STYLE):
        for kind in options.kinds:
            figure = draw_frames(options.out / "features" / f"{kind}.h5", kind)
            save_figure(figure, options.out / "figures" / f"{kind}.png", "png")
        save_figure(
            draw_losses(options.out / "history"), options.out / "figures" / "loss.png", "png"
        )
        slices = read_slices(options.out / "predictions" / f"{run}.csv" for run in options.runs)
        labels = {
            (row.track_id, row.target): row.mean
            for row in read_table(options.labels, Label)
            if row.mean is not None
        }
        sounds = {
            track.track_id: Path(track.path)
            for track in find_sources([options.audio])
            if isinstance(track, Track)
        }
        figure = draw_songs(slices, labels, sounds)
        save_figure(figure, options.out / "figures" / "songs.png", "png")


if __name__ == "__main__":
    main()

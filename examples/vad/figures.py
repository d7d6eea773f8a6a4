"""Draw what networks look at, and how they learnt: for examples/vad.

    figures.py OUT --kinds mfcc vggish

Writes OUT/figures/KIND.png, the first slice of OUT/features/KIND.h5, time by column, and
OUT/figures/loss.png, the loss of both parts by epoch of all trainings in OUT/history.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from mertools.artifacts.features_file import open_features
from mertools.artifacts.figures import COLOURS, STYLE, save_figure

COLUMNS = {"training": "train_loss", "validation": "validation_loss"}
PANELS_OF_A_ROW = 2


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


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="*", default=[])
    options = parser.parse_args()
    with mpl.rc_context(STYLE):
        for kind in options.kinds:
            figure = draw_frames(options.out / "features" / f"{kind}.h5", kind)
            save_figure(figure, options.out / "figures" / f"{kind}.png", "png")
        save_figure(
            draw_losses(options.out / "history"), options.out / "figures" / "loss.png", "png"
        )


if __name__ == "__main__":
    main()

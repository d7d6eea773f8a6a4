"""Figures: confusion matrix, ROC and precision-recall curves of a report; box plots of features.

Lines differ in colour (Okabe and Ito's palette, told apart with any colour vision) and in dashes,
so that they stay apart in print. The same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mertools.artifacts.figures import COLOURS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.artifacts.files import make_folder
from mertools.evaluation.join import FloatArray

DASHES = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.2)), (0, (3, 1, 1, 1, 1, 1)))
PANELS_IN_A_ROW = 5

Description = Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """One feature's box plots: its values in each class, each (n_tracks,)."""

    title: str
    note: str
    values: Sequence[FloatArray]


def draw_figures(report: Description, folder: Path, file_format: str = "png") -> list[Path]:
    """Draw three figures for every target and level of a report; give their paths.

    They are named after target, level and kind: `arousal_track_confusion.png`. Raises UsageError
    where the folder cannot be written to.
    """
    make_folder(folder)
    painters: Mapping[str, Callable[[Axes, Description], None]] = {
        "confusion": draw_confusion,
        "roc": draw_roc,
        "pr": draw_precision_recall,
    }
    paths = []
    for target, entry in sorted(report["targets"].items()):
        for level, description in sorted(entry["levels"].items()):
            for kind, paint in painters.items():
                path = folder / f"{_file_stem(target)}_{level}_{kind}.{file_format}"
                with mpl.rc_context(STYLE):
                    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
                    axes = figure.add_subplot()
                    paint(axes, description)
                    axes.set_title(_title(target, level, description), fontsize=11)
                    save_figure(figure, path, file_format)
                paths.append(path)
    return paths


def draw_confusion(axes: Axes, description: Description) -> None:
    """Draw a confusion matrix: counts, and their share of each reference class as the shade."""
    classes = description["confusion"]["classes"]
    counts = np.array(description["confusion"]["counts"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{count}\n{share:.0%}",
            ha="center",
            va="center",
            fontsize=min(11, 60 / len(classes)),
            color="white" if share > 0.5 else "black",
        )
    places = np.arange(len(classes))
    axes.set_xticks(places, classes, rotation=90 if _are_crowded(classes, 40) else 0)
    axes.set_yticks(places, classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("estimated")
    axes.set_ylabel("reference (a row is 100 %)")


def draw_roc(axes: Axes, description: Description) -> None:
    """Draw each class's ROC curve, one against the rest, and chance."""
    axes.plot([0, 1], [0, 1], color=REFERENCE_COLOUR, linewidth=0.8, label="0.50  by chance")
    for place, (name, entry) in enumerate(_in_order(description)):
        if entry["roc"] is not None:
            label = f"{entry['auc']:.2f}  {name}"
            axes.plot(entry["roc"]["fpr"], entry["roc"]["tpr"], **_line(place), label=label)
    _finish(axes, "false positive rate", "true positive rate", "area under curve")


def draw_precision_recall(axes: Axes, description: Description) -> None:
    """Draw each class's precision-recall curve and, thinner, the precision that chance reaches."""
    for place, (name, entry) in enumerate(_in_order(description)):
        if entry["pr"] is None:
            continue
        line = _line(place)
        label = f"{entry['average_precision']:.2f}  {name}"
        recall, precision = entry["pr"]["recall"], entry["pr"]["precision"]
        axes.plot(recall, precision, **line, label=label, drawstyle="steps-post")
        share = entry["support"] / description["n"]
        axes.plot([0, 1], [share, share], **line, linewidth=0.8, label=f"{share:.2f}  by chance")
    _finish(axes, "recall", "precision", "average precision")


def draw_boxes(path: Path, title: str, classes: Sequence[str], panels: Sequence[Panel]) -> None:
    """Draw features by class, a panel each: quartiles, median, 1.5 interquartile ranges, the rest.

    The ending of `path` is the format: .png or .svg. Raises UsageError where it cannot be written.
    """
    n_columns = min(len(panels), PANELS_IN_A_ROW)
    n_rows = -(-len(panels) // n_columns)
    places = np.arange(len(classes))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.7 * n_columns, 2.7 * n_rows), layout="constrained")
        for place, panel in enumerate(panels):
            axes = figure.add_subplot(n_rows, n_columns, place + 1)
            boxes = axes.boxplot(
                panel.values,
                positions=places,
                widths=0.6,
                patch_artist=True,
                medianprops={"color": "black", "linewidth": 1.8},
                flierprops={"marker": ".", "markersize": 4, "markeredgecolor": REFERENCE_COLOUR},
            )
            for k, box in enumerate(boxes["boxes"]):
                box.set(facecolor=COLOURS[k % len(COLOURS)], alpha=0.65)
            axes.set_xticks(places, classes, rotation=90 if _are_crowded(classes, 24) else 0)
            axes.tick_params(labelsize=8)
            axes.set_title(f"{panel.title}\n{panel.note}", fontsize=8)
        figure.suptitle(title, fontsize=11)
        save_figure(figure, path, path.suffix[1:])


def _are_crowded(names: Sequence[str], room: int) -> bool:
    """Tell whether names side by side take more than the room for so many letters."""
    return len(names) * max(len(name) for name in names) > room


def _in_order(description: Description) -> list[tuple[str, Description]]:
    per_class = description["per_class"]
    return [(name, per_class[name]) for name in description["confusion"]["classes"]]


def _line(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place % len(DASHES)],
    }


def _finish(axes: Axes, x_label: str, y_label: str, title: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x_label, ylabel=y_label, aspect=1)
    if axes.lines:
        axes.legend(
            title=title,
            loc="upper left",
            bbox_to_anchor=(1.02, 1.0),
            borderaxespad=0,
            handlelength=3.2,
            alignment="left",
        )


def _title(target: str, level: str, description: Description) -> str:
    n_tracks = description["n_tracks"]
    rows = f"{description['n']} segments of " if level == "segment" else ""
    return f"{target}, {rows}{n_tracks} track{'s' if n_tracks != 1 else ''}"


def _file_stem(name: str) -> str:
    """Make a target's name safe as a part of a file's, without making two the same."""
    return "".join(c if c.isalnum() or c in "-_. " else f"%{ord(c):02X}" for c in name)

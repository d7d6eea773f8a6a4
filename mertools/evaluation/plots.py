"""Figures of a report for classes and for numbers, and box plots of features.

Lines differ in colour (Okabe and Ito's palette, distinct with any colour vision) and in dashes,
so that they stay apart in print. The same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mertools.artifacts.figures import COLOURS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.artifacts.files import make_folder
from mertools.evaluation.join import JoinedTarget
from mertools.evaluation.metrics import score_numbers
from mertools.evaluation.outcomes import FloatArray, NumberOutcomes, Outcomes
from mertools.evaluation.quadrants import AXES, QUADRANTS, find_quadrants

DASHES = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.2)), (0, (3, 1, 1, 1, 1, 1)))
PANELS_IN_A_ROW = 5

Description = Mapping[str, Any]
Panels = NDArray[np.object_]
"""The axes of a figure, (n_columns,)."""
Painter = Callable[[Panels], None]


@dataclass(frozen=True)
class Panel:
    """One feature's box plots: its values in each class, each (n_tracks,)."""

    title: str
    note: str
    values: Sequence[FloatArray]


def draw_figures(
    report: Description,
    joined: Mapping[str, JoinedTarget],
    folder: Path,
    file_format: str = "png",
) -> list[Path]:
    """Draw the figures of every target and level of a report; give their paths.

    Classes have a confusion matrix, ROC and precision-recall curves; numbers a scatter of predicted
    against true and a histogram of errors; valence and arousal together their plane. `joined` is
    what the report describes. Files are named after target, level and kind, such as
    `arousal_track_confusion.png`. Raises UsageError where the folder cannot be written to.
    """
    make_folder(folder)
    paths = []
    for stem, title, n_columns, paint in _list_figures(report, joined):
        path = folder / f"{stem}.{file_format}"
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(max(6.4, 5.2 * n_columns), 4.4), layout="constrained")
            paint(np.atleast_1d(np.array(figure.subplots(1, n_columns), dtype=object)))
            figure.suptitle(title, fontsize=10)
            save_figure(figure, path, file_format)
        paths.append(path)
    return paths


def _list_figures(
    report: Description, joined: Mapping[str, JoinedTarget]
) -> Iterator[tuple[str, str, int, Painter]]:
    """Yield each figure's file stem, title and number of panels, and what draws its axes."""
    for target, entry in sorted(report["targets"].items()):
        for level, description in sorted(entry["levels"].items()):
            stem = f"{_file_stem(target)}_{level}"
            title = _title(report, target, level, description)
            outcomes = joined[target].levels[level]
            if isinstance(outcomes, NumberOutcomes):
                parts = _split_parts(outcomes, joined[target])
                yield f"{stem}_scatter", title, len(parts), _painting_parts(draw_scatter, parts)
                yield f"{stem}_errors", title, 1, _painting(draw_errors, outcomes)
            else:
                yield f"{stem}_confusion", title, 1, _painting(draw_confusion, description)
                yield f"{stem}_roc", title, 1, _painting(draw_roc, description)
                yield f"{stem}_pr", title, 1, _painting(draw_precision_recall, description)
    for level, description in sorted(report["quadrants"].items()):
        title = _title(report, "valence and arousal", level, description)
        axes = [joined[target].levels[level] for target in AXES]
        yield f"quadrants_{level}_confusion", title, 1, _painting(draw_confusion, description)
        yield f"quadrants_{level}_plane", title, 2, _painting_plane(axes, description)


def _painting(draw: Callable[[Axes, Any], None], content: Any) -> Painter:
    return lambda panels: draw(panels[0], content)


def _painting_parts(
    draw: Callable[[Axes, NumberOutcomes], None], parts: Mapping[str, NumberOutcomes]
) -> Painter:
    def paint(panels: Panels) -> None:
        for axes, (name, outcomes) in zip(panels, parts.items(), strict=True):
            draw(axes, outcomes)
            if len(parts) > 1:
                n_tracks = len(outcomes.track_ids)
                axes.set_title(f"{name}, {n_tracks} tracks", fontsize=9)

    return paint


def _painting_plane(axes_outcomes: Sequence[Outcomes], description: Description) -> Painter:
    def paint(panels: Panels) -> None:
        for axes, name in zip(panels, ("reference", "estimated"), strict=True):
            draw_plane(axes, axes_outcomes, name, description["centres"])

    return paint


def _split_parts(outcomes: NumberOutcomes, entry: JoinedTarget) -> dict[str, NumberOutcomes]:
    """Take the rows of each part of the split apart, by the parts' names."""
    parts = [entry.origins[track_id].split or "no part" for track_id in outcomes.track_ids]
    return {
        name: outcomes.of_tracks(
            {track for track, part in zip(outcomes.track_ids, parts, strict=True) if part == name}
        )
        for name in ("train", "validation", "test", "no part")
        if name in parts
    }


def draw_scatter(axes: Axes, outcomes: NumberOutcomes) -> None:
    """Draw predicted against true numbers, with the diagonal and the line of least squares.

    A line flatter than the diagonal shows predictions that shrink to the mean.
    """
    ends = np.array([outcomes.scale.low, outcomes.scale.high])
    reference, estimated = outcomes.reference, outcomes.estimated
    axes.plot(ends, ends, color=REFERENCE_COLOUR, linewidth=0.8, label="perfect")
    axes.scatter(
        reference, estimated, s=_dot_size(len(reference)), color=COLOURS[0], alpha=0.5, linewidth=0
    )
    scores = score_numbers(reference, estimated)
    if not np.isnan(scores["spread_ratio"]):
        centre = reference.mean()
        slope = ((reference - centre) * estimated).mean() / reference.var()
        line = estimated.mean() + slope * (ends - centre)
        axes.plot(ends, line, color=COLOURS[1], linestyle=DASHES[1], label="least squares")
    # Nothing keeps another program's estimates within the scale.
    low, high = min(ends[0], estimated.min()), max(ends[1], estimated.max())
    axes.set(xlim=ends, ylim=(low, high), xlabel="reference", ylabel="estimated", aspect=1)
    names = {"r2": "R2", "pearson_r": "r", "rmse": "RMSE", "spread_ratio": "spread ratio"}
    shown = [
        f"{text} {scores[name]:.3f}" for name, text in names.items() if scores[name] == scores[name]
    ]
    axes.legend(
        title="\n".join(shown),
        title_fontsize=8,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        alignment="left",
    )


def draw_errors(axes: Axes, outcomes: NumberOutcomes) -> None:
    """Draw a histogram of estimated - reference, and where their mean (the bias) lies."""
    errors = outcomes.estimated - outcomes.reference
    axes.hist(errors, bins=min(40, 5 + len(errors) // 10), color=COLOURS[5])
    axes.axvline(0, color=REFERENCE_COLOUR, linewidth=0.8, label="no error")
    bias = float(errors.mean())
    axes.axvline(bias, color=COLOURS[1], linestyle=DASHES[1], label=f"bias {bias:+.3f}")
    axes.set(xlabel="estimated - reference", ylabel="rows")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, alignment="left")


def draw_plane(
    axes: Axes, axes_outcomes: Sequence[Outcomes], name: str, centres: Description
) -> None:
    """Draw points of the valence-arousal plane, coloured by true quadrant, with its means.

    `name` is `reference` or `estimated`; `axes_outcomes` are those of valence and arousal.
    """
    valence, arousal = axes_outcomes
    if not isinstance(valence, NumberOutcomes) or not isinstance(arousal, NumberOutcomes):
        raise TypeError("a plane has two numbers")
    middle = np.array([valence.scale.middle, arousal.scale.middle])
    quadrant = find_quadrants(valence.reference, arousal.reference, middle)
    x, y = getattr(valence, name), getattr(arousal, name)
    axes.axvline(middle[0], color=REFERENCE_COLOUR, linewidth=0.6)
    axes.axhline(middle[1], color=REFERENCE_COLOUR, linewidth=0.6)
    for k, label in enumerate(QUADRANTS):
        rows = quadrant == k
        size = _dot_size(len(x))
        axes.scatter(x[rows], y[rows], s=size, color=COLOURS[k], alpha=0.55, linewidth=0)
        point = centres[label]
        axes.scatter(
            point["valence"],
            point["arousal"],
            marker="X",
            s=90,
            color=COLOURS[k],
            edgecolor="black",
            label=f"mean of {label}",
            zorder=3,
        )
    axes.set(
        xlim=(valence.scale.low, valence.scale.high),
        ylim=(arousal.scale.low, arousal.scale.high),
        xlabel="valence",
        ylabel="arousal",
    )
    axes.set_box_aspect(1)
    axes.set_title(name, fontsize=9)
    # One legend serves both panels, beside the right one.
    if name == "estimated":
        axes.legend(
            title="colour: true quadrant",
            fontsize=8,
            title_fontsize=8,
            loc="upper left",
            bbox_to_anchor=(1.02, 1.0),
            borderaxespad=0,
            alignment="left",
        )


def _dot_size(n_points: int) -> float:
    """Give an area that keeps many points apart."""
    return max(3.0, min(24.0, 8000 / max(n_points, 1)))


def draw_confusion(axes: Axes, description: Description) -> None:
    """Draw a confusion matrix: counts, and their share of each reference class as the shade."""
    classes = description["confusion"]["classes"]
    counts = np.array(description["confusion"]["counts"])
    # A class without rows has shares of 0 rather than undefined ones.
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
    positions = np.arange(len(classes))
    axes.set_xticks(positions, classes, rotation=90 if _are_crowded(classes, 40) else 0)
    axes.set_yticks(positions, classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("estimated")
    axes.set_ylabel("reference (a row is 100 %)")


def draw_roc(axes: Axes, description: Description) -> None:
    """Draw each class's ROC curve, one against the rest, and chance."""
    axes.plot([0, 1], [0, 1], color=REFERENCE_COLOUR, linewidth=0.8, label="0.50  by chance")
    for index, (name, entry) in enumerate(_in_order(description)):
        if entry["roc"] is not None:
            label = f"{entry['auc']:.2f}  {name}"
            axes.plot(entry["roc"]["fpr"], entry["roc"]["tpr"], **_line(index), label=label)
    _finish(axes, "false positive rate", "true positive rate", "area under curve")


def draw_precision_recall(axes: Axes, description: Description) -> None:
    """Draw each class's precision-recall curve and, thinner, the precision that chance reaches."""
    for index, (name, entry) in enumerate(_in_order(description)):
        if entry["pr"] is None:
            continue
        line = _line(index)
        label = f"{entry['average_precision']:.2f}  {name}"
        recall, precision = entry["pr"]["recall"], entry["pr"]["precision"]
        # In steps: straight lines between points would promise too much (Davis and Goadrich, 2006).
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
    positions = np.arange(len(classes))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.7 * n_columns, 2.7 * n_rows), layout="constrained")
        for index, panel in enumerate(panels):
            axes = figure.add_subplot(n_rows, n_columns, index + 1)
            boxes = axes.boxplot(
                panel.values,
                positions=positions,
                widths=0.6,
                patch_artist=True,
                medianprops={"color": "black", "linewidth": 1.8},
                flierprops={"marker": ".", "markersize": 4, "markeredgecolor": REFERENCE_COLOUR},
            )
            for k, box in enumerate(boxes["boxes"]):
                box.set(facecolor=COLOURS[k % len(COLOURS)], alpha=0.65)
            axes.set_xticks(positions, classes, rotation=90 if _are_crowded(classes, 24) else 0)
            axes.tick_params(labelsize=8)
            axes.set_title(f"{panel.title}\n{panel.note}", fontsize=8)
        figure.suptitle(title, fontsize=11)
        save_figure(figure, path, path.suffix[1:])


def _are_crowded(names: Sequence[str], room: int) -> bool:
    """Check whether names side by side need more than `room` letters."""
    return len(names) * max(len(name) for name in names) > room


def _in_order(description: Description) -> list[tuple[str, Description]]:
    per_class = description["per_class"]
    return [(name, per_class[name]) for name in description["confusion"]["classes"]]


def _line(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
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


def _title(report: Description, target: str, level: str, description: Description) -> str:
    """Name target, level, part of the split, number of rows, and the model where it is known."""
    n, n_tracks = description["n"], description["n_tracks"]
    tracks = f"{n_tracks} track{'s' if n_tracks != 1 else ''}"
    rows = tracks if n == n_tracks and level == "track" else f"{n} rows of {tracks}"
    provenance = report["provenance"]
    split, models = provenance.get("split", "all"), provenance.get("models", [])
    part = "" if split == "all" else f", {split} part"
    model = f"\nmodel {', '.join(models)}" if 0 < len(models) < 4 else ""
    return f"{target}, {level} level{part}, {rows}{model}"


def _file_stem(name: str) -> str:
    """Escape a target's name for use in a file's; different names stay different."""
    return "".join(c if c.isalnum() or c in "-_. " else f"%{ord(c):02X}" for c in name)

"""Pictures of labels.csv, to look at before training.

Lines and bars take their colours from Okabe and Ito's palette. The same labels give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from mertools.artifacts.rows import Label
from mertools.labels.quadrants import AROUSAL, QUADRANTS, VALENCE
from mertools.labels.splits import PARTS
from mertools.targets.scale import Classes, Range, parse_scale

DOMINANCE = "dominance"
N_BINS = 24
MANY_POINTS = 1000
DROPPED_COLOUR = "#BBBBBB"
LETTERS_OF_FIGURE, LETTERS_OF_PANEL = 55, 34
"""How many letters of classes' names fit side by side below an axis."""

Key = tuple[str, float | None]


@dataclass(frozen=True)
class _Target:
    """The labels of one target: its scale, classes by number, and rows by track and start."""

    name: str
    scale: Classes | Range
    classes: Mapping[int, str]
    rows: Mapping[Key, Label]

    @property
    def has_mean(self) -> bool:
        """Whether labels have a mean: classes without an order have none."""
        return isinstance(self.scale, Range) or self.scale.ordered

    @property
    def range(self) -> Range:
        """The range of the means."""
        return self.scale if isinstance(self.scale, Range) else Range(1, max(2, *self.classes))

    @property
    def axis_label(self) -> str:
        """What an axis of this target's means shows."""
        if isinstance(self.scale, Range):
            return f"{self.name} (mean, {self.scale})"
        names = (self.classes.get(1), self.classes.get(max(self.classes)))
        ends = " to ".join(name for name in names if name)
        return f"{self.name} (mean level, 1 to {max(2, *self.classes)}: {ends})"

    @property
    def kept(self) -> list[Label]:
        """The rows that are learnt from."""
        return [row for row in self.rows.values() if row.kept]


def draw_labels(
    rows: Sequence[Label],
    folder: Path,
    file_format: str = "png",
    centres: Mapping[str, float] | None = None,
) -> list[Path]:
    """Draw labels of any scale in a folder; give the paths of the figures.

    Draws `TARGET_histogram` for each target; `plane` where there is valence and arousal, and `cube`
    with dominance; `disagreement` where annotators' ratings are behind the labels; `split` where
    there is a split. `centres` are where the quadrants meet, per target, on the scale of the means;
    the middle of the scale where absent. Raises UsageError where the folder cannot be written to.
    """
    make_folder(folder)
    targets = _group(rows)
    centre = {name: target.range.middle for name, target in targets.items() if target.has_mean}
    centre |= centres or {}
    paths = []

    def save(figure: Figure, stem: str) -> None:
        paths.append(folder / f"{stem}.{file_format}")
        save_figure(figure, paths[-1], file_format)

    with mpl.rc_context(STYLE):
        for name, target in targets.items():
            save(_draw_alone(target, _draw_histogram), f"{_file_stem(name)}_histogram")
        axes = [targets[name] for name in (VALENCE, AROUSAL, DOMINANCE) if name in targets]
        axes = [target for target in axes if target.has_mean]
        names = [target.name for target in axes]
        if names[:2] == [VALENCE, AROUSAL] and _common(axes[:2]):
            save(_draw_plane(axes[0], axes[1], centre), "plane")
            if DOMINANCE in names and _common(axes):
                save(_draw_cube(axes, centre), "cube")
        disputed = [target for target in targets.values() if _disagreement(target.rows.values())]
        if disputed:
            save(_draw_panels(disputed, _draw_disagreement), "disagreement")
        if any(row.split for row in rows):
            save(_draw_panels(list(targets.values()), _draw_split), "split")
    return paths


def _group(rows: Iterable[Label]) -> dict[str, _Target]:
    by_target: dict[str, dict[Key, Label]] = {}
    for row in rows:
        by_target.setdefault(row.target, {})[row.track_id, row.start] = row
    found = {}
    for name, of_target in sorted(by_target.items()):
        labels = of_target.values()
        scale = parse_scale(next(iter(labels)).scale)
        classes = {row.label: row.class_name for row in labels if row.label and row.class_name}
        if isinstance(scale, Classes):
            # A class that no track has is known by its column only, and shown by its number.
            n_classes = max(len(row.distribution) for row in labels)
            classes = {k: classes.get(k, str(k)) for k in range(1, n_classes + 1)}
        found[name] = _Target(name, scale, classes, of_target)
    return found


def _draw_alone(target: _Target, paint: Callable[[Axes, _Target], None]) -> Figure:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    paint(figure.add_subplot(), target)
    return figure


def _draw_panels(targets: Sequence[_Target], paint: Callable[[Axes, _Target], None]) -> Figure:
    n_columns = 2 if len(targets) == 4 else min(len(targets), 3)
    n_rows = -(-len(targets) // n_columns)
    size = (max(4.6, 4.2 * n_columns), 3.8 * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    for index, target in enumerate(targets, 1):
        paint(figure.add_subplot(n_rows, n_columns, index), target)
    return figure


def _draw_histogram(axes: Axes, target: _Target) -> None:
    """Draw how many tracks have which mean, by class where there are classes."""
    kept = target.kept
    dropped = [row for row in target.rows.values() if not row.kept]
    n = _count_text(len(kept), target)
    axes.set_title(f"{target.name}, {n}" + (f", {len(dropped)} dropped" if dropped else ""))
    if not target.has_mean:
        counts = [sum(row.label == k for row in kept) for k in target.classes]
        bars = axes.bar(range(len(counts)), counts, color=COLOURS[0], width=0.7)
        axes.bar_label(bars, padding=2)
        _name_classes(axes, list(target.classes.values()), LETTERS_OF_FIGURE)
    else:
        _draw_stacked_means(axes, target, kept, dropped)
        axes.set_xlabel(target.axis_label)
    axes.set_ylabel("tracks" if _are_tracks(target) else "stretches")


def _draw_stacked_means(
    axes: Axes, target: _Target, kept: Sequence[Label], dropped: Sequence[Label]
) -> None:
    groups: list[tuple[str, str, list[Label]]]
    if target.classes:
        groups = [
            (name, COLOURS[k % len(COLOURS)], [row for row in kept if row.label == k + 1])
            for k, name in enumerate(target.classes.values())
        ]
    else:
        groups = [("kept", COLOURS[0], list(kept))]
    if dropped:
        groups.append(("dropped", DROPPED_COLOUR, list(dropped)))
    # The same bins for every group: stacked, they add up to the histogram of all.
    edges = np.linspace(target.range.low, target.range.high, N_BINS + 1)
    values = [_means(group) for _, _, group in groups]
    axes.hist(
        values,
        bins=edges.tolist(),
        stacked=True,
        color=[colour for _, colour, _ in groups],
        label=[f"{name} ({len(group)})" for name, _, group in groups],
        edgecolor="white",
        linewidth=0.5,
    )
    if kept:
        mean = float(_means(kept).mean())
        axes.axvline(mean, color="black", linewidth=1, linestyle=(0, (4, 2)))
        axes.annotate(
            f" mean {mean:.2f}",
            (mean, 1),
            xycoords=("data", "axes fraction"),
            va="top",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        )
    if len(groups) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _draw_plane(valence: _Target, arousal: _Target, centre: Mapping[str, float]) -> Figure:
    """Draw the tracks in the plane of valence and arousal, with the quadrants' lines and shares."""
    x, y = _common([valence, arousal])
    at_x, at_y = centre[VALENCE], centre[AROUSAL]
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(at_x, color=REFERENCE_COLOUR, linewidth=0.9)
    axes.axhline(at_y, color=REFERENCE_COLOUR, linewidth=0.9)
    for k, (name, inside) in enumerate(_quadrants(x - at_x, y - at_y)):
        axes.scatter(x[inside], y[inside], color=COLOURS[k], **_dots(len(x)))
        is_right, is_up = name in ("Q1", "Q4"), name in ("Q1", "Q2")
        # Texts stand in the corners, where points are rare, on white in case there are some.
        axes.annotate(
            f"{name}  {inside.sum()} ({inside.mean():.0%})",
            (0.985 if is_right else 0.015, 0.985 if is_up else 0.015),
            xycoords="axes fraction",
            ha="right" if is_right else "left",
            va="top" if is_up else "bottom",
            color=COLOURS[k],
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.8},
        )
    for target, set_limits in ((valence, axes.set_xlim), (arousal, axes.set_ylim)):
        set_limits(*_limits(target))
    axes.set_box_aspect(1)
    axes.set(xlabel=valence.axis_label, ylabel=arousal.axis_label)
    what = "tracks" if _are_tracks(valence) else "stretches"
    correlation = _correlation(x, y)
    axes.set_title(f"{len(x)} {what}" + (f", r = {correlation:.2f}" if correlation else ""))
    return figure


def _draw_cube(targets: Sequence[_Target], centre: Mapping[str, float]) -> Figure:
    """Draw the tracks in the cube of valence, arousal and dominance."""
    points = _common(targets)
    figure = Figure(figsize=(7.0, 6.2), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    x, y = (points[k] - centre[target.name] for k, target in enumerate(targets[:2]))
    for k, (name, inside) in enumerate(_quadrants(x, y)):
        inside_points = [column[inside] for column in points]
        axes.scatter(*inside_points, color=COLOURS[k], label=name, **_dots(len(x)))
    axes.set(xlim=_limits(targets[0]), ylim=_limits(targets[1]), zlim=_limits(targets[2]))
    axes.set(xlabel=targets[0].name, ylabel=targets[1].name, zlabel=targets[2].name)
    axes.view_init(elev=22, azim=-58)
    axes.set_box_aspect(None, zoom=0.88)  # the labels of the third axis would be cut off
    axes.legend(loc="upper left", title="quadrant", markerscale=2)
    axes.set_title(f"{len(points[0])} {'tracks' if _are_tracks(targets[0]) else 'stretches'}")
    return figure


def _draw_disagreement(axes: Axes, target: _Target) -> None:
    """Draw how far annotators are apart: the spread by mean, or the share beside the class."""
    rows = list(target.rows.values())
    if not target.has_mean:
        # The class of words is the commonest one; only a quadrant, by mean ratings, may not be.
        shares = 1 - np.array([max(row.distribution) for row in rows])
        axes.hist(shares, bins=np.linspace(0, 1, N_BINS + 1).tolist(), color=COLOURS[0])
        axes.set(xlabel="share of annotators who chose another class", ylabel="tracks")
        axes.set_title(f"{target.name}, mean {shares.mean():.2f}", fontsize=10)
        return
    spread = "mad" if any(row.mad is not None for row in rows) else "std"
    rows = [row for row in rows if getattr(row, spread) is not None]
    for kept, name, colour in ((False, "dropped", REFERENCE_COLOUR), (True, "kept", COLOURS[0])):
        chosen = [row for row in rows if row.kept == kept]
        values = [getattr(row, spread) for row in chosen]
        if chosen:
            label = f"{name} ({len(chosen)})"
            axes.scatter(_means(chosen), values, color=colour, label=label, **_dots(len(rows)))
    axes.set_xlim(*_limits(target))
    axes.set_ylim(bottom=0)
    mean = float(np.mean([getattr(row, spread) for row in rows]))
    axes.set_xlabel("mean rating")
    axes.set_ylabel("mean absolute deviation" if spread == "mad" else "standard deviation")
    axes.set_title(f"{target.name}, mean {mean:.2f}", fontsize=10)
    if not all(row.kept for row in rows):
        axes.legend(loc="upper right", fontsize=8, markerscale=2)


def _draw_split(axes: Axes, target: _Target) -> None:
    """Draw each part's shares of the classes, or its distribution of the number."""
    parts = {part: [row for row in target.kept if row.split == part] for part in PARTS}
    colours = [COLOURS[k] for k, rows in enumerate(parts.values()) if rows]
    parts = {part: rows for part, rows in parts.items() if rows}
    names = [f"{part} ({len(rows)})" for part, rows in parts.items()]
    axes.set_title(target.name, fontsize=10)
    if not parts:
        return
    if not target.classes:
        boxes = axes.boxplot(
            [_means(rows) for rows in parts.values()],
            positions=range(len(parts)),
            widths=0.5,
            patch_artist=True,
            medianprops={"color": "black"},
            flierprops={"marker": ".", "markersize": 4, "markeredgecolor": REFERENCE_COLOUR},
        )
        for k, box in enumerate(boxes["boxes"]):
            box.set(facecolor=colours[k], alpha=0.65)
        axes.set_xticks(range(len(parts)), names)
        axes.set_ylim(*_limits(target))
        axes.set_ylabel(target.axis_label)
        return
    # Shares and not counts, as parts differ in size and should agree in shape.
    width = 0.8 / len(parts)
    for k, (name, rows) in enumerate(zip(names, parts.values(), strict=True)):
        counts = [sum(row.label == number for row in rows) for number in target.classes]
        shares = np.array(counts) / len(rows)
        offset = (k - (len(parts) - 1) / 2) * width
        bars = axes.bar(
            np.arange(len(counts)) + offset, shares, width * 0.92, color=colours[k], label=name
        )
        if len(counts) * len(parts) <= 12:
            axes.bar_label(bars, [str(count) for count in counts], padding=1, fontsize=8)
    _name_classes(axes, list(target.classes.values()), LETTERS_OF_PANEL)
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    axes.set_ylabel("share of the part")
    axes.margins(y=0.2)  # room for the legend above the bars
    axes.legend(
        fontsize=8, loc="upper center", ncols=len(parts), columnspacing=1.2, handlelength=1.2
    )


def _common(targets: Sequence[_Target]) -> list[NDArray[np.float64]]:
    """Collect the means of what is kept for all targets; nothing where there is none."""
    keys = [
        key
        for key in targets[0].rows
        if all(key in target.rows and target.rows[key].kept for target in targets)
    ]
    return [_means(target.rows[key] for key in keys) for target in targets] if keys else []


def _quadrants(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each quadrant's name and which points are in it; on an axis is high."""
    up, right = y >= 0, x >= 0
    yield from zip(QUADRANTS, (up & right, up & ~right, ~up & ~right, ~up & right), strict=True)


def _disagreement(rows: Iterable[Label]) -> bool:
    """Check whether rows have a spread of their annotators' ratings."""
    return any(
        row.mad is not None
        or row.std is not None
        or (row.mean is None and row.n_annotators is not None and row.n_annotators > 1)
        for row in rows
    )


def _limits(target: _Target) -> tuple[float, float]:
    margin = 0.04 * (target.range.high - target.range.low)
    return target.range.low - margin, target.range.high + margin


def _means(rows: Iterable[Label]) -> NDArray[np.float64]:
    return np.array([row.mean for row in rows], np.float64)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    if len(x) < 3 or not (x.std() and y.std()):
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _dots(n: int) -> dict[str, Any]:
    """Make many points small and light, so that dense regions are seen."""
    is_many = n > MANY_POINTS
    return {"s": 8 if is_many else 20, "alpha": 0.35 if is_many else 0.65, "linewidths": 0}


def _are_tracks(target: _Target) -> bool:
    return all(start is None for _, start in target.rows)


def _count_text(n: int, target: _Target) -> str:
    what = "track" if _are_tracks(target) else "stretch"
    plural = "s" if what == "track" else "es"
    return f"{n} {what}{plural if n != 1 else ''}"


def _name_classes(axes: Axes, names: Sequence[str], room: int) -> None:
    is_crowded = len(names) * max(map(len, names)) > room
    angle: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **(angle if is_crowded else {}))


def _file_stem(name: str) -> str:
    """Turn a target's name into part of a file's name; different names stay different."""
    return "".join(c if c.isalnum() or c in "-_. " else f"%{ord(c):02X}" for c in name)

"""Figures of predictions: a track over time and in the plane, or many tracks side by side."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from mertools.artifacts.figures import COLOURS, FORMATS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.artifacts.rows import Model
from mertools.errors import UsageError
from mertools.prediction.emotion import Emotion, format_on, order_targets
from mertools.presentation.labels import place_labels
from mertools.presentation.tracks import (
    Curve,
    FloatArray,
    Shares,
    ShownTrack,
    describe_models,
    describe_windows,
    format_time,
    read_outline,
    shorten,
)
from mertools.targets.plane import QUADRANTS, TARGETS, find_word
from mertools.targets.scale import Range, Scale, format_number

TARGET_COLOURS = {"arousal": COLOURS[1], "valence": COLOURS[0], "dominance": COLOURS[2]}
OTHER_COLOUR = COLOURS[3]
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Colours of unordered classes, in the order in which neighbours differ most."""

INK, GRID = "#222222", "#dddddd"
PATH_COLOURS = LinearSegmentedColormap.from_list("path", ["#c4c4c4", INK])
OUTLINE_BINS = 800
MAX_ROWS = 60
"""Up to how many tracks that stand one below the other are all named; of more, every n-th."""

TITLE_LENGTH, NAME_LENGTH = 70, 28
"""Characters of a name that a title and a label have room for."""

MAX_TIMES = 8
TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600)
CAPTION_SIZE = 8
CHARACTERS_PER_INCH = 17
"""Of text of the caption's size."""


class PlotWriter:
    """Draws one figure of all tracks that are added: over time if there is only one."""

    def __init__(self, path: Path, models: Sequence[Model] = ()) -> None:
        """Raise UsageError for an ending that is no format of figures."""
        self._path, self._format = path, path.suffix[1:].lower()
        if self._format not in FORMATS:
            raise UsageError(path, "ends in no format of figures", f"use .{' or .'.join(FORMATS)}")
        self._models = models
        self._tracks: list[ShownTrack] = []

    def add(self, track: ShownTrack) -> None:
        """Add a track; of more than one only the ratings of the whole tracks are kept."""
        # Curves are drawn of a single track only; without them thousands of tracks fit in memory.
        if self._tracks:
            self._tracks[0] = replace(self._tracks[0], curves={})
            track = replace(track, curves={})
        self._tracks.append(track)

    def write(self) -> None:
        """Write the figure, if there is a track. Raises UsageError where it cannot be written."""
        if not self._tracks:
            return
        first = self._tracks[0]
        is_over_time = len(self._tracks) == 1 and first.window is not None
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            # A letter that the figures' font lacks is drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            if is_over_time:
                figure = draw_track(first, self._models)
            else:
                figure = draw_tracks(self._tracks, self._models)
            save_figure(figure, self._path, self._format)


def draw_track(track: ShownTrack, models: Sequence[Model] = ()) -> Figure:
    """Draw a track's waveform and curves over time and, if both axes are predicted, its path."""
    n_curves = len(track.curves)
    height = 2.2 + 1.7 * n_curves
    if track.is_in_plane:
        figure = Figure(figsize=(12, max(height, 5.6)), layout="constrained")
        over_time, beside = figure.subfigures(1, 2, width_ratios=(1.6, 1))
        plane = beside.subplots()
        _draw_plane(plane, track.whole)
        _draw_path(plane, track)
    else:
        figure = Figure(figsize=(8.5, height), layout="constrained")
        over_time = figure.subfigures()
    panels = over_time.subplots(1 + n_curves, sharex=True, height_ratios=[0.5] + [1] * n_curves)
    title = f"{shorten(track.name, TITLE_LENGTH)}\n{track.warning}".rstrip()
    panels[0].set_title(title, loc="left", fontsize=12)
    duration = _draw_waveform(panels[0], track)
    for axes, (target, curve) in zip(panels[1:], track.curves.items(), strict=True):
        if isinstance(curve, Curve):
            _draw_curve(axes, target, curve, duration)
        else:
            _draw_shares(axes, target, curve, duration)
    last = panels[-1]
    last.xaxis.set_major_locator(MultipleLocator(_time_step(duration)))
    last.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_time(x)))
    last.set(xlim=(0, duration), xlabel="time (min:s)")
    has_band = any(curve.whole.spread is not None for curve in track.curves.values())
    has_line = any(isinstance(curve, Curve) for curve in track.curves.values())
    lines = "Line: mean rating; dotted: the same on an axis of its own, to the right"
    band = "; band: one standard deviation of listeners' ratings to either side" if has_band else ""
    length = f"Length {format_time(duration)}."
    _write_caption(
        figure,
        f"{lines}{band}." if has_line else "",
        describe_windows(track.window),
        length,
        models,
    )
    if track.is_in_plane:
        figure.draw_without_rendering()  # until then the axes have no size that labels could fit
        _mark_times(plane, track)
    return figure


def draw_tracks(tracks: Sequence[ShownTrack], models: Sequence[Model] = ()) -> Figure:
    """Draw whole tracks: a point each in the plane, and a row each for other targets."""
    in_plane = tracks[0].is_in_plane
    targets = [
        target
        for target in order_targets(tracks[0].whole.ratings)
        if not (in_plane and target in TARGETS)
    ]
    n_columns = in_plane + len(targets)
    height = 7.0 if in_plane else 1.8 + 0.22 * min(len(tracks), MAX_ROWS)
    figure = Figure(figsize=((7 if in_plane else 0) + 6.5 * len(targets), height))
    figure.set_layout_engine("constrained")
    columns = [figure.add_subplot(1, n_columns, k + 1) for k in range(n_columns)]
    for axes, target in zip(columns[in_plane:], targets, strict=True):
        _draw_in_order(axes, target, tracks)
    title = f"{len(tracks)} tracks"
    if len(tracks) == 1:
        title = f"{shorten(tracks[0].name, TITLE_LENGTH)}\n{tracks[0].warning}".rstrip()
    heading = figure.suptitle(title, x=0.01, ha="left")
    _write_caption(figure, _explain_bars(tracks[0], targets), "", "", models)
    if in_plane:
        n_named = _draw_points(figure, columns[0], tracks)
        # Names are fitted in after the layout, so only now is it known how many had room.
        if n_named < len(tracks):
            heading.set_text(f"{title} ({n_named} have room for their names)")
    return figure


def _explain_bars(track: ShownTrack, targets: Sequence[str]) -> str:
    ratings = [track.whole[target] for target in targets]
    if any(rating.spread is not None for rating in ratings):
        return "Bars: one standard deviation of listeners' ratings to either side of the mean."
    return ""


def _write_caption(
    figure: Figure, lines: str, windows: str, length: str, models: Sequence[Model]
) -> None:
    text = " ".join(filter(None, (lines, windows, length, describe_models(models))))
    if text:
        width = int(figure.get_figwidth() * CHARACTERS_PER_INCH)
        figure.supxlabel(
            textwrap.fill(text, width), x=0.01, ha="left", fontsize=CAPTION_SIZE, color="#555555"
        )


def _draw_points(figure: Figure, axes: Axes, tracks: Sequence[ShownTrack]) -> int:
    """Draw a point a track in the plane and name as many as fit; returns how many."""
    _draw_plane(axes, tracks[0].whole)
    points = np.array([_place(track.whole) for track in tracks])
    size = 5 if len(tracks) <= MAX_ROWS else 3.5
    axes.plot(*points.T, "o", color=INK, markersize=size, alpha=0.7, mew=0)
    figure.draw_without_rendering()  # until then the axes have no size that labels could fit
    names = [shorten(track.name, NAME_LENGTH) for track in tracks]
    return place_labels(axes, points, names)


def _place(emotion: Emotion) -> tuple[float, float]:
    valence, arousal = (emotion[target].mean or 0.0 for target in TARGETS)
    return valence, arousal


def _draw_waveform(axes: Axes, track: ShownTrack) -> float:
    """Draw the outline of the sound, if it is there; returns the track's length in seconds."""
    axes.set_axis_off()
    if track.sound is None:
        return track.duration
    outline, duration = read_outline(track.sound, OUTLINE_BINS)
    times = (np.arange(OUTLINE_BINS) + 0.5) * duration / OUTLINE_BINS
    axes.fill_between(times, -outline, outline, color=REFERENCE_COLOUR, linewidth=0)
    return duration


def _draw_curve(axes: Axes, target: str, curve: Curve, duration: float) -> None:
    """Draw means over time, level before the first and after the last window, and their band."""
    colour = TARGET_COLOURS.get(target, OTHER_COLOUR)
    times = np.array([0, *curve.times, duration])
    means = np.pad(curve.means, 1, mode="edge")
    axes.axhline(0, color=GRID, linewidth=0.8)
    if curve.spreads is not None:
        low, high = _band(means, np.pad(curve.spreads, 1, mode="edge"))
        axes.fill_between(times, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(times, means, color=colour)
    axes.set(ylim=(-1.04, 1.04), ylabel=shorten(target, NAME_LENGTH))
    axes.yaxis.label.set(color=colour, fontweight="bold")
    _name_scale(axes.set_yticks, curve.whole.scale)
    lowest, highest = means.min(), means.max()
    if lowest < highest:
        # A narrow curve has a shape, too, that the scale's own width hides.
        own = axes.twinx()
        own.plot(times, means, color=colour, linestyle=":", linewidth=1)
        ends = [_format_mean(curve.whole.scale, mean) for mean in (lowest, highest)]
        own.set_yticks([lowest, highest], ends, fontsize=8, color=colour)


def _format_mean(scale: Scale, mean: float) -> str:
    """Write a mean from -1 to 1, or the number of the scale that it stands for."""
    if isinstance(scale, Range):
        return format_on(scale, scale.middle + mean * (scale.high - scale.low) / 2)
    return f"{mean:+.2f}"


def _band(means: FloatArray, spreads: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.clip(means - spreads, -1, 1), np.clip(means + spreads, -1, 1)


def _draw_shares(axes: Axes, target: str, curve: Shares, duration: float) -> None:
    """Draw the posteriors of unordered classes over time as areas that stand on each other."""
    times = np.array([0, *curve.times, duration])
    posteriors = np.pad(curve.posteriors, ((1, 1), (0, 0)), mode="edge")
    names = [shorten(name, NAME_LENGTH) for name in curve.whole.classes]
    axes.stackplot(times, posteriors.T, colors=_class_colours(len(names)), labels=names)
    axes.set(ylim=(0, 1), ylabel=shorten(target, NAME_LENGTH))
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"], fontsize=9)
    axes.yaxis.label.set(fontweight="bold")
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), reverse=True, fontsize=9, handlelength=1
    )


def _class_colours(n: int) -> list[str]:
    if n <= len(CLASS_COLOURS):
        return list(CLASS_COLOURS[:n])
    return [to_hex(colour) for colour in mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n))]


def _draw_plane(axes: Axes, whole: Emotion) -> None:
    """Draw the plane itself, with its quadrants named."""
    for line in (axes.axhline, axes.axvline):
        line(0, color=GRID, linewidth=0.8, zorder=0)
    for name, corner in QUADRANTS.items():
        axes.annotate(
            f"{name}  {find_word(*corner)}",
            corner,
            (-6 * corner[0], -12 * corner[1]),
            textcoords="offset points",
            ha="right" if corner[0] > 0 else "left",
            va="center",
            fontsize=9,
            color="#666666",
        )
    axes.set(xlim=(-1, 1), ylim=(-1, 1), aspect=1, xlabel="valence", ylabel="arousal")
    axes.xaxis.label.set(color=TARGET_COLOURS["valence"], fontweight="bold")
    axes.yaxis.label.set(color=TARGET_COLOURS["arousal"], fontweight="bold")
    axes.spines[:].set(visible=True, color=GRID)
    _name_scale(axes.set_xticks, whole["valence"].scale)
    _name_scale(axes.set_yticks, whole["arousal"].scale)


def _draw_path(axes: Axes, track: ShownTrack) -> None:
    """Draw a track's path, the darker the later, with times on it, and the whole track's point."""
    times, valence, arousal = track.path()
    points = np.column_stack([valence, arousal])
    steps = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(list(steps), cmap=PATH_COLOURS, linewidths=1.4, capstyle="round")
    lines.set_array(np.arange(len(steps)))  # the colour of each step is its time
    axes.add_collection(lines)
    marks = (
        (points[0], "o", "white", f"start ({format_time(times[0])})"),
        (points[-1], "o", INK, f"end ({format_time(times[-1])})"),
        (np.array(_place(track.whole)), "D", COLOURS[4], "whole track"),
    )
    for point, shape, colour, label in marks:
        axes.plot(
            *point, shape, markersize=7, mfc=colour, mec=INK, mew=1, linestyle="", label=label
        )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=3, handletextpad=0.1)
    axes.set_title(track.verdict, fontsize=12, pad=26)


def _mark_times(axes: Axes, track: ShownTrack) -> None:
    """Mark round times on the path of a track, and name those that have room."""
    times, valence, arousal = track.path()
    step = _time_step(times[-1] - times[0])
    shown = np.arange((times[0] // step + 1) * step, times[-1], step)
    points = np.column_stack([np.interp(shown, times, axis) for axis in (valence, arousal)])
    axes.scatter(points[:, 0], points[:, 1], s=12, color=INK, zorder=3)
    place_labels(axes, points, [format_time(time) for time in shown])


def _time_step(seconds: float) -> float:
    """Choose a round step of time that gives at most `MAX_TIMES` of so many seconds."""
    return next((step for step in TIME_STEPS_S if seconds / step <= MAX_TIMES), TIME_STEPS_S[-1])


def _draw_in_order(axes: Axes, target: str, tracks: Sequence[ShownTrack]) -> None:
    """Draw a row a track, from the lowest mean to the highest, or by the likeliest class."""
    ratings = [track.whole[target] for track in tracks]
    if ratings[0].mean is None:
        order = sorted(range(len(tracks)), key=lambda k: _class_key(ratings[k].posterior))
        left = np.zeros(len(tracks))
        classes = ratings[0].classes
        colours = _class_colours(len(classes))
        for k, (name, colour) in enumerate(zip(classes, colours, strict=True)):
            widths = np.array([ratings[row].posterior[k] for row in order])
            axes.barh(range(len(tracks)), widths, left=left, color=colour, label=name)
            left += widths
        axes.set(xlim=(0, 1))
        axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"], fontsize=9)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, handlelength=1)
    else:
        order = sorted(range(len(tracks)), key=lambda k: ratings[k].mean or 0.0)
        colour = TARGET_COLOURS.get(target, OTHER_COLOUR)
        rows = np.arange(len(tracks))
        means = np.array([ratings[k].mean for k in order])
        spreads = np.array([ratings[k].spread or 0.0 for k in order])
        axes.axvline(0, color=GRID, linewidth=0.8)
        axes.hlines(rows, *_band(means, spreads), color=colour, alpha=0.3)
        axes.plot(means, rows, "o", color=colour, markersize=5 if len(rows) <= MAX_ROWS else 2)
        axes.set(xlim=(-1.04, 1.04))
        axes.xaxis.label.set(color=colour)
        _name_scale(axes.set_xticks, ratings[0].scale)
    step = -(-len(tracks) // MAX_ROWS)
    shown = range(0, len(tracks), step)
    names = [shorten(tracks[order[k]].name, NAME_LENGTH) for k in shown]
    axes.set_yticks(shown, names, fontsize=8)
    axes.set(ylim=(-0.7, len(tracks) - 0.3), xlabel=shorten(target, TITLE_LENGTH))
    axes.xaxis.label.set_fontweight("bold")


def _class_key(posterior: Sequence[float]) -> tuple[int, float]:
    likeliest = int(np.argmax(posterior))
    return likeliest, posterior[likeliest]


def _name_scale(set_ticks: Callable[..., object], scale: Scale) -> None:
    """Name the lowest, the middle and the highest class or number on an axis from -1 to 1."""
    if isinstance(scale, Range):
        numbers = [format_number(value) for value in (scale.low, scale.middle, scale.high)]
        set_ticks([-1, 0, 1], numbers, fontsize=9)
        return
    names = scale.names
    places = np.linspace(-1, 1, len(names))
    # The ends, and the middle where there is one: more names would not fit.
    shown = range(0, len(names), (len(names) - 1) // 2 if len(names) % 2 else len(names) - 1)
    set_ticks([places[k] for k in shown], [shorten(names[k], 16) for k in shown], fontsize=9)

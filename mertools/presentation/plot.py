"""Figures of predictions: a track over time and in the plane, or many tracks in the plane."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mertools.artifacts.figures import COLOURS, FORMATS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.errors import UsageError
from mertools.prediction.emotion import Emotion
from mertools.presentation.tracks import QUADRANTS, Curve, ShownTrack, format_time, read_outline
from mertools.targets.plane import find_word

TARGET_COLOURS = {"arousal": COLOURS[1], "valence": COLOURS[0]}
OTHER_COLOUR = COLOURS[2]
INK, GRID = "#222222", "#dddddd"
PATH_COLOURS = LinearSegmentedColormap.from_list("path", ["#c4c4c4", INK])
OUTLINE_BINS = 800
MAX_NAMES = 30
"""Up to how many tracks of a figure are named."""


class PlotWriter:
    """Draws one figure of all tracks that are added: over time if it is but one."""

    def __init__(self, path: Path) -> None:
        """Raise UsageError for an ending that is no format of figures."""
        self._path, self._format = path, path.suffix[1:].lower()
        if self._format not in FORMATS:
            raise UsageError(path, "ends in no format of figures", f"use .{' or .'.join(FORMATS)}")
        self._tracks: list[ShownTrack] = []

    def add(self, track: ShownTrack) -> None:
        """Take a track in; of more than one, only where the whole tracks lie is kept."""
        if self._tracks:
            self._tracks[0] = _without_windows(self._tracks[0])
            track = _without_windows(track)
        self._tracks.append(track)

    def write(self) -> None:
        """Write the figure, if there is a track. Raises UsageError where it cannot be written."""
        if not self._tracks:
            return
        is_alone = len(self._tracks) == 1
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            # A letter that the figures' font lacks is drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure = draw_track(self._tracks[0]) if is_alone else draw_tracks(self._tracks)
            save_figure(figure, self._path, self._format)


def _without_windows(track: ShownTrack) -> ShownTrack:
    none = np.empty(0)
    curves = {
        target: replace(curve, times=none, means=none, spreads=none)
        for target, curve in track.curves.items()
    }
    return replace(track, curves=curves)


def draw_track(track: ShownTrack) -> Figure:
    """Draw a track's waveform and curves over time and, if both axes are predicted, its path."""
    n_curves = len(track.curves)
    if track.is_in_plane:
        figure = Figure(figsize=(12, 1.6 + 1.7 * n_curves), layout="constrained")
        over_time, beside = figure.subfigures(1, 2, width_ratios=(1.6, 1))
        axes = beside.subplots()
        _draw_plane(axes, track.whole)
        _draw_path(axes, track)
    else:
        figure = Figure(figsize=(7.5, 1.6 + 1.7 * n_curves), layout="constrained")
        over_time = figure.subfigures()
    panels = over_time.subplots(1 + n_curves, sharex=True, height_ratios=[0.5] + [1] * n_curves)
    title = f"{track.name}\n{track.warning}".rstrip()
    panels[0].set_title(title, loc="left", fontsize=12)
    duration = _draw_waveform(panels[0], track)
    for axes, (target, curve) in zip(panels[1:], track.curves.items(), strict=True):
        _draw_curve(axes, target, curve, duration)
    last = panels[-1]
    last.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 3, 6, 10], integer=True))
    last.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_time(x)))
    last.set(xlim=(0, duration), xlabel="time (min:s)")
    return figure


def draw_tracks(tracks: Sequence[ShownTrack]) -> Figure:
    """Draw where tracks lie: in the plane, or in order if only one of its axes is predicted."""
    is_few = len(tracks) <= MAX_NAMES
    if not tracks[0].is_in_plane:
        targets = list(tracks[0].curves)
        figure = Figure(
            figsize=(6.5 * len(targets), 1.5 + 0.25 * (len(tracks) if is_few else MAX_NAMES)),
            layout="constrained",
        )
        for column, target in enumerate(targets):
            axes = figure.add_subplot(1, len(targets), column + 1)
            _draw_in_order(axes, target, tracks)
        return figure
    figure = Figure(figsize=(7, 7), layout="constrained")
    axes = figure.add_subplot()
    _draw_plane(axes, tracks[0].whole)
    axes.set_title(f"{len(tracks)} tracks", loc="left", fontsize=12)
    places = [(track.whole["valence"].mean, track.whole["arousal"].mean) for track in tracks]
    size = 5 if is_few else 3.5
    axes.plot(*np.transpose(places), "o", color=INK, markersize=size, alpha=0.7, mew=0)
    if is_few:
        for track, place in zip(tracks, places, strict=True):
            axes.annotate(track.name, place, (4, 3), textcoords="offset points", fontsize=8)
    return figure


def _draw_waveform(axes: Axes, track: ShownTrack) -> float:
    """Draw the outline of the sound, if it is there; give the length of what is drawn."""
    axes.set_axis_off()
    if track.sound is None:
        return track.duration
    outline, duration = read_outline(track.sound, OUTLINE_BINS)
    times = (np.arange(OUTLINE_BINS) + 0.5) * duration / OUTLINE_BINS
    axes.fill_between(times, -outline, outline, color=REFERENCE_COLOUR, linewidth=0)
    return duration


def _draw_curve(axes: Axes, target: str, curve: Curve, duration: float) -> None:
    """Draw a curve, level before its first and after its last window, and its band."""
    colour = TARGET_COLOURS.get(target, OTHER_COLOUR)
    times = np.array([0, *curve.times, duration])
    means, spreads = (np.pad(values, 1, mode="edge") for values in (curve.means, curve.spreads))
    low, high = np.clip(means - spreads, -1, 1), np.clip(means + spreads, -1, 1)
    axes.axhline(0, color=GRID, linewidth=0.8)
    axes.fill_between(times, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(times, means, color=colour)
    axes.set(ylim=(-1.04, 1.04), ylabel=target)
    axes.yaxis.label.set(color=colour, fontweight="bold")
    _name_ratings(axes.set_yticks, curve.whole.classes)


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
    _name_ratings(axes.set_xticks, whole["valence"].classes)
    _name_ratings(axes.set_yticks, whole["arousal"].classes)


def _draw_path(axes: Axes, track: ShownTrack) -> None:
    """Draw where a track goes, the darker the later, and where it lies as a whole."""
    _, valence, arousal = track.path()
    points = np.column_stack([valence, arousal])
    steps = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(list(steps), cmap=PATH_COLOURS, linewidths=1.6, capstyle="round")
    lines.set_array(np.arange(len(steps)))
    axes.add_collection(lines)
    whole = (track.whole["valence"].mean, track.whole["arousal"].mean)
    marks = (
        (points[0], "o", "white", "start"),
        (points[-1], "o", INK, "end"),
        (whole, "D", COLOURS[4], "whole track"),
    )
    for place, shape, colour, label in marks:
        axes.plot(
            *place, shape, markersize=7, mfc=colour, mec=INK, mew=1, linestyle="", label=label
        )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=3, handletextpad=0.1)
    if quadrant := track.whole.quadrant:
        title = f"{track.whole.word}, {quadrant.name} {quadrant.probability:.0%}"
        axes.set_title(title, fontsize=12, pad=26)


def _draw_in_order(axes: Axes, target: str, tracks: Sequence[ShownTrack]) -> None:
    """Draw tracks from the lowest to the highest, with their bands."""
    ordered = sorted(tracks, key=lambda track: track.whole[target].mean)
    ratings = [track.whole[target] for track in ordered]
    means, spreads = (np.array([getattr(r, name) for r in ratings]) for name in ("mean", "spread"))
    colour = TARGET_COLOURS.get(target, OTHER_COLOUR)
    places = np.arange(len(ratings))
    low, high = np.clip(means - spreads, -1, 1), np.clip(means + spreads, -1, 1)
    axes.axvline(0, color=GRID, linewidth=0.8)
    axes.hlines(places, low, high, color=colour, alpha=0.3)
    axes.plot(means, places, "o", color=colour, markersize=5 if len(ratings) <= MAX_NAMES else 2)
    axes.set(xlim=(-1.04, 1.04), xlabel=target)
    axes.set_yticks(places, [track.name for track in ordered], fontsize=8)
    if len(ratings) > MAX_NAMES:
        axes.set_yticks([])
        axes.set_title(f"{len(ratings)} tracks", loc="left", fontsize=12)
    _name_ratings(axes.set_xticks, ratings[0].classes)


def _name_ratings(set_ticks: Callable[..., object], names: Sequence[str]) -> None:
    """Name the classes on an axis: the lowest, the highest, and one in the middle."""
    places = np.linspace(-1, 1, len(names))
    shown = range(0, len(names), (len(names) - 1) // 2 if len(names) % 2 else len(names) - 1)
    set_ticks([places[k] for k in shown], [names[k] for k in shown], fontsize=9)

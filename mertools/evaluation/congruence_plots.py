"""Figures of congruence: matched beside mismatched pairs, and errors beside similarity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mertools.artifacts.figures import COLOURS, REFERENCE_COLOUR, STYLE, save_figure
from mertools.artifacts.files import make_folder
from mertools.evaluation.congruence import PlanePoints, Songs, error_of, mismatch
from mertools.evaluation.outcomes import FloatArray

N_BINS = 30
BANDWIDTH = 1.06
"""Silverman's rule: times the spread, over the fifth root of the number."""


def draw_matching(
    folder: Path, similarity: FloatArray, songs: Songs, seed: int, file_format: str
) -> Path:
    """Draw the distribution of matched and of mismatched pairs' similarity; give its path.

    similarity: (n, n), as `describe_matching` takes it. Raises UsageError where the folder cannot
    be written to.
    """
    make_folder(folder)
    path = folder / f"similarity.{file_format}"
    pairs = {"matched": np.diag(similarity), "mismatched": similarity[mismatch(songs, seed)]}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        edges = np.linspace(-1, 1, N_BINS + 1).tolist()
        x = np.linspace(-1, 1, 201, dtype=np.float64)
        for colour, (name, values) in zip(COLOURS, pairs.items(), strict=False):
            axes.hist(values, edges, density=True, alpha=0.35, color=colour)
            if len(values) > 1 and values.std() > 0:
                axes.plot(x, _density(values, x), color=colour, label=f"{name}, {len(values)}")
        axes.set(xlim=(-1, 1), xlabel="similarity of sound and lyrics", ylabel="density")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
        save_figure(figure, path, file_format)
    return path


def _density(values: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate the density of values at x by a Gaussian kernel."""
    width = BANDWIDTH * values.std() * len(values) ** -0.2
    z = (x[:, None] - values) / width
    density: FloatArray = np.exp(-(z**2) / 2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return density


def draw_errors(
    folder: Path,
    name: str,
    points: PlanePoints,
    congruence: Mapping[str, float],
    described: Mapping[str, Any],
    file_format: str,
) -> Path:
    """Draw each track's error beside its congruence, and the mean error of each fifth.

    `name` is what the congruence is called, `described` its relation to the errors of both numbers.
    """
    path = folder / f"errors_by_{name}.{file_format}"
    errors = error_of(points.reference, points.estimated)
    rows = [k for k, track in enumerate(points.track_ids) if track in congruence]
    values = np.array([congruence[points.track_ids[k]] for k in rows])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 4.4), layout="constrained")
        scatter, fifths = figure.subplots(1, 2)
        scatter.scatter(values, errors[rows], s=12, color=COLOURS[0], alpha=0.5, linewidth=0)
        r = described["pearson_r"]
        scatter.set(xlabel=name, ylabel="error", title="" if r is None else f"r = {r:.3f}")
        _draw_fifths(fifths, name, described, float(errors[rows].mean()))
        save_figure(figure, path, file_format)
    return path


def _draw_fifths(axes: Axes, name: str, described: Mapping[str, Any], mean: float) -> None:
    parts = described["fifths"]
    x = np.arange(len(parts))
    axes.bar(
        x,
        [part["mean_error"] for part in parts],
        yerr=[part["standard_error"] or 0 for part in parts],
        color=COLOURS[5],
        capsize=3,
    )
    axes.axhline(mean, color=REFERENCE_COLOUR, linewidth=0.8, label="all tracks")
    labels = [f"{part['low']:.2f}\nto {part['high']:.2f}" for part in parts]
    axes.set_xticks(x, labels)
    axes.set(xlabel=f"{name}, by fifths of the tracks", ylabel="mean error, and its standard error")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)

"""What is shown of a track: curves of what is predicted over time, and the sound's outline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.tables import Prediction
from mertools.audio.io import probe, read_blocks
from mertools.prediction.circumplex import TARGETS, Quadrant, find_quadrant, find_word
from mertools.prediction.emotion import UNLIKE

FloatArray = NDArray[np.float64]

MAX_WINDOWS = 600
"""Of more windows every second, third, ... is shown; a page has no more pixels."""

QUADRANTS = {"Q1": (1, 1), "Q2": (-1, 1), "Q3": (-1, -1), "Q4": (1, -1)}
"""The quadrants' corners of the plane: valence and arousal."""

OUTLINE_FRAMES = 512
"""Frames of sound that are reduced to one peak before the outline is made of them."""


@dataclass(frozen=True)
class Curve:
    """What is predicted for a target, as ratings from -1 (the first class) to 1 (the last).

    times: the middles of the windows in seconds, (n,), ascending; means and spreads, (n,): mean
    and standard deviation of each window's distribution; posterior, mean and spread: the track's.
    """

    classes: tuple[str, ...]
    times: FloatArray
    means: FloatArray
    spreads: FloatArray
    posterior: tuple[float, ...]
    mean: float
    spread: float


@dataclass(frozen=True)
class ShownTrack:
    """A track: its sound, if there is a file, its length in seconds, and its curves by target.

    Arousal comes first, then valence, then what else is predicted. `unlike` is how unlike the
    training music it is, from 0 to 1, where a model tells.
    """

    track_id: str
    sound: Path | None
    duration: float
    curves: Mapping[str, Curve]
    unlike: float | None = None

    @property
    def name(self) -> str:
        """The track_id as it can be shown, even if it comes from a name that is not UTF-8."""
        return self.track_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def is_in_plane(self) -> bool:
        """Whether both axes of the valence-arousal plane are predicted."""
        return all(target in self.curves for target in TARGETS)

    @property
    def warning(self) -> str:
        """What a person should know before believing what is predicted; empty if nothing."""
        is_unlike = self.unlike is not None and self.unlike > UNLIKE
        return "unlike the training music, so little is known" if is_unlike else ""

    @property
    def quadrant(self) -> Quadrant:
        """The most likely quadrant of the plane."""
        return find_quadrant(*(self.curves[target].posterior for target in TARGETS))

    @property
    def word(self) -> str:
        """Russell's word for the track's place in the plane."""
        return find_word(*(self.curves[target].mean for target in TARGETS))

    def path(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give the path through the plane: times, valence and arousal, each (n,).

        Where the models of the two targets have windows of their own, each is interpolated.
        """
        of_axes = [self.curves[target] for target in TARGETS]
        times = np.union1d(*(curve.times for curve in of_axes))
        valence, arousal = (np.interp(times, curve.times, curve.means) for curve in of_axes)
        return times, valence, arousal


def show_track(rows: Sequence[Prediction], sound: Path | None) -> ShownTrack:
    """Make what is shown of a track from all its rows of predictions.

    A target without a row of the whole track has the mean of its windows' posteriors for it, one
    without windows the whole track as its only window. A sound that is not there is left out.
    """
    of_targets: dict[str, list[Prediction]] = {}
    for row in rows:
        of_targets.setdefault(row.target, []).append(row)
    first = sorted(of_targets, key=lambda target: (target not in TARGETS, target == "valence"))
    return ShownTrack(
        rows[0].track_id,
        sound if sound is not None and sound.is_file() else None,
        max(row.start + row.duration for row in rows),
        {target: _make_curve(of_targets[target]) for target in first},
        max((r.unlike for r in rows if r.level == "track" and r.unlike is not None), default=None),
    )


def _make_curve(rows: Sequence[Prediction]) -> Curve:
    windows = sorted((row for row in rows if row.level == "segment"), key=lambda row: row.start)
    wholes = [row.posteriors for row in rows if row.level == "track"]
    whole = wholes[0] if wholes else tuple(np.mean([row.posteriors for row in windows], axis=0))
    shown = (windows or list(rows))[:: -(-len(windows) // MAX_WINDOWS) or 1]
    means, spreads = _moments([row.posteriors for row in shown])
    (mean,), (spread,) = _moments([whole])
    return Curve(
        rows[0].class_names(),
        np.array([row.start + row.duration / 2 for row in shown]),
        means,
        spreads,
        whole,
        float(mean),
        float(spread),
    )


def _moments(posteriors: Sequence[Sequence[float]]) -> tuple[FloatArray, FloatArray]:
    """Give mean and standard deviation of distributions over ratings, (n, n_classes)."""
    p = np.array(posteriors)
    ratings = np.linspace(-1, 1, p.shape[1])
    means = p @ ratings
    deviations = (ratings - means[:, None]) ** 2
    return means, np.sqrt((p * deviations).sum(axis=1))


def read_outline(sound: Path, n_bins: int) -> tuple[FloatArray, float]:
    """Read a sound file's peaks, (n_bins,), the loudest of them 1, and its length in seconds.

    Raises InputError where it cannot be decoded.
    """
    info = probe(sound)
    peaks, n_frames = [], 0
    for block in read_blocks(sound, info):
        starts = np.arange(0, len(block), OUTLINE_FRAMES)
        peaks.append(np.maximum.reduceat(np.abs(block).max(axis=1), starts))
        n_frames += len(block)
    all_peaks = np.concatenate(peaks)
    edges = np.arange(n_bins) * len(all_peaks) // n_bins
    outline = np.maximum.reduceat(all_peaks, edges).astype(np.float64)
    return outline / (outline.max() or 1.0), n_frames / info.sample_rate


def format_time(seconds: float) -> str:
    """Write a time as minutes and seconds, as players do."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"

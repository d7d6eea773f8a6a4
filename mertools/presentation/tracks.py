"""What is shown of a track: curves of what is predicted over time, and the sound's outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Prediction
from mertools.audio.io import probe, read_blocks
from mertools.prediction.emotion import UNLIKE, Emotion, Rating, gather_emotions
from mertools.prediction.predict import make_prediction
from mertools.targets.plane import TARGETS

FloatArray = NDArray[np.float64]

MAX_WINDOWS = 600
"""Of more windows every second, third, ... is shown; a page has no more pixels."""

QUADRANTS = {"Q1": (1, 1), "Q2": (-1, 1), "Q3": (-1, -1), "Q4": (1, -1)}
"""The quadrants' corners of the plane: valence and arousal."""

OUTLINE_FRAMES = 512
"""Frames of sound that are reduced to one peak before the outline is made of them."""


@dataclass(frozen=True)
class Curve:
    """What is predicted for a target over time, and its rating of the whole track.

    times: the middles of the windows in seconds, (n,), ascending; means and spreads, (n,): those of
    each window's rating.
    """

    whole: Rating
    times: FloatArray
    means: FloatArray
    spreads: FloatArray


@dataclass(frozen=True)
class ShownTrack:
    """A track: its sound, if there is a file, its length in seconds, and its curves by target.

    Arousal comes first, then valence, then what else is predicted. `whole` is what it expresses as
    a whole.
    """

    whole: Emotion
    sound: Path | None
    duration: float
    curves: Mapping[str, Curve]

    @property
    def name(self) -> str:
        """The track_id as it can be shown, even if it comes from a name that is not UTF-8."""
        return self.whole.track_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def is_in_plane(self) -> bool:
        """Whether both axes of the valence-arousal plane are predicted."""
        return self.whole.quadrant is not None

    @property
    def warning(self) -> str:
        """What a person should know before believing what is predicted; empty if nothing."""
        is_unlike = self.whole.unlike is not None and self.whole.unlike > UNLIKE
        return "unlike the training music, so little is known" if is_unlike else ""

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
    emotions = gather_emotions([*rows, *_missing_wholes(rows)])
    (whole,) = (emotion for emotion in emotions if emotion.segment_id is None)
    windows = sorted((e for e in emotions if e.segment_id is not None), key=lambda e: e.start)
    first = sorted(whole.ratings, key=lambda target: (target not in TARGETS, target == "valence"))
    return ShownTrack(
        whole,
        sound if sound is not None and sound.is_file() else None,
        max(row.start + row.duration for row in rows),
        {target: _make_curve(target, whole, windows) for target in first},
    )


def _missing_wholes(rows: Sequence[Prediction]) -> Iterator[Prediction]:
    """Yield a row of the whole track for each target that has only rows of its windows."""
    with_whole = {row.target for row in rows if row.level == "track"}
    windows: dict[str, list[Prediction]] = {}
    for row in rows:
        if row.target not in with_whole:
            windows.setdefault(row.target, []).append(row)
    for target, some in windows.items():
        start = min(row.start for row in some)
        duration = max(row.start + row.duration for row in some) - start
        posterior = np.mean([row.posteriors for row in some], axis=0)
        named = (target, some[0].class_names(), some[0].track_id)
        yield make_prediction(*named, None, start, duration, posterior)


def _make_curve(target: str, whole: Emotion, windows: Sequence[Emotion]) -> Curve:
    rated = [window for window in windows if target in window.ratings]
    shown = rated[:: -(-len(rated) // MAX_WINDOWS)] if rated else [whole]
    ratings = [window[target] for window in shown]
    return Curve(
        whole[target],
        np.array([window.start + window.duration / 2 for window in shown]),
        np.array([rating.mean for rating in ratings]),
        np.array([rating.spread for rating in ratings]),
    )


def read_outline(sound: Path, n_bins: int) -> tuple[FloatArray, float]:
    """Read a sound file's peaks, (n_bins,), the loudest of them 1, and its length in seconds.

    Raises InputError where it cannot be decoded.
    """
    info = probe(sound)
    peaks, n_frames = [], 0
    for block in read_blocks(sound, info):
        starts = np.arange(0, len(block), OUTLINE_FRAMES)
        # Channels last: along so short an axis a maximum takes longer than decoding.
        peaks.append(np.maximum.reduceat(np.abs(block), starts).max(axis=1))
        n_frames += len(block)
    all_peaks = np.concatenate(peaks)
    edges = np.arange(n_bins) * len(all_peaks) // n_bins
    outline = np.maximum.reduceat(all_peaks, edges).astype(np.float64)
    return outline / (outline.max() or 1.0), n_frames / info.sample_rate


def format_time(seconds: float) -> str:
    """Write a time as minutes and seconds, as players do."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"

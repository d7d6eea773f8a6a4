"""What figures and pages show of a track: its predictions over time, and its sound's outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.explanation_rows import Explanation
from mertools.artifacts.rows import Model, Prediction
from mertools.audio.io import probe, read_blocks
from mertools.prediction.emotion import (
    UNLIKE,
    Emotion,
    Rating,
    format_quadrant,
    gather_emotions,
    order_targets,
)
from mertools.presentation.why import Why, gather_whys
from mertools.targets.plane import TARGETS

FloatArray = NDArray[np.float64]

MAX_WINDOWS = 600
"""Of more windows every second, third, ... is shown; a page has no more pixels."""

OUTLINE_FRAMES = 512
"""Frames of sound that are reduced to one peak before the outline is drawn from them."""


@dataclass(frozen=True)
class Curve:
    """The ratings of ordered classes or of a number over time, and that of the whole track.

    times: (n,), the middles of the windows in seconds, ascending. means: (n,), from -1 to 1 as
    `Rating.mean`. spreads: (n,), as `Rating.spread`; None where the target is a number.
    """

    whole: Rating
    times: FloatArray
    means: FloatArray
    spreads: FloatArray | None


@dataclass(frozen=True)
class Shares:
    """The posteriors of unordered classes over time, (n, K), at the times of a `Curve`."""

    whole: Rating
    times: FloatArray
    posteriors: FloatArray


@dataclass(frozen=True)
class ShownTrack:
    """A track: its sound, if there is a file, its length in seconds, and its curves by target.

    `whole` is the emotion of the whole track. The curves are in the order of `order_targets`.
    `window` is the length of a window and the time from one to the next, in seconds; None where
    only the whole track was predicted. `whys` has the targets that were explained.
    """

    whole: Emotion
    sound: Path | None
    duration: float
    curves: Mapping[str, Curve | Shares]
    window: tuple[float, float] | None
    whys: Mapping[str, Why] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The track_id as it can be shown, even if it comes from a name that is not UTF-8."""
        return self.whole.track_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def is_in_plane(self) -> bool:
        """Whether both axes of the valence-arousal plane are predicted."""
        ratings = self.whole.ratings
        return all(t in ratings and ratings[t].mean is not None for t in TARGETS)

    @property
    def is_unlike(self) -> bool:
        """Whether the track as a whole is unlike the training music."""
        return self.whole.unlike is not None and self.whole.unlike > UNLIKE

    @property
    def warning(self) -> str:
        """What to know before believing the predictions; empty if nothing."""
        return "outside the training music; treat as a guess" if self.is_unlike else ""

    @property
    def verdict(self) -> str:
        """The whole track in a few words."""
        if self.whole.quadrant is not None:
            return f"{self.whole.word}, {format_quadrant(self.whole.quadrant)}"
        return ", ".join(str(curve.whole) for curve in self.curves.values())

    def path(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give the path through the plane: times, valence and arousal, each (n,).

        Where the models of the two targets have windows of their own, each is interpolated.
        """
        of_axes = [c for t in TARGETS if isinstance(c := self.curves[t], Curve)]
        times = np.union1d(*(curve.times for curve in of_axes))
        valence, arousal = (np.interp(times, curve.times, curve.means) for curve in of_axes)
        return times, valence, arousal


def show_track(
    rows: Sequence[Prediction], sound: Path | None, explanations: Sequence[Explanation] = ()
) -> ShownTrack:
    """Gather what is shown of a track from all its rows of predictions and explanations.

    A target without a row of the whole track gets the mean of its windows for it, one without
    windows the whole track as its only window. A sound that is not there is left out.
    """
    emotions = gather_emotions([*rows, *_missing_wholes(rows)])
    (whole,) = (emotion for emotion in emotions if emotion.segment_id is None)
    windows = sorted((e for e in emotions if e.segment_id is not None), key=_start)
    return ShownTrack(
        whole,
        sound if sound is not None and sound.is_file() else None,
        max([_end(whole), *(_middle(window) for window in windows)]),
        {target: _make_curve(target, whole, windows) for target in order_targets(whole.ratings)},
        _find_window(windows),
        gather_whys(explanations, {row.target: row for row in rows if row.level == "track"}),
    )


def _missing_wholes(rows: Sequence[Prediction]) -> Iterator[Prediction]:
    """Yield a row of the whole track for each target that has only rows of its windows."""
    with_whole = {row.target for row in rows if row.level == "track"}
    windows: dict[str, list[Prediction]] = {}
    for row in rows:
        if row.target not in with_whole:
            windows.setdefault(row.target, []).append(row)
    for some in windows.values():
        yield average_windows(some)


def average_windows(windows: Sequence[Prediction]) -> Prediction:
    """Average the rows of a track's windows, of one target, to a row of the whole track."""
    first, names = windows[0], windows[0].class_names()
    posterior = np.mean([row.posteriors for row in windows], axis=0) if names else np.empty(0)
    values = [row.value for row in windows if row.value is not None]
    unlike = [row.unlike for row in windows if row.unlike is not None]
    return replace(
        first,
        level="track",
        segment_id=None,
        start=0.0,
        duration=max((row.start or 0.0) + (row.duration or 0.0) for row in windows),
        posteriors=tuple(posterior.tolist()),
        predicted=names[int(posterior.argmax())] if names else None,
        value=float(np.mean(values)) if values else None,
        unlike=float(np.mean(unlike)) if unlike else None,
    )


def _start(window: Emotion) -> float:
    return window.start or 0.0


def _middle(emotion: Emotion) -> float:
    return _start(emotion) + (emotion.duration or 0.0) / 2


def _end(emotion: Emotion) -> float:
    return _start(emotion) + (emotion.duration or 0.0)


def _find_window(windows: Sequence[Emotion]) -> tuple[float, float] | None:
    """Give the usual length of windows, and the time from one to the next."""
    if not windows:
        return None
    starts = np.unique([_start(window) for window in windows])
    length = float(np.median([window.duration or 0.0 for window in windows]))
    return length, float(np.median(np.diff(starts))) if len(starts) > 1 else length


def _make_curve(target: str, whole: Emotion, windows: Sequence[Emotion]) -> Curve | Shares:
    rated = [window for window in windows if target in window.ratings]
    # A target without windows becomes a level line at the whole track's rating.
    shown = rated[:: -(-len(rated) // MAX_WINDOWS)] if rated else [whole]
    ratings = [window[target] for window in shown]
    times = np.array([_middle(window) for window in shown])
    means = [rating.mean for rating in ratings if rating.mean is not None]
    if not means:
        return Shares(whole[target], times, np.array([rating.posterior for rating in ratings]))
    spreads = [rating.spread for rating in ratings if rating.spread is not None]
    return Curve(whole[target], times, np.array(means), np.array(spreads) if spreads else None)


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
    # Reduced twice, as the number of frames, and so the bins' edges, is known only at the end.
    edges = np.arange(n_bins) * len(all_peaks) // n_bins
    outline = np.maximum.reduceat(all_peaks, edges).astype(np.float64)
    return outline / (outline.max() or 1.0), n_frames / info.sample_rate


def format_time(seconds: float) -> str:
    """Write a time as minutes and seconds, as players do."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def shorten(name: str, length: int) -> str:
    """Shorten a name to so many characters, keeping its beginning and its end."""
    if len(name) <= length:
        return name
    n_last = length // 4
    return f"{name[: length - n_last - 1]}…{name[-n_last:]}"


def describe_models(models: Sequence[Model]) -> str:
    """Name models with their architectures, and their licences where those are known."""
    if not models:
        return ""
    names = ", ".join(f"{model.name} ({model.model})" for model in models)
    licences = dict.fromkeys(model.licence for model in models if model.licence)
    text = f"Models: {names}."
    return f"{text} Licence of the models: {'; '.join(licences)}." if licences else text


def describe_windows(window: tuple[float, float] | None) -> str:
    """Say how a track was cut to be predicted; empty where it was not."""
    if window is None:
        return ""
    length, hop = window
    return (
        f"Windows of {length:g} s, one every {hop:g} s; the models learnt from ratings of whole "
        "tracks."
    )

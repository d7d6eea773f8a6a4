"""`mertools.predict`: the emotions of music, predicted from Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mertools.artifacts.rows import Track
from mertools.audio.sources import Source, find_sources
from mertools.errors import InputError, UsageError
from mertools.features.extract import FailedInput
from mertools.prediction.emotion import Emotion, flatten, gather_emotions
from mertools.prediction.installed import choose_models
from mertools.prediction.predict import predict_audio
from mertools.prediction.predictor import load_predictors, predict_over_time
from mertools.runtime.parallel import Jobs

if TYPE_CHECKING:
    from pandas import DataFrame

ARRAY_ID = "array"
"""The track_id of sound that comes as an array."""

StrPath = str | os.PathLike[str]


class Emotions(list[Emotion]):
    """The emotions of tracks, in the order of the inputs, and the files of the models."""

    def __init__(self, emotions: Iterable[Emotion] = (), models: Iterable[Path] = ()) -> None:
        super().__init__(emotions)
        self.models = tuple(models)

    def to_frame(self) -> DataFrame:
        """Return a pandas frame of a row a track, or a row a window where tracks have windows.

        The columns are track_id, path, start and duration in seconds, and those of `flatten`.
        Raises UsageError where pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise UsageError("pandas", "is not installed", "pip install pandas") from None
        shown = [(track, window) for track in self for window in track.windows or (track,)]
        return pandas.DataFrame(
            [
                {
                    "track_id": track.track_id,
                    "path": track.path,
                    "start": window.start,
                    "duration": window.duration,
                    **flatten(window),
                }
                for track, window in shown
            ]
        )


def predict(
    sound: StrPath | Sequence[StrPath] | NDArray[Any],
    *,
    sample_rate: int | None = None,
    models: Sequence[StrPath] = (),
    over_time: bool = False,
    window: float | None = None,
    hop: float | None = None,
    device: str = "auto",
    jobs: Jobs = 1,
) -> Emotions:
    """Predict the emotion of each track, as `mer predict` does.

    `sound` is one path or several, of sound files, folders or manifests of tracks; or an array at
    `sample_rate` in Hz, (n_samples,) or (n_samples, n_channels), of floats in [-1, 1) or int16.
    `models` are files or names as in `mer predict -m`; the result's own `models` say which files
    predicted. With `over_time` each track has `windows` of `window` seconds, one each `hop`
    seconds, by default as in `mer predict --over-time`. `jobs` above 1 starts processes; a script
    then needs `if __name__ == "__main__"`.

    Raises UsageError for an argument that is wrong, and InputError for the first sound that cannot
    be read.
    """
    choice = choose_models([os.fspath(name) for name in models])
    predictors = load_predictors(choice.paths, device)
    if over_time:
        predictors = predict_over_time(predictors, window, hop)
    found = Emotions(models=choice.paths)
    with _sources(sound, sample_rate) as sources:
        paths = {} if isinstance(sound, np.ndarray) else _paths_by_track(sources)
        for outcome in predict_audio(sources, predictors, "both" if over_time else "track", jobs):
            if isinstance(outcome, FailedInput):
                raise outcome.error
            # The whole track sorts last; windows stay in the order of time.
            *windows, track = sorted(
                gather_emotions(outcome.rows), key=lambda emotion: emotion.segment_id is None
            )
            path = paths.get(track.track_id)
            found.append(replace(track, windows=tuple(windows), path=path))
    return found


def _paths_by_track(sources: Iterable[Source]) -> dict[str, str]:
    return {
        source.track_id: source.path for source in sources if not isinstance(source, InputError)
    }


@contextmanager
def _sources(
    sound: StrPath | Sequence[StrPath] | NDArray[Any], sample_rate: int | None
) -> Iterator[list[Source]]:
    """Yield the tracks to predict; an array lies in a file during the block."""
    if not isinstance(sound, np.ndarray):
        paths = [sound] if isinstance(sound, str | os.PathLike) else sound
        yield list(find_sources([os.fspath(path) for path in paths]))
        return
    _check_array(sound, sample_rate)
    # Through a file, so that an array is mixed and resampled exactly as a file would be.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{ARRAY_ID}.wav"
        subtype = "PCM_16" if sound.dtype == np.int16 else "FLOAT"
        soundfile.write(path, sound, sample_rate, subtype, format="WAV")
        yield [Track(ARRAY_ID, str(path))]


def _check_array(y: NDArray[Any], sample_rate: int | None) -> None:
    """Raise UsageError for an array that is not sound."""
    if sample_rate is None or sample_rate < 1:
        raise UsageError("sample_rate", f"is {sample_rate}", "give the rate of the array in Hz")
    if y.dtype != np.int16 and y.dtype.kind != "f":
        raise UsageError("the array", f"is of type {y.dtype}", "give floats in [-1, 1) or int16")
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[0] < y.shape[1]):
        raise UsageError(
            "the array", f"has shape {y.shape}", "give (n_samples,) or (n_samples, n_channels)"
        )

"""The rows of predictions.csv: what a model says of a segment or track, a row a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import CLASS_SEPARATOR, Prediction
from mertools.targets.scale import Classes, Target


def make_predictions(
    targets: Sequence[Target],
    track_id: str,
    segment_id: str | None,
    start: float | None,
    duration: float | None,
    outputs: NDArray[np.float64],
    *,
    unlike: float | None = None,
    model: str | None = None,
    repeat: int | None = None,
    fold: int | None = None,
    path: str | None = None,
) -> Iterator[Prediction]:
    """Yield a row for each target from a model's outputs, (n_outputs,): a track's if no segment_id.

    Outputs are posteriors of classes, or a number a target. The value of ordered classes is the
    expected level, from 1 up; unordered classes have none.
    """
    for k, target in enumerate(targets):
        classes, posteriors, predicted = None, (), None
        value: float | None = float(outputs[k])
        if isinstance(target.scale, Classes):
            names = target.scale.names
            classes = CLASS_SEPARATOR.join(names)
            posteriors = tuple(outputs.tolist())
            predicted = names[int(outputs.argmax())]
            levels = np.arange(1, len(outputs) + 1)
            value = float(outputs @ levels) if target.scale.ordered else None
        yield Prediction(
            level="track" if segment_id is None else "segment",
            track_id=track_id,
            segment_id=segment_id,
            start=start,
            duration=duration,
            target=target.name,
            classes=classes,
            posteriors=posteriors,
            predicted=predicted,
            value=value,
            unlike=unlike,
            scale=str(target.scale),
            model=model,
            repeat=repeat,
            fold=fold,
            path=path,
        )

"""What the commands that train have in common, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mertools.artifacts.rows import Prediction
    from mertools.dataset.data import Joined, TrainingSet
    from mertools.dataset.segments import SegmentSet
    from mertools.training.scores import OutOfFold


def report_joined(joined: Joined[Any]) -> None:
    """Tell a person how many tracks there are to learn from."""
    from mertools.cli.shared.console import say

    say(
        f"{joined.training_set.target}: {joined.n_train} tracks to learn from; "
        f"{joined.n_test} kept for testing, {joined.n_dropped} dropped for disagreement, "
        f"{joined.n_without_features} without features"
    )


def complete_card(card: dict[str, Any], joined: Joined[Any], licence: str | None) -> dict[str, Any]:
    """Add to a model's card its licence, and what joining features with labels has told."""
    if licence is not None:
        card["licence"] = licence
    card["features"] = [
        {
            "kind": kind.name,
            "params": dict(kind.params),
            "params_digest": kind.params_digest,
            "shape": list(kind.shape),
        }
        for kind in joined.kinds
    ]
    card["audio"] = {
        "sample_rate": joined.kinds[0].params["sample_rate"],
        "length_s": joined.length_s,
        "hop_s": joined.hop_s,
        "last": joined.last,
    }
    card["training"]["left_out"] = {
        "test": joined.n_test,
        "disagreement": joined.n_dropped,
        "without_features": joined.n_without_features,
    }
    return card


def prediction_rows(
    data: TrainingSet | SegmentSet, level: str, posteriors: NDArray[np.float64]
) -> Iterator[Prediction]:
    """Yield predictions of all tracks, or all rows as segments, from (n, n_classes) posteriors."""
    import numpy as np

    from mertools.prediction.predict import make_prediction

    for place, posterior in enumerate(posteriors):
        of_unit = data.groups == place
        segment_id = None
        if level == "segment":
            of_unit = np.arange(len(data.row_ids)) == place
            segment_id = data.row_ids[place]
        start = float(data.starts[of_unit].min())
        end = float((data.starts[of_unit] + data.durations[of_unit]).max())
        track_id = data.track_ids[int(data.groups[of_unit][0])]
        yield make_prediction(
            data.target, data.classes, track_id, segment_id, start, end - start, posterior
        )


def report_scores(title: str, levels: Mapping[str, OutOfFold]) -> None:
    """Draw a table of cross-validation's scores for a person."""
    from mertools.cli.shared.console import print_table

    rows = [
        [
            f"{level}, {score.replace('_', ' ')}",
            f"{of['mean']:.3f} ± {of['std']:.3f}",
            f"{of['pooled']:.3f}",
            f"{of['majority']:.3f}",
        ]
        for level, out_of_fold in levels.items()
        for score, of in out_of_fold.summarise().items()
    ]
    print_table(title, ["", "folds", "pooled", "majority class"], rows)

"""How well cross-validation says that a model does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.dataset.dataset import Dataset
from mertools.evaluation.metrics import score_labels, score_numbers
from mertools.models.model import are_numbers
from mertools.targets.pooling import Pooling, pool_segments
from mertools.targets.scale import Target

Scores = dict[str, float]

GUESS_OF_CLASSES = "majority"
GUESS_OF_NUMBERS = "baseline"
"""What a guess without music is called in a card: the most frequent class, or the mean number."""


@dataclass(frozen=True)
class Outcomes:
    """What is predicted of n tracks, or segments, beside what is true.

    Each prediction is by a model that did not learn from the track. outputs and reference:
    (n, n_outputs), posteriors beside classes, (n,), or numbers beside numbers; folds: (n,).
    """

    targets: tuple[Target, ...]
    reference: NDArray[Any]
    outputs: NDArray[np.float64]
    folds: NDArray[np.int64]

    def score(self) -> Scores:
        """Score all together. Several numbers have scores of each, and their means."""
        return score_outputs(self.targets, self.reference, self.outputs)

    def score_folds(self) -> list[Scores]:
        """Score each fold."""
        return [
            score_outputs(self.targets, self.reference[chosen], self.outputs[chosen])
            for chosen in (self.folds == fold for fold in range(int(self.folds.max()) + 1))
        ]

    def score_guess(self) -> Scores:
        """Score a guess without music: the most frequent class, or the mean of other folds."""
        guess = np.zeros_like(self.outputs)
        if not are_numbers(self.targets):
            guess[:, np.bincount(self.reference).argmax()] = 1.0
        else:
            # The mean of the other folds, as a model could have learnt it, not of the scored one.
            for fold in np.unique(self.folds):
                others = self.reference[self.folds != fold]
                guess[self.folds == fold] = (others if len(others) else self.reference).mean(axis=0)
        return score_outputs(self.targets, self.reference, guess)


def score_outputs(
    targets: Sequence[Target], reference: NDArray[Any], outputs: NDArray[np.float64]
) -> Scores:
    """Score outputs of rows, (n, n_outputs), beside their classes, (n,), or their numbers."""
    if not are_numbers(targets):
        return score_labels(reference, outputs.argmax(axis=1), outputs.shape[1])
    each = [score_numbers(reference[:, k], outputs[:, k]) for k in range(len(targets))]
    if len(targets) == 1:
        return each[0]
    # A search needs one figure for several targets.
    means = {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}
    return means | {
        f"{target.name} {name}": value
        for target, scores in zip(targets, each, strict=True)
        for name, value in scores.items()
    }


def reference_of(data: Dataset) -> NDArray[Any]:
    """Give what is true of the tracks: classes, (n_tracks,), or numbers, (n_tracks, n_targets)."""
    return data.labels.numbers if are_numbers(data.targets) else data.labels.y


def lay_out_levels(
    data: Dataset,
    outputs: NDArray[np.float64],
    folds: NDArray[np.int64],
    scored: NDArray[np.bool_],
    pool: Pooling,
    *,
    segments: bool = True,
) -> dict[str, Outcomes]:
    """Lay out the outputs of all rows, (n_rows, n_outputs), as outcomes of scored tracks.

    folds and scored: (n_tracks,). With `segments` those are a level of their own.
    """
    reference = reference_of(data)
    of_tracks = pool_tracks(data, outputs, pool)
    levels = {"track": Outcomes(data.targets, reference[scored], of_tracks[scored], folds[scored])}
    if segments:
        rows = scored[data.groups]
        of_row = data.groups[rows]
        levels["segment"] = Outcomes(data.targets, reference[of_row], outputs[rows], folds[of_row])
    return levels


def pool_tracks(data: Dataset, outputs: NDArray[np.float64], pool: Pooling) -> NDArray[np.float64]:
    """Pool the outputs of all rows, (n_rows, n_outputs), by track: (n_tracks, n_outputs)."""
    are_posteriors = not are_numbers(data.targets)
    return pool_segments(outputs, data.groups, pool, are_posteriors=are_posteriors)


def summarise(levels: Sequence[Mapping[str, Outcomes]]) -> dict[str, dict[str, dict[str, float]]]:
    """Summarise repetitions of cross-validation, for each level and score.

    mean and std (n - 1) are over all folds of all repetitions; pooled is of all folds' predictions
    together, and the guess's likewise, both averaged over repetitions. What is not defined is left
    out.
    """
    summaries: dict[str, dict[str, dict[str, float]]] = {}
    for level in levels[0]:
        outcomes = [of_repeat[level] for of_repeat in levels]
        of_folds = [scores for each in outcomes for scores in each.score_folds()]
        pooled, guesses = (
            [f(each) for each in outcomes] for f in (Outcomes.score, Outcomes.score_guess)
        )
        is_number = are_numbers(outcomes[0].targets)
        guess = GUESS_OF_NUMBERS if is_number else GUESS_OF_CLASSES
        summaries[level] = {
            name: _defined(
                {
                    "mean": float(np.mean([scores[name] for scores in of_folds])),
                    "std": float(np.std([scores[name] for scores in of_folds], ddof=1))
                    if len(of_folds) > 1
                    else 0.0,
                    "pooled": float(np.mean([scores[name] for scores in pooled])),
                    guess: float(np.mean([scores[name] for scores in guesses])),
                }
            )
            for name in pooled[0]
            if not np.isnan([scores[name] for scores in of_folds + pooled]).any()
        }
    return summaries


def _defined(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not np.isnan(value)}


def score_card(
    repeats: Sequence[Mapping[str, Outcomes]], chosen: Sequence[Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Say what a model's card says of its scores: those of each fold, and of all.

    `chosen` are the parameters of each fold's model, for each repetition.
    """
    folds = []
    for number, (levels, of_repeat) in enumerate(zip(repeats, chosen, strict=True), start=1):
        scores = {level: outcomes.score_folds() for level, outcomes in levels.items()}
        folds += [
            {
                **({"repeat": number} if len(repeats) > 1 else {}),
                "n_tracks": int((levels["track"].folds == fold).sum()),
                "chosen": dict(parameters),
                "levels": {level: _defined(of_folds[fold]) for level, of_folds in scores.items()},
            }
            for fold, parameters in enumerate(of_repeat)
        ]
    return {"folds": folds, "levels": summarise(repeats) if repeats else {}}

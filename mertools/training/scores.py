"""How well cross-validation says that a model does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = dict[str, float]


@dataclass(frozen=True)
class OutOfFold:
    """What cross-validation predicts of n tracks, or segments.

    Each by a model that was searched for and fitted without its track. y: the true classes (n,);
    posteriors: (n, n_classes); folds: (n,).
    """

    y: NDArray[np.int64]
    posteriors: NDArray[np.float64]
    folds: NDArray[np.int64]

    def score_folds(self) -> list[Scores]:
        """Score each fold."""
        return [
            score(self.y[self.folds == fold], self.posteriors[self.folds == fold])
            for fold in range(int(self.folds.max()) + 1)
        ]

    def summarise(self) -> dict[str, Scores]:
        """Summarise each score, beside that of always guessing the most frequent class."""
        of_folds = self.score_folds()
        majority = np.zeros_like(self.posteriors)
        majority[:, np.bincount(self.y).argmax()] = 1.0
        pooled, of_majority = score(self.y, self.posteriors), score(self.y, majority)
        return {
            name: {
                "mean": float(np.mean([scores[name] for scores in of_folds])),
                "std": float(np.std([scores[name] for scores in of_folds], ddof=1)),
                "pooled": pooled[name],
                "majority": of_majority[name],
            }
            for name in pooled
        }


def score_card(
    levels: Mapping[str, OutOfFold], chosen_of_folds: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Say what a model's card says of its scores: those of each fold, and of all."""
    scores = {level: out_of_fold.score_folds() for level, out_of_fold in levels.items()}
    folds = [
        {
            "n_tracks": int((levels["track"].folds == fold).sum()),
            "chosen": dict(chosen),
            "levels": {level: of_folds[fold] for level, of_folds in scores.items()},
        }
        for fold, chosen in enumerate(chosen_of_folds)
    ]
    summaries = {level: out_of_fold.summarise() for level, out_of_fold in levels.items()}
    return {"folds": folds, "levels": summaries}


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Give the 95 % interval of the mean of folds' scores, by Student's t with n - 1 degrees."""
    from scipy.special import stdtrit

    t = float(stdtrit(len(values) - 1, 0.975))
    half = t * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def mean_of_groups(P: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the rows of each group: (n_rows, n_classes) to (n_groups, n_classes)."""
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), P.shape[1]))
    np.add.at(sums, groups, P)
    means: NDArray[np.float64] = sums / counts[:, None]
    return means


def score(y: NDArray[np.int64], posteriors: NDArray[np.float64]) -> Scores:
    """Score posteriors, (n, n_classes), of rows whose classes are y, (n,)."""
    from sklearn.metrics import accuracy_score, f1_score

    predicted = posteriors.argmax(axis=1)
    labels = range(posteriors.shape[1])
    return {
        "macro_f1": float(f1_score(y, predicted, labels=labels, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(y, predicted)),
    }

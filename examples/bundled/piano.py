"""Music from elsewhere to judge by: EMOPIA's clips of pop piano, half of the songs for choosing.

Songs in alphabetical order are shuffled with the seed 0; the first half chooses, the other half
judges, so that what was chosen was not chosen on what judges it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.evaluation.metrics import roc_auc

SEED = 0
N_RESAMPLES = 1000
HIGH = {"arousal": ("Q1", "Q2"), "valence": ("Q1", "Q4")}
"""The quadrants on the high or positive side of a target."""


@dataclass(frozen=True)
class Piano:
    """Clips: their ids and songs, whether they choose, and on which side of a target they are."""

    track_ids: tuple[str, ...]
    songs: NDArray[np.str_]
    choose: NDArray[np.bool_]
    quadrants: NDArray[np.str_]

    @classmethod
    def read(cls, path: Path) -> Piano:
        """Read `track_id,song,quadrant`."""
        with path.open(newline="") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda row: row["track_id"])
        songs = np.array([row["song"] for row in rows])
        names = np.unique(songs)
        first = np.random.default_rng(SEED).permutation(len(names))[: len(names) // 2]
        return cls(
            tuple(row["track_id"] for row in rows),
            songs,
            np.isin(songs, names[first]),
            np.array([row["quadrant"] for row in rows]),
        )

    def auc(self, target: str, values: NDArray[np.float64], clips: NDArray[np.bool_]) -> float:
        """Tell clips of the high side from the others by values: the area under the ROC curve."""
        return float(self._areas(target, values, clips[None].astype(float))[0])

    def interval(
        self, target: str, values: NDArray[np.float64], clips: NDArray[np.bool_]
    ) -> tuple[float, float]:
        """Give the 95 % interval of the area, by bootstrap over songs."""
        low, top = np.quantile(self._areas(target, values, self._draw(clips)), (0.025, 0.975))
        return float(low), float(top)

    def gain(
        self,
        target: str,
        values: NDArray[np.float64],
        others: NDArray[np.float64],
        clips: NDArray[np.bool_],
    ) -> tuple[float, float, float]:
        """Give by how much the area is larger than by other values, and its 95 % interval."""
        weights = self._draw(clips)
        gains = self._areas(target, values, weights) - self._areas(target, others, weights)
        low, top = np.quantile(gains, (0.025, 0.975))
        gain = self.auc(target, values, clips) - self.auc(target, others, clips)
        return gain, float(low), float(top)

    def _draw(self, clips: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Draw songs of some clips with replacement: how often each clip is drawn."""
        names, song_of = np.unique(self.songs[clips], return_inverse=True)
        chance = np.random.default_rng(SEED)
        draws = chance.multinomial(len(names), [1 / len(names)] * len(names), N_RESAMPLES)
        weights = np.zeros((N_RESAMPLES, len(clips)))
        weights[:, clips] = draws[:, song_of]
        return weights

    def _areas(
        self, target: str, values: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return roc_auc(np.isin(self.quadrants, HIGH[target]), values, weights)

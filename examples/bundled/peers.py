"""Compare the bundled kernels with others of the same rows: of one kind, and of one column.

`peers.py OUT --tracks CORPUS/tracks.csv --quadrants EMOPIA/quadrants.csv > peers.md`

OUT holds the Makefile's features; OUT/peers those of pyAudioAnalysis. A kind has the best of nine
kernels by r on Emotify, which flatters it a little.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from choose import CHOSEN, N_FOLDS, TIMBRE, Trial, hear, pool, read_genres, read_piano, score
from numpy.typing import NDArray
from piano import Piano

GAMMAS, RIDGES = (0.1, 0.25, 0.5), (0.1, 0.3, 1.0)
ONE_COLUMN = {"arousal": ("tonal", "sustain"), "valence": ("key", "minor_logit")}
PEERS = {
    "the 136 features of pyAudioAnalysis": ("peers", "handcrafted", ""),
    "MusiCNN, all layers": (".", "musicnn", ""),
    "MusiCNN, tags and penultimate layer": (".", "musicnn", TIMBRE),
    "`tonal`": (".", "tonal", ""),
}


@dataclass(frozen=True)
class Judge:
    """Where the features are, each track's genre, and the piano."""

    folder: Path
    tracks: Path
    piano: Piano

    def compare(self, target: str) -> Iterator[str]:
        """Yield a row for each set of features."""
        head = ("r", "R2", "other genre: r", "piano, judging half: AUC (95 %)")
        yield f"| {target} | {' | '.join(head)} |"
        yield "|" + " --- |" * (1 + len(head))
        yield self.one_column(target, *ONE_COLUMN[target])
        for name, (part, kinds, shares) in PEERS.items():
            trial = Trial(self.folder / part, target, kinds, shares, "")
            yield self.kernel(name, target, self.folder / part, kinds, trial, best_point(trial))
        kinds, shares, linear, gamma, ridge = CHOSEN[target]
        trial = Trial(self.folder, target, kinds, shares, linear)
        point = {"gamma": gamma, "ridge": ridge}
        yield self.kernel("**bundled**", target, self.folder, kinds, trial, point)

    def one_column(self, target: str, kind: str, column: str) -> str:
        """Score a column as it is: it learns nothing but its sign, so no genre is left out."""
        trial = Trial(self.folder, target, kind, "", "")
        number = trial.data.stored.kinds[0].columns.index(column)
        rows, n_tracks = ~trial.is_copy, int(np.count_nonzero(~trial.data.is_copy))
        unit = trial.unit[rows]
        values = pool(trial.features[0][rows, number], unit, n_tracks)
        ratings = pool(trial.rating[trial.data.groups[rows]], unit, n_tracks)
        r = np.corrcoef(values, ratings)[0, 1]
        genres = read_genres(self.tracks, trial)
        of_genres = [np.corrcoef(values[genres == g], ratings[genres == g])[0, 1] for g in range(4)]
        (piano,), clips = read_piano(self.folder, self.piano, kind)
        heard = pool(piano[:, number] * np.sign(r), clips, len(self.piano.track_ids))
        cells = (f"{abs(r):.2f}", "", f"{np.mean(of_genres) * np.sign(r):.2f}")
        return self._row(f"one number, `{kind}.{column}`", target, cells, heard)

    def kernel(
        self,
        name: str,
        target: str,
        folder: Path,
        kinds: str,
        trial: Trial,
        point: dict[str, float],
    ) -> str:
        """Score a kernel."""
        cells = [f"{x:.2f}" for x in score(trial, point, read_genres(self.tracks, trial))]
        return self._row(name, target, cells, hear(trial, point, folder, self.piano, kinds))

    def _row(self, name: str, target: str, cells: Sequence[str], heard: NDArray[np.float64]) -> str:
        low, high = self.piano.interval(target, heard, ~self.piano.choose)
        area = f"{self.piano.auc(target, heard, ~self.piano.choose):.2f} ({low:.2f} to {high:.2f})"
        return f"| {' | '.join((name, *cells, area))} |"


def best_point(trial: Trial) -> dict[str, float]:
    """Find the point with the highest r on one division of the corpus."""
    n_tracks = int(np.count_nonzero(~trial.data.is_copy))
    folds = np.argsort(np.random.default_rng(0).permutation(n_tracks)) % N_FOLDS
    points = [{"gamma": gamma, "ridge": ridge} for gamma, ridge in product(GAMMAS, RIDGES)]
    return max(points, key=lambda point: np.corrcoef(*trial.held_out(folds, point))[0, 1])


def main() -> None:
    """Print a table for each target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=Path, required=True)
    parser.add_argument("--quadrants", type=Path, required=True)
    options = parser.parse_args()
    judge = Judge(options.folder, options.tracks, Piano.read(options.quadrants))
    print("\n\n".join("\n".join(judge.compare(target)) for target in ONE_COLUMN))


if __name__ == "__main__":
    main()

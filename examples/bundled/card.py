"""Write the model card of the bundled models, in Markdown, from the files of the Makefile.

`card.py OUT --tracks CORPUS/tracks.csv --quadrants EMOPIA/quadrants.csv --name NAME > README.md`
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piano import Piano

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import read_card

TARGETS = ("arousal", "valence")
N_RESAMPLES = 2000
SEED = 0
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OutOfFold:
    """The out-of-fold predictions of all tracks, and their listeners' ratings.

    predicted, rated: distributions, (n_tracks, 3); genres: (n_tracks,).
    """

    predicted: Floats
    rated: Floats
    genres: NDArray[np.str_]

    @classmethod
    def read(cls, folder: Path, target: str, genre_of: dict[str, str]) -> OutOfFold:
        """Read the predictions and labels of a target."""
        shares = ("p_1", "p_2", "p_3")
        predicted = {
            row["track_id"]: [float(row[p]) for p in shares]
            for row in read(folder / f"{target}.csv")
            if row["level"] == "track"
        }
        rated = {
            row["track_id"]: [float(row[p]) for p in shares]
            for row in read(folder / "labels.csv")
            if row["target"] == target
        }
        ids = sorted(predicted)
        return cls(
            np.array([predicted[i] for i in ids]),
            np.array([rated[i] for i in ids]),
            np.array([genre_of[i] for i in ids]),
        )

    def interval(self, figure: Callable[[Floats, Floats], float], rows: Ints) -> str:
        """Write a score of the mean ratings of some tracks with its bootstrap interval."""
        x, y = (part[rows] @ [-1.0, 0.0, 1.0] for part in (self.predicted, self.rated))
        chance = np.random.default_rng(SEED)
        draws = [chance.integers(len(rows), size=len(rows)) for _ in range(N_RESAMPLES)]
        low, high = np.quantile([figure(x[draw], y[draw]) for draw in draws], (0.025, 0.975))
        return f"{figure(x, y):.2f} ({low:.2f} to {high:.2f})"

    def reliability(self) -> Iterator[tuple[str, int, float, float]]:
        """Yield, for bins of predicted probability, the share of listeners who chose the class.

        Each is (bin, number of classes in it, mean probability, mean share).
        """
        p, share = self.predicted.ravel(), self.rated.ravel()
        for low, high in pairwise(BINS):
            inside = (p >= low) & (p < high)
            if inside.any():
                yield (
                    f"{low:g} to {high:g}",
                    int(inside.sum()),
                    p[inside].mean(),
                    share[inside].mean(),
                )


def read(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def correlation(x: Floats, y: Floats) -> float:
    """Give Pearson's r."""
    return float(np.corrcoef(x, y)[0, 1])


def determination(x: Floats, y: Floats) -> float:
    """Give R2 of predicting y by x."""
    return float(1 - np.square(y - x).sum() / np.square(y - y.mean()).sum())


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Yield a table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def scores(found: dict[str, OutOfFold]) -> Iterator[str]:
    """Yield the scores of all tracks and of each genre."""
    genres = sorted(set(found[TARGETS[0]].genres.tolist()))
    head = ["music", "tracks"]
    head += [f"{target}, {figure}" for target in TARGETS for figure in ("r", "R2")]
    rows = []
    for genre in ("all", *genres):
        cells = []
        for target in TARGETS:
            genre_of = found[target].genres
            inside = np.flatnonzero((genre_of == genre) | (genre == "all"))
            cells.append(found[target].interval(correlation, inside))
            cells.append(found[target].interval(determination, inside))
        rows.append([genre, str(len(inside)), *cells])
    yield from table(head, rows)


def reliability(found: dict[str, OutOfFold]) -> Iterator[str]:
    """Yield the table of predicted probabilities beside listeners' shares."""
    rows = [
        [target, predicted, str(n), f"{mean:.2f}", f"{share:.2f}"]
        for target in TARGETS
        for predicted, n, mean, share in found[target].reliability()
    ]
    yield from table(["target", "probability", "classes", "its mean", "share of listeners"], rows)


def ranges(found: dict[str, OutOfFold]) -> Iterator[str]:
    """Yield how the mean and the spread of predictions fit those of the ratings."""
    rows = []
    for target in TARGETS:
        x, y = (part @ [-1.0, 0.0, 1.0] for part in (found[target].predicted, found[target].rated))
        as_wide = y.mean() + (x - x.mean()) * y.std() / x.std()
        cells = (x.mean() - y.mean(), x.std() / y.std(), np.polyfit(x, y, 1)[0])
        scores = (determination(x, y), determination(as_wide, y))
        rows.append([target, *(f"{cell:.2f}" for cell in (*cells, *scores))])
    head = ["target", "mean too high by", "spread, ratio to ratings", "slope of the ratings", "R2"]
    yield from table([*head, "R2, were they as widely spread as ratings"], rows)


def elsewhere(folder: Path, piano: Piano) -> Iterator[str]:
    """Yield how well EMOPIA's clips are told apart: of the songs that judge, and that chose."""
    rows = []
    for part, clips in (("judging", ~piano.choose), ("choosing", piano.choose)):
        cells = [part, f"{clips.sum()} ({len(set(piano.songs[clips]))})"]
        for target in TARGETS:
            path = folder / f"piano-{target}.csv"
            values = {row["track_id"]: float(row["value"]) for row in read(path)}
            of_clips = np.array([values[track_id] for track_id in piano.track_ids])
            low, high = piano.interval(target, of_clips, clips)
            cells.append(f"{piano.auc(target, of_clips, clips):.2f} ({low:.2f} to {high:.2f})")
        rows.append(cells)
    yield from table(["half", "clips (songs)", "high arousal", "positive valence"], rows)


def describe(card: ModelCard) -> list[str]:
    """Describe a model in a row of a table."""
    form, training = card.form, card.training
    return [
        card.title,
        ", ".join(card.targets[0].classes),
        f"{form['gamma']:g}",
        f"{form['ridge']:g}",
        str(training["n_rows"]),
        str(training["n_copies"]),
        f"`{training['digest']}`",
    ]


TEMPLATE = Path(__file__).with_name("card.md")


def main() -> None:
    """Print the card of the models in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=Path, required=True)
    parser.add_argument("--quadrants", type=Path, required=True)
    parser.add_argument("--name", required=True)
    options = parser.parse_args()
    genre_of = {row["track_id"]: row["genre"] for row in read(options.tracks)}
    found = {target: OutOfFold.read(options.folder, target, genre_of) for target in TARGETS}
    cards = [
        read_card(options.folder / f"{options.name}-{target}.safetensors") for target in TARGETS
    ]
    head = ["target", "classes", "gamma", "ridge", "segments", "copies", "digest of the data"]
    parts = {
        "form": table(head, [describe(card) for card in cards]),
        "scores": scores(found),
        "reliability": reliability(found),
        "ranges": ranges(found),
        "elsewhere": elsewhere(options.folder, Piano.read(options.quadrants)),
    }
    texts = {name: "\n".join(lines) for name, lines in parts.items()}
    print(TEMPLATE.read_text("utf-8").format(name=options.name, **texts), end="")


if __name__ == "__main__":
    main()

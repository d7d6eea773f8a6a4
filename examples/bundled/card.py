"""Write the model card of the bundled models, in Markdown, from the files of the Makefile.

`card.py OUT --tracks CORPUS/tracks.csv --quadrants EMOPIA/quadrants.csv --name NAME > README.md`

Each `--fit TARGET-NETWORK` is a model that looks at a network of a user's, told in a section more.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piano import Piano

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
    def read(cls, folder: Path, fit: str, genre_of: dict[str, str]) -> OutOfFold:
        """Read the predictions and labels of a model, whose name begins with its target."""
        shares = ("p_1", "p_2", "p_3")
        predicted = {
            row["track_id"]: [float(row[p]) for p in shares]
            for row in read(folder / f"{fit}.csv")
            if row["level"] == "track"
        }
        rated = {
            row["track_id"]: [float(row[p]) for p in shares]
            for row in read(folder / "labels.csv")
            if row["target"] == fit.partition("-")[0]
        }
        ids = sorted(predicted)
        return cls(
            np.array([predicted[i] for i in ids]),
            np.array([rated[i] for i in ids]),
            np.array([genre_of[i] for i in ids]),
        )

    def interval(self, figure: Callable[[Floats, Floats], float], rows: Ints) -> str:
        """Write a score of the mean ratings of some tracks with its bootstrap interval."""
        value, draws = self._resample(figure, rows)
        low, high = np.quantile(draws, (0.025, 0.975))
        return f"{value:.2f} ({low:.2f} to {high:.2f})"

    def gain(self, other: OutOfFold, figure: Callable[[Floats, Floats], float]) -> str:
        """Write by how much a score is higher than another model's, with its interval."""
        rows = np.arange(len(self.genres))
        (value, draws), (of_other, other_draws) = (
            each._resample(figure, rows) for each in (self, other)
        )
        return write_gain(value - of_other, *np.quantile(draws - other_draws, (0.025, 0.975)))

    def _resample(
        self, figure: Callable[[Floats, Floats], float], rows: Ints
    ) -> tuple[float, Floats]:
        """Give a score of the mean ratings of some tracks, and of tracks drawn from them."""
        x, y = (part[rows] @ [-1.0, 0.0, 1.0] for part in (self.predicted, self.rated))
        chance = np.random.default_rng(SEED)
        draws = [chance.integers(len(rows), size=len(rows)) for _ in range(N_RESAMPLES)]
        return figure(x, y), np.array([figure(x[draw], y[draw]) for draw in draws])

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


def write_gain(value: float, low: float, high: float) -> str:
    """Write a gain with its interval."""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def correlation(x: Floats, y: Floats) -> float:
    """Give Pearson's r."""
    return float(np.corrcoef(x, y)[0, 1])


def determination(x: Floats, y: Floats) -> float:
    """Give R2 of predicting y by x."""
    return float(1 - np.square(y - x).sum() / np.square(y - y.mean()).sum())


def table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
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


def heard(folder: Path, piano: Piano, fit: str) -> Floats:
    """Read what a model predicts of the clips."""
    values = {row["track_id"]: float(row["value"]) for row in read(folder / f"piano-{fit}.csv")}
    return np.array([values[track_id] for track_id in piano.track_ids])


def elsewhere(folder: Path, piano: Piano) -> Iterator[str]:
    """Yield how well EMOPIA's clips are told apart: of the songs that judge, and that chose."""
    rows = []
    for part, clips in (("judging", ~piano.choose), ("choosing", piano.choose)):
        cells = [part, f"{clips.sum()} ({len(set(piano.songs[clips]))})"]
        for target in TARGETS:
            of_clips = heard(folder, piano, target)
            low, high = piano.interval(target, of_clips, clips)
            cells.append(f"{piano.auc(target, of_clips, clips):.2f} ({low:.2f} to {high:.2f})")
        rows.append(cells)
    yield from table(["half", "clips (songs)", "high arousal", "positive valence"], rows)


def gains(options: argparse.Namespace, genre_of: dict[str, str], piano: Piano) -> Iterator[str]:
    """Yield the scores of models that look at networks of a user's, and what these gain."""
    folder, rows = options.folder, []
    for fit in options.fits:
        target = fit.partition("-")[0]
        own, plain = (OutOfFold.read(folder, name, genre_of) for name in (fit, target))
        every_track = np.arange(len(own.genres))
        of_clips, of_plain = (heard(folder, piano, name) for name in (fit, target))
        for name, figure in (("r", correlation), ("R2", determination)):
            score = own.interval(figure, every_track)
            rows.append([fit, f"out-of-fold, {name}", score, own.gain(plain, figure)])
        for name, clips in (("judging", ~piano.choose), ("choosing", piano.choose)):
            low, high = piano.interval(target, of_clips, clips)
            score = f"{piano.auc(target, of_clips, clips):.2f} ({low:.2f} to {high:.2f})"
            gain = write_gain(*piano.gain(target, of_clips, of_plain, clips))
            rows.append([fit, f"piano, {name} half, area", score, gain])
    rows = [[f"`{options.name}-{fit}`", *cells] for fit, *cells in rows]
    yield from table(["model", "judged by", "score", "gain"], rows)


def describe(options: argparse.Namespace, fits: Iterable[str]) -> Iterator[list[str]]:
    """Yield a row of a table for each model."""
    for fit in fits:
        card = read_card(options.folder / f"{options.name}-{fit}.safetensors")
        form, training = card.form, card.training
        yield [
            fit,
            ", ".join(card.targets[0].classes),
            f"{form['gamma']:g}",
            f"{form['ridge']:g}",
            str(training["n_rows"]),
            str(training["n_copies"]),
            f"`{training['digest']}`",
        ]


TEMPLATE, NETWORKS = (Path(__file__).with_name(name) for name in ("card.md", "networks.md"))


def main() -> None:
    """Print the card of the models in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=Path, required=True)
    parser.add_argument("--quadrants", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--fit", dest="fits", action="append", default=[])
    options = parser.parse_args()
    genre_of = {row["track_id"]: row["genre"] for row in read(options.tracks)}
    found = {target: OutOfFold.read(options.folder, target, genre_of) for target in TARGETS}
    piano = Piano.read(options.quadrants)
    head = ["target", "classes", "gamma", "ridge", "segments", "copies", "digest of the data"]
    parts = {
        "form": table(head, describe(options, TARGETS)),
        "scores": scores(found),
        "reliability": reliability(found),
        "ranges": ranges(found),
        "elsewhere": elsewhere(options.folder, piano),
        "peers": (options.folder / "peers.md").read_text("utf-8").splitlines(),
        "networks": (),
    }
    if options.fits:
        of_fits = {
            "form": table(head, describe(options, options.fits)),
            "gains": gains(options, genre_of, piano),
        }
        parts["networks"] = (fill(NETWORKS, options.name, of_fits), "")
    print(fill(TEMPLATE, options.name, parts), end="")


def fill(template: Path, name: str, parts: Mapping[str, Iterable[str]]) -> str:
    """Fill a template with the lines of its parts."""
    texts = {part: "\n".join(lines) for part, lines in parts.items()}
    return template.read_text("utf-8").format(name=name, **texts)


if __name__ == "__main__":
    main()

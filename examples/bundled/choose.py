"""Compare kernels for music from anywhere, in Markdown: the Makefile's were chosen by this.

`choose.py OUT --tracks CORPUS/tracks.csv --quadrants EMOPIA/quadrants.csv > choice.md`

OUT holds the Makefile's features; with `--networks`, those of EfficientAT and S-KEY, too, and
kernels of these are compared. The rule: of the kernels whose r out of fold is at most 0.01 below
the highest, that with the highest sum of r on left-out genres and AUC on the half of the piano that
chooses.
"""

from __future__ import annotations

import argparse
import csv
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piano import Piano

from mertools.cli.shared.training_request import parse_blocks
from mertools.dataset.dataset import Dataset
from mertools.dataset.join import Request, join
from mertools.dataset.vectors import load_vectors
from mertools.models.kernel import fit
from mertools.models.kernel_blocks import Block
from mertools.models.problem import Problem

Kernels = tuple[tuple[str, str, str, float, float], ...]

COPIES = ("quiet", "narrow")
N_FOLDS, DIVISIONS = 5, (0, 1, 2)
TIMBRE = "musicnn.tags=1 musicnn.penultimate=1"

ALL = "musicnn musicnn-change tonal"
LINE = "tonal.sustain=0.5"
CANDIDATES = {
    "arousal": (
        (ALL, "musicnn=2", "", 0.5, 0.1),
        (ALL, "musicnn=2", "", 0.1, 0.1),
        (ALL, "musicnn=2 tonal=1", LINE, 0.25, 0.3),
        (ALL, f"{TIMBRE} tonal=0.5", "", 0.25, 0.4),
        (ALL, f"{TIMBRE} tonal=0.5", LINE, 0.5, 0.4),
        (ALL, f"{TIMBRE} tonal=0.5", LINE, 0.25, 0.3),
        (ALL, f"{TIMBRE} tonal=0.5", LINE, 0.25, 0.4),
        (ALL, f"{TIMBRE} tonal=0.5", LINE, 0.25, 0.8),
        (ALL, f"{TIMBRE} tonal=0.5", LINE, 0.1, 0.4),
        ("musicnn tonal", f"{TIMBRE} tonal=0.5", LINE, 0.25, 0.4),
    ),
    "valence": (
        ("musicnn tonal", "musicnn=3", "", 0.125, 0.4),
        ("musicnn tonal", "", "", 0.1, 0.4),
        ("musicnn tonal key", "key=0.5", "", 0.1, 0.4),
        ("musicnn tonal key", "", "key.minor_logit=0.5", 0.1, 0.4),
        ("musicnn tonal key", "", "key.minor_logit=0.5", 0.1, 0.8),
        ("musicnn tonal key", f"{TIMBRE} tonal=2", "key.minor_logit=0.5", 0.1, 0.4),
        ("musicnn tonal key", f"{TIMBRE} tonal=2", "key.minor_logit=0.5", 0.1, 0.8),
        ("musicnn tonal key", f"{TIMBRE} tonal=2", "key.minor_logit=0.5", 0.25, 0.8),
    ),
}
"""Kinds, shares, linear columns, gamma and ridge; the first of each were bundled before."""
CHOSEN = {"arousal": CANDIDATES["arousal"][5], "valence": CANDIDATES["valence"][6]}
"""Those that the Makefile trains."""

BROAD, EAR = f"{ALL} efficientat", "musicnn tonal skey"
MINOR, MODE = "skey.minor_logit=0.5", f"{TIMBRE} tonal=2 skey.minor_logit=1"
WITH_NETWORKS = {
    "arousal-efficientat": (
        CHOSEN["arousal"],
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.25, 0.3),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=2", LINE, 0.25, 0.3),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=0.5", LINE, 0.25, 0.3),
        (BROAD, f"{TIMBRE} tonal=1 efficientat=1", LINE, 0.25, 0.3),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.25, 0.4),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.125, 0.2),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.125, 0.3),
        (BROAD, f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.1, 0.3),
        (
            f"{BROAD} skey",
            f"{TIMBRE} tonal=0.5 efficientat=1 skey.minor_logit=0.5",
            LINE,
            0.25,
            0.3,
        ),
        ("musicnn tonal efficientat", f"{TIMBRE} tonal=0.5 efficientat=1", LINE, 0.25, 0.3),
        ("musicnn-change tonal efficientat", "tonal=0.5 efficientat=1", LINE, 0.125, 0.3),
    ),
    "valence-skey": (
        CHOSEN["valence"],
        (EAR, MODE, "", 0.1, 0.8),
        (EAR, MODE, MINOR, 0.1, 0.8),
        (EAR, MODE, "skey.minor_logit=1", 0.1, 0.8),
        (EAR, MODE, MINOR, 0.1, 0.4),
        (EAR, f"{TIMBRE} tonal=2 skey.minor_logit=2", MINOR, 0.1, 0.8),
        (f"{EAR} key", MODE, "key.minor_logit=0.5", 0.1, 0.8),
        (f"{EAR} key", f"{TIMBRE} tonal=2", f"key.minor_logit=0.5 {MINOR}", 0.1, 0.8),
    ),
    "valence-efficientat-skey": (
        CHOSEN["valence"],
        (f"{EAR} efficientat", f"{MODE} efficientat=1", MINOR, 0.1, 0.8),
        (f"{EAR} efficientat", f"{MODE} efficientat=2", MINOR, 0.1, 0.8),
        (f"{EAR} efficientat", f"{MODE} efficientat=3", MINOR, 0.1, 0.8),
        (f"{EAR} efficientat", f"{MODE} efficientat=2", MINOR, 0.1, 0.4),
        ("tonal skey efficientat", "tonal=2 skey.minor_logit=1 efficientat=2", MINOR, 0.1, 0.8),
    ),
}
"""The first of each is the one of `CHOSEN`; of the last ones none is bundled."""
CHOSEN_WITH = {
    "arousal-efficientat": WITH_NETWORKS["arousal-efficientat"][7],
    "valence-skey": WITH_NETWORKS["valence-skey"][5],
}


class Trial:
    """The corpus for one target and kernel: r out of fold and by genre, and values of the piano."""

    def __init__(self, folder: Path, target: str, kinds: str, shares: str, linear: str) -> None:
        """Read the features of the music, its copies and the piano."""
        names = tuple(kinds.split())
        self.data, self.features = read(folder, target, names)
        asked = Namespace(shares=shares.split(), linear=linear.split(), select=None)
        self.blocks: tuple[Block, ...] = parse_blocks(self.data.stored.kinds, asked)
        self.unit = self.data.units[self.data.groups]  # of a row; a copy has its original's
        self.is_copy = self.data.is_copy[self.data.groups]
        self.rating = self.data.labels.distributions @ [-1.0, 0.0, 1.0]

    def predict(
        self, learn: NDArray[np.bool_], point: dict[str, float], rows: list[NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """Learn from some rows, (n_rows,), and give the mean ratings of others."""
        groups, is_copy = self.data.groups[learn], self.is_copy[learn]
        problem = Problem(
            self.data.targets[0],
            "soft",
            tuple(part[learn] for part in self.features),
            self.blocks,
            self.data.labels.y[groups],
            self.data.labels.distributions[groups],
            np.zeros(len(groups)),
            groups,
            is_copy,
            np.where(is_copy, 1 / len(COPIES), 1.0),
            (),
        )
        (model,) = fit(problem, [point])
        values: NDArray[np.float64] = model.predict_together(rows) @ [-1.0, 0.0, 1.0]
        return values

    def held_out(
        self, part_of: NDArray[np.int64], point: dict[str, float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict each part of the tracks, (n_units,), by a model of the others; give ratings."""
        values, ratings = np.zeros(len(part_of)), np.zeros(len(part_of))
        for part in np.unique(part_of):
            inside = part_of[self.unit] == part
            rows = inside & ~self.is_copy
            predicted = self.predict(~inside, point, [of[rows] for of in self.features])
            values += pool(predicted, self.unit[rows], len(values))
            ratings += pool(self.rating[self.data.groups[rows]], self.unit[rows], len(values))
        return values, ratings


def read(
    folder: Path, target: str, kinds: tuple[str, ...]
) -> tuple[Dataset, tuple[NDArray[np.float32], ...]]:
    """Read labels and features of the music and its copies."""
    copies = tuple(folder / f"{name}.h5" for name in COPIES)
    request = Request(
        (folder / "music.h5",),
        str(folder / "labels.csv"),
        (target,),
        kinds,
        copies,
        keeps_disputed=True,
    )
    data = join(request).dataset
    return data, load_vectors(data, "segment").features


def pool(values: NDArray[np.float64], groups: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Average rows by their group: (n,), 0 for groups without any."""
    counts = np.bincount(groups, minlength=n)
    means: NDArray[np.float64] = np.bincount(groups, values, n) / np.maximum(counts, 1)
    return means


def read_piano(
    folder: Path, piano: Piano, kinds: str
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Read the piano's features, and each row's clip."""
    import h5py

    with h5py.File(folder / "piano.h5") as file:
        number = {name: n for n, name in enumerate(piano.track_ids)}
        clips = np.array([number[name] for name in file["segments/track_id"].asstr()[:]])
        return [file[f"features/{kind}"][:].astype(np.float32) for kind in kinds.split()], clips


def read_genres(path: Path, trial: Trial) -> NDArray[np.int64]:
    """Read the genre of each track of a trial, as a number: (n_units,)."""
    with path.open(newline="") as stream:
        genre_of = {row["track_id"]: row["genre"] for row in csv.DictReader(stream)}
    names = [trial.data.track_ids[t] for t in np.flatnonzero(~trial.data.is_copy)]
    return np.unique([genre_of[name] for name in names], return_inverse=True)[1]


def score(
    trial: Trial, point: dict[str, float], genres: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Give r and R2 out of fold, means of divisions, and the mean r on genres left out."""
    r, r2 = [], []
    for seed in DIVISIONS:
        order = np.random.default_rng(seed).permutation(len(genres))
        values, ratings = trial.held_out(np.argsort(order) % N_FOLDS, point)
        r.append(np.corrcoef(values, ratings)[0, 1])
        r2.append(1 - np.square(ratings - values).mean() / ratings.var())
    values, ratings = trial.held_out(genres, point)
    of_genres = [np.corrcoef(values[genres == g], ratings[genres == g])[0, 1] for g in range(4)]
    return float(np.mean(r)), float(np.mean(r2)), float(np.mean(of_genres))


def hear(
    trial: Trial, point: dict[str, float], folder: Path, piano: Piano, kinds: str
) -> NDArray[np.float64]:
    """Learn from the whole corpus, and give the mean rating of each of the piano's clips."""
    rows, clips = read_piano(folder, piano, kinds)
    everything = np.ones(len(trial.unit), bool)
    return pool(trial.predict(everything, point, rows), clips, len(piano.track_ids))


def compare(options: Namespace, piano: Piano, name: str, kernels: Kernels) -> Iterator[str]:
    """Yield a row for each kernel; what they are for begins with its target."""
    target = name.partition("-")[0]
    yield f"| {name}: shares, linear, gamma, ridge | r | R2 | other genre: r | piano: AUC |"
    yield "|" + " --- |" * 5
    for candidate in kernels:
        kinds, shares, linear, gamma, ridge = candidate
        trial = Trial(options.folder, target, kinds, shares, linear)
        point = {"gamma": gamma, "ridge": ridge}
        scores = score(trial, point, read_genres(options.tracks, trial))
        heard = hear(trial, point, options.folder, piano, kinds)
        without = "" if "change" in kinds or target == "valence" else ", no musicnn-change"
        chosen = CHOSEN_WITH if options.networks else CHOSEN
        kernel = ", ".join(filter(None, (shares or "all 1", linear, f"{gamma:g}", f"{ridge:g}")))
        bold = "**" if candidate == chosen.get(name) else ""
        figures = (*scores, piano.auc(target, heard, piano.choose))
        cells = (f"{bold}{kernel}{without}{bold}", *(f"{x:.3f}" for x in figures))
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a table for each target, or for each with networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=Path, required=True)
    parser.add_argument("--quadrants", type=Path, required=True)
    parser.add_argument("--networks", action="store_true")
    options = parser.parse_args()
    piano = Piano.read(options.quadrants)
    for name, kernels in (WITH_NETWORKS if options.networks else CANDIDATES).items():
        print("\n".join(compare(options, piano, name, kernels)), end="\n\n")


if __name__ == "__main__":
    main()

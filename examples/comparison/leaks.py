"""What the leaks of paper 001's programs would have been worth, on a corpus at hand.

    leaks.py OUT --labels labels.csv --target quadrant > leaks.md

Two leaks, each beside the sound way on the same folds, with models that train in seconds:

- columns ranked on all tracks, those that are tested included, in place of each part learnt from;
- changed copies that are tracks of their own, so that those of tested tracks are learnt from.

mer offers neither. Columns are ranked here, and copies renamed, and imported as features of another
program; everything else is `mer train`. OUT is what the Makefile made: clips.h5, folds.csv, and
copies of the tracks in copies/.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from one_fold import Row, read_rows
from report import describe_p, interval, percent, resampled_t_test

from mertools.evaluation.metrics import score_labels
from mertools.evaluation.ranking import drop_correlated, rank_columns

MAX_CORRELATION = 0.9
COPY_MARK = "~"
"""Before the transform in the track_id of a copy (mer augment)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Vectors of tracks: X, (n_tracks, n_columns), each the mean over the track's segments."""

    track_ids: list[str]
    X: Floats

    def write(self, path: Path) -> None:
        """Write a table that `mer import features` reads."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["track_id", *(f"x{k}" for k in range(self.X.shape[1]))])
            for track_id, row in zip(self.track_ids, self.X, strict=True):
                table.writerow([track_id, *map(repr, row.tolist())])


def read_vectors(path: Path, kinds: Sequence[str]) -> Table:
    """Read some kinds of vectors, side by side."""
    with h5py.File(path) as file:
        ids = [name.decode() for name in file["segments/track_id"][...]]
        X = np.concatenate([file[f"features/{kind}"][...] for kind in kinds], axis=1)
    tracks = sorted(set(ids))
    rows = np.array([tracks.index(name) for name in ids])
    return Table(tracks, np.array([X[rows == k].mean(axis=0) for k in range(len(tracks))], float))


@dataclass(frozen=True)
class Study:
    """The corpus: labels of the target that are kept, folds, and the program mer."""

    labels: list[Row]
    folds: list[Row]
    target: str
    mer: list[str]
    folder: Path

    def classes(self) -> dict[str, str]:
        """Give each track's class."""
        return {row["track_id"]: row["class"] for row in self.labels}

    def run(self, *arguments: str) -> None:
        """Run mer."""
        subprocess.run([*self.mer, *arguments], check=True)

    def write(self, name: str, rows: Sequence[Row]) -> str:
        """Write a table into the folder."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, [*rows[0]], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        return str(path)

    def bring(self, table: Table) -> str:
        """Import vectors as a kind of another program's, named `brought`."""
        table.write(self.folder / "vectors.csv")
        features = str(self.folder / "brought.h5")
        vectors = str(self.folder / "vectors.csv")
        self.run("import", "features", vectors, "--kind", "brought", "-o", features)
        return features

    def score(
        self,
        model: Sequence[str],
        features: Sequence[str],
        kinds: Sequence[str],
        labels: Sequence[Row] | None = None,
        folds: Sequence[Row] | None = None,
    ) -> Floats:
        """Give macro F1 of original tracks in each fold, (n_repeats, n_folds)."""
        predictions = str(self.folder / "predictions.csv")
        all_folds = folds or self.folds
        n_repeats, n_folds = (
            max(int(row.get(name) or 1) for row in all_folds) for name in ("repeat", "fold")
        )
        self.run(
            *("train", *model, "--target", self.target, "--no-refit", "--seed", "1", "--quiet"),
            *(part for file in features for part in ("--features", file)),
            *(part for kind in kinds for part in ("--kind", kind)),
            *("--labels", self.write("labels.csv", labels or self.labels)),
            *("--folds", self.write("folds.csv", all_folds)),
            *("--cv", str(n_folds), "--repeats", str(n_repeats), "--predictions", predictions),
        )
        scores = np.zeros((n_repeats, n_folds))
        classes, found = self.classes(), read_rows(Path(predictions))
        for r in range(n_repeats):
            for k in range(n_folds):
                rows = [
                    row
                    for row in found
                    if row["level"] == "track"
                    and row["track_id"] in classes
                    and (int(row.get("repeat") or 1), int(row["fold"])) == (r + 1, k + 1)
                ]
                names = rows[0]["classes"].split("|")
                reference = np.array([names.index(classes[row["track_id"]]) for row in rows])
                estimated = np.array([names.index(row["predicted"]) for row in rows])
                scores[r, k] = score_labels(reference, estimated, len(names))["macro_f1"]
        return scores


def leak_by_selection(
    study: Study, clips: Path, kinds: Sequence[str], models: Sequence[Sequence[str]], n: int
) -> list[str]:
    """Compare columns ranked on all tracks with those ranked in each part learnt from."""
    table = read_vectors(clips, kinds)
    classes = study.classes()
    kept = [k for k, name in enumerate(table.track_ids) if name in classes]
    X = table.X[kept]
    y = np.unique([classes[table.track_ids[k]] for k in kept], return_inverse=True)[1]
    order, _ = rank_columns(X, y, "relieff")
    columns = np.sort(drop_correlated(X, order, MAX_CORRELATION)[:n])
    features = study.bring(Table(table.track_ids, table.X[:, columns]))
    select = ("--select", f"relieff:{n},max_correlation={MAX_CORRELATION}")
    lines = []
    for model in models:
        sound = study.score([*model, *select], [str(clips)], kinds)
        leaky = study.score(model, [features], ["brought"])
        lines.append(describe(f"{n} of {X.shape[1]} columns", model[0], sound, leaky))
    return lines


def leak_by_copies(
    study: Study, clips: Path, copies: Path, kinds: Sequence[str], model: Sequence[str]
) -> list[str]:
    """Compare copies that are learnt from with their original, and copies that anybody learns from.

    The originals' folds stay; as tracks of their own, copies are in folds by chance.
    """
    originals, changed = read_vectors(clips, kinds), read_vectors(copies, kinds)
    features = study.bring(
        Table([*originals.track_ids, *changed.track_ids], np.vstack([originals.X, changed.X]))
    )
    classes = study.classes()
    names = {name: name.partition(COPY_MARK)[0] for name in changed.track_ids}
    labels = {row["track_id"]: row for row in study.labels}
    more = [
        labels[original] | {"track_id": name}
        for name, original in names.items()
        if original in classes
    ]
    rng = np.random.default_rng(0)
    n_folds = max(int(row["fold"]) for row in study.folds)
    repeats = sorted({row.get("repeat") or "1" for row in study.folds})
    further = [
        {**study.folds[0], "track_id": row["track_id"], "fold": str(1 + rng.integers(n_folds))}
        | ({"repeat": repeat} if "repeat" in study.folds[0] else {})
        for repeat in repeats
        for row in more
    ]
    alone = study.score(model, [str(clips)], kinds)
    sound = study.score(model, [str(clips), str(copies)], kinds)
    leaky = study.score(
        model, [features], ["brought"], [*study.labels, *more], [*study.folds, *further]
    )
    transform = changed.track_ids[0].partition(COPY_MARK)[2]
    return [
        describe(f"copies ({transform})", model[0], sound, leaky),
        f"| the same without copies | {model[0]} | {percent(alone.mean())} | | | | |",
    ]


def describe(leak: str, model: str, sound: Floats, leaky: Floats) -> str:
    """Write a row."""
    low, high = interval(leaky - sound)
    cells = [
        *(leak, model, percent(sound.mean()), percent(leaky.mean())),
        f"{100 * float((leaky - sound).mean()):+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        describe_p(resampled_t_test(leaky, sound)),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--target", default="quadrant")
    parser.add_argument("--mer", default="mer", help="the program")
    parser.add_argument("--dense", default="dnn", help="the dense network's further options")
    parser.add_argument("--columns", type=int, nargs="+", default=[100])
    options = parser.parse_args()
    labels = [
        row
        for row in read_rows(options.labels)
        if row["target"] == options.target and row["kept"] == "true"
    ]
    clips = options.out / "clips.h5"
    models = [["svm"], shlex.split(options.dense)]
    with tempfile.TemporaryDirectory() as folder:
        study = Study(
            labels,
            read_rows(options.out / "folds.csv"),
            options.target,
            shlex.split(options.mer),
            Path(folder),
        )
        lines = [
            "| leak | model | sound F1 | leaky F1 | difference | its interval | p |",
            "|---|---|---|---|---|---|---|",
        ]
        for n in options.columns:
            for kinds in (
                ["handcrafted", "tonal", "notestats"],
                ["handcrafted", "tonal", "notestats", "musicnn"],
            ):
                lines += leak_by_selection(study, clips, kinds, models, n)
        for copies in sorted((options.out / "copies").glob("*.h5")):
            lines += leak_by_copies(study, clips, copies, ["handcrafted"], ["svm"])
    print("\n".join(lines))


if __name__ == "__main__":
    main()

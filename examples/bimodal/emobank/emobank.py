"""EmoBank's sentences and verses as lyrics, and the report of what is learnt from them.

Called as `emobank.py prepare TEXTS OUT` and `emobank.py report OUT`.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

TARGETS = {"valence": "V", "arousal": "A", "dominance": "D"}
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
SENTIMENTS = {"-1": "negative", "0": "no impact", "1": "positive", "2": "mixed"}
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
LABELS = [
    "track_id",
    "target",
    "n_annotators",
    "mean",
    "std",
    "mad",
    "label",
    "class",
    "kept",
    "split",
    "scale",
]
FEWER = 1500
"""Sentences that the figures beside are of, which a ridge regression learnt from."""


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def prepare(texts: Path, out: Path) -> None:
    """Write lyrics and labels of EmoBank, and lyrics and sentiments of verses."""
    out.mkdir(parents=True, exist_ok=True)
    sentences = read_table(texts / "emobank.csv")
    write_table(
        out / "emobank.csv", ["track_id", "text"], [[s["id"], s["text"]] for s in sentences]
    )
    rows = [
        [s["id"], target, "", s[column], "", "", "", "", "true", SPLITS[s["split"]], "1..5"]
        for s in sentences
        for target, column in TARGETS.items()
    ]
    write_table(out / "labels.csv", LABELS, rows)
    verses = []
    for part in ("train", "dev", "test"):
        lines = (texts / f"poem-sentiment-{part}.tsv").read_text("utf-8").splitlines()
        for number, text, sentiment in (line.split("\t") for line in lines):
            verses.append([f"{part}-{number}", text, SENTIMENTS[sentiment]])
    write_table(out / "verses.csv", ["track_id", "text", "sentiment"], verses)


def predict_by_ridge(
    X: NDArray[np.float64], y: NDArray[np.float64], learn: NDArray[np.bool_], penalty: float
) -> NDArray[np.float64]:
    """Predict all rows by a ridge regression on some."""
    mean, centre = X[learn].mean(axis=0), y[learn].mean(axis=0)
    Z = X - mean
    gram = Z[learn].T @ Z[learn] + penalty * np.eye(X.shape[1])
    predicted: NDArray[np.float64] = Z @ np.linalg.solve(gram, Z[learn].T @ (y[learn] - centre))
    return predicted + centre


def correlate(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each column."""
    pairs = zip(one.T, other.T, strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def ridge_rows(out: Path) -> dict[str, NDArray[np.float64]]:
    """Give r on the test part by ridge regression, its penalty chosen on the validation part."""
    with h5py.File(out / "emobank.h5") as file:
        X = file["/features/lyrics"][...].astype(np.float64)
        ids = [str(name) for name in file["/segments/track_id"].asstr()[...]]
    numbers: dict[tuple[str, str], tuple[float, str]] = {
        (row["track_id"], row["target"]): (float(row["mean"]), row["split"])
        for row in read_table(out / "labels.csv")
    }
    y = np.array([[numbers[name, target][0] for target in TARGETS] for name in ids])
    split = np.array([numbers[name, "valence"][1] for name in ids])
    of_all = split == "train"
    of_few = of_all & (np.cumsum(of_all) <= FEWER)
    found = {}
    for title, learn in (("all", of_all), (f"the first {FEWER}", of_few)):
        fits = [predict_by_ridge(X, y, learn, penalty) for penalty in PENALTIES]
        validation, test = split == "validation", split == "test"
        chosen = np.argmax([correlate(f[validation], y[validation]) for f in fits], axis=0)
        tested = np.array([correlate(fit[test], y[test]) for fit in fits])
        found[f"ridge regression on {title} sentences"] = tested[chosen, np.arange(len(TARGETS))]
    return found


def rank_auc(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Give how often a value of `high` is above one of `low`, ties half."""
    above = (high[:, None] > low[None]).mean() + 0.5 * (high[:, None] == low[None]).mean()
    return float(above)


def report(out: Path) -> None:
    """Print the report in Markdown."""
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    scores = {target: metrics["targets"][target]["levels"]["track"] for target in TARGETS}
    print("# Words alone: EmoBank's sentences and verses\n")
    print(
        "Pearson's r on EmoBank's own test part (1,000 sentences; readers' and writers' ratings "
        "together). Vectors are of the same encoder throughout; nothing but the head is learnt.\n"
    )
    print("| learnt by | " + " | ".join(TARGETS) + " |")
    print("| --- |" + " --- |" * len(TARGETS))
    for name, values in ridge_rows(out).items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    r = [scores[target]["pearson_r"] for target in TARGETS]
    print("| `mer train lyrics` | " + " | ".join(f"{value:.3f}" for value in r) + " |")
    rest = [("R2", "r2"), ("RMSE (1..5)", "rmse"), ("CCC", "ccc")]
    for title, name in rest:
        values = [f"{scores[target][name]:.3f}" for target in TARGETS]
        print(f"| its {title} | " + " | ".join(values) + " |")
    report_verses(out)


def report_verses(out: Path) -> None:
    """Print what the same model says of verses whose sentiment people have named."""
    predicted = {
        (row["track_id"], row["target"]): float(row["value"])
        for row in read_table(out / "verses-predictions.csv")
    }
    verses = read_table(out / "verses.csv")
    print("\n## Verses\n")
    print(
        f"The same model on {len(verses)} verses of poem-sentiment, of which it saw none: means of "
        "what it predicts, by the sentiment that people named.\n"
    )
    print("| sentiment | verses | " + " | ".join(TARGETS) + " |")
    print("| --- | --- |" + " --- |" * len(TARGETS))
    of = {
        sentiment: [verse["track_id"] for verse in verses if verse["sentiment"] == sentiment]
        for sentiment in SENTIMENTS.values()
    }
    for sentiment, ids in of.items():
        means = [f"{np.mean([predicted[i, target] for i in ids]):.2f}" for target in TARGETS]
        print(f"| {sentiment} | {len(ids)} | " + " | ".join(means) + " |")
    negative, positive = (
        np.array([predicted[i, "valence"] for i in of[name]]) for name in ("negative", "positive")
    )
    auc = rank_auc(negative, positive)
    print(
        f"\nA positive verse has a higher valence than a negative one in "
        f"{100 * auc:.0f} % of pairs (AUC {auc:.3f}; chance 0.5)."
    )


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        report(Path(sys.argv[2]))

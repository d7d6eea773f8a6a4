"""Writes the table of the comparison: what its Makefile made, as Markdown.

    report.py OUT --labels labels.csv --baseline choi --methods choi svm ... > report.md

A row a method: macro precision, recall and F1 of tracks over all folds and repetitions, with
standard deviation and a 95 % interval, and how its F1 differs from the baseline's. Folds share most
of what they learn from, so their scores are not independent: the variance is corrected as
C. Nadeau and Y. Bengio have it ("Inference for the generalization error", Machine Learning 52,
2003). The permutation test exchanges the two methods' predictions of whole tracks.

The figure of the intervals goes to OUT/figures, and OUT/leaks.md, where it is there, to the end.
Methods that have no scores yet are named, and left out.
"""

from __future__ import annotations

import argparse
import csv
import math
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as students_t

from mertools.artifacts.figures import COLOURS, REFERENCE_COLOUR, STYLE, save_figure

SCORES = ("macro_precision", "macro_recall", "macro_f1")
CONFIDENCE = 0.95
SHUFFLES = 2000

NAMES = {
    "choi": "Baseline CNN",
    "cnn-gru": "CNN + GRU",
    "crnn": "CRNN",
    "dnn-all": "DNN, all features",
    "dnn-100": "DNN, selected features",
    "hybrid": "Hybrid",
    "deepsmote": "Baseline CNN, DeepSMOTE",
    "short-chunk": "ShortChunk",
    "sample-cnn": "Sample CNN",
    "svm": "SVM, selected features",
    "forest": "Random forest on MusiCNN",
    "autoencoder": "Random forest on an autoencoder",
    "svm-musicnn": "SVM on MusiCNN",
    "kernel": "Kernel ridge on MusiCNN and tonal",
    "kernel-musicnn": "Kernel ridge on MusiCNN",
    "choi-transfer": "Transfer, Choi's tagger",
    "won-transfer": "Transfer, Won's tagger",
    "artist-transfer": "Transfer, artists",
    "forest-openl3": "Random forest on OpenL3",
    "forest-efficientat": "Random forest on EfficientAT",
}

PUBLISHED: Mapping[str, tuple[float, ...]] = {
    "svm": (75.59, 69.79, 69.82),
    "choi": (60.62, 61.66, 60.28),
    "cnn-gru": (60.07, 61.99, 58.85),
    "crnn": (64.63, 64.09, 62.54),
    "dnn-all": (69.18, 68.63, 68.05),
    "dnn-100": (72.48, 67.40, 67.41),
    "hybrid": (68.04, 67.85, 80.24),
    "autoencoder": (50.18, 53.56, 53.69),
    "deepsmote": (60.70, 62.02, 61.47),
    "short-chunk": (60.61, 61.84, 57.07),
    "sample-cnn": (60.92, 60.78, 54.46),
    "choi+mask": (62.03, 61.82, 61.39),
    "choi+equaliser": (62.12, 61.73, 61.01),
    "choi+gain": (62.24, 62.10, 61.36),
    "artist-transfer": (50.85, 50.27, 50.22),
    "forest-openl3": (55.70, 53.62, 52.85),
}
"""Macro F1 in percent that paper 001 prints, for the corpora of `CORPORA`."""
CORPORA = ("original", "new-c", "new-b")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    """A method's scores, (n_repeats, n_folds) each, and what it says of each track and repeat."""

    name: str
    scores: Mapping[str, Floats]
    predicted: Mapping[tuple[int, str], str]

    @property
    def title(self) -> str:
        """What it is called in tables."""
        base, _, transform = self.name.partition("+")
        title = NAMES.get(base, base)
        return f"{title}, {transform}" if transform else title


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_method(folder: Path, name: str) -> Method:
    """Read the scores of a method's tracks, fold by fold, and its predictions."""
    found: dict[str, dict[tuple[int, int], float]] = {score: {} for score in SCORES}
    for row in read_rows(folder / "cv" / f"{name}.csv"):
        if row["level"] == "track" and row["score"] in found:
            found[row["score"]][int(row["repeat"]), int(row["fold"])] = float(row["value"])
    scores = {}
    for score, values in found.items():
        n_repeats, n_folds = np.max(list(values), axis=0)
        scores[score] = np.array(
            [[values[r, f] for f in range(1, n_folds + 1)] for r in range(1, n_repeats + 1)]
        )
    predicted = {
        (int(row.get("repeat") or 1), row["track_id"]): row["predicted"]
        for row in read_rows(folder / "predictions" / f"{name}.csv")
        if row["level"] == "track"
    }
    return Method(name, scores, predicted)


def corrected_error(values: Floats) -> float:
    """Give the standard error of the mean over folds and repetitions, (n_repeats, n_folds).

    The share that is tested of what is learnt from, 1 / (n_folds - 1), stands for how much folds
    depend on each other (Nadeau and Bengio, section 3.2).
    """
    n_folds = values.shape[1]
    return math.sqrt((1 / values.size + 1 / (n_folds - 1)) * float(values.var(ddof=1)))


def interval(values: Floats) -> tuple[float, float]:
    """Give the 95 % interval of the mean over folds and repetitions."""
    half = float(students_t.ppf(0.5 + CONFIDENCE / 2, values.size - 1)) * corrected_error(values)
    return float(values.mean()) - half, float(values.mean()) + half


def resampled_t_test(values: Floats, others: Floats) -> float:
    """Give p of the corrected resampled t-test of two methods on the same folds."""
    differences = values - others
    error = corrected_error(differences)
    if not error:
        return 1.0 if not differences.any() else 0.0
    return float(2 * students_t.sf(abs(differences.mean()) / error, differences.size - 1))


def macro_f1(confusion: Floats) -> Floats:
    """Give macro F1 of confusions: (..., n_classes, n_classes), reference first."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    sums = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1: Floats = np.divide(2 * right, sums, out=np.zeros(right.shape), where=sums > 0)
    occurs = confusion.sum(axis=-1) > 0
    mean: Floats = f1.sum(axis=-1) / occurs.sum(axis=-1)
    return mean


def permutation_test(
    method: Method, other: Method, truth: Mapping[str, str], classes: Sequence[str]
) -> float:
    """Give p of macro F1 over all repetitions when tracks' predictions are exchanged at random."""
    tracks = sorted({track for _, track in method.predicted} & truth.keys())
    # A track's part of each confusion: what it adds, over all repetitions.
    parts = np.zeros((2, len(tracks), len(classes), len(classes)))
    for side, one in enumerate((method, other)):
        for (_, track), predicted in one.predicted.items():
            if track in truth:
                cell = classes.index(truth[track]), classes.index(predicted)
                parts[(side, tracks.index(track), *cell)] += 1
    flat = parts.reshape(2, len(tracks), -1)
    swap = np.random.default_rng(0).integers(0, 2, (SHUFFLES, len(tracks))).astype(float)
    whole, change = flat.sum(axis=1), flat[1] - flat[0]
    shape = (-1, len(classes), len(classes))
    moved = swap @ change
    drawn = macro_f1((whole[0] + moved).reshape(shape)) - macro_f1(
        (whole[1] - moved).reshape(shape)
    )
    observed = macro_f1(whole[0].reshape(shape)) - macro_f1(whole[1].reshape(shape))
    at_least = np.abs(drawn) >= abs(float(observed[0])) - 1e-12
    return float((1 + at_least.sum()) / (1 + SHUFFLES))


def describe_p(p: float) -> str:
    """Write a probability."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def percent(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.1f}"


@dataclass(frozen=True)
class Study:
    """Methods, and the classes of tracks."""

    methods: Sequence[Method]
    truth: Mapping[str, str]
    classes: Sequence[str]

    def find(self, name: str) -> Method:
        """Find a method."""
        for method in self.methods:
            if method.name == name:
                return method
        raise SystemExit(f"{name}: has no scores: name a method that is done")

    def compare(self, method: Method, other: Method) -> list[str]:
        """Write by how much F1 is above another's, and p of both tests; nothing beside itself."""
        if method is other:
            return ["", "", ""]
        f1, of_other = method.scores["macro_f1"], other.scores["macro_f1"]
        p = (
            resampled_t_test(f1, of_other),
            permutation_test(method, other, self.truth, self.classes),
        )
        return [f"{100 * float((f1 - of_other).mean()):+.1f}", *map(describe_p, p)]


def row_of(study: Study, method: Method, baseline: Method, published: str) -> str:
    """Write a method's row of the table."""
    cells = [method.title]
    for score in SCORES:
        values = method.scores[score]
        cells.append(f"{percent(values.mean())} ± {percent(values.std(ddof=1))}")
    f1 = method.scores["macro_f1"]
    cells.append(" to ".join(percent(end) for end in interval(f1)))
    cells += [*study.compare(method, baseline), published]
    return f"| {' | '.join(cells)} |"


def table_beside(study: Study, names: Sequence[str]) -> list[str]:
    """Write how each method differs from some of them."""
    others = [study.find(name) for name in names]
    heads = [f"from {other.name} | p (t-test) | p (permutation)" for other in others]
    lines = [f"| method | {' | '.join(heads)} |", "|---|" + "---|---|---|" * len(others)]
    for method in study.methods:
        cells = [method.title, *(cell for other in others for cell in study.compare(method, other))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def plot_intervals(methods: Sequence[Method], chance: float, path: Path) -> None:
    """Draw each method's mean F1 with its interval, the best at the top, and chance."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ordered = sorted(methods, key=lambda method: float(method.scores["macro_f1"].mean()))
    with mpl.rc_context(STYLE | {"svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 1 + 0.3 * len(ordered)), layout="constrained")
        axes = figure.subplots()
        for y, method in enumerate(ordered):
            f1 = method.scores["macro_f1"]
            axes.plot(interval(f1), (y, y), color=COLOURS[0])
            axes.plot(f1.mean(), y, "o", color=COLOURS[0])
        axes.axvline(chance, color=REFERENCE_COLOUR, linestyle=":", label="the largest class")
        axes.set_yticks(range(len(ordered)), [method.title for method in ordered])
        axes.set_xlabel("macro F1, with its 95 % interval")
        figure.legend(loc="outside upper right")
        path.parent.mkdir(exist_ok=True)
        save_figure(figure, path, "svg")


def confusion_table(method: Method, truth: Mapping[str, str], classes: Sequence[str]) -> list[str]:
    """Write what a method takes each class for, in percent of the class' tracks."""
    counts = Counter((truth[t], guess) for (_, t), guess in method.predicted.items() if t in truth)
    lines = [f"| {method.name} | {' | '.join(classes)} |", "|---|" + "---|" * len(classes)]
    for name in classes:
        total = sum(counts[name, guess] for guess in classes) or 1
        shares = (percent(counts[name, guess] / total) for guess in classes)
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return lines


def describe_programs() -> str:
    """Name the programs whose versions matter."""
    names = ("mertools", "torch", "numpy", "scikit-learn", "scipy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"Made with {versions}, Python {platform.python_version()}."


def write_report(options: argparse.Namespace) -> str:
    """Write the whole report."""
    labels = [
        row
        for row in read_rows(options.labels)
        if row["target"] == options.target and row["kept"] == "true"
    ]
    truth = {row["track_id"]: row["class"] for row in labels}
    classes = sorted(set(truth.values()))
    done = [name for name in options.methods if (options.out / "cv" / f"{name}.csv").exists()]
    methods = [read_method(options.out, name) for name in done]
    study = Study(methods, truth, classes)
    baseline = study.find(options.baseline)
    scored = {track for _, track in baseline.predicted}
    counts = Counter(truth[track] for track in scored if track in truth)
    n_repeats, n_folds = baseline.scores["macro_f1"].shape
    lines = [
        f"# Comparison of {len(methods)} methods: {options.target}",
        "",
        describe_programs(),
        "",
        f"{len(scored)} tracks ({', '.join(f'{k} {counts[k]}' for k in classes)}), {n_repeats} x "
        f"{n_folds} folds of whole tracks, the same for all methods. Macro scores in percent: mean "
        "and standard deviation over folds; 95 % interval of F1 and p of the difference from the "
        f"baseline ({options.baseline}) by the corrected resampled t-test, and by exchanging "
        "predictions of tracks. Nothing that is scored was learnt from, selected by, or copied.",
        "",
        "| method | precision | recall | F1 | interval of F1 | difference | p (t-test) "
        "| p (permutation) | paper 001 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method in methods:
        figures = PUBLISHED.get(method.name)
        beside = figures[CORPORA.index(options.published)] if options.published and figures else ""
        lines.append(row_of(study, method, baseline, str(beside)))
    share = max(counts.values()) / sum(counts.values())
    of_largest = 2 * share / (1 + share) / len(classes)
    lines += [
        f"| chance (each class alike) | {percent(1 / len(classes))} | {percent(1 / len(classes))} "
        f"| about {percent(1 / len(classes))} | | | | | |",
        f"| the largest class | {percent(share / len(classes))} | {percent(1 / len(classes))} "
        f"| {percent(of_largest)} | | | | | |",
    ]
    if missing := [name for name in options.methods if name not in done]:
        lines += ["", f"Not done: {', '.join(missing)}."]
    figure = options.out / "figures" / "scores.svg"
    plot_intervals(methods, of_largest, figure)
    lines += ["", f"![Macro F1 of each method]({figure.relative_to(options.out)})"]
    if options.beside:
        lines += ["", "## Beside other methods", "", *table_beside(study, options.beside)]
    lines += [
        "",
        "## What each quadrant is taken for",
        "",
        "A row a class, in percent of its tracks, over all repetitions.",
    ]
    for method in methods:
        lines += ["", *confusion_table(method, truth, classes)]
    if (leaks := options.out / "leaks.md").exists():
        lines += ["", "## What leaks would have been worth", "", leaks.read_text().rstrip()]
    return "\n".join(lines)


def main() -> None:
    """Read the options, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--target", default="quadrant")
    parser.add_argument("--baseline", default="choi")
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument(
        "--beside", action="append", default=[], help="a method to compare all with, too"
    )
    parser.add_argument("--published", choices=CORPORA)
    print(write_report(parser.parse_args()))


if __name__ == "__main__":
    main()

"""Write the report of examples/vad, in Markdown, from the files that its Makefile writes.

    report.py OUT --kinds mfcc vggish --networks seq-cnn --targets valence ... > OUT/report.md

Scores are read from the files in OUT; correlations of labels are computed here.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

PUBLISHED = {
    ("seq-cnn", "mfcc"): ("0.01531 / 0.0977", "0.00954 / 0.0761", "0.00843 / 0.0694"),
    ("seq-lstm", "mfcc"): ("0.01535 / 0.0966", "0.00985 / 0.0773", "0.00844 / (misprint)"),
    ("seq-cnn", "vggish"): ("0.01429 / 0.0919", "0.00907 / 0.0738", "0.00790 / 0.0669"),
    ("seq-lstm", "vggish"): ("0.01413 / 0.0919", "0.00895 / 0.0733", "0.00769 / 0.0662"),
}
"""MSE / MAE of slices, of valence, arousal and dominance: paper 003, table of chapter 5."""

TARGETS = ("valence", "arousal", "dominance")
BASELINES = ("mean", "median", "random")
Labels = Mapping[str, Mapping[str, float]]
"""Means by target and track_id."""


class Results:
    """The files that the Makefile wrote."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.folder: Path = options.out
        self.kinds: list[str] = options.kinds
        self.networks: list[str] = options.networks
        self.targets: list[str] = options.targets
        self.rated: list[str] = options.rated
        self.folds: int = options.folds
        self.settings: str = options.settings
        self.sources = ["words", *(["ratings"] if self.rated else [])]

    def labels(self, name: str) -> Labels:
        """Read the means of labels.csv."""
        means: dict[str, dict[str, float]] = {}
        for row in read_csv(self.folder / f"{name}.csv"):
            means.setdefault(row["target"], {})[row["track_id"]] = float(row["mean"])
        return means

    def scores(
        self, source: str, network: str, kind: str, target: str, judge: str, level: str = "track"
    ) -> dict[str, Any] | None:
        """Read the scores of a network, of whole tracks or slices; None where there are none."""
        for name in (target, "joint"):
            path = self.folder / "metrics" / f"{source}-{network}-{kind}-{name}.by-{judge}.json"
            if path.is_file():
                of_target = json.loads(path.read_text("utf-8"))["targets"].get(target)
                return of_target["levels"].get(level) if of_target else None
        return None

    def epochs(self, source: str, network: str, kind: str) -> str:
        """Say how many epochs trainings had, and which was the best: means over folds."""
        best, last = [], Counter[tuple[str, str]]()
        for path in sorted((self.folder / "history").glob(f"{source}-{network}-{kind}-*.csv")):
            for row in read_csv(path):
                key = path.name, row["fold"]
                last[key] = max(last[key], int(row["epoch"]))
                best += [int(row["epoch"])] if row["best"] == "true" else []
        if not last:
            return ""
        return f"{statistics.mean(best):.0f} of {statistics.mean(last.values()):.0f}"


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def correlate(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, int]:
    """Give Pearson's r over the tracks that both have, and their number."""
    common = sorted(one.keys() & other.keys())
    return statistics.correlation([one[k] for k in common], [other[k] for k in common]), len(common)


def interval(r: float, n: int) -> str:
    """Write r with its 95 % interval by Fisher's transformation."""
    if n < 4 or abs(r) >= 1:
        return f"{r:.2f}"
    z, half = math.atanh(r), 1.96 / math.sqrt(n - 3)
    return f"{r:.2f} ({math.tanh(z - half):.2f} to {math.tanh(z + half):.2f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def decimals(value: float | None, n: int = 2) -> str:
    """Write a number, or nothing where it is not defined."""
    return "" if value is None else f"{value:.{n}f}"


def describe_labels(results: Results) -> list[str]:
    """Say how many tracks have labels, and how their numbers go together."""
    coverage = read_csv(results.folder / "coverage.csv")
    reasons = Counter(row["reason"] for row in coverage if row["reason"])
    share = statistics.mean(
        float(row["weight_matched"]) / float(row["weight_total"])
        for row in coverage
        if float(row["weight_total"])
    )
    left_out = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())) or "none"
    words = results.labels("words")
    lines = [
        "## Labels from words",
        "",
        f"{len(coverage) - sum(reasons.values())} of {len(coverage)} tracks have labels "
        f"(left out: {left_out}). On average {share:.0%} of a track's tag weight counts.",
        "",
    ]
    rows = []
    for target in results.targets:
        values = words[target].values()
        others = [
            "1" if other == target else decimals(correlate(words[target], words[other])[0])
            for other in results.targets
        ]
        rows.append(
            [
                target,
                decimals(statistics.mean(values), 3),
                decimals(statistics.pstdev(values), 3),
                *others,
            ]
        )
    header = ["", "mean", "sd", *(f"r with {target}" for target in results.targets)]
    return lines + table(header, rows)


def compare_labels(results: Results) -> list[str]:
    """Hold labels from words against labels from ratings, and half of the listeners' to others'."""
    words, ratings = results.labels("words"), results.labels("ratings")
    halves = results.folder / "halves"
    lines = ["## Labels from words against labels from ratings", ""]
    header = ["", *(f"ratings: {target}" for target in results.rated)]
    rows = [
        [
            f"words: {target}",
            *(interval(*correlate(words[target], ratings[rated])) for rated in results.rated),
        ]
        for target in results.targets
    ]
    lines += ["Pearson's r over tracks, with 95 % intervals.", "", *table(header, rows)]
    if not (halves / "words-a.csv").is_file():
        return lines
    parts = {
        (source, half): results.labels(f"halves/{source}-{half}")
        for source in ("words", "ratings")
        for half in "ab"
    }
    rows = []
    for target in results.rated:
        r_words, n = correlate(parts["words", "a"][target], parts["words", "b"][target])
        r_ratings, _ = correlate(parts["ratings", "a"][target], parts["ratings", "b"][target])
        across = statistics.mean(
            correlate(parts["words", one][target], parts["ratings", other][target])[0]
            for one, other in ("ab", "ba")
        )
        corrected = across / math.sqrt(r_words * r_ratings) if min(r_words, r_ratings) > 0 else None
        rows.append(
            [
                target,
                interval(r_ratings, n),
                interval(r_words, n),
                interval(across, n),
                decimals(corrected),
            ]
        )
    header = [
        "",
        "ratings, half to half",
        "words, half to half",
        "words of one half, ratings of the other",
        "corrected for both halves' noise",
    ]
    lines += [
        "Both come from the same listeners' choices, so their noise is common to them. Between "
        "halves of each track's listeners it is not: words of some are held against ratings of "
        "others, beside what ratings and words reach among themselves. The last column is r "
        "divided by the root of these two, an estimate for as many listeners as one likes.",
        "",
        *table(header, rows),
    ]
    return lines


def score_networks(results: Results) -> list[str]:
    """Give the paper's table, with what answers that ignore the music reach."""
    lines = [
        "## The paper's table: MSE / MAE of slices",
        "",
        f"Labels from words; every slice has its track's label, and is predicted by a network that "
        f"learnt from other tracks ({results.folds} folds). The published figures, of another "
        "corpus, are of the validation part by which training was stopped. Epochs are the best and "
        "the last, means over folds.",
        "",
    ]
    rows, baselines = [], {}
    for kind in results.kinds:
        for network in results.networks:
            cells = []
            for target in results.targets:
                score = results.scores("words", network, kind, target, "words", "segment")
                if score is None:
                    cells.append("")
                    continue
                cells.append(f"{score['mse']:.5f} / {score['mae']:.4f}")
                baselines[target] = score["baselines"]
            rows.append([f"{network}, {kind}", *cells, results.epochs("words", network, kind)])
    for name in BASELINES:
        cells = [
            f"{baselines[t][name]['mse']:.5f} / {baselines[t][name]['mae']:.4f}"
            if name in baselines.get(t, {})
            else ""
            for t in results.targets
        ]
        rows.append([f"always the {name}" if name != "random" else "uniform at random", *cells, ""])
    for (network, kind), cells in PUBLISHED.items():
        found = dict(zip(TARGETS, cells, strict=True))
        rows.append([f"*published: {network}, {kind}*", *(found[t] for t in results.targets), ""])
    lines += table(["", *results.targets, "epochs"], rows)
    lines += [
        "## Whole tracks: R2, r, CCC, and spread",
        "",
        "A track's number is the mean of its slices. Spread is the deviation of predictions "
        "over that of labels: near 0 a network says the same of all music. In brackets the "
        "95 % interval of R2 over tracks.",
        "",
    ]
    rows = []
    for kind in results.kinds:
        for network in results.networks:
            cells = []
            for target in results.targets:
                score = results.scores("words", network, kind, target, "words")
                cells.append("" if score is None else _track_cell(score))
            rows.append([f"{network}, {kind}", *cells])
    return lines + table(["", *results.targets], rows)


def _track_cell(score: Mapping[str, Any]) -> str:
    low, high = score["intervals"]["r2"]
    others = ", ".join(decimals(score[k]) for k in ("pearson_r", "ccc", "spread_ratio"))
    return f"{score['r2']:.2f} ({low:.2f} to {high:.2f}), {others}"


def cross_judge(results: Results) -> list[str]:
    """Judge networks of one sort of labels by the other."""
    lines = [
        "## Networks trained on one, judged by the other",
        "",
        "Pearson's r of whole tracks, out of fold, with 95 % intervals over tracks.",
        "",
    ]
    rows = []
    for target in results.rated:
        for kind in results.kinds:
            for network in results.networks:
                cells = []
                for source in results.sources:
                    for judge in results.sources:
                        score = results.scores(source, network, kind, target, judge)
                        cells.append("" if score is None else _r_cell(score))
                rows.append([f"{target}: {network}, {kind}", *cells])
    header = [f"learnt from {s}, judged by {j}" for s in results.sources for j in results.sources]
    return lines + table(["", *header], rows)


def _r_cell(score: Mapping[str, Any]) -> str:
    if score["pearson_r"] is None:
        return "not defined"
    low, high = score["intervals"]["pearson_r"]
    return f"{score['pearson_r']:.2f} ({decimals(low)} to {decimals(high)})"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    for name in ("kinds", "networks", "targets", "rated"):
        parser.add_argument(f"--{name}", nargs="*", default=[])
    parser.add_argument("--folds", type=int)
    parser.add_argument("--settings", default="")
    results = Results(parser.parse_args())
    lines = ["# Valence, arousal and dominance from words", "", *describe_labels(results)]
    if results.rated:
        lines += compare_labels(results)
    lines += score_networks(results)
    if results.rated:
        lines += cross_judge(results)
    lines += [
        f"Recipes: examples/vad/recipes; unlike them: {results.settings or 'nothing'}. One seed. "
        f"mertools {version('mertools')}, torch {version('torch')}, numpy {version('numpy')}.",
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Write the report of examples/crib, in Markdown, from the files that its Makefile writes.

    report.py OUT --targets arousal valence --seeds 0 1 2 ... > OUT/report.md

All figures are read from the files in OUT; only means and deviations are computed here.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
from collections.abc import Iterable
from importlib.metadata import version
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {"svm": "SVM", "cnn": "CNN", "lstm": "LSTM", "dual": "Dual-Stream"}
THESIS_ORDER = ("dual", "cnn", "svm")
VERSIONS = ("torch", "numpy", "scikit-learn", "scipy")
SIGNIFICANT = 0.05

Run = tuple[str, str]
"""A model and its objective."""


class Results:
    """The files that the Makefile wrote."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.folder: Path = options.out
        self.targets: list[str] = options.targets
        self.seeds: list[str] = options.seeds
        self.corpus: str = options.corpus
        self.provenance = ("", "")
        """The version of mertools and the digest of the labels, once metrics are read."""
        runs = [("svm", "hard"), *product(options.networks, options.objectives)]
        self.runs: list[Run] = [run for run in runs if run[0] in NAMES]

    def metrics(self, run: Run, target: str, seed: str) -> dict[str, Any]:
        """Read the scores of a run's tracks (mer evaluate)."""
        report = read_json(self._path("metrics", run, target, seed, ".json"))
        self.provenance = (
            f"mertools {report['producer_version']}",
            report["provenance"]["labels"]["digest"],
        )
        of_tracks: dict[str, Any] = report["targets"][target]["levels"]["track"]
        return of_tracks

    def alignment(self, run: Run, target: str, seed: str) -> dict[str, Any]:
        """Read the alignment of a run with the annotators (mer align)."""
        report = read_json(self._path("alignment", run, target, seed, ".json"))
        of_target: dict[str, Any] = report["targets"][target]
        return of_target

    def epochs(self, run: Run, target: str, seed: str) -> tuple[float, float]:
        """Count a network's epochs, means over folds: to the best one, and until it stopped."""
        rows = read_csv(self._path("history", run, target, seed, ".csv"))
        best = {row["fold"]: int(row["epoch"]) for row in rows if row["best"] == "true"}
        last = {row["fold"]: int(row["epoch"]) for row in rows}
        return mean(best.values()), mean(last.values())

    def p_values(self, target: str, objective: str) -> dict[frozenset[str], list[float]]:
        """Read the Holm-corrected p of macro F1 of each pair of models, one for each seed."""
        found: dict[frozenset[str], list[float]] = {}
        for seed in self.seeds:
            path = self.folder / "comparisons" / f"{objective}-{target}-{seed}.json"
            for pair in read_json(path)["comparisons"]:
                models = frozenset(
                    pair[side]["name"].partition("-")[0] for side in ("first", "other")
                )
                scores = pair["targets"][target]["scores"]
                found.setdefault(models, []).append(scores["macro_f1"]["p_holm"])
        return found

    def _path(self, folder: str, run: Run, target: str, seed: str, suffix: str) -> Path:
        return self.folder / folder / ("-".join((*run, target, seed)) + suffix)


def main() -> None:
    """Write the report of the folder that the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", required=True)
    for name in ("targets", "seeds", "networks", "objectives"):
        parser.add_argument(f"--{name}", nargs="+", required=True)
    results = Results(parser.parse_args())
    sections = [part for target in results.targets for part in describe_target(results, target)]
    draw_scores(results, results.folder / "figures" / "scores.svg")
    parts = [
        *describe_data(results),
        *describe_genres(results),
        *sections,
        *describe_searches(results),
    ]
    print("\n\n".join(parts))


def describe_data(results: Results) -> list[str]:
    """Say what was learnt from, and how."""
    summary = (results.folder / "aggregation.txt").read_text("utf-8")
    aggregation = "\n".join(line.rstrip() for line in summary.rstrip().splitlines())
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    producer, labels = results.provenance
    rows = []
    for run in results.runs:
        if run[0] != "svm":
            of_runs = [results.epochs(run, *one) for one in product(results.targets, results.seeds)]
            best, last = (mean(values) for values in zip(*of_runs, strict=True))
            rows.append([name_of(run), f"{best:.1f}", f"{last:.1f}"])
    return [
        f"# Music in the crib, on {results.corpus}",
        f"Written by `make` in `examples/crib`. Seeds {', '.join(results.seeds)}. {producer}, "
        f"Python {platform.python_version()}, {versions}. Labels {labels}.",
        "Every figure is of whole tracks, each predicted by a model that did not learn from it "
        "(cross-validation over whole tracks, the same folds for all models of a seed). Intervals "
        "are 95 %, by bootstrap over tracks, their bounds averaged over seeds; ± is the standard "
        "deviation over seeds, each with its own folds. p is of the paired permutation test of "
        "macro F1, Holm-corrected for the models' pairs, a value a seed. The SVM learns classes "
        "only, and stands beside both objectives.",
        f"## Ratings\n\n```\n{aggregation}\n```",
        "## What training took\n\n"
        + table(["network, objective", "epochs to the best", "epochs in all"], rows),
    ]


def describe_genres(results: Results) -> list[str]:
    """Rank features by genre; nothing where the corpus names none."""
    path = results.folder / "figures" / "genre-features.csv"
    if not path.exists():
        return []
    ranked = read_csv(path)
    genres = ranked[0]["classes"].split("|")
    rows = [
        [
            f"`{row['feature']}`",
            f"{float(row['f']):.1f}",
            f"{float(row['p']):.0e}",
            *(f"{float(row[f'mean_{k}']):.3f}" for k in range(1, len(genres) + 1)),
        ]
        for row in ranked
    ]
    return [
        "## Which features tell genres apart",
        "One-way analysis of variance of each feature over the genres (thesis, section 5.4.1). A "
        "track is the mean of its segments. p is not corrected for the number of features; the "
        "last columns are each genre's mean.",
        table(["feature", "F", "p", *genres], rows),
        "![Features by genre](figures/genre-features.svg)",
    ]


def describe_target(results: Results, target: str) -> list[str]:
    """Compare all models on a target."""
    scores, aligned = [], []
    for run in results.runs:
        of_seeds = [results.metrics(run, target, seed) for seed in results.seeds]
        name = name_of(run)
        scores.append(
            [
                name,
                with_deviation(m["macro_f1"] for m in of_seeds),
                interval(m["intervals"]["macro_f1"] for m in of_seeds),
                with_deviation(m["accuracy"] for m in of_seeds),
                interval(m["intervals"]["accuracy"] for m in of_seeds),
                with_deviation(m["macro_auc"] for m in of_seeds),
            ]
        )
        of_seeds = [results.alignment(run, target, seed) for seed in results.seeds]
        aligned.append(
            [
                name,
                with_deviation(a["predictions"]["similarity"] for a in of_seeds),
                interval(a["predictions"]["intervals"]["similarity"] for a in of_seeds),
            ]
        )
    first = results.metrics(results.runs[0], target, results.seeds[0])
    for name, of in first["baselines"].items():
        scores.append(
            [
                f"*{name}*",
                f"{of['macro_f1']:.3f}",
                "",
                f"{of['accuracy']:.3f}",
                "",
                f"{of['macro_auc']:.3f}",
            ]
        )
    reference = results.alignment(results.runs[0], target, results.seeds[0])
    for name in ("uniform", "prior", "split_half"):
        if name in reference:
            of = reference[name]
            aligned.append(
                [
                    f"*{name.replace('_', ' ')}*",
                    f"{of['similarity']:.3f}",
                    interval([of["intervals"]["similarity"]]),
                ]
            )
    return [
        f"## {target.capitalize()}, {first['n_tracks']} tracks",
        table(["model, objective", "macro F1", "interval", "accuracy", "interval", "AUC"], scores),
        *(compare(results, target, objective) for objective in objectives(results)),
        "Alignment with the annotators: exp(-JSD) between posterior and their distribution, mean "
        "over tracks. Split half is one random half of the annotators against the other.",
        table(["model, objective", "similarity", "interval"], aligned),
        f"![Best features](figures/{target}-features.svg)",
    ]


def name_of(run: Run) -> str:
    """Name a run for a person."""
    return f"{NAMES[run[0]]}, {run[1]}"


def objectives(results: Results) -> list[str]:
    """List the objectives of the networks."""
    return list(dict.fromkeys(objective for model, objective in results.runs if model != "svm"))


def compare(results: Results, target: str, objective: str) -> str:
    """Say which model is better than which, and what holds of the thesis' order."""
    p_values = results.p_values(target, objective)
    models = [model for model, of in results.runs if of == objective or model == "svm"]
    runs = {model: (model, "hard" if model == "svm" else objective) for model in models}
    f1 = {
        model: mean(results.metrics(run, target, seed)["macro_f1"] for seed in results.seeds)
        for model, run in runs.items()
    }
    ranked = sorted(models, key=lambda model: -f1[model])
    rows = []
    for better, worse in combinations(ranked, 2):
        p = p_values[frozenset((better, worse))]
        sure = sum(each < SIGNIFICANT for each in p)
        rows.append(
            [
                f"{NAMES[better]} over {NAMES[worse]}",
                f"{f1[better] - f1[worse]:+.3f}",
                ", ".join(f"{each:.3f}" for each in p),
                f"{sure} of {len(p)}",
            ]
        )
    kept = [model for model in THESIS_ORDER if model in models]
    holds = [
        f"{NAMES[a]} over {NAMES[b]}: {'holds' if f1[a] > f1[b] else 'does not hold'}"
        for a, b in combinations(kept, 2)
    ]
    order = " > ".join(NAMES[model] for model in ranked)
    return (
        f"Objective {objective}: {order}. Of the thesis' order, by means alone: "
        f"{'; '.join(holds)}.\n\n"
        + table(["pair", "macro F1", "p, a seed each", f"p < {SIGNIFICANT}"], rows)
    )


def describe_searches(results: Results) -> list[str]:
    """Write a table of the points of each search, and show the figure of all scores."""
    sections = ["## Macro F1 at a glance\n\n![Scores](figures/scores.svg)"]
    for path in sorted(results.folder.glob("search/*.csv")):
        found: dict[str, dict[str, list[float]]] = {}
        for row in read_csv(path):
            if row["level"] == "track" and row["value"]:
                of_point = found.setdefault(row["parameters"], {})
                of_point.setdefault(row["score"], []).append(float(row["value"]))
        rows = [
            [point, with_deviation(scores["macro_f1"]), with_deviation(scores["accuracy"])]
            for point, scores in found.items()
        ]
        sections.append(
            f"## Search: {path.stem.replace('-', ', ')}\n\n± is the deviation over folds.\n\n"
            + table(["point", "macro F1", "accuracy"], rows)
        )
    return sections


def draw_scores(results: Results, path: Path) -> None:
    """Draw the macro F1 of each run: a dot for each seed, and the mean interval as a line."""
    plt.rcParams["svg.hashsalt"] = "crib"
    figure, axes = plt.subplots(
        1,
        len(results.targets),
        figsize=(4.5 * len(results.targets), 3.2),
        sharey=True,
        squeeze=False,
    )
    names = [name_of(run) for run in results.runs]
    for axis, target in zip(axes[0], results.targets, strict=True):
        for row, run in enumerate(results.runs):
            of_seeds = [results.metrics(run, target, seed) for seed in results.seeds]
            low, high = (mean(m["intervals"]["macro_f1"][end] for m in of_seeds) for end in (0, 1))
            axis.plot([low, high], [row, row], color="0.6", linewidth=2, zorder=1)
            axis.scatter([m["macro_f1"] for m in of_seeds], [row] * len(of_seeds), s=18, color="C0")
        axis.axvline(of_seeds[0]["baselines"]["majority"]["macro_f1"], color="0.8", linestyle=":")
        axis.set_title(target)
        axis.set_xlabel("macro F1 of tracks")
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def mean(values: Iterable[float]) -> float:
    """Average."""
    return statistics.fmean(values)


def with_deviation(values: Iterable[float | None]) -> str:
    """Write mean and standard deviation; a value that is not defined (None) is left out."""
    found = [value for value in values if value is not None]
    if not found:
        return "-"
    deviation = f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""
    return f"{mean(found):.3f}{deviation}"


def interval(intervals: Iterable[list[float]]) -> str:
    """Write the mean bounds of intervals."""
    low, high = (mean(bounds) for bounds in zip(*intervals, strict=True))
    return f"{low:.3f} to {high:.3f}"


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table as a list of its rows."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    main()

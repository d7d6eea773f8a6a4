"""Write the report of examples/bimodal, in Markdown, from the files that its Makefile writes.

    report.py OUT --variants M1 M2 --chosen M2 --seeds 1 > OUT/report.md

Every figure is read from a file in OUT; those of the paper stand beside.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

AXES = ("valence", "arousal")
SCORES = ("mse", "rmse", "mae", "r2")
RECALLED = ("1", "5", "10")
PUBLISHED = {
    "M1": (".0240 .1549 .1185 .5096", ".0088 .0938 .0722 .3811"),
    "M2": (".0234 .1530 .1157 .5219", ".0066 .0812 .0602 .5330"),
    "M3": (".0255 .1597 .1219 .4780", ".0066 .0812 .0593 .5333"),
    "M4": (".0221 .1487 .1112 .5481", ".0065 .0806 .0590 .5420"),
}
"""MSE, RMSE, MAE and R2 of valence and of arousal on MERGE's test part: paper 004, chapter 4."""
BASELINES = {
    "random": ("a random number, expected", ".3245", ".2750"),
    "random_draw": ("a random number, drawn", "", ""),
    "mean": ("mean of the training part", ".2088", ".1062"),
    "quadrant_centre": ("centre of the true quadrant (an oracle)", ".0490", ".0423"),
    "predicted_quadrant_centre": ("centre of the predicted quadrant", "", ""),
}
"""What each is called, and its published MAE of valence and of arousal."""
ABLATIONS = {
    "audio": "sound alone",
    "lyrics": "lyrics alone",
    "late": "mean of sound alone and lyrics alone",
    "late-weighted": "the same, lyrics weighted by congruence",
    "shuffled": "both, the test's lyrics shuffled",
}
KERNELS = {
    "audio": "regression: MusiCNN's vectors of the sound",
    "lyrics": "regression: the lyrics' vectors",
    "both": "regression: both",
}
"""What the rows that are no variant's are called."""
MATCHING = {
    "similarity": "Siamese network's similarity",
    "agreement": "agreement of sound and lyrics alone, untrained",
}
PAIRED = (
    "**The pairs are made up by us.** Each track has a sentence that was drawn among those of like "
    "valence and arousal (`pair.py`), and nobody ever sang it to this music. What follows shows "
    "whether fusion and congruence learn what they should, not what they are worth on songs. "
    "Published figures are of MERGE, another corpus."
)

Json = dict[str, Any]


def read_json(path: Path) -> Json:
    """Read a file of figures."""
    return dict(json.loads(path.read_text("utf-8")))


def decimals(value: float | None, n: int = 4) -> str:
    """Write a number, or nothing where it is not defined."""
    return "" if value is None else f"{value:.{n}f}"


def with_interval(scores: Json, name: str, n: int = 3) -> str:
    """Write a score with its 95 % interval."""
    ends = scores["intervals"].get(name)
    return decimals(scores[name], n) + (f" ({ends[0]:.{n}f} to {ends[1]:.{n}f})" if ends else "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def of_axis(metrics: Json, axis: str) -> Json:
    """Give the scores of a number, of whole tracks."""
    return dict(metrics["targets"][axis]["levels"]["track"])


def describe_scores(metrics: dict[str, Json], variants: Sequence[str]) -> list[str]:
    """Write the paper's first table: errors and R2 of each variant."""
    rows = []
    for variant in variants:
        for axis, published in zip(AXES, PUBLISHED[variant], strict=True):
            scores = of_axis(metrics[variant], axis)
            rows.append(
                [
                    variant,
                    axis,
                    *(decimals(scores[name]) for name in SCORES),
                    with_interval(scores, "r2"),
                    published,
                ]
            )
    header = ["", "", "MSE", "RMSE", "MAE", "R2", "R2, 95 %", "published MSE RMSE MAE R2"]
    return ["## Scores", "", *table(header, rows)]


def describe_baselines(metrics: Json, chosen: str) -> list[str]:
    """Write the paper's second table: mean absolute errors beside those of trivial answers."""
    of_axes = [of_axis(metrics, axis) for axis in AXES]
    rows = [
        [f"{chosen}, sound and lyrics", *(decimals(scores["mae"]) for scores in of_axes), "", ""]
    ]
    for name, (title, *published) in BASELINES.items():
        found = [decimals(scores["baselines"][name]["mae"]) for scores in of_axes]
        rows.append([title, *found, *published])
    header = ["MAE", "valence", "arousal", "published valence", "published arousal"]
    return ["## Beside trivial answers", "", *table(header, rows)]


def describe_disguise(metrics: dict[str, Json], variants: Sequence[str], chosen: str) -> list[str]:
    """Say whether networks know more than the quadrant."""
    rows = []
    for variant in variants:
        quadrants = metrics[variant]["quadrants"]["track"]
        scores = [of_axis(metrics[variant], axis) for axis in AXES]
        rows.append(
            [
                variant,
                *(with_interval(of, "r2_within_quadrant") for of in scores),
                with_interval(quadrants, "accuracy"),
                decimals(quadrants["macro_f1"], 3),
            ]
        )
    answers = []
    for axis in AXES:
        scores = of_axis(metrics[chosen], axis)
        ends = scores["intervals"]["r2_within_quadrant"]
        own, centre = scores["mae"], scores["baselines"]["predicted_quadrant_centre"]["mae"]
        verdict = (
            "more than the quadrant"
            if ends and ends[0] > 0
            else "less than the true quadrant's centre does"
            if ends and ends[1] < 0
            else "nothing within a quadrant that can be told from chance"
        )
        answers.append(
            f"- {axis}: {chosen} tells {verdict}; its MAE of {own:.4f} would be {centre:.4f} if "
            "only the quadrant of its own answer were kept."
        )
    header = ["", "R2 within, valence", "R2 within, arousal", "quadrant accuracy", "macro F1"]
    return [
        "## Regression, or classification in disguise",
        "",
        "R2 within quadrants is against the centre of each track's true quadrant: 0 for a model",
        "that knows the quadrant and nothing else.",
        "",
        *table(header, rows),
        *answers,
        "",
    ]


def describe_ablations(metrics: dict[str, Json], titles: dict[str, str]) -> list[str]:
    """Say what each modality brings, and what there is to learn for a regression on vectors."""
    rows, at_the_mean = [], []
    for axis in AXES:
        for name, title in titles.items():
            scores = of_axis(metrics[name], axis)
            shown = (with_interval(scores, score, 2) for score in ("r2", "pearson_r", "ccc"))
            rows.append([axis, title, *shown])
            if scores["r2"] <= 0:
                at_the_mean.append(f"{title} ({axis})")
    lines = ["## What each modality brings", "", *table(["", "", "R2", "r", "CCC"], rows)]
    if at_the_mean:
        lines += [f"No better than the mean of these tracks by R2: {', '.join(at_the_mean)}.", ""]
    return lines


def describe_matching(matching: Json) -> list[str]:
    """Say how well each congruence tells own lyrics from those of others."""
    rows = []
    for name, of in matching.items():
        ends = of["auc_interval"]
        interval = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
        means = (decimals(of[which], 3) for which in ("mean_matched", "mean_mismatched"))
        recall = (decimals(of["recall"][k], 3) for k in RECALLED)
        auc = decimals(of["auc"], 3) + interval
        rows.append([MATCHING[name], auc, *means, f"{of['median_rank']:g}", *recall])
    chance, n = of["expected_recall"], of["n"]
    expected = (decimals(chance[k], 3) for k in RECALLED)
    rows.append(["chance", "0.500", "", "", f"{(n + 1) / 2:g}", *expected])
    header = ["", "AUC", "matched", "mismatched", f"median rank of {n}"]
    return table([*header, *(f"recall at {k}" for k in RECALLED)], rows)


def describe_congruence(report: Json, groups: Json) -> list[str]:
    """Say how well words and sound are matched, and whether errors follow."""
    rows = [
        [
            name,
            which,
            decimals(of["pearson_r"], 3),
            "" if of["interval"] is None else " to ".join(f"{end:.3f}" for end in of["interval"]),
            decimals(of["p"], 4),
            decimals(of["spearman_rho"], 3),
            decimals(of["partial_r"], 3),
        ]
        for name, errors in report["errors"].items()
        for which, of in errors.items()
    ]
    fifths = [
        [f"{group['low']:.2f} to {group['high']:.2f}"]
        + [decimals(group["targets"][axis]["track"]["mae"]) for axis in AXES]
        for group in groups["groups"]
        if "low" in group
    ]
    header = ["congruence", "error of", "r", "95 %", "p", "rho", "partial r"]
    return [
        "## Congruence",
        "",
        "Are own lyrics told from those of other test tracks?",
        "",
        *describe_matching(report["matching"]),
        "![similarity](figures/congruence/similarity.png)",
        "",
        "Where sound and lyrics go together, errors should be smaller: correlations negative. The",
        "partial ones hold the quadrant and the distance from the middle constant.",
        "",
        *table(header, rows),
        *(table(["similarity", *(f"MAE of {axis}" for axis in AXES)], fifths) if fifths else []),
        *(
            f"![errors by {name}](figures/congruence/errors_by_{name}.png)\n"
            for name in report["errors"]
        ),
    ]


def describe_data(folder: Path, metrics: Json, settings: str) -> list[str]:
    """Say what was scored, and show the corpus' plane."""
    scored = metrics["targets"]["valence"]["levels"]["track"]["n_tracks"]
    epochs = []
    for path in sorted((folder / "history").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        epochs.append(f"{path.stem} {max(int(row['epoch']) for row in rows)}")
    return [
        f"{scored} test tracks; mer {version('mertools')}. Epochs: {', '.join(epochs)}. Unlike the "
        f"recipes: {settings or 'nothing'}.",
        "",
        "![the plane](figures/doughnut.png)",
        "",
    ]


def main() -> None:
    """Write the report to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--kernels", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--settings", default="", help="parameters unlike the recipes'")
    parser.add_argument("--paired", action="store_true", help="say that pairs are made up")
    options = parser.parse_args()
    folder, variants, chosen = options.out, options.variants, options.chosen
    kernels = {f"kernel-{name}": KERNELS[name] for name in options.kernels}
    titles = {chosen: f"{chosen}, both", **ABLATIONS, **kernels}
    names = {*variants, *titles}
    metrics = {name: read_json(folder / "metrics" / f"{name}.json") for name in names}
    by_congruence = read_json(folder / "metrics" / "by-congruence.json")["by"]
    lines = [
        "# Valence and arousal from sound and lyrics",
        "",
        *([PAIRED, ""] if options.paired else []),
        *describe_data(folder, metrics[chosen], options.settings),
        *describe_scores(metrics, variants),
        *describe_baselines(metrics[chosen], chosen),
        *describe_disguise(metrics, variants, chosen),
        *describe_ablations(metrics, titles),
        *describe_congruence(read_json(folder / "congruence.json"), by_congruence),
        f"Networks of {options.seeds} seed{'s' * (options.seeds > 1)}; the first is scored. Choose "
        "a variant by its validation loss, not by this table.",
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()

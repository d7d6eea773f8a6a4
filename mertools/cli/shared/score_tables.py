"""Tables of `mer evaluate` for a person: the main figures of metrics.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mertools.cli.shared.console import print_table
from mertools.cli.shared.scoring import format_interval

Json = Mapping[str, Any]
Comparison = tuple[tuple[str, str], dict[str, Any]]
"""Names of two tables of predictions, as a person gave them, and their comparison."""

CLASS_COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "macro_auc": "AUC",
    "pearson_r": "r",
    "r2": "R2",
}
NUMBER_COLUMNS = {
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
    "pearson_r": "r",
    "spearman_rho": "rho",
    "ccc": "CCC",
}
WITHIN_QUADRANT = {"r2_within_quadrant": "R2 within quadrant"}


def print_report(report: Json, *, stdout: bool) -> None:
    """Draw the scores of every target and level, of quadrants, folds and groups."""
    levels = [
        (target, level, figures)
        for target, entry in report["targets"].items()
        for level, figures in entry["levels"].items()
    ]
    classes = [entry for entry in levels if "confusion" in entry[2]]
    numbers = [entry for entry in levels if "confusion" not in entry[2]]
    in_plane = any("r2_within_quadrant" in figures for _, _, figures in numbers)
    columns = NUMBER_COLUMNS | (WITHIN_QUADRANT if in_plane else {})
    _print_scores(classes, CLASS_COLUMNS, "macro_f1", ("majority", "uniform"), stdout)
    _print_scores(numbers, columns, "r2", ("mean", "random", "quadrant_centre"), stdout)
    for target, level, figures in classes:
        _print_confusion(f"Confusion of {target}, {level} level", figures["confusion"], stdout)
    for level, figures in report["quadrants"].items():
        _print_confusion(
            f"Quadrants, {level} level: accuracy {figures['accuracy']:.3f}, "
            f"macro F1 {figures['macro_f1']:.3f}",
            figures["confusion"],
            stdout,
        )
    _print_within(numbers, stdout)
    _print_folds(levels, stdout)
    if "by" in report:
        _print_groups(report["by"], stdout)


def print_comparisons(compared: Sequence[Comparison], *, stdout: bool) -> None:
    """Draw the permutation tests, those that are corrected together beside each other."""
    if not compared:
        return
    tests = [
        (target, score, names, entry["n_tracks"], test)
        for names, comparison in compared
        for target, entry in comparison["targets"].items()
        for score, test in entry["scores"].items()
    ]
    _, any_comparison = compared[0]
    print_table(
        f"Permutation tests, {any_comparison['form']}, {any_comparison['n_shuffles']} shuffles",
        ("target", "score", "first", "other", "tracks")
        + ("score of first", "of other", "difference", "p", "p (Holm)"),
        [_test_cells(*test) for test in sorted(tests, key=lambda test: test[:2])],
        stdout=stdout,
    )


def _print_scores(
    levels: Sequence[tuple[str, str, Json]],
    columns: Mapping[str, str],
    main: str,
    baselines: Sequence[str],
    stdout: bool,
) -> None:
    """Draw each level's scores, with the interval of the main one, above those of baselines."""
    if not levels:
        return
    rows: list[tuple[str, ...]] = []
    for target, level, figures in levels:
        rows.append((target, level, str(figures["n"]), *_cells(figures, columns, main)))
        for name in baselines:
            if name in figures["baselines"]:
                cells = _cells(figures["baselines"][name], columns, main)
                rows.append(("", name.replace("_", " "), "", *cells))
    print_table(
        "Scores, and below them what chance would reach",
        ("target", "level", "n", *_headings(columns, main)),
        rows,
        stdout=stdout,
    )


def _headings(columns: Mapping[str, str], main: str) -> Iterator[str]:
    for name, heading in columns.items():
        yield heading
        if name == main:
            yield "95 %"


def _cells(figures: Json, columns: Mapping[str, str], main: str) -> Iterator[str]:
    for name in columns:
        yield _format(figures.get(name), 4 if name in ("mse", "rmse", "mae") else 3)
        if name == main:
            yield _format_ends(figures.get("intervals", {}).get(name))


def _print_confusion(title: str, confusion: Json, stdout: bool) -> None:
    named = zip(confusion["classes"], confusion["counts"], strict=True)
    print_table(
        title,
        ("reference \\ estimated", *confusion["classes"]),
        [(name, *map(str, counts)) for name, counts in named],
        stdout=stdout,
    )


def _print_within(levels: Sequence[tuple[str, str, Json]], stdout: bool) -> None:
    rows = [
        (
            target,
            *(_format(figures["within_tracks"][name]) for name in ("pearson_r", "rmse", "ccc")),
        )
        for target, _, figures in levels
        if "within_tracks" in figures
    ]
    if rows:
        print_table(
            "Over time: mean over tracks of the scores within each",
            ("target", "r", "RMSE", "CCC"),
            rows,
            stdout=stdout,
        )


def _print_folds(levels: Sequence[tuple[str, str, Json]], stdout: bool) -> None:
    rows = []
    for target, level, figures in levels:
        for name in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "rmse", "r2"):
            spread = figures.get("over_folds", {}).get(name)
            if spread is not None:
                cells = (_format(spread["mean"]), _format(spread["std"]))
                rows.append((target, level, name.replace("_", " "), str(spread["n"]), *cells))
    if rows:
        print_table(
            "Over folds and repetitions",
            ("target", "level", "score", "folds", "mean", "standard deviation"),
            rows,
            stdout=stdout,
        )


def _print_groups(by: Json, stdout: bool) -> None:
    rows = []
    for group in by["groups"]:
        name = group["name"]
        if "low" in group:
            name += f" ({group['low']:g} to {group['high']:g})"
        for target, levels in group["targets"].items():
            # A person is shown whole tracks, where they are scored; the file has all levels.
            shown = {"track": levels["track"]} if "track" in levels else levels
            for level, figures in shown.items():
                main = "macro_f1" if "macro_f1" in figures else "r2"
                rows.append(
                    (name, target, level, str(figures["n"]))
                    + (main.replace("_", " "), _format(figures[main]))
                    + (_format_ends(figures["intervals"][main]), _format(figures.get("rmse")))
                )
    print_table(
        f"By {by['column']}",
        (by["column"], "target", "level", "n", "score", "", "95 %", "RMSE"),
        rows,
        stdout=stdout,
    )


def _test_cells(
    target: str, score: str, names: tuple[str, str], n_tracks: int, test: Json
) -> tuple[str, ...]:
    return (
        target,
        score.replace("_", " "),
        *names,
        str(n_tracks),
        _format(test["first"]),
        _format(test["other"]),
        "" if test["difference"] is None else f"{test['difference']:+.3f}",
        _format(test["p"], 4),
        _format(test.get("p_holm"), 4),
    )


def _format(value: float | None, decimals: int = 3) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _format_ends(ends: Sequence[float] | None) -> str:
    """Write an interval; a minus sign is not to be taken for the dash between its ends."""
    if ends is None:
        return ""
    if min(ends) < 0:
        return f"{ends[0]:.2f} to {ends[1]:.2f}"
    return format_interval(ends)

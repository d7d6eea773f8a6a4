"""What `mer aggregate-labels` reports of each target."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mertools.artifacts.files import open_output
from mertools.cli.shared.console import count, print_table, say
from mertools.labels.agreement import TargetSummary


def print_report(summaries: Sequence[TargetSummary]) -> None:
    """Print on standard error what was kept, how well annotators agree, and the classes' sizes."""
    columns = ("ratings", "annotators", "tracks", "kept", "dropped", "disagreement", "alpha")
    print_table(
        "Ratings",
        ["target", "scale", *columns],
        [
            [
                of_target.target,
                of_target.scale,
                str(of_target.n_ratings),
                str(of_target.n_annotators or ""),
                str(of_target.n_tracks),
                str(of_target.n_kept),
                str(of_target.n_dropped),
                _decimals(of_target.mean_disagreement),
                _decimals(of_target.krippendorff_alpha),
            ]
            for of_target in summaries
        ],
    )
    say("disagreement: mean absolute difference of a rating from its track's mean")
    if any(of_target.measurement == "nominal" for of_target in summaries):
        say("  for unordered classes: share of ratings that are not the track's class")
    kinds = " or ".join(sorted({of_target.measurement for of_target in summaries}, reverse=True))
    say(f"alpha: Krippendorff's, for {kinds} data")
    for of_target in summaries:
        if of_target.n_missing:
            missing = count(of_target.n_missing, "missing rating")
            say(f"{of_target.target}: {missing} left out")
        if of_target.n_dropped and of_target.max_mad is not None:
            say(
                f"{of_target.target}: {of_target.n_dropped} of {of_target.n_labels} tracks dropped,"
                f" with a mean absolute deviation above {of_target.max_mad:g}"
            )
    parts = list(summaries[0].part_counts)
    rows = []
    for of_target in summaries:
        for name in of_target.class_counts[parts[0]]:
            counts = [of_target.class_counts[part][name] for part in parts]
            rows.append([of_target.target, name, *map(str, counts)])
        if of_target.measurement == "interval":
            counts = [of_target.part_counts[part] for part in parts]
            rows.append([of_target.target, of_target.scale, *map(str, counts)])
    title = "Tracks kept in each class"
    print_table(title, ["target", "class", *(part or "tracks" for part in parts)], rows)


def _decimals(value: float | None) -> str:
    return "not defined" if value is None else f"{round(value, 3) + 0.0:.3f}"


def write_summary(file: str, summaries: Sequence[TargetSummary]) -> None:
    """Write all summaries to a JSON file."""
    content: Mapping[str, object] = {"targets": [asdict(of_target) for of_target in summaries]}
    with open_output(file) as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

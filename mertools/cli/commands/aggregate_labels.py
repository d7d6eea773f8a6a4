"""`mer aggregate-labels`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mertools.labels.aggregate import Ratings, TargetLabels
    from mertools.labels.agreement import TargetSummary

T = TypeVar("T")


def aggregate_labels(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Annotations (CSV), or exports of Label Studio (JSON, JSON-MIN, CSV), told apart "
            "by content; - is standard input.",
            show_default=False,
        ),
    ],
    output: options.Output = "-",
    target: Annotated[
        list[str] | None,
        typer.Option(help="A target to aggregate, repeatable.", show_default="all that are found"),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET=NAME,NAME,...",
            help="A target's classes, from rating 1 up, repeatable; arousal (weak, neutral, strong)"
            " and valence (negative, neutral, positive) are known, any other target has its "
            "ratings for classes.",
            show_default=False,
        ),
    ] = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TARGET=]X,X,...",
            help="Where the mean rating passes from class to class, for one target or all, "
            "repeatable; a mean on a threshold goes to the class nearer the middle.",
            show_default="1.66,2.33 for three classes, for K classes 1 + k (K - 1) / K",
        ),
    ] = None,
    max_mad: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TARGET=]X",
            help="Mark tracks with a mean absolute deviation above X as not kept, for one target "
            "or all, repeatable; published for three classes: arousal=0.7, valence=0.57.",
            show_default="no limit",
        ),
    ] = None,
    test_min_annotators: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Put tracks that as many annotators rated to the test, such as 5.",
            show_default=False,
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Put a random share of tracks to the test, stratified by the classes of all "
            "targets.",
            show_default=False,
        ),
    ] = None,
    split_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the split from a CSV table with the columns track_id and split, such as the "
            "annotations themselves or an earlier labels.csv.",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = 0,
    label_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="[TARGET:]LABEL=RATING",
            help="The rating that a label in Label Studio stands for, repeatable; class names and "
            "numbers are understood without.",
            show_default=False,
        ),
    ] = None,
    track_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Field of a task in Label Studio that names its track or file.",
            show_default="track_id, else the file name in audio, path or url",
        ),
    ] = None,
    summary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON file for the counts and the agreement of annotators.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Take several annotators' ratings of each track together: a label a track and target.

    Ratings are whole numbers from 1 up; labels.csv has their mean, spread and distribution, the
    class of the mean, whether the track is kept, and its part of the split. What was kept and how
    well annotators agree is said on standard error.

    \b
    Examples:
      mer aggregate-labels annotations.csv --max-mad arousal=0.7 --test-fraction 0.2 > labels.csv
      mer aggregate-labels project.json --target arousal --map 'Very calm=1' --map 'In between=2'
      mer aggregate-labels monday.csv tuesday.csv --test-min-annotators 5 \\
          --summary agreement.json -o all.csv
    """
    from mertools.artifacts.files import STANDARD_STREAM
    from mertools.artifacts.rows import Label
    from mertools.cli.shared.tables import open_table_output
    from mertools.errors import UsageError
    from mertools.labels.aggregate import aggregate, collect_ratings, label_rows
    from mertools.labels.agreement import summarise
    from mertools.labels.classes import Scales
    from mertools.labels.label_studio import Conversion
    from mertools.labels.reading import read_ratings

    if [*files, split_file].count(STANDARD_STREAM) > 1:
        raise UsageError(STANDARD_STREAM, "is given for two tables", "give one of them as a file")
    if sum(rule is not None for rule in (test_min_annotators, test_fraction, split_file)) > 1:
        raise UsageError(
            "--test-min-annotators, --test-fraction and --split-file",
            "are three ways to split",
            "choose one",
        )
    named_classes = _per_target("--classes", classes, _class_names, for_all=False)
    scales = Scales(named_classes, _per_target("--thresholds", thresholds, _rising))
    limits = _per_target("--max-mad", max_mad, _limit)
    conversion = Conversion(scales, _label_values(label_map), frozenset(target or ()), track_field)
    ratings = collect_ratings((name, read_ratings(name, conversion)) for name in files)
    if not ratings.targets:
        what = f"ratings of {' or '.join(target)}" if target else "ratings"
        remedy = "give annotations of tracks, or name what is rated with --target"
        raise UsageError(", ".join(files), f"no {what} found", remedy)
    named = [*(target or ()), *named_classes, *scales.thresholds, *limits]
    _check_targets(named, ratings.targets)

    labels = list(aggregate(ratings, scales, limits))
    test = _split(ratings, labels, test_min_annotators, test_fraction, split_file, seed)
    n_classes = max(len(of_target.scale.classes) for of_target in labels)
    with open_table_output(output, Label, n_classes) as write:
        for row in label_rows(ratings, labels, test):
            write(row)
    summaries = list(summarise(ratings, labels, test))
    _report(summaries)
    if summary is not None:
        _write_summary(summary, summaries)


def _per_target(
    option: str, entries: Sequence[str] | None, parse: Callable[[str], T], *, for_all: bool = True
) -> dict[str, T]:
    """Read entries of the form TARGET=VALUE, or VALUE for every target where that makes sense."""
    from mertools.errors import UsageError
    from mertools.labels.classes import EVERY_TARGET

    values: dict[str, T] = {}
    for entry in entries or ():
        target, _, text = entry.rpartition("=")
        if not (target or for_all):
            raise UsageError(f"{option} {entry}", "names no target", "write TARGET= before it")
        try:
            value = parse(text)
        except ValueError as error:
            raise UsageError(f"{option} {entry}", str(error), f"see {option} in --help") from None
        if target in values:
            scope = "every target" if target == EVERY_TARGET else target
            raise UsageError(option, f"is given twice for {scope}", "give it once")
        values[target] = value
    return values


def _class_names(text: str) -> tuple[str, ...]:
    from mertools.artifacts.rows import CLASS_SEPARATOR

    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise ValueError("does not name two classes or more, all different")
    if any(CLASS_SEPARATOR in name for name in names):
        raise ValueError(f"has a {CLASS_SEPARATOR} in a name, which stands between names elsewhere")
    return names


def _rising(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


def _limit(text: str) -> float:
    limit = float(text)
    if not limit >= 0:
        raise ValueError(f"{text} is no deviation, which is 0 or more")
    return limit


def _label_values(entries: Sequence[str] | None) -> dict[tuple[str, str], int]:
    """Read entries of the form TARGET:LABEL=RATING, or LABEL=RATING for every target."""
    from mertools.errors import UsageError

    values: dict[tuple[str, str], int] = {}
    for entry in entries or ():
        label, _, rating = entry.rpartition("=")
        target, colon, name = label.partition(":")
        if not colon:
            target, name = "", label
        if not (name.strip() and rating.isdecimal()):
            raise UsageError(
                f"--map {entry}", "is not a label and its rating", "write it as 'Very calm=1'"
            )
        values[target, name.strip().casefold()] = int(rating)
    return values


def _check_targets(named: Sequence[str], found: Sequence[str]) -> None:
    from mertools.errors import UsageError
    from mertools.labels.classes import EVERY_TARGET

    for target in named:
        if target not in (EVERY_TARGET, *found):
            raise UsageError(
                target,
                f"nobody rated it (found: {', '.join(found)})",
                "name a target that is rated",
            )


def _split(
    ratings: Ratings,
    labels: Sequence[TargetLabels],
    min_annotators: int | None,
    fraction: float | None,
    file: str | None,
    seed: int,
) -> NDArray[np.bool_] | None:
    from mertools.labels.splits import split_at_random, split_by_annotators, split_by_file

    if min_annotators is not None:
        return split_by_annotators(ratings, min_annotators)
    if fraction is not None:
        return split_at_random(labels, len(ratings.track_ids), fraction, seed)
    if file is not None:
        return split_by_file(file, ratings.track_ids)
    return None


def _report(summaries: Sequence[TargetSummary]) -> None:
    from mertools.cli.shared.console import print_table, say

    print_table(
        "Ratings",
        ["target", "ratings", "annotators", "tracks", "kept", "dropped", "disagreement", "alpha"],
        [
            [
                of_target.target,
                str(of_target.n_ratings),
                str(of_target.n_annotators),
                str(of_target.n_tracks),
                str(of_target.n_kept),
                str(of_target.n_dropped),
                f"{of_target.mean_disagreement:.3f}",
                "not defined"
                if of_target.krippendorff_alpha is None
                else f"{round(of_target.krippendorff_alpha, 3) + 0.0:.3f}",
            ]
            for of_target in summaries
        ],
    )
    say("disagreement: mean absolute difference of a rating from its track's mean")
    say("alpha: Krippendorff's, for ordinal data")
    for of_target in summaries:
        if of_target.n_dropped:
            say(
                f"{of_target.target}: {of_target.n_dropped} of {of_target.n_tracks} tracks dropped,"
                f" with a mean absolute deviation above {of_target.max_mad:g}"
            )
    parts = list(summaries[0].class_counts)
    print_table(
        "Tracks kept in each class",
        ["target", "class", *(part or "tracks" for part in parts)],
        [
            [of_target.target, name, *(str(of_target.class_counts[part][name]) for part in parts)]
            for of_target in summaries
            for name in of_target.class_counts[parts[0]]
        ],
    )


def _write_summary(file: str, summaries: Sequence[TargetSummary]) -> None:
    import json
    from dataclasses import asdict

    from mertools.artifacts.files import open_output

    content: Mapping[str, object] = {"targets": [asdict(of_target) for of_target in summaries]}
    with open_output(file) as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

"""`mer aggregate-labels`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from mertools.artifacts.rows import Label
    from mertools.labels.aggregate import TargetLabels
    from mertools.labels.classes import Scales
    from mertools.labels.ratings import Ratings

Texts = list[str] | None


def aggregate_labels(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Annotations (CSV), or exports of Label Studio (JSON, JSON-MIN, CSV), told apart "
            "by content; with --column any tables by track_id; - is standard input.",
            show_default=False,
        ),
    ],
    output: options.Output = "-",
    format: options.Format = None,
    target: Annotated[
        Texts,
        typer.Option(
            metavar="NAME",
            help="A target to aggregate, repeatable.",
            show_default="all that are found",
        ),
    ] = None,
    column: Annotated[
        Texts,
        typer.Option(
            metavar="[TARGET=]COLUMN",
            help="Take ratings from a column of tables by track_id, repeatable; the target is "
            "named like the column unless TARGET= names it.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        Texts,
        typer.Option(
            metavar="[TARGET=]LOW..HIGH",
            help="The scale of ratings that are real numbers, for one target or all, repeatable. "
            "Or 'unordered' for ratings that name classes, 'ordered' for classes with an order.",
            show_default="whole numbers from 1 up are ordered classes, words unordered ones",
        ),
    ] = None,
    rescale: Annotated[
        Texts,
        typer.Option(
            metavar="[TARGET=]LOW..HIGH",
            help="Map ratings linearly to this scale, for one target or all, repeatable; labels "
            "are then numbers.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        Texts,
        typer.Option(
            metavar="TARGET=NAME,NAME,...",
            help="A target's classes, from the lowest rating up, repeatable; arousal (weak, "
            "neutral, strong) and valence (negative, neutral, positive) are known, any other "
            "target has its ratings for classes. With --scale, ratings become these classes.",
            show_default=False,
        ),
    ] = None,
    thresholds: Annotated[
        Texts,
        typer.Option(
            metavar="[TARGET=]X,X,...",
            help="Where the mean rating passes from class to class, on the scale of the ratings, "
            "for one target or all, repeatable; a mean on a threshold goes to the class nearer the "
            "middle. With --scale, ratings become classes.",
            show_default="1.66,2.33 for three classes; for K classes, K equal parts",
        ),
    ] = None,
    quadrants: Annotated[
        bool,
        typer.Option(
            "--quadrants",
            help="Add the target quadrant (Q1 to Q4), from arousal and valence; with --target, "
            "these two need not be chosen.",
        ),
    ] = False,
    quadrant_centre: Annotated[
        Texts,
        typer.Option(
            metavar="[TARGET=]X",
            help="Where quadrants meet, on the scale of the ratings of arousal, valence or both; "
            "repeatable.",
            show_default="the middle of the scale",
        ),
    ] = None,
    max_mad: Annotated[
        Texts,
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
            metavar="SHARE",
            help="Put a random share of tracks to the test, stratified by the classes of all "
            "targets.",
            show_default=False,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Put a random share of all tracks to the validation, stratified, drawn from "
            "those that are not in the test.",
            show_default=False,
        ),
    ] = None,
    split_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the split from a CSV table with the columns track_id and split (train, "
            "validation, test), such as the annotations themselves or an earlier labels.csv.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Keep tracks with the same value in this column, such as artist, in one part of "
            "the split.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Table by track_id that has the column of --group, or the column original, which "
            "copies follow.",
            show_default="the tables of ratings",
        ),
    ] = None,
    seed: options.Seed = 0,
    label_map: Annotated[
        Texts,
        typer.Option(
            "--map",
            metavar="[TARGET:]LABEL=RATING",
            help="The rating that a label stands for, repeatable; class names and numbers are "
            "understood without.",
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
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="DIR",
            help="Folder to draw histograms, the valence-arousal plane, disagreement and split in.",
            show_default=False,
        ),
    ] = None,
    plot_format: options.PlotFormat = "png",
) -> None:
    """Turn several annotators' ratings into a label a track.

    Ratings are whole numbers from 1 up, real numbers on the scale that --scale gives, or words.
    Labels are ordered classes, numbers or unordered classes; labels.csv has their mean, spread and
    distribution, whether the track is kept, and its part of the split. What was kept and how well
    annotators agree is printed on standard error.

    \b
    Examples:
      mer aggregate-labels annotations.csv --max-mad arousal=0.7 --test-fraction 0.2 > labels.csv
      mer aggregate-labels annotations.csv --quadrants --validation-fraction 0.1 --plot pictures \\
          -o quadrants.csv
      mer aggregate-labels annotations.csv --scale 1..3 --rescale 0..1 -o numbers.csv
      mer aggregate-labels annotations.csv --scale arousal=1..3 --thresholds arousal=2 -o two.csv
      mer aggregate-labels genres.csv --column genre --test-fraction 0.2 -o genre_labels.csv
      mer aggregate-labels project.json --target arousal --map 'Very calm=1' --map 'In between=2'
      mer aggregate-labels monday.csv tuesday.csv --test-min-annotators 5 \\
          --summary agreement.json -o all.csv
    """
    from mertools.artifacts.files import STANDARD_STREAM
    from mertools.cli.shared import labels as values
    from mertools.cli.shared.label_report import print_report, write_summary
    from mertools.errors import UsageError
    from mertools.labels.aggregate import label_rows
    from mertools.labels.agreement import summarise
    from mertools.labels.classes import Scales
    from mertools.labels.groups import Relatives
    from mertools.labels.label_studio import Conversion
    from mertools.labels.quadrants import AXES, QUADRANT
    from mertools.labels.ratings import collect_ratings
    from mertools.labels.reading import Reader
    from mertools.labels.splits import SplitRule
    from mertools.targets.scale import parse_range

    if [*files, split_file, groups].count(STANDARD_STREAM) > 1:
        raise UsageError(STANDARD_STREAM, "is given for two tables", "give one of them as a file")
    if quadrant_centre and not quadrants:
        raise UsageError("--quadrant-centre", "divides nothing", "add --quadrants")
    split_rule = SplitRule(test_min_annotators, test_fraction, validation_fraction, split_file)
    named_classes = values.parse_per_target(
        "--classes", classes, values.parse_class_names, for_all=False
    )
    scales = Scales(
        named_classes,
        values.parse_per_target("--thresholds", thresholds, values.parse_thresholds),
        values.parse_per_target("--scale", scale, values.parse_rating_scale),
        values.parse_per_target("--rescale", rescale, parse_range),
    )
    limits = values.parse_per_target("--max-mad", max_mad, values.parse_limit)
    centres = values.parse_per_target("--quadrant-centre", quadrant_centre, values.parse_number)
    columns = values.parse_columns(column)
    label_values = values.parse_label_values(label_map)
    # Quadrants need ratings of both axes; those not asked for are left out of the labels below.
    wanted = {*(target or ()), *(AXES if target and quadrants else ())}
    conversion = Conversion(scales, label_values, frozenset(wanted), track_field)
    relatives = Relatives(group)
    if groups is not None:
        relatives.read_file(groups)
    # Without --groups, the tables of ratings may say which tracks belong together.
    reader = Reader(conversion, columns, relatives if groups is None else None)
    ratings = collect_ratings((name, reader.read(name)) for name in files)
    if not ratings.targets:
        what = f"ratings of {' or '.join(target)}" if target else "ratings"
        remedy = "give annotations of tracks, or name what is rated with --target"
        raise UsageError(", ".join(files), f"no {what} found", remedy)
    per_target: Sequence[Mapping[str, object]] = (
        named_classes,
        scales.thresholds,
        scales.scales,
        scales.rescaled,
        limits,
    )
    named = {*wanted, *(key for keys in per_target for key in keys)}
    # A misspelt target in an option would have no effect, and nobody would notice.
    _check_targets(sorted(named - {QUADRANT} if quadrants else named), ratings)
    if group is not None and not relatives.groups:
        raise UsageError(
            f"--group {group}",
            "no table of ratings has this column",
            "name a table by track_id that has it with --groups",
        )

    labels = _label(ratings, scales, limits, centres if quadrants else None)
    if target:
        labels = [of_target for of_target in labels if of_target.name in {QUADRANT, *target}]
    split = split_rule.apply(ratings, labels, relatives, seed)
    rows = list(label_rows(ratings, labels, split))
    _write_labels(output, format, rows, ratings)
    summaries = list(summarise(ratings, labels, split))
    print_report(summaries)
    if summary is not None:
        write_summary(summary, summaries)
    if plots is not None:
        _draw(plots, plot_format, rows, labels, centres)


def _check_targets(named: Sequence[str], ratings: Ratings) -> None:
    from mertools.errors import UsageError
    from mertools.labels.classes import EVERY_TARGET

    for target in named:
        if target not in (EVERY_TARGET, *ratings.targets):
            raise UsageError(
                target,
                f"nobody rated it (found: {', '.join(ratings.targets)})",
                "name a target that is rated",
            )


def _label(
    ratings: Ratings,
    scales: Scales,
    max_mad: Mapping[str, float],
    centres: Mapping[str, float] | None,
) -> list[TargetLabels]:
    """Label all targets, by name; with quadrants where their `centres` are given."""
    from mertools.errors import UsageError
    from mertools.labels.aggregate import aggregate
    from mertools.labels.classes import EVERY_TARGET
    from mertools.labels.quadrants import AROUSAL, QUADRANT, VALENCE, derive_quadrants

    labels = list(aggregate(ratings, scales, max_mad))
    if centres is None:
        return labels
    for name in centres:
        if name not in (EVERY_TARGET, AROUSAL, VALENCE):
            raise UsageError(
                f"--quadrant-centre {name}",
                "is no target that quadrants are derived from",
                f"name {AROUSAL} or {VALENCE}",
            )
    if QUADRANT in ratings.targets:
        raise UsageError(
            "--quadrants", f"the target {QUADRANT} is rated already", "leave out the one or other"
        )
    labels.append(derive_quadrants(ratings, labels, centres))
    return sorted(labels, key=lambda of_target: of_target.name)


def _write_labels(
    output: str, form: options.Form | None, rows: Sequence[Label], ratings: Ratings
) -> None:
    from mertools.artifacts.rows import Label
    from mertools.cli.shared.tables import open_table_output

    n_classes = max(len(row.distribution) for row in rows)
    optional = ("start", "duration") if ratings.have_stretches else ()
    with open_table_output(output, Label, n_classes, form, optional=optional) as write:
        for row in rows:
            write(row)


def _draw(
    folder: Path,
    file_format: str,
    rows: Sequence[Label],
    labels: Sequence[TargetLabels],
    centres: Mapping[str, float],
) -> None:
    import numpy as np

    from mertools.cli.shared.console import count, say
    from mertools.labels.plots import draw_labels
    from mertools.labels.quadrants import AROUSAL, VALENCE, find_centre

    # Centres are on the scale of the ratings; the figure shows means on that of the labels.
    shown = {}
    for target in labels:
        rule = target.rule
        if target.name in (AROUSAL, VALENCE) and (rule.are_levels or not rule.classes):
            shown[target.name] = float(rule.rescale(np.array([find_centre(rule, centres)]))[0])
    paths = draw_labels(rows, folder, file_format, shown)
    say(f"{folder}: {count(len(paths), 'figure')}")

"""`mer align`: posteriors compared with the annotators' distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli.shared import options, scoring

if TYPE_CHECKING:
    from mertools.artifacts.rows import Label, Prediction

BASES = {"e": math.e, "2": 2.0}


def align(
    predictions: scoring.PredictionsFile,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="labels.csv, whose kept rows hold the annotators' distributions.",
            show_default=False,
        ),
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The ratings themselves instead, of all tracks: annotations.csv or an export of "
            "Label Studio.",
            show_default=False,
        ),
    ] = None,
    output: options.Output = "-",
    format: options.Format = None,
    summary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="JSON file for the means and intervals.", show_default=False
        ),
    ] = None,
    base: Annotated[
        Literal["e", "2"], typer.Option(help="Base of the logarithm: nats or bits.")
    ] = "e",
    split: scoring.Split = "all",
    bootstrap: scoring.Bootstrap = 2_000,
    seed: options.Seed = 0,
) -> None:
    """Compare posteriors with how annotators' ratings spread.

    Writes alignment.csv: for each track the Jensen-Shannon divergence of the two and their
    similarity, exp(-JSD). Their means go to standard error, with bootstrap intervals over tracks,
    beside those of chance (a uniform posterior), of the class prior (the mean distribution of other
    tracks) and of the annotators among themselves (one random half against the other).

    \b
    Examples:
      mer align predictions.csv --labels labels.csv --split test -o alignment.csv
      mer align predictions.csv --annotations annotations.csv --summary alignment.json > a.csv
      mer predict -m arousal.skops features.h5 | mer align - --labels labels.csv --base 2
    """
    from mertools.artifacts.files import open_output
    from mertools.artifacts.rows import Alignment, Prediction
    from mertools.artifacts.tables import read_table
    from mertools.cli.shared.console import say
    from mertools.cli.shared.tables import open_table_output
    from mertools.evaluation import alignment
    from mertools.evaluation.report import format_json

    reference = _choose_reference(labels, annotations, split)
    scoring.check_one_stream(predictions, reference)
    scoring.check_one_stream(output, summary)
    predicted = list(read_table(predictions, Prediction))
    _check_scales(predicted, scoring.name_source(predictions))
    label_rows = _read_reference(reference, predicted, are_labels=labels is not None)
    joined = scoring.join(
        predicted, label_rows, split, predictions_name=predictions, labels_name=reference
    )
    for line in scoring.coverage_lines(joined, split):
        say(line)
    aligned = alignment.align(joined, label_rows, BASES[base], seed)
    content = alignment.summarise(joined, aligned, bootstrap, seed)
    content["provenance"] |= {
        "predictions": scoring.describe_file(predictions),
        "reference": scoring.describe_file(reference),
        "split": split,
        "base": base,
    }
    with open_table_output(output, Alignment, form=format) as write:
        for row in alignment.alignment_rows(aligned):
            write(row)
    if summary is not None:
        with open_output(summary) as stream:
            stream.write(format_json(content) + "\n")
    _print_summary(content)


def _choose_reference(labels: str | None, annotations: str | None, split: str) -> str:
    """Return the one of the two that is given; raise UsageError for both or none."""
    from mertools.errors import UsageError

    if labels is not None and annotations is None:
        return labels
    if annotations is None or labels is not None:
        raise UsageError(
            "--labels and --annotations",
            "are both given" if annotations else "are both missing",
            "give one of them: labels.csv holds the annotators' distributions too",
        )
    if split != "all":
        raise UsageError(
            f"--split {split}",
            "is marked in labels only",
            "give --labels, as mer aggregate-labels writes them, instead of --annotations",
        )
    return annotations


def _check_scales(predictions: Sequence[Prediction], name: str) -> None:
    """Raise UsageError where a target is a number."""
    from mertools.errors import UsageError
    from mertools.targets.scale import Range

    for row in predictions:
        scale = row.parse_scale()
        if isinstance(scale, Range):
            raise UsageError(
                name,
                f"has numbers {scale} of {row.target}, which have no distribution over classes to "
                "align with",
                "score them with mer evaluate",
            )


def _read_reference(
    source: str, predictions: Sequence[Prediction], *, are_labels: bool
) -> list[Label]:
    """Read labels, or aggregate them from ratings of the predicted targets and classes."""
    from mertools.artifacts.rows import Label
    from mertools.artifacts.tables import read_table
    from mertools.labels.aggregate import aggregate, label_rows
    from mertools.labels.classes import Scales
    from mertools.labels.label_studio import Conversion
    from mertools.labels.ratings import collect_ratings
    from mertools.labels.reading import read_ratings

    if are_labels:
        return list(read_table(source, Label))
    # The predictions' classes, so that both distributions are over the same ones.
    scales = Scales(classes={row.target: row.class_names() for row in predictions})
    conversion = Conversion(scales, {}, frozenset(scales.classes), None)
    ratings = collect_ratings([(scoring.name_source(source), read_ratings(source, conversion))])
    if not ratings.targets:
        return []
    return list(label_rows(ratings, list(aggregate(ratings, scales, {})), None))


def _print_summary(content: dict[str, Any]) -> None:
    from mertools.cli.shared.console import print_table

    unit = "nats" if content["provenance"]["base"] == "e" else "bits"
    print_table(
        "Alignment with the annotators' distributions, mean over tracks",
        ("target", "of", "tracks", "similarity", "95 %", f"JSD ({unit})", "95 %"),
        [
            row
            for target, entry in content["targets"].items()
            for row in _summary_rows(target, entry)
        ],
    )


def _summary_rows(target: str, entry: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    names = {
        "predictions": "the predictions",
        "uniform": "chance (uniform)",
        "prior": "the class prior",
        "split_half": "annotators, halves",
    }
    for name, what in names.items():
        scored = entry[name]
        if scored is None:
            yield (target, what, "", "not defined", "", "", "")
            continue
        cells = (
            (f"{scored[score]:.3f}", scoring.format_interval(scored["intervals"][score], 3))
            for score in ("similarity", "jsd")
        )
        yield (target, what, str(scored["n_tracks"]), *(cell for pair in cells for cell in pair))

"""`mer congruence`: how well sound and lyrics go together, and whether errors follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mertools.cli.shared import options, scoring

if TYPE_CHECKING:
    from mertools.artifacts.rows import Congruence, Label
    from mertools.evaluation.congruence import PlanePoints
    from mertools.prediction.congruence import Compared
    from mertools.prediction.predictor import Predictor


def congruence(
    features: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Files of features: sound and lyrics.", show_default=False
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="FILE", help="Siamese model to compare by.")
    ],
    output: options.Output = "-",
    pairs: Annotated[
        Literal["own", "all"],
        typer.Option(help="Compare each track's sound with its own lyrics, or with all."),
    ] = "own",
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="labels.csv, which tells the split.", show_default=False),
    ] = None,
    split: Annotated[
        scoring.Parts | None,
        typer.Option(
            help="Compare only tracks of this part.",
            show_default="test where the labels have a test part, else all",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Mismatch no tracks that have the same value in this column, such as artist.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Table by track_id with that column.", show_default="the labels"
        ),
    ] = None,
    judged: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Valence and arousal as a model predicts them: relate its errors to congruence.",
            show_default=False,
        ),
    ] = None,
    audio_only: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Predictions of a model of sound alone.", show_default=False
        ),
    ] = None,
    lyrics_only: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Predictions of a model of lyrics alone, for their agreement.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write all figures as JSON.", show_default=False),
    ] = None,
    plot: options.PlotFolder = None,
    plot_format: options.PlotFormat = "png",
    bootstrap: scoring.Bootstrap = 2_000,
    shuffles: Annotated[
        int, typer.Option(metavar="N", help="Shuffles of a permutation test.", min=1)
    ] = 10_000,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    format: options.Format = None,
) -> None:
    """Score how well each track's sound and lyrics go together.

    Writes a similarity a track, -1 to 1, which mer evaluate --by takes. It says how well matched
    pairs are told from mismatched ones (AUC, ranks among all lyrics of the part) and, with
    --predictions, whether errors are smaller where similarity is larger: the correlation, its
    interval and p, and what is left of it once quadrant and distance from the middle are held
    constant. With --audio-only and --lyrics-only the same for the agreement of both, which needs no
    training. Compare only tracks that no network learnt from.

    \b
    Examples:
      mer congruence -m siamese.safetensors sound.h5 lyrics.h5 --labels labels.csv -o congruence.csv
      mer congruence -m siamese.safetensors sound.h5 lyrics.h5 --pairs all
      mer congruence -m siamese.safetensors sound.h5 lyrics.h5 --labels labels.csv \\
          --predictions predictions.csv --report congruence.json --plot figures -o congruence.csv
    """
    from mertools.artifacts.files import open_output
    from mertools.artifacts.rows import Congruence, Label
    from mertools.artifacts.tables import read_table
    from mertools.cli.shared.console import complain
    from mertools.cli.shared.tables import open_table_output
    from mertools.dataset.relatives import read_groups
    from mertools.errors import UsageError
    from mertools.evaluation.report import format_json
    from mertools.prediction.congruence import compare_predictions, compare_tracks
    from mertools.prediction.installed import find_model
    from mertools.prediction.predictor import load_predictor

    _check_options(labels, split, group, groups, judged, audio_only, lyrics_only)
    label_rows = [] if labels is None else list(read_table(labels, Label))
    part = split or ("test" if any(row.split == "test" for row in label_rows) else "all")
    wanted = {row.track_id for row in label_rows if part in ("all", row.split)} if labels else None
    predictor = load_predictor(find_model(model), device)
    of_groups = None
    if group is not None:
        source = groups or labels
        if source is None:
            raise UsageError(f"--group {group}", "is a column of no table", "give --groups")
        of_groups = read_groups(source, group)
    compared = compare_tracks([Path(file) for file in features], predictor, wanted, of_groups)
    n_learnt = _count_learnt(compared, predictor)
    if n_learnt:
        complain(f"warning: {n_learnt} of {len(compared.track_ids)} tracks were learnt from")
    measures = {"similarity": compared}
    if audio_only is not None and lyrics_only is not None:
        alone = (_read_plane(audio_only), _read_plane(lyrics_only))
        measures["agreement"] = compare_predictions(compared, *alone)
    by_track = {name: _of_own_pairs(measure) for name, measure in measures.items()}
    optional = ["lyrics_track_id", "matched"] if pairs == "all" else []
    optional += ["agreement"] if "agreement" in measures else []
    with open_table_output(output, Congruence, form=format, optional=optional) as write:
        for row in _rows(compared, by_track.get("agreement", {}), every_pair=pairs == "all"):
            write(row)
    points = None if judged is None else _read_points(judged, str(labels), label_rows, part)
    content = _describe(measures, by_track, points, (bootstrap, shuffles, seed))
    content["provenance"] |= {
        "model": predictor.digest,
        "features": [scoring.describe_file(file) for file in features],
        "labels": None if labels is None else scoring.describe_file(labels),
        "predictions": None if judged is None else scoring.describe_file(judged),
        "split": part,
        "tracks_learnt_from": n_learnt,
        "tracks_without_words": compared.n_without_words,
    }
    if report is not None:
        with open_output(report) as stream:
            stream.write(format_json(content) + "\n")
    if plot is not None:
        _draw(plot, plot_format, compared, by_track, points, content, seed)
    _say(content)


def _check_options(
    labels: str | None,
    split: str | None,
    group: str | None,
    groups: str | None,
    judged: str | None,
    audio_only: str | None,
    lyrics_only: str | None,
) -> None:
    from mertools.errors import UsageError

    if labels is None and (split is not None or judged is not None):
        option = "--predictions" if split is None else "--split"
        raise UsageError(option, "needs labels", "give --labels")
    if groups is not None and group is None:
        raise UsageError("--groups", "is given without --group", "name the column")
    if (audio_only is None) != (lyrics_only is None):
        raise UsageError("--audio-only and --lyrics-only", "belong together", "give both")


def _count_learnt(compared: Compared, predictor: Predictor) -> int:
    """Count the compared tracks that the model learnt from."""
    from mertools.evaluation.overlap import hash_track, parse_hashes

    learnt = parse_hashes(predictor.card.training.get("track_hashes", ""))
    return sum(hash_track(track_id) in learnt for track_id in compared.track_ids)


def _rows(
    compared: Compared, agreement: Mapping[str, float], *, every_pair: bool
) -> list[Congruence]:
    from mertools.artifacts.rows import Congruence

    ids, similarity = compared.track_ids, compared.similarity
    if not every_pair:
        return [
            Congruence(track, float(similarity[k, k]), agreement=agreement.get(track))
            for k, track in enumerate(ids)
        ]
    return [
        Congruence(
            track, float(similarity[k, m]), words, k == m, agreement.get(track) if k == m else None
        )
        for k, track in enumerate(ids)
        for m, words in enumerate(ids)
    ]


def _read_plane(source: str) -> dict[str, dict[str, float]]:
    from mertools.artifacts.rows import Prediction
    from mertools.artifacts.tables import read_table
    from mertools.evaluation.congruence import unit_values

    return unit_values(read_table(source, Prediction), source)


def _read_points(judged: str, labels: str, label_rows: Sequence[Label], part: str) -> PlanePoints:
    from mertools.artifacts.rows import Prediction
    from mertools.artifacts.tables import read_table
    from mertools.evaluation.congruence import find_points

    rows = read_table(judged, Prediction)
    joined = scoring.join(rows, label_rows, part, predictions_name=judged, labels_name=labels)
    return find_points(joined, judged)


def _of_own_pairs(measure: Compared) -> dict[str, float]:
    """Give how well each track's sound and its own lyrics go together."""
    return dict(zip(measure.track_ids, measure.similarity.diagonal().tolist(), strict=True))


def _describe(
    measures: Mapping[str, Compared],
    by_track: Mapping[str, Mapping[str, float]],
    points: PlanePoints | None,
    chance: tuple[int, int, int],
) -> dict[str, Any]:
    from mertools.evaluation.congruence import describe_matching, relate_errors
    from mertools.version import __version__

    bootstrap, shuffles, seed = chance
    return {
        "schema": "congruence",
        "schema_version": "1.0",
        "producer": "mertools",
        "producer_version": __version__,
        "provenance": {"n_resamples": bootstrap, "n_shuffles": shuffles, "seed": seed},
        "matching": {
            name: describe_matching(measure.similarity, measure.songs, seed, bootstrap)
            for name, measure in measures.items()
        },
        "errors": {} if points is None else relate_errors(points, by_track, *chance),
    }


def _draw(
    folder: Path,
    file_format: str,
    compared: Compared,
    by_track: Mapping[str, Mapping[str, float]],
    points: PlanePoints | None,
    content: Mapping[str, Any],
    seed: int,
) -> None:
    from mertools.cli.shared.console import count, say
    from mertools.evaluation.congruence_plots import draw_errors, draw_matching

    draw_matching(folder, compared.similarity, compared.songs, seed, file_format)
    if points is not None:
        for name, described in content["errors"].items():
            draw_errors(folder, name, points, by_track[name], described["both"], file_format)
    say(f"{folder}: {count(1 + len(content['errors']), 'figure')}")


def _say(content: Mapping[str, Any]) -> None:
    """Say the main figures for a person."""
    from mertools.cli.shared.console import count, print_table, say

    matching, without = content["matching"], content["provenance"]["tracks_without_words"]
    if without:
        say(f"{count(without, 'track')} without words left out")
    for name, of in matching.items():
        auc = "not defined" if of["auc"] is None else f"{of['auc']:.3f}"
        recall = ", ".join(f"{share:.3f} at {k}" for k, share in of["recall"].items())
        say(
            f"{name}, {count(of['n'], 'track')}: AUC of matched and mismatched pairs {auc}, "
            f"median rank of own lyrics {of['median_rank']:g}, recall {recall}"
        )
    shown = ("pearson_r", "p", "spearman_rho", "partial_r")
    rows = [
        [
            f"{name}, error of {which}",
            *("" if of[score] is None else f"{of[score]:.3f}" for score in shown),
        ]
        for name, errors in content["errors"].items()
        for which, of in errors.items()
    ]
    if rows:
        print_table("Errors by congruence", ["", "r", "p", "rho", "partial r"], rows)

"""`mer featurize`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mertools.audio.settings import Last, SegmentSettings
from mertools.cli import options

DEFAULTS = SegmentSettings()


def featurize(
    inputs: options.Inputs,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")
    ],
    kind: Annotated[
        list[str], typer.Option(help="Kind of feature: handcrafted, mel. Give it again for more.")
    ] = ["handcrafted"],  # noqa: B006, typer copies it
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KIND.PARAM=VALUE", help="Parameter unlike its default."),
    ] = None,
    engine: Annotated[
        Literal["fast", "pyaudioanalysis"],
        typer.Option(help="Who computes handcrafted features; both agree to 1e-6."),
    ] = "fast",
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Sampling rate in Hz to compute at; other sound is converted to it.",
            show_default="the manifest's, 8000 for audio",
        ),
    ] = None,
    length: Annotated[
        float, typer.Option(help="Length in seconds of the segments that whole tracks are cut in.")
    ] = DEFAULTS.length_s,
    hop: Annotated[
        float | None,
        typer.Option(help="Seconds from one start to the next.", show_default="the length"),
    ] = DEFAULTS.hop_s,
    last: Annotated[Last, typer.Option(help="What becomes of a shorter remainder.")] = (
        DEFAULTS.last
    ),
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
) -> None:
    """Compute features of segments, tracks or audio files into one HDF5 file.

    Segments are taken as their table gives them; whole tracks and audio files are converted and
    cut as `mer convert` and `mer segment` would. What the file already holds of the same sound
    with the same parameters is kept, and so is what an interrupted run had made.

    \b
    Examples:
      mer featurize segments.csv --kind handcrafted --kind mel -o features.h5
      mer featurize songs/ --kind mel --set mel.n_mels=64 -o mel.h5
    """
    import itertools
    from pathlib import Path

    from mertools.artifacts.tables import Segment
    from mertools.cli.console import say, track_progress
    from mertools.cli.failures import Failures
    from mertools.cli.parse import parse_assignments, segment_settings
    from mertools.cli.work import count_if_known, gather_sources
    from mertools.errors import UsageError
    from mertools.features.build import build_features
    from mertools.features.extract import FailedInput, Recipe, choose_sample_rate
    from mertools.features.registry import find_kind, request_kind

    target = Path(output)
    settings = parse_assignments("--set", set_ or [])
    for name in settings:
        if name not in kind:
            raise UsageError(f"--set {name}", "is no kind asked for", f"add --kind {name}")
    for name in kind:
        find_kind(name)
    sources = gather_sources(inputs, null_separated=null, id_from=id_from)
    with Failures("featurize", failures) as failed:
        waiting = iter(sources)
        first = next(waiting, None)
        if first is None:
            raise UsageError("the manifest", "names no segment", "give one with rows")
        rate = sample_rate or choose_sample_rate(first)
        kinds = dict.fromkeys(kind)
        recipe = Recipe(
            tuple(request_kind(name, rate, settings.get(name), engine) for name in kinds),
            rate,
            segment_settings(length, hop, last),
        )
        all_sources = itertools.chain([first], waiting)
        made = build_features(target, all_sources, recipe, jobs, force=force)
        n_silent = n_padded = n_segments = 0
        # How many segments a whole track gives shows only when it is cut.
        total = count_if_known(sources) if isinstance(first, Segment) else None
        for outcome in track_progress(made, "featurize", total):
            if isinstance(outcome, FailedInput):
                failed.add(outcome.error, outcome.track_id, outcome.segment_id)
                continue
            failed.count_done()
            n_segments += 1
            n_silent += outcome.row.silent
            n_padded += outcome.row.padded
        say(f"{output}: {n_segments} segments, {n_silent} silent, {n_padded} padded")

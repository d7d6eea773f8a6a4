"""`mer segment`."""

from __future__ import annotations

from typing import Annotated

import typer

from mertools.audio.settings import Last, SegmentSettings
from mertools.cli.shared import options

DEFAULTS = SegmentSettings()


def segment(
    inputs: options.Inputs,
    output: options.Output = "-",
    format: options.Format = None,
    length: options.Length = DEFAULTS.length_s,
    hop: options.Hop = DEFAULTS.hop_s,
    last: Annotated[
        Last,
        typer.Option(
            help="A remainder shorter than a length: keep it short, drop it, pad it with silence, "
            "auto: drop it below half a length, else pad, whole: drop it. Under auto and whole a "
            "track shorter than a length is padded."
        ),
    ] = DEFAULTS.last,
    write_audio: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Also write each segment there.", show_default=False),
    ] = None,
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    jobs: options.Jobs = None,
) -> None:
    """Cut tracks into segments, a row each.

    Rows point into the tracks' files; sound is not copied unless --write-audio says so.

    \b
    Examples:
      mer segment tracks.csv -o segments.csv
      mer convert songs/ -o wav | mer segment - --length 10 --hop 5 > s.csv
    """
    from functools import partial
    from pathlib import Path

    from mertools.artifacts.files import prepare_folder
    from mertools.artifacts.rows import Segment
    from mertools.audio.provenance import provenance_columns
    from mertools.audio.segment import segment_track
    from mertools.cli.shared.console import track_progress
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.inputs import count_if_known, gather_sources, tracks_among, work_on
    from mertools.cli.shared.tables import open_table_output
    from mertools.cli.shared.values import segment_settings

    settings = segment_settings(length, hop, last)
    columns, sources = provenance_columns(
        gather_sources(inputs, null_separated=null, id_from=id_from)
    )
    with (
        Failures("segment", failures) as failed,
        open_table_output(output, Segment, form=format, optional=columns) as write,
    ):
        tracks = tracks_among(sources, failed)
        folder = Path(write_audio) if write_audio else None
        if folder is not None:
            prepare_folder(folder)
        cut = partial(segment_track, settings=settings, audio_folder=folder)
        # Headers are read in less time than a process takes to start; only audio is worth several.
        cut_tracks = work_on(cut, tracks, failed, jobs if folder else 1)
        for segments in track_progress(cut_tracks, "segment", count_if_known(sources)):
            for row in segments:
                write(row)

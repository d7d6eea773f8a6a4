"""`mer convert`."""

from __future__ import annotations

from typing import Annotated

import typer

from mertools.audio.settings import (
    HIGHEST_RATE_HZ,
    LOWEST_PEAK_DB,
    LOWEST_RATE_HZ,
    AudioFormat,
    ConvertSettings,
)
from mertools.cli.shared import options

DEFAULTS = ConvertSettings()


def convert(
    inputs: options.Inputs,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the converted files.")
    ],
    sample_rate: Annotated[
        int,
        typer.Option(
            min=LOWEST_RATE_HZ,
            max=HIGHEST_RATE_HZ,
            metavar="HZ",
            help="Sampling rate to resample to.",
        ),
    ] = DEFAULTS.sample_rate,
    keep_channels: Annotated[
        bool,
        typer.Option("--keep-channels/--mono", help="Keep all channels, or mix them to one."),
    ] = DEFAULTS.keep_channels,
    peak: Annotated[
        float | None,
        typer.Option(
            min=LOWEST_PEAK_DB,
            max=0.0,
            metavar="DB",
            help="Level in dBFS to bring each file's largest sample to, such as -0.1.",
            show_default="as it is",
        ),
    ] = DEFAULTS.peak_db,
    format: Annotated[AudioFormat, typer.Option(help="Format to write.")] = DEFAULTS.format,
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Convert sound files to WAV or FLAC of one sampling rate.

    tracks.csv goes to standard output. Sound is mixed to mono before it is resampled (soxr, high
    quality), rounded to 16 bit without dither and clipped at full scale. libsndfile decodes; what
    it cannot read goes through the ffmpeg program. A file converted before from the same input with
    the same settings is kept. With --peak each file is decoded twice; the level travels in the
    manifest, with features and with models, so that `mer predict` brings a song to it, too.

    \b
    Examples:
      mer convert songs/ -o wav > tracks.csv
      mer convert songs/ -o loud --peak -0.1 > loud.csv
      find . -name '*.mp3' -print0 | mer convert -0 - -o wav16 --sample-rate 16000 > t.csv
    """
    from functools import partial
    from pathlib import Path

    from mertools.artifacts.files import prepare_folder
    from mertools.artifacts.rows import Track
    from mertools.audio.convert import convert as convert_track
    from mertools.audio.provenance import provenance_columns
    from mertools.cli.shared.console import track_progress
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.inputs import count_if_known, gather_sources, tracks_among, work_on
    from mertools.cli.shared.tables import open_table_output

    folder = Path(output)
    prepare_folder(folder)
    settings = ConvertSettings(sample_rate, keep_channels, format, peak)
    columns, sources = provenance_columns(
        gather_sources(inputs, null_separated=null, id_from=id_from)
    )
    if peak is not None and "peak" not in columns:
        columns.append("peak")
    with (
        Failures("convert", failures) as failed,
        open_table_output("-", Track, optional=columns) as write,
    ):
        tracks = tracks_among(sources, failed)
        make = partial(convert_track, folder=folder, settings=settings, force=force)
        for converted in track_progress(
            work_on(make, tracks, failed, cluster or jobs), "convert", count_if_known(sources)
        ):
            failed.count_kept(converted.kept)
            write(converted.track)

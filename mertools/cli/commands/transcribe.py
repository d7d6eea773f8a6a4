"""`mer transcribe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mertools.audio.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, Last, SegmentSettings
from mertools.cli.shared import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mertools.artifacts.rows import Note
    from mertools.audio.sources import Source
    from mertools.features.extract import Recipe, SegmentFeatures
    from mertools.features.notes import NoteEvent

DEFAULTS = SegmentSettings()
KINDS = ("note", "onset", "contour")


def transcribe(
    inputs: options.Inputs,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")
    ],
    notes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Also write the notes there, a CSV row each.", show_default=False
        ),
    ] = None,
    midi: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Also write a MIDI file of each track there.", show_default=False
        ),
    ] = None,
    context: Annotated[
        Literal["segment", "track"] | None,
        typer.Option(
            help="Transcribe each segment by itself, or a track at once and then cut.",
            show_default="segment for the features, track for notes and MIDI",
        ),
    ] = None,
    device: options.Device = "auto",
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=LOWEST_RATE_HZ,
            max=HIGHEST_RATE_HZ,
            metavar="HZ",
            help="Sampling rate to hear the sound at.",
            show_default="the manifest's, at most 22050",
        ),
    ] = None,
    length: options.Length = DEFAULTS.length_s,
    hop: options.Hop = DEFAULTS.hop_s,
    last: Annotated[Last, typer.Option(help="What becomes of a shorter remainder.")] = (
        DEFAULTS.last
    ),
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    shards: options.Shards = None,
    shard_size: options.ShardSize = options.TRACKS_OF_A_SHARD,
) -> None:
    """Transcribe music to posteriors of notes, CSV and MIDI.

    Posteriors of notes, onsets and pitch contours are features; notes are written as CSV and MIDI
    where asked for. The network is Basic Pitch, from the basic-pitch package. Segments are taken as
    their table gives them; whole tracks and audio files are cut as `mer segment` would. What the
    file already holds of the same sound with the same parameters is reused, and so is what an
    interrupted run had computed.

    \b
    Examples:
      mer transcribe songs/ -o notes.h5
      mer transcribe segments.csv -o notes.h5 --device cuda
      mer transcribe song.mp3 -o song.h5 --midi . --notes notes.csv
    """
    from contextlib import ExitStack
    from itertools import groupby
    from pathlib import Path

    from mertools.artifacts.files import prepare_folder
    from mertools.artifacts.rows import Note
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.features import choose_jobs, make_features
    from mertools.cli.shared.inputs import gather_sources
    from mertools.cli.shared.tables import open_table_output
    from mertools.cli.shared.values import segment_settings
    from mertools.errors import InputError
    from mertools.features.extract import Recipe, manifest_peak, manifest_rate
    from mertools.features.registry import request_kind
    from mertools.pretrained.basic_pitch import WEIGHTS
    from mertools.pretrained.weight_files import find_weights
    from mertools.runtime.devices import find_device

    found = find_device(device)
    find_weights(WEIGHTS)
    jobs = choose_jobs(jobs, found)

    def choose_recipe(first: Source) -> Recipe:
        rate = sample_rate or manifest_rate(first)
        kinds = tuple(
            request_kind(name, rate, {"context": context or "segment"}, device=found)
            for name in KINDS
        )
        # A note that sounds across the border of two segments is one note of the track.
        heard = request_kind("note", rate, {"context": context or "track"}, device=found)
        cutting = segment_settings(length, hop, last)
        noted = heard if notes or midi else None
        return Recipe(kinds, kinds[0].sample_rate, cutting, noted, peak_db=manifest_peak(first))

    sources = gather_sources(inputs, null_separated=null, id_from=id_from)
    with Failures("transcribe", failures) as failed, ExitStack() as stack:
        if midi is not None:
            prepare_folder(Path(midi))
        write = stack.enter_context(open_table_output(notes, Note)) if notes else None
        transcribed = make_features(
            "transcribe",
            output,
            sources,
            choose_recipe,
            failed,
            cluster or jobs,
            force=force,
            shards=(shards, shard_size),
        )
        written: set[str] = set()
        for track_id, segments in groupby(transcribed, key=lambda segment: segment.row.track_id):
            heard: list[NoteEvent] = []
            for segment in segments:
                heard += segment.notes or ()
                if write is not None:
                    for row in _note_rows(segment):
                        write(row)
            if midi is None:
                continue
            try:
                if track_id in written:
                    raise InputError(
                        track_id, "has segments apart from each other", "sort them by track"
                    )
                written.add(track_id)
                _write_midi(Path(midi), track_id, heard)
            except InputError as error:
                failed.add(error, track_id)


def _note_rows(segment: SegmentFeatures) -> list[Note]:
    from mertools.artifacts.rows import Note

    return [
        Note(
            segment.row.track_id,
            segment.row.segment_id,
            note.start_s,
            note.end_s,
            note.pitch_midi,
            note.velocity,
            " ".join(map(str, note.bends)),
        )
        for note in segment.notes or ()
    ]


def _write_midi(folder: Path, track_id: str, notes: Sequence[NoteEvent]) -> None:
    """Write a track's notes; segments that overlap may have the same."""
    from mertools.artifacts.names import output_path, replacing_named
    from mertools.features.midi import write_midi

    target = output_path(folder, track_id, "mid")
    with replacing_named(target) as part:
        part.write_bytes(write_midi(list(dict.fromkeys(notes))))

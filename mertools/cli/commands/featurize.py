"""`mer featurize`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mertools.audio.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, Last, SegmentSettings
from mertools.cli.shared import options

DEFAULTS = SegmentSettings()


def featurize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Sound files, folders, a manifest (CSV), or - for paths or a manifest on standard "
            "input; for lyrics and tokens a lyrics.csv.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")
    ],
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Kind of feature: handcrafted, mel, musicnn, musicnn-change, tonal, note, onset, "
            "contour, mfcc, wave, notestats, skey, vggish, openl3, efficientat, "
            "efficientat-frames, musicnn-frames; of words: lyrics, tokens; repeatable.",
            autocompletion=options.complete_kinds,
            show_default="handcrafted; with --encoder lyrics",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KIND.PARAM=VALUE", help="Parameter unlike its default."),
    ] = None,
    engine: Annotated[
        Literal["fast", "librosa", "pyaudioanalysis"],
        typer.Option(
            help="Who computes them: we, or the reference, librosa for mel and mfcc, and "
            "pyaudioanalysis for handcrafted; both agree."
        ),
    ] = "fast",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=FILE",
            help="Weights of a network that mer import weights has written, repeatable.",
            show_default="those in MER_MODELS or the user's data folder",
        ),
    ] = None,
    encoder: options.Encoder = None,
    pool: Annotated[
        Literal["cls", "mean"] | None,
        typer.Option(
            help="What stands for a text: the vector of its first token (cls), or the mean of all, "
            "as encoders of sentences have it.",
            show_default="cls",
        ),
    ] = None,
    device: options.Device = "cpu",
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=LOWEST_RATE_HZ,
            max=HIGHEST_RATE_HZ,
            metavar="HZ",
            help="Sampling rate to compute at; other sound is converted to it.",
            show_default="the manifest's, else the kind's own; networks' own at most",
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
    """Compute features of sound or words into one HDF5 file.

    Inputs are segments, tracks or sound files. Segments are taken as their table gives them; whole
    tracks and audio files are converted and cut as `mer convert` and `mer segment` would. What the
    file already holds of the same sound with the same parameters is reused, and so is what an
    interrupted run had computed.

    Lyrics are read by a text encoder that is on this machine: nothing is fetched. Tokens are for
    training it along with a network.

    \b
    Examples:
      mer featurize segments.csv --kind handcrafted --kind mel -o features.h5
      mer featurize songs/ --kind mel --set mel.n_mels=64 -o mel.h5
      mer featurize songs/ --kind mel --set mel.reference=absolute -o decibels.h5
      mer featurize songs/ --kind musicnn -o musicnn.h5
      mer featurize songs/ --kind mfcc --length 15 -o mfcc.h5
      mer featurize lyrics.csv --encoder encoder --pool mean -o lyrics.h5
    """
    from mertools.audio.sources import Source
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.features import choose_jobs, make_features, parse_weights
    from mertools.cli.shared.inputs import gather_sources
    from mertools.cli.shared.values import parse_assignments, segment_settings
    from mertools.errors import UsageError
    from mertools.features.extract import Recipe, manifest_rate
    from mertools.features.registry import find_kind, request_kind
    from mertools.pretrained.user_weights import name_weights
    from mertools.runtime.devices import CPU, find_device

    found = find_device(device)
    settings = parse_assignments("--set", set_ or [])
    kind = kind or (["handcrafted"] if encoder is None else ["lyrics"])
    for name in settings:
        if name not in kind:
            raise UsageError(f"--set {name}", "is no kind asked for", f"add --kind {name}")
    chosen = [find_kind(name) for name in dict.fromkeys(kind)]
    if any(of.is_of_lyrics for of in chosen) or encoder is not None or pool is not None:
        from mertools.cli.shared.lyrics import make_lyrics

        for option, value in (("--shards", shards), ("--cluster", cluster), ("--weights", weights)):
            if value:
                raise UsageError(option, "is for sound", "leave it out for lyrics")
        if pool is not None:
            settings.setdefault("lyrics", {})["pool"] = pool
        with Failures("featurize", failures) as failed:
            make_lyrics(output, inputs, chosen, encoder, settings, found, failed, jobs, force=force)
        return
    if weights:
        name_weights(parse_weights(weights, chosen))
    # An accelerator limits the processes only if one of the kinds computes on it.
    jobs = choose_jobs(jobs, found if any(kind.on_devices for kind in chosen) else CPU)

    # The first input decides, as a manifest may know its sampling rate.
    def choose_recipe(first: Source) -> Recipe:
        rate = sample_rate or manifest_rate(first)
        kinds = tuple(
            request_kind(kind.name, rate, settings.get(kind.name), engine, found) for kind in chosen
        )
        return Recipe(kinds, kinds[0].sample_rate, segment_settings(length, hop, last))

    sources = gather_sources(inputs, null_separated=null, id_from=id_from)
    with Failures("featurize", failures) as failed:
        for _ in make_features(
            "featurize",
            output,
            sources,
            choose_recipe,
            failed,
            cluster or jobs,
            force=force,
            shards=(shards, shard_size),
        ):
            pass

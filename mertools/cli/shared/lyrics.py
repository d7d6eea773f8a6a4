"""What commands that read lyrics share: computing their features, and what is said of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from mertools.artifacts.features_check import is_hdf5
from mertools.cli.shared.console import count, say, track_progress
from mertools.cli.shared.failures import Failures
from mertools.errors import UsageError
from mertools.features.extract import FailedInput
from mertools.features.registry import FeatureKind
from mertools.features.words import build_lyrics, request_lyrics
from mertools.prediction.predictor import Predictor
from mertools.prediction.words import TrackWords, gather_words
from mertools.pretrained.text_encoder import find_encoder, use_encoder
from mertools.runtime.parallel import Jobs
from mertools.text.lyrics import read_lyrics


def make_lyrics(
    output: str,
    inputs: Sequence[str],
    chosen: Sequence[FeatureKind],
    encoder: str | None,
    settings: Mapping[str, Mapping[str, str]],
    device: str,
    failed: Failures,
    jobs: Jobs,
    *,
    force: bool,
) -> None:
    """Compute kinds of lyrics from tables of them, and write features.h5.

    Raises UsageError where kinds of sound are asked for beside them, or there is no encoder.
    """
    for kind in chosen:
        if not kind.is_of_lyrics:
            remedy = "compute kinds of sound and of words into files of their own"
            raise UsageError(f"--kind {kind.name}", "is of sound, not of words", remedy)
        if encoder is None:
            raise UsageError("--encoder", f"is missing, which {kind.name} needs", "name a folder")
    if settings.keys() - {kind.name for kind in chosen}:
        raise UsageError("--pool", "is of lyrics", "add --kind lyrics")
    folder = find_encoder(str(encoder))
    use_encoder(folder)
    kinds = tuple(
        request_lyrics(of.name, folder, settings.get(of.name, {}), device) for of in chosen
    )
    words = list(itertools.chain.from_iterable(map(read_lyrics, inputs)))
    n_tracks = n_empty = n_truncated = 0
    outcomes = build_lyrics(Path(output), words, kinds, jobs, force=force)
    for outcome in track_progress(outcomes, "featurize", len(words)):
        if isinstance(outcome, FailedInput):
            failed.add(outcome.error, outcome.track_id)
            continue
        failed.count_done()
        failed.count_kept(outcome.is_kept)
        n_tracks += 1
        n_empty += outcome.row.silent
        n_truncated += outcome.row.truncated
    if n_tracks:
        length = max(kind.params.max_tokens for kind in kinds)
        say(
            f"{output}: {count(n_tracks, 'track')}, {n_empty} without words, "
            f"{n_truncated} longer than {length} tokens"
        )


def read_words(
    predictors: Sequence[Predictor], inputs: Sequence[str], lyrics: str | None, encoder: str | None
) -> TrackWords | None:
    """Read the lyrics that models are to look at; None where no table is given.

    Raises UsageError where the models do not look at what is given, or there is nothing to predict.
    """
    of_words = [predictor for predictor in predictors if not predictor.inputs_of_sound]
    if lyrics is None:
        if not inputs:
            raise UsageError("INPUT", "is missing", "give sound or features, or --lyrics FILE")
        for predictor in of_words:
            if not all(is_hdf5(Path(name)) for name in inputs):
                remedy = "give --lyrics FILE and no sound, or features"
                raise UsageError(predictor.path, "looks at words alone", remedy)
        return None
    if not any(predictor.inputs_of_words for predictor in predictors):
        raise UsageError("--lyrics", "is given, but no model looks at words", "leave it out")
    if len(of_words) < len(predictors) and not inputs:
        raise UsageError("INPUT", "is missing: models look at sound, too", "give the sound")
    if of_words and inputs:
        raise UsageError(of_words[0].path, "looks at words alone", "leave out the sound")
    if any(is_hdf5(Path(name)) for name in inputs):
        remedy = "give their features beside, made by mer featurize"
        raise UsageError("--lyrics", "goes with sound, not with features", remedy)
    return gather_words(read_lyrics(lyrics), encoder)

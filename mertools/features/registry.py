"""The kinds of feature: a row for each, with its parameters and the functions that compute it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features, KindDescription
from mertools.artifacts.files import digest_json
from mertools.errors import UsageError, choose_from
from mertools.features import (
    efficientat,
    handcrafted,
    lyrics,
    mel,
    mfcc,
    musicnn,
    musicnn_frames,
    notestats,
    openl3,
    skey,
    tonal,
    transcription,
    vggish,
    wave,
)
from mertools.features.excerpt import Excerpt
from mertools.features.params import stored_params
from mertools.pretrained.user_weights import digest_weights
from mertools.runtime.devices import CPU

DEFAULT_ENGINE = "fast"

Compute = Callable[[Excerpt, Any, str], Features]
"""Computes the features of an excerpt with some parameters on a device."""

OfTexts = Callable[[list[str], Any, str], list[Any]]
"""Computes the features of each of some texts with some parameters on a device."""


@dataclass(frozen=True)
class FeatureKind:
    """A kind of feature of one segment.

    `engines` maps an implementation's name to its function; they agree up to rounding.
    `params_type` is a frozen dataclass with a field `sample_rate` in Hz, whose default is the
    kind's own. `dimensions` names the dataset's axes, and `columns(params)` the entries of the one
    that is neither segment nor frame. Segments shorter than `window(params)` samples are filled up
    with silence. `version` counts up when the same samples and parameters give other features than
    before.

    A pretrained network has a `highest_rate` in Hz, the one it hears sound at: sound at a higher
    rate is converted to it. `on_devices`: whether it can run on an accelerator. `of_window`
    computes the features of a window of a track like those of a segment, but reuses what it
    computed of windows that overlap it. `user_weights` names a network whose weights are the user's
    (see `pretrained.user_weights`); the parameter `weights` then has the digest of their file.

    A kind of lyrics has `of_texts` in place of engines, one row a track, and no sample rate; its
    parameter `encoder` has the digest of a text encoder (see `pretrained.text_encoder`).
    """

    name: str
    params_type: type[Any]
    engines: Mapping[str, Compute]
    dimensions: tuple[str, ...]
    columns: Callable[[Any], tuple[str, ...]]
    unit: str
    window: Callable[[Any], int]
    version: int = 1
    highest_rate: int | None = None
    on_devices: bool = False
    of_window: Callable[[Excerpt, Any], Features] | None = None
    user_weights: str | None = None
    of_texts: OfTexts | None = None

    @property
    def is_of_lyrics(self) -> bool:
        """Whether the features are of words, and not of sound."""
        return self.of_texts is not None

    @property
    def has_time_axis(self) -> bool:
        """Whether the features are frames over time, and not statistics over the segment."""
        return "frame" in self.dimensions

    @property
    def default_rate(self) -> int:
        """The sample rate in Hz where neither a user nor a manifest gives one."""
        rate: int = self.params_type().sample_rate
        return rate


def _of_lyrics(name: str, params_type: type[Any], compute: OfTexts, dimension: str) -> FeatureKind:
    return FeatureKind(
        name,
        params_type,
        {},
        ("segment", dimension),
        lambda params: (),
        "1",
        lambda params: 0,
        on_devices=True,
        of_texts=compute,
    )


def _of_samples(compute: Callable[[NDArray[np.int16], Any], Features]) -> Compute:
    return lambda excerpt, params, device: compute(excerpt.y, params)


def _posteriorgram(name: str, dimension: str, columns: tuple[str, ...]) -> FeatureKind:
    return FeatureKind(
        name,
        transcription.TranscriptionParams,
        {DEFAULT_ENGINE: partial(transcription.feature, name)},
        ("segment", "frame", dimension),
        lambda params: columns,
        "1",
        lambda params: params.least_samples,
        highest_rate=transcription.SAMPLE_RATE,
        on_devices=True,
        of_window=partial(transcription.window_feature, name),
    )


def _musicnn(
    name: str,
    compute: Compute,
    of_window: Callable[[Excerpt, musicnn.MusicnnParams], Features],
    columns: tuple[str, ...],
) -> FeatureKind:
    return FeatureKind(
        name,
        musicnn.MusicnnParams,
        {DEFAULT_ENGINE: compute},
        ("segment", "column"),
        lambda params: columns,
        "1",
        lambda params: params.least_samples,
        highest_rate=musicnn.SAMPLE_RATE,
        on_devices=True,
        of_window=of_window,
    )


def _efficientat(name: str, compute: Compute, dimensions: tuple[str, ...]) -> FeatureKind:
    return FeatureKind(
        name,
        efficientat.EfficientAtParams,
        {DEFAULT_ENGINE: compute},
        dimensions,
        lambda params: efficientat.COLUMN_NAMES,
        "1",
        lambda params: params.least_samples,
        highest_rate=efficientat.SAMPLE_RATE,
        on_devices=True,
        user_weights="efficientat",
    )


KINDS: Mapping[str, FeatureKind] = {
    kind.name: kind
    for kind in (
        FeatureKind(
            "handcrafted",
            handcrafted.HandcraftedParams,
            {
                DEFAULT_ENGINE: _of_samples(handcrafted.handcrafted),
                "pyaudioanalysis": _of_samples(handcrafted.handcrafted_reference),
            },
            ("segment", "column"),
            lambda params: handcrafted.COLUMN_NAMES,
            "1",
            lambda params: params.window,
        ),
        FeatureKind(
            "mel",
            mel.MelParams,
            {DEFAULT_ENGINE: _of_samples(mel.mel), "librosa": _of_samples(mel.mel_reference)},
            ("segment", "band", "frame"),
            lambda params: tuple(f"mel_{band}" for band in range(1, params.n_mels + 1)),
            "dB",
            lambda params: params.n_fft,
        ),
        _posteriorgram("note", "pitch", transcription.NOTE_COLUMNS),
        _posteriorgram("onset", "pitch", transcription.NOTE_COLUMNS),
        _posteriorgram("contour", "bin", transcription.CONTOUR_COLUMNS),
        _musicnn("musicnn", musicnn.feature, musicnn.window_feature, musicnn.COLUMN_NAMES),
        _musicnn(
            "musicnn-change", musicnn.change, musicnn.window_change, musicnn.CHANGE_COLUMN_NAMES
        ),
        FeatureKind(
            "tonal",
            transcription.TranscriptionParams,
            {DEFAULT_ENGINE: tonal.feature},
            ("segment", "column"),
            lambda params: tonal.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            highest_rate=transcription.SAMPLE_RATE,
            on_devices=True,
            of_window=tonal.window_feature,
        ),
        FeatureKind(
            "notestats",
            transcription.TranscriptionParams,
            {DEFAULT_ENGINE: notestats.feature},
            ("segment", "column"),
            lambda params: notestats.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            highest_rate=transcription.SAMPLE_RATE,
            on_devices=True,
        ),
        FeatureKind(
            "wave",
            wave.WaveParams,
            {DEFAULT_ENGINE: _of_samples(wave.wave)},
            ("segment", "frame"),
            lambda params: (),
            "1",
            lambda params: 1,
        ),
        FeatureKind(
            "mfcc",
            mfcc.MfccParams,
            {DEFAULT_ENGINE: mfcc.feature, "librosa": mfcc.reference},
            ("segment", "frame", "coefficient"),
            lambda params: params.columns,
            "dB",
            lambda params: params.n_fft,
        ),
        FeatureKind(
            "vggish",
            vggish.VggishParams,
            {DEFAULT_ENGINE: vggish.feature},
            ("segment", "frame", "column"),
            lambda params: vggish.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            highest_rate=vggish.SAMPLE_RATE,
            on_devices=True,
            user_weights="vggish",
        ),
        _efficientat("efficientat", efficientat.feature, ("segment", "column")),
        _efficientat("efficientat-frames", efficientat.frames, ("segment", "frame", "column")),
        FeatureKind(
            "skey",
            skey.SkeyParams,
            {DEFAULT_ENGINE: skey.feature},
            ("segment", "column"),
            lambda params: skey.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            highest_rate=skey.SAMPLE_RATE,
            on_devices=True,
            user_weights="skey",
        ),
        FeatureKind(
            "openl3",
            openl3.Openl3Params,
            {DEFAULT_ENGINE: openl3.feature},
            ("segment", "column"),
            lambda params: params.columns,
            "1",
            lambda params: params.sample_rate,
            highest_rate=openl3.SAMPLE_RATE,
            on_devices=True,
            user_weights="openl3",
        ),
        FeatureKind(
            "musicnn-frames",
            musicnn_frames.MusicnnFramesParams,
            {DEFAULT_ENGINE: musicnn_frames.feature},
            ("segment", "frame", "column"),
            lambda params: musicnn_frames.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            highest_rate=musicnn.SAMPLE_RATE,
            on_devices=True,
        ),
        _of_lyrics("lyrics", lyrics.LyricsParams, lyrics.lyrics, "column"),
        _of_lyrics("tokens", lyrics.TokensParams, lyrics.tokens, "token"),
    )
}


@dataclass(frozen=True)
class RequestedKind:
    """A kind of feature with its parameters, and the engine and device to compute it with."""

    name: str
    params: Any
    engine: str = DEFAULT_ENGINE
    device: str = CPU

    @cached_property
    def digest(self) -> str:
        """Features with equal digests are interchangeable, whatever computed them."""
        return digest_json(
            {
                "kind": self.name,
                "version": KINDS[self.name].version,
                "params": stored_params(self.params),
            }
        )

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of the sound that it is computed from."""
        rate: int = self.params.sample_rate
        return rate

    def compute(self, excerpt: Excerpt) -> Features:
        """Compute the features of a segment from its sound at the sample rate."""
        return KINDS[self.name].engines[self.engine](excerpt, self.params, self.device)

    def compute_window(self, excerpt: Excerpt) -> Features:
        """Compute the features of a window of a track, after those before it.

        They are those of a segment, or close to them where windows can share computations.
        """
        of_window = KINDS[self.name].of_window
        return of_window(excerpt, self.params) if of_window else self.compute(excerpt)

    def fills_up(self, y: NDArray[np.int16]) -> bool:
        """Check whether a segment is shorter than a window and has to be filled up."""
        return len(y) < KINDS[self.name].window(self.params)

    @cache  # noqa: B019, as what is asked for stays the same while a command runs
    def describe(self, shape: tuple[int, ...], dtype: str) -> KindDescription:
        """Describe the dataset that holds features of this shape and type for each segment."""
        kind = KINDS[self.name]
        columns = kind.columns(self.params)
        if kind.is_of_lyrics and "column" in kind.dimensions:
            # How many there are is the encoder's, not the parameters'.
            columns = tuple(f"{self.name}_{column}" for column in range(1, shape[0] + 1))
        return KindDescription(
            self.name,
            shape,
            dtype,
            kind.dimensions,
            columns,
            kind.unit,
            stored_params(self.params),
            self.digest,
            self.engine,
            level="track" if kind.is_of_lyrics else "segment",
            source="lyrics" if kind.is_of_lyrics else "sound",
            device=self.device,
        )


def request_kind(
    name: str,
    sample_rate: int | None = None,
    settings: Mapping[str, str | int | float] | None = None,
    engine: str = DEFAULT_ENGINE,
    device: str = CPU,
) -> RequestedKind:
    """Ask for a kind of feature at a sample rate in Hz (None: its own default).

    `settings` are parameters unlike the defaults. The rate is at most the kind's highest, unless
    `settings` give another. A kind that `engine` does not compute is computed by the default one,
    and on the CPU where it cannot use `device`.
    Raises UsageError for a kind, parameter or value that does not exist, and where a network's
    weights are missing that the user has to bring.
    """
    kind = find_kind(name)
    fields = {field.name: field for field in dataclasses.fields(kind.params_type)}
    values: dict[str, Any] = {}
    if not kind.is_of_lyrics:
        rate = sample_rate or kind.default_rate
        values["sample_rate"] = min(rate, kind.highest_rate or rate)
    for key, text in (settings or {}).items():
        if key not in fields:
            raise UsageError(f"{name}.{key}", "is no parameter", choose_from(fields, key))
        convert: Callable[[str | int | float], Any] = type(fields[key].default)
        try:
            values[key] = convert(text)
        except ValueError:
            raise UsageError(
                f"{name}.{key}",
                f"{text!r} does not fit",
                f"give a number like {fields[key].default}",
            ) from None
    if kind.user_weights and not values.get("weights"):
        values["weights"] = digest_weights(kind.user_weights)
    return RequestedKind(
        name,
        kind.params_type(**values),
        engine if engine in kind.engines else DEFAULT_ENGINE,
        device if kind.on_devices else CPU,
    )


def find_kind(name: str) -> FeatureKind:
    """Find a kind of feature by its name.

    Raises UsageError where there is none.
    """
    if name not in KINDS:
        raise UsageError(name, "is no kind of feature", choose_from(KINDS, name))
    return KINDS[name]

"""The kinds of feature: what each is called, what it needs and the functions that make it."""

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
from mertools.errors import UsageError
from mertools.features import handcrafted, mel, musicnn, tonal, transcription
from mertools.features.excerpt import Excerpt
from mertools.runtime.devices import ACCELERATORS, CPU

DEFAULT_ENGINE = "fast"
DEVICES: Mapping[str, str] = {DEFAULT_ENGINE: CPU} | {name: name for name in ACCELERATORS}
"""The engines of a kind that a network makes, each a device."""

Compute = Callable[[Excerpt, Any], Features]


@dataclass(frozen=True)
class FeatureKind:
    """A kind of feature of one segment.

    `engines` are its implementations: from the segment's sound, at the sample rate that is one of
    the parameters, and these, of `params_type`, to an array whose dimensions `dimensions` names. A
    segment shorter than `window` samples is filled up. `version` counts up when the same samples
    and parameters would give other features than before. Where a network hears sound at one sample
    rate, `highest_rate` in Hz is that, and nothing is computed at a higher one. `of_window`, where
    there is one, makes features of a window of a track, like those of a segment, from what windows
    that overlap have in common.
    """

    name: str
    params_type: type[Any]
    engines: Mapping[str, Compute]
    dimensions: tuple[str, ...]
    columns: Callable[[Any], tuple[str, ...]]
    unit: str
    window: Callable[[Any], int]
    version: int
    highest_rate: int | None = None
    of_window: Compute | None = None

    @property
    def has_time_axis(self) -> bool:
        """Whether features are as long as their segment is, and are no statistics over it."""
        return "frame" in self.dimensions


def _of_samples(compute: Callable[[NDArray[np.int16], Any], Features]) -> Compute:
    return lambda excerpt, params: compute(excerpt.y, params)


def _posteriorgram(name: str, dimension: str, columns: tuple[str, ...]) -> FeatureKind:
    return FeatureKind(
        name,
        transcription.TranscriptionParams,
        {
            engine: partial(transcription.feature, name, device)
            for engine, device in DEVICES.items()
        },
        ("segment", "frame", dimension),
        lambda params: columns,
        "1",
        lambda params: params.least_samples,
        1,
        of_window=partial(transcription.window_feature, name),
    )


def _musicnn(
    name: str,
    compute: Callable[[str, Excerpt, musicnn.MusicnnParams], Features],
    of_window: Compute,
    columns: tuple[str, ...],
) -> FeatureKind:
    return FeatureKind(
        name,
        musicnn.MusicnnParams,
        {engine: partial(compute, device) for engine, device in DEVICES.items()},
        ("segment", "column"),
        lambda params: columns,
        "1",
        lambda params: params.least_samples,
        1,
        musicnn.SAMPLE_RATE,
        of_window,
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
            1,
        ),
        FeatureKind(
            "mel",
            mel.MelParams,
            {DEFAULT_ENGINE: _of_samples(mel.mel)},
            ("segment", "band", "frame"),
            lambda params: tuple(f"mel_{band}" for band in range(1, params.n_mels + 1)),
            "dB",
            lambda params: params.n_fft,
            1,
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
            {engine: partial(tonal.feature, device) for engine, device in DEVICES.items()},
            ("segment", "column"),
            lambda params: tonal.COLUMN_NAMES,
            "1",
            lambda params: params.least_samples,
            1,
            transcription.SAMPLE_RATE,
            tonal.window_feature,
        ),
    )
}


@dataclass(frozen=True)
class RequestedKind:
    """A kind of feature with the parameters and the engine to compute it with."""

    name: str
    params: Any
    engine: str

    @cached_property
    def digest(self) -> str:
        """Tell features that are interchangeable from others; engines do not differ in it."""
        return digest_json(
            {
                "kind": self.name,
                "version": KINDS[self.name].version,
                "params": dataclasses.asdict(self.params),
            }
        )

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of the sound that it is computed from."""
        rate: int = self.params.sample_rate
        return rate

    def compute(self, excerpt: Excerpt) -> Features:
        """Compute the features of a segment from its sound at the sample rate."""
        return KINDS[self.name].engines[self.engine](excerpt, self.params)

    def compute_window(self, excerpt: Excerpt) -> Features:
        """Compute the features of a window of a track, after those before it.

        They are those of a segment, or close to them where windows can share their work.
        """
        of_window = KINDS[self.name].of_window
        return of_window(excerpt, self.params) if of_window else self.compute(excerpt)

    def fills_up(self, y: NDArray[np.int16]) -> bool:
        """Tell whether a segment is shorter than a window and has to be filled up."""
        return len(y) < KINDS[self.name].window(self.params)

    @cache  # noqa: B019, as what is asked for stays the same while a command runs
    def describe(self, shape: tuple[int, ...], dtype: str) -> KindDescription:
        """Describe the dataset that features go into, of one segment of such shape and type."""
        kind = KINDS[self.name]
        return KindDescription(
            self.name,
            shape,
            dtype,
            kind.dimensions,
            kind.columns(self.params),
            kind.unit,
            dataclasses.asdict(self.params),
            self.digest,
            self.engine,
        )


def request_kind(
    name: str,
    sample_rate: int,
    settings: Mapping[str, str | int | float] | None = None,
    engine: str = DEFAULT_ENGINE,
) -> RequestedKind:
    """Ask for a kind of feature at a sample rate in Hz, with `settings` unlike the defaults.

    A kind that has a highest sample rate is made at that at most, and a kind that the engine does
    not make is made by the default engine.
    Raises UsageError for a kind, parameter or value that does not exist.
    """
    kind = find_kind(name)
    fields = {field.name: field for field in dataclasses.fields(kind.params_type)}
    values: dict[str, Any] = {"sample_rate": min(sample_rate, kind.highest_rate or sample_rate)}
    for key, text in (settings or {}).items():
        if key not in fields:
            raise UsageError(f"{name}.{key}", "is no parameter", f"choose from {', '.join(fields)}")
        convert: Callable[[str | int | float], Any] = type(fields[key].default)
        try:
            values[key] = convert(text)
        except ValueError:
            raise UsageError(
                f"{name}.{key}",
                f"{text!r} does not fit",
                f"give a number like {fields[key].default}",
            ) from None
    return RequestedKind(
        name, kind.params_type(**values), engine if engine in kind.engines else DEFAULT_ENGINE
    )


def find_kind(name: str) -> FeatureKind:
    """Find a kind of feature by its name.

    Raises UsageError where there is none.
    """
    if name not in KINDS:
        raise UsageError(name, "is no kind of feature", f"choose from {', '.join(KINDS)}")
    return KINDS[name]

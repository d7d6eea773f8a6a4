"""The kinds of feature: what each is called, what it needs and the functions that make it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.features_file import Features, KindDescription
from mertools.artifacts.files import digest_json
from mertools.errors import UsageError
from mertools.features import handcrafted, mel

DEFAULT_ENGINE = "fast"

Compute = Callable[[NDArray[np.int16], Any], Features]


@dataclass(frozen=True)
class FeatureKind:
    """A kind of feature of one segment.

    `engines` are its implementations: from the segment's samples, mono int16 (n_samples,), and
    parameters of `params_type` to an array whose dimensions `dimensions` names. A segment shorter
    than `window` samples is filled up with silence. `version` counts up when the same samples and
    parameters would give other features than before.
    """

    name: str
    params_type: type[Any]
    engines: Mapping[str, Compute]
    dimensions: tuple[str, ...]
    columns: Callable[[Any], tuple[str, ...]]
    unit: str
    window: Callable[[Any], int]
    version: int


KINDS: Mapping[str, FeatureKind] = {
    kind.name: kind
    for kind in (
        FeatureKind(
            "handcrafted",
            handcrafted.HandcraftedParams,
            {
                DEFAULT_ENGINE: handcrafted.handcrafted,
                "pyaudioanalysis": handcrafted.handcrafted_reference,
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
            {DEFAULT_ENGINE: mel.mel},
            ("segment", "band", "frame"),
            lambda params: tuple(f"mel_{band}" for band in range(1, params.n_mels + 1)),
            "dB",
            lambda params: params.n_fft,
            1,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class RequestedKind:
    """A kind of feature with the parameters and the engine to compute it with."""

    name: str
    params: Any
    engine: str

    @property
    def digest(self) -> str:
        """Tell features that are interchangeable from others; engines do not differ in it."""
        return digest_json(
            {
                "kind": self.name,
                "version": KINDS[self.name].version,
                "params": dataclasses.asdict(self.params),
            }
        )

    def compute(self, y: NDArray[np.int16]) -> Features:
        """Compute the features of a segment."""
        return KINDS[self.name].engines[self.engine](y, self.params)

    def fills_up(self, y: NDArray[np.int16]) -> bool:
        """Tell whether a segment is shorter than a window and has to be filled up."""
        return len(y) < KINDS[self.name].window(self.params)

    def describe(self, features: Features) -> KindDescription:
        """Describe the dataset that `features` of one segment go into."""
        kind = KINDS[self.name]
        return KindDescription(
            self.name,
            features.shape,
            features.dtype.name,
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

    A kind that the engine does not make is made by the default engine.
    Raises UsageError for a kind, parameter or value that does not exist.
    """
    kind = find_kind(name)
    fields = {field.name: field for field in dataclasses.fields(kind.params_type)}
    values: dict[str, Any] = {"sample_rate": sample_rate}
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

"""The card of a model: what it predicts, what it needs, how it was trained and how well it does.

One reader and one writer of what lies as JSON in a model's file. Cards of earlier minor versions of
schemas/model.card.json are read, too: they have one target of ordered classes, and their tracks are
the mean of their segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mertools.artifacts.feature_rows import Cutting
from mertools.targets.pooling import Pooling
from mertools.targets.scale import (
    ORDERED,
    TARGET_SEPARATOR,
    Classes,
    Target,
    parse_scale,
)

Json = Mapping[str, Any]
Unit = Literal["track", "segment"]


@dataclass(frozen=True)
class Input:
    """A kind of feature that a model needs, with the shape of one segment's features.

    `params` are those of the computation, and `params_digest` tells features that are
    interchangeable from others. `level` is "track" for what a track has as a whole, as lyrics are.
    """

    kind: str
    params: Json
    params_digest: str
    shape: tuple[int, ...]
    level: str = "segment"


@dataclass(frozen=True)
class ModelCard:
    """What a model's file says of itself.

    `architecture` is its name in the registry, and `form` its parameters. `unit` is what a row was
    in training: a segment, or a track as the mean of its segments' features, weighted by duration.
    `pool` is how a track's prediction follows from its segments'. `sample_rate` in Hz and `cutting`
    are how sound is brought to the features' form. `training`, `search` and `scores` are as the
    schema describes them.
    """

    architecture: str
    targets: tuple[Target, ...]
    inputs: tuple[Input, ...]
    sample_rate: int
    cutting: Cutting
    unit: Unit
    columns: tuple[str, ...]
    standardisation: str
    form: Json
    training: Json
    seed: int
    search: Json
    scores: Json
    versions: Mapping[str, str]
    pool: Pooling = "mean"
    licence: str | None = None
    origin: Json = field(default_factory=dict)
    """Schema version and producer of a card that was read."""

    @property
    def title(self) -> str:
        """The targets' names, for a person."""
        return TARGET_SEPARATOR.join(target.name for target in self.targets)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; none where numbers are predicted, or nothing is."""
        return self.targets[0].classes if self.targets else ()

    @property
    def n_outputs(self) -> int:
        """Number of values that the model predicts of a segment."""
        return sum(target.scale.n_outputs for target in self.targets)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of feature that the model needs."""
        return tuple(needed.kind for needed in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Give the card's content but for its head (schema and producer)."""
        scales = [str(target.scale) for target in self.targets]
        return {
            "model": self.architecture,
            "target": self.title,
            "scale": TARGET_SEPARATOR.join(scales),
            "classes": list(self.classes),
            **({} if self.licence is None else {"licence": self.licence}),
            "unit": self.unit,
            "pool": self.pool,
            "features": [asdict(needed) | {"shape": list(needed.shape)} for needed in self.inputs],
            "columns": list(self.columns),
            "audio": {"sample_rate": self.sample_rate, **asdict(self.cutting)},
            "standardisation": self.standardisation,
            "architecture": dict(self.form),
            "training": dict(self.training),
            "seed": self.seed,
            "search": dict(self.search),
            "scores": dict(self.scores),
            "versions": dict(self.versions),
        }


def card_from_json(content: Json) -> ModelCard:
    """Make a card of content that keeps the schema.

    Raises ValueError, saying why, where its parts contradict each other.
    """
    audio = content["audio"]
    return ModelCard(
        architecture=content["model"],
        targets=_read_targets(content),
        inputs=tuple(
            Input(
                needed["kind"],
                needed["params"],
                needed["params_digest"],
                tuple(needed["shape"]),
                needed.get("level", "segment"),
            )
            for needed in content["features"]
        ),
        sample_rate=int(audio["sample_rate"]),
        cutting=Cutting(audio["length_s"], audio["hop_s"], audio["last"]),
        unit=content["unit"],
        columns=tuple(content["columns"]),
        standardisation=content["standardisation"],
        form=content["architecture"],
        training=content["training"],
        seed=content["seed"],
        search=content["search"],
        scores=content["scores"],
        versions=content["versions"],
        pool=content.get("pool", "mean"),
        licence=content.get("licence"),
        origin={
            key: content[key]
            for key in ("schema", "schema_version", "producer", "producer_version")
            if key in content
        },
    )


def _read_targets(content: Json) -> tuple[Target, ...]:
    scales = content.get("scale", ORDERED).split(TARGET_SEPARATOR)
    if not content["target"]:
        return ()  # of a model that compares sound with lyrics
    # A single target may have a comma in its name, as cards of before do.
    names = content["target"].split(TARGET_SEPARATOR) if len(scales) > 1 else [content["target"]]
    if len(names) != len(scales):
        raise ValueError(f"has {len(names)} targets and {len(scales)} scales")
    targets = tuple(
        Target(name, parse_scale(scale, content["classes"]))
        for name, scale in zip(names, scales, strict=True)
    )
    for target in targets:
        if isinstance(target.scale, Classes) and (
            len(targets) > 1 or len(set(target.classes)) < max(2, len(target.classes))
        ):
            raise ValueError(f"has no two different classes of {target.name} alone")
    return targets

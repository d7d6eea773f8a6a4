"""What an artifact or model holds, in a few lines: `mer inspect --brief`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mertools.cli.shared.console import count

if TYPE_CHECKING:
    from mertools.artifacts.model_card import ModelCard

BRIEF_SCORES = ("macro_f1", "accuracy", "r2", "pearson_r", "rmse")
"""The scores of whole tracks that a few words have room for."""


def brief_model(card: ModelCard) -> Iterator[str]:
    """Say what a model predicts, from what, and how well it did in cross-validation."""
    for target in card.targets:
        names = f" ({', '.join(target.classes)})" if target.classes else ""
        yield f"{card.architecture} model of {target.name}, {target.scale}{names}"
    if not card.targets:
        yield f"{card.architecture} model of no target: it compares"
    kinds = (f"{kind.kind} {' x '.join(map(str, kind.shape))}" for kind in card.inputs)
    length = f"{card.cutting.length_s:g} s at {card.sample_rate} Hz"
    yield f"looks at {', '.join(kinds)}; segments of {length}"
    tracks = card.training.get("tracks")
    if isinstance(tracks, Mapping):
        counts = ", ".join(f"{name} {n}" for name, n in tracks.items())
        yield f"learnt from {count(sum(tracks.values()), 'track')}: {counts}"
    elif tracks is not None:
        yield f"learnt from {tracks} tracks"
    scores = card.scores.get("levels", {}).get("track", {})
    shown = [f"{name} {scores[name]['mean']:.3f}" for name in BRIEF_SCORES if name in scores]
    if shown:
        yield f"scores of held-out tracks: {', '.join(shown)}"
    if card.licence is not None:
        yield f"licence: {card.licence}"


def brief_artifact(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of `mer inspect` for other artifacts, without nested values."""
    for key, value in content.items():
        if key == "features":
            shapes = (f"{name} {' x '.join(map(str, of['shape']))}" for name, of in value.items())
            yield f"features: {', '.join(shapes)}"
        elif isinstance(value, Mapping):
            parts = [
                f"{name} {part}"
                for name, part in value.items()
                if not isinstance(part, Mapping | list)
            ]
            yield f"{key}: {', '.join(parts or value)}"
        elif not isinstance(value, list | tuple):
            yield f"{key}: {value}"

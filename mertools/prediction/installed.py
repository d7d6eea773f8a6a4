"""The models at hand: the bundled ones, and those of a user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mertools.artifacts.features_file import open_features
from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import read_card
from mertools.artifacts.rows import CLASS_SEPARATOR, Model
from mertools.errors import UsageError, choose_from
from mertools.models.registry import ARCHITECTURES
from mertools.pretrained.user_weights import digest_weights, find_weights, has_weights
from mertools.targets.scale import TARGET_SEPARATOR

VARIABLE = "MER_MODELS"
"""Names folders of models, or models, that are looked through before the bundled ones."""

BUNDLED = Path(__file__).parents[1] / "bundled"
CARD_FENCE = "---"
"""The line before and after the head of a card in Markdown, as model hubs have it."""
SUFFIXES = frozenset(row.suffix for row in ARCHITECTURES.values())


def find_installed() -> list[Path]:
    """Find the models that are at hand: those of `VARIABLE` in its order, then the bundled ones.

    Raises UsageError where what the variable names is not there.
    """
    locations = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    if BUNDLED.is_dir():
        locations.append(BUNDLED)
    return [path for location in locations for path in models_in(location)]


def models_in(location: Path) -> list[Path]:
    """Find the models in a folder, in the order of their names; a file is taken for one.

    Raises UsageError where there is neither.
    """
    if not location.exists():
        raise UsageError(location, "does not exist", "name a folder of models, or a model")
    if not location.is_dir():
        return [location]
    return [path for path in sorted(location.iterdir()) if path.suffix in SUFFIXES]


def describe_model(path: Path) -> Model:
    """Describe a model by its card.

    Raises UsageError where the file cannot be read, SchemaError where it is no whole model.
    """
    card = read_card(path)
    return Model(
        path.stem,
        card.title,
        card.architecture,
        CLASS_SEPARATOR.join(card.kinds),
        CLASS_SEPARATOR.join(card.classes),
        card.licence,
        path.stat().st_size,
        str(path),
        TARGET_SEPARATOR.join(str(target.scale) for target in card.targets),
        CLASS_SEPARATOR.join(needed_weights(card)) or None,
    )


def find_card(path: Path) -> Path | None:
    """Find the card in Markdown of a model: README.md beside it, with a head in YAML."""
    card = path.with_name("README.md")
    if not card.is_file():
        return None
    with card.open("rb") as stream:
        return card if stream.readline().rstrip() == CARD_FENCE.encode() else None


@dataclass(frozen=True)
class Choice:
    """Models to predict with; `notes` say what a person should know of how they were chosen."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def choose_models(names: Sequence[str], features: Sequence[Path] = ()) -> Choice:
    """Choose the models of some names: each a file, or the name of a model that is at hand.

    Without any name the first model at hand of each target is chosen. A bundled one is passed over
    where weights are not here that it learnt from, or where files of `features`, if there are any,
    lack what was computed with them. Raises UsageError where there is no such model.
    """
    if names:
        return Choice(tuple(find_model(name) for name in names))
    chosen: dict[str, Path] = {}
    notes: list[str] = []
    for path in find_installed():
        card = read_card(path)
        # The first one stays, so that a user's own model goes before the bundled one.
        if card.title in chosen:
            continue
        needed = needed_weights(card) if path.parent == BUNDLED else {}
        # Without these files nobody expects the model, so there is nothing to say.
        if not all(map(has_weights, needed)):
            continue
        if needed and (problem := _find_problem(card, needed, features)):
            notes.append(f"{path.stem} does not predict {card.title}: {problem}")
            continue
        if needed:
            networks = " and ".join(needed)
            notes.append(f"{path.stem} predicts {card.title}, as weights of {networks} are here")
        chosen[card.title] = path
    if not chosen:
        raise UsageError(
            "--model",
            "is not given, and no model is installed",
            f"give -m FILE, or name a folder of models in {VARIABLE}",
        )
    return Choice(tuple(chosen.values()), tuple(notes))


def needed_weights(card: ModelCard) -> dict[str, str]:
    """Name the networks whose weights do not come with mertools, and the digests of those."""
    # Here, as the completion of models' names has to be quick.
    from mertools.features.registry import KINDS

    return {
        network: str(of.params["weights"])
        for of in card.inputs
        if of.kind in KINDS and (network := KINDS[of.kind].user_weights)
    }


def _find_problem(
    card: ModelCard, needed: Mapping[str, str], features: Sequence[Path]
) -> str | None:
    """Say why a model cannot predict although all weights that it needs are here, if it cannot."""
    for network, digest in needed.items():
        if (found := digest_weights(network)) != digest:
            path = find_weights(network)
            return f"{path} holds other weights ({found}) than it learnt from ({digest})"
    stored: set[tuple[str, str]] = set()
    for path in features:
        with open_features(path) as file:
            stored |= {(kind, of.params_digest) for kind, of in file.kinds.items()}
    for of in card.inputs if features else ():
        if (of.kind, of.params_digest) not in stored:
            return f"{features[0]} holds no {of.kind} features that it can use"
    return None


def find_model(name: str) -> Path:
    """Find the model of a name: a file, or the name of a model that is at hand.

    Raises UsageError where there is none; a file need not exist.
    """
    path = Path(name)
    found = path if path.exists() else find_by_name(name)
    if found is None and path.suffix not in SUFFIXES:
        names = dict.fromkeys(path.stem for path in find_installed())
        raise UsageError(name, "is neither a file nor a model at hand", choose_from(names, name))
    return found or path  # what reads a missing file says so


def find_by_name(name: str) -> Path | None:
    """Find the first model at hand of a name: that of its file, without the suffix."""
    return next((path for path in find_installed() if path.stem == name), None)

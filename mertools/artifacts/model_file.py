"""Model files: named arrays that were learnt, and a card that says what they are.

The format, `.skops` or `.safetensors`, shows in a file's content. Both are read without
scikit-learn and torch, and without building an object of any class that a file names. The model's
module in `mertools.models` knows what the arrays mean. So a model outlives the library that trained
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mertools.artifacts import safetensors_file, skops_file
from mertools.artifacts.model_card import ModelCard, card_from_json
from mertools.artifacts.schema import load_schema
from mertools.errors import SchemaError, UsageError
from mertools.version import __version__

CARD_SCHEMA = "model.card.json"
MAX_CARD_BYTES = 1 << 26

Learnt = Mapping[str, Any]
"""What was learnt: arrays by name. A .skops file of mertools before 0.2 holds estimators of
scikit-learn instead; each object is then a dict of its attributes."""

HEAD_BYTES = 16
"""Enough of a file to tell what it is."""


def write_model(
    path: Path, card: ModelCard, arrays: Mapping[str, NDArray[Any]], suffix: str
) -> None:
    """Write what was learnt with its card, whole or not at all, in the format of `suffix`.

    The head of the card (schema and producer) is added. The same arrays and card give the same
    bytes. Raises SchemaError for a card that breaks its schema.
    """
    text = _format_card(path, card.to_json())
    if suffix == skops_file.SUFFIX:
        skops_file.write(path, text, arrays)
    else:
        safetensors_file.write(path, text, arrays)


def is_model(head: bytes) -> bool:
    """Return whether the first `HEAD_BYTES` of a file are a model's."""
    return skops_file.begins(head) or safetensors_file.begins(head)


def read_card(path: Path) -> ModelCard:
    """Read a model's card.

    Raises UsageError where the file cannot be read, SchemaError where it is no whole model or is
    written by a later version of this program.
    """
    content = read_card_json(path)
    try:
        return card_from_json(content)
    except ValueError as error:
        raise SchemaError(path, f"has a card that {error}", "train the model again") from None


def read_card_json(path: Path) -> dict[str, Any]:
    """Read a model's card as JSON, checked against its schema. Raises as `read_card` does."""
    if skops_file.begins(_read_head(path)):
        return _parse_card(path, skops_file.read_card(path))
    return _parse_card(path, safetensors_file.read_card(path))


def read_model(path: Path) -> tuple[ModelCard, Learnt]:
    """Read a model: its card, and what was learnt.

    Raises as `read_card` does, and SchemaError where the file holds other than plain values, arrays
    and objects of scikit-learn.
    """
    card = read_card(path)
    if skops_file.begins(_read_head(path)):
        return card, skops_file.read_learnt(path)
    return card, safetensors_file.read_learnt(path)


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UsageError(
            path, f"cannot be read ({error.strerror})", "give the path of a model"
        ) from None
    if not is_model(head):
        raise SchemaError(path, "is no model", "give a file that mer train wrote")
    return head


def _format_card(path: Path, card: Mapping[str, Any]) -> str:
    card = {
        "schema": "model.card",
        "schema_version": load_schema(CARD_SCHEMA)["version"],
        "producer": "mertools",
        "producer_version": __version__,
        **card,
    }
    _check_card(path, card)
    return json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False)


def _parse_card(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise SchemaError(path, "has no card", "give a file that mer train wrote")
    try:
        if len(text) > MAX_CARD_BYTES:
            raise ValueError(f"is longer than {MAX_CARD_BYTES} bytes")
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            path, f"has a card that cannot be parsed ({error})", "make it again"
        ) from None
    _check_card(path, card)
    return dict(card)


def _check_card(path: Path, card: Any) -> None:
    schema = load_schema(CARD_SCHEMA)
    if isinstance(card, dict) and isinstance(version := card.get("schema_version"), str):
        major, known = version.partition(".")[0], schema["version"].partition(".")[0]
        if major != known:
            raise SchemaError(
                path,
                f"has a card of version {version}; this program reads version {known}",
                "use the release that wrote it, or train the model again",
            )
    for problem in find_problems(card, schema, "card"):
        raise SchemaError(path, problem, f"see schemas/{CARD_SCHEMA}")


def find_problems(value: object, schema: Mapping[str, Any], path: str = "$") -> Iterator[str]:
    """Yield what of `value` breaks a JSON Schema, a line each.

    Only those of its keywords count that schemas/model.card.json has; jsonschema, which knows all,
    takes longer to import than a prediction takes.
    """
    if "const" in schema and value != schema["const"]:
        yield f"{path} is {value!r}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, not one of {', '.join(schema['enum'])}"
    if "type" in schema and not _is_of_type(value, schema["type"]):
        yield f"{path} is not of type {schema['type']}"
        return
    if "minimum" in schema and isinstance(value, int | float) and value < schema["minimum"]:
        yield f"{path} is {value}, below {schema['minimum']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{path} has fewer than {schema['minItems']} items"
        for i, item in enumerate(value):
            yield from find_problems(item, schema.get("items", {}), f"{path}[{i}]")
    if isinstance(value, dict):
        for key in schema.get("required", ()):
            if key not in value:
                yield f"{path} has no {key}"
        of_others = schema.get("additionalProperties", {})
        for key, item in value.items():
            of_key = schema.get("properties", {}).get(key, of_others)
            yield from find_problems(item, of_key, f"{path}.{key}")


def _is_of_type(value: object, name: str) -> bool:
    # Python counts True as an integer, JSON does not.
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _JSON_TYPES[name])


_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}

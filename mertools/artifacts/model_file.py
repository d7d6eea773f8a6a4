"""Model files: what was learnt, and a card that tells what it needs and how it was made.

A `.skops` file is the zip archive that skops writes, with the card as a further member, so that
`skops.io.load` opens it as any other. Here it is read without scikit-learn and without building an
object of any class that the file names: what was learnt comes back as plain values, and the model's
module in `mertools.models` knows what they mean. So a model outlives the library that trained it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mertools import __version__
from mertools.artifacts.files import DIGEST_BYTES, replacing
from mertools.artifacts.schema import load_schema
from mertools.errors import SchemaError, UsageError

CARD_SCHEMA = "model.card.json"
SKOPS_SUFFIX = ".skops"
CARD_MEMBER = "card.json"
TREE_MEMBER = "schema.json"
"""Where skops keeps its tree of objects; the arrays lie beside it."""

ZIP_MAGIC = b"PK"
MAX_JSON_BYTES = 1 << 26

TRUSTED: Mapping[str, str] = {
    "ObjectNode": "sklearn",
    "DictNode": "builtins",
    "ListNode": "builtins",
    "TupleNode": "builtins",
    "JsonNode": "builtins",
    "NdArrayNode": "numpy",
}
"""The nodes of skops' tree that a model is made of, and the package whose classes each may hold."""

Card = Mapping[str, Any]
"""The content of a card, as schemas/model.card.json has it."""

Learnt = Any
"""What was learnt: a scikit-learn object is the dict of its attributes; else lists and arrays."""


def write_model(path: Path, card: Card, estimator: object) -> None:
    """Write a fitted scikit-learn estimator with its card, whole or not at all.

    The head of the card (schema and producer) is added. The same estimator and card give the same
    bytes. Raises SchemaError for a card that breaks its schema, or an estimator that holds what
    skops does not trust.
    """
    from skops.io import dumps

    card = {
        "schema": "model.card",
        "schema_version": load_schema(CARD_SCHEMA)["version"],
        "producer": "mertools",
        "producer_version": __version__,
        **card,
    }
    _check_card(path, card)
    with ZipFile(io.BytesIO(dumps(estimator))) as archive:
        dumped = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(dumped.pop(TREE_MEMBER))
    # skops names arrays by where they lay in memory.
    names = {
        name: hashlib.blake2b(array, digest_size=DIGEST_BYTES).hexdigest() + Path(name).suffix
        for name, array in dumped.items()
    }
    arrays = {
        names[name]: array for name, array in sorted(dumped.items(), key=lambda x: names[x[0]])
    }
    tree = _without_identities(tree, names)
    _decode(path, tree, arrays)
    members = {
        CARD_MEMBER: json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False).encode(),
        TREE_MEMBER: json.dumps(tree, separators=(",", ":")).encode(),
        **arrays,
    }
    with replacing(path) as part, ZipFile(part, "w") as archive:
        for name, content in members.items():
            archive.writestr(_timeless(name), content)


def read_card(path: Path) -> Card:
    """Read a model's card.

    Raises UsageError where the file cannot be read, SchemaError where it is no whole model or is
    written by a later version of this program.
    """
    return _parse_card(path, _read_members(path, [CARD_MEMBER]))


def read_model(path: Path) -> tuple[Card, Learnt]:
    """Read a model: its card, and what was learnt.

    Raises as `read_card` does, and SchemaError where the file holds other than plain values and
    objects of scikit-learn.
    """
    members = _read_members(path)
    card = _parse_card(path, members)
    return card, _decode(path, _parse_json(path, members, TREE_MEMBER), members)


def find_problems(value: object, schema: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """Yield what of `value` breaks a JSON Schema, a line each.

    Only those of its keywords count that schemas/model.card.json has; jsonschema, which knows all,
    takes longer to import than a prediction takes.
    """
    if "const" in schema and value != schema["const"]:
        yield f"{place} is {value!r}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is {value!r}, not one of {', '.join(schema['enum'])}"
    if "type" in schema and not _is_of_type(value, schema["type"]):
        yield f"{place} is not of type {schema['type']}"
        return
    if "minimum" in schema and isinstance(value, int | float) and value < schema["minimum"]:
        yield f"{place} is {value}, below {schema['minimum']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{place} has fewer than {schema['minItems']} items"
        for i, item in enumerate(value):
            yield from find_problems(item, schema.get("items", {}), f"{place}[{i}]")
    if isinstance(value, dict):
        for key in schema.get("required", ()):
            if key not in value:
                yield f"{place} has no {key}"
        of_others = schema.get("additionalProperties", {})
        for key, item in value.items():
            of_key = schema.get("properties", {}).get(key, of_others)
            yield from find_problems(item, of_key, f"{place}.{key}")


def _is_of_type(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _JSON_TYPES[name])


_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
}


def _read_members(path: Path, names: Collection[str] | None = None) -> dict[str, bytes]:
    """Read members of a zip archive (None: all of them)."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(
            path, f"cannot be read ({error.strerror})", "give the path of a model"
        ) from None
    with stream:
        if stream.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise SchemaError(path, "is no model", "give a file that mer train wrote")
        size = stream.seek(0, io.SEEK_END)
        try:
            with ZipFile(stream) as archive:
                infos = archive.infolist()
                # Nothing is compressed, so nothing can swell: a bomb does not fit in.
                stored = all(info.compress_type == ZIP_STORED for info in infos)
                if not stored or sum(info.file_size for info in infos) > size:
                    raise BadZipFile("members are not stored as they are")
                return {
                    info.filename: archive.read(info)
                    for info in infos
                    if names is None or info.filename in names
                }
        except (BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
            raise SchemaError(path, f"is cut off or damaged ({error})", "make it again") from None


def _parse_card(path: Path, members: Mapping[str, bytes]) -> Card:
    card = _parse_json(path, members, CARD_MEMBER)
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


def _parse_json(path: Path, members: Mapping[str, bytes], name: str) -> Any:
    if name not in members:
        raise SchemaError(path, f"has no {name}", "give a file that mer train wrote")
    try:
        if len(members[name]) > MAX_JSON_BYTES:
            raise ValueError(f"is longer than {MAX_JSON_BYTES} bytes")
        return json.loads(members[name])
    except (ValueError, RecursionError) as error:
        raise SchemaError(path, f"{name} cannot be parsed ({error})", "make it again") from None


def _decode(path: Path, tree: Any, arrays: Mapping[str, bytes]) -> Learnt:
    """Turn skops' tree of an estimator into plain values, refusing what is not trusted."""

    def decode(node: Mapping[str, Any]) -> Learnt:
        loader, module = node["__loader__"], node["__module__"]
        if module.partition(".")[0] != TRUSTED.get(loader):
            raise SchemaError(
                path,
                f"holds {module}.{node['__class__']} ({loader}), which is not trusted",
                "use models of mer train only, from people you trust",
            )
        if loader == "JsonNode":
            return json.loads(node["content"])
        if loader == "NdArrayNode":
            return _parse_array(arrays[node["file"]])
        if loader == "ObjectNode":
            return decode(node["content"]) if "content" in node else {}
        if loader == "DictNode":
            return {key: decode(value) for key, value in node["content"].items()}
        return [decode(item) for item in node["content"]]

    try:
        return decode(tree)
    except (
        AttributeError,
        EOFError,
        KeyError,
        MemoryError,
        RecursionError,
        SyntaxError,
        TokenError,
        TypeError,
        ValueError,
    ) as error:
        raise SchemaError(
            path,
            f"{TREE_MEMBER} is not as skops writes it ({type(error).__name__}: {error})",
            "make it again",
        ) from None


def _parse_array(content: bytes) -> NDArray[Any]:
    # Not np.load, which also opens archives.
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)  # type: ignore[no-untyped-call]
    return array


def _without_identities(node: Any, names: Mapping[str, str]) -> Any:
    """Leave out where objects lay in memory, by which skops tells them apart, and rename arrays."""
    if isinstance(node, list):
        return [_without_identities(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: names[value]
        if key == "file" and isinstance(value, str)
        else _without_identities(value, names)
        for key, value in node.items()
        if key != "__id__"
    }


def _timeless(name: str) -> ZipInfo:
    """Describe a member of an archive without when and where it was made."""
    member = ZipInfo(name)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member

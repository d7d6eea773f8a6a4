"""`.skops` files: named arrays, and a card.

The zip archive that skops writes of a dict of arrays, with the card as a further member. So
`skops.io.load` opens it without trusting any type. Files of mertools before 0.2 hold estimators of
scikit-learn; these are read, too, each object as the dict of its attributes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import DIGEST_BYTES, replacing
from mertools.errors import SchemaError

SUFFIX = ".skops"
CARD_MEMBER = "card.json"
TREE_MEMBER = "schema.json"
"""Where skops keeps its tree of objects; the arrays lie beside it."""

ZIP_MAGIC = b"PK"
MAX_TREE_BYTES = 1 << 26

TRUSTED: Mapping[str, str] = {
    "ObjectNode": "sklearn",
    "DictNode": "builtins",
    "ListNode": "builtins",
    "TupleNode": "builtins",
    "JsonNode": "builtins",
    "NdArrayNode": "numpy",
}
"""The audited nodes of skops' tree, and the package whose classes each may hold."""


def begins(head: bytes) -> bool:
    """Return whether a file begins as this format does."""
    return head.startswith(ZIP_MAGIC)


def write(path: Path, card: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays with their card, whole or not at all; the same give the same bytes."""
    from skops.io import dumps

    with ZipFile(io.BytesIO(dumps(dict(arrays)))) as archive:
        dumped = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(dumped.pop(TREE_MEMBER))
    # skops names arrays by where they lay in memory.
    names = {
        name: hashlib.blake2b(array, digest_size=DIGEST_BYTES).hexdigest() + Path(name).suffix
        for name, array in dumped.items()
    }
    renamed = {
        names[name]: array for name, array in sorted(dumped.items(), key=lambda x: names[x[0]])
    }
    tree = _without_identities(tree, names)
    members = {
        CARD_MEMBER: card.encode(),
        TREE_MEMBER: json.dumps(tree, separators=(",", ":")).encode(),
        **renamed,
    }
    with replacing(path) as part, ZipFile(part, "w") as archive:
        for name, content in members.items():
            archive.writestr(_timeless(name), content)


def read_card(path: Path) -> str | None:
    """Read the card's text; None if there is none.

    Raises SchemaError where the file is not whole.
    """
    card = _read_members(path, [CARD_MEMBER]).get(CARD_MEMBER)
    return None if card is None else card.decode("utf-8", "replace")


def read_learnt(path: Path) -> dict[str, Any]:
    """Read what was learnt as plain values: an object is the dict of its attributes.

    Raises SchemaError where the file is not whole, or holds other than plain values and objects of
    scikit-learn.
    """
    members = _read_members(path)
    if TREE_MEMBER not in members:
        raise SchemaError(path, f"has no {TREE_MEMBER}", "give a file that mer train wrote")
    try:
        if len(members[TREE_MEMBER]) > MAX_TREE_BYTES:
            raise ValueError(f"is longer than {MAX_TREE_BYTES} bytes")
        tree = json.loads(members[TREE_MEMBER])
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            path, f"{TREE_MEMBER} cannot be parsed ({error})", "make it again"
        ) from None
    learnt = _decode(path, tree, members)
    if not isinstance(learnt, dict):
        raise SchemaError(path, "holds no arrays by name", "give a file that mer train wrote")
    return learnt


def _read_members(path: Path, names: Collection[str] | None = None) -> dict[str, bytes]:
    """Read members of a zip archive (None: all of them)."""
    with path.open("rb") as stream:
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


def _decode(path: Path, tree: Any, arrays: Mapping[str, bytes]) -> Any:
    """Turn skops' tree of an estimator into plain values, refusing what is not trusted."""

    def decode(node: Mapping[str, Any]) -> Any:
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
    """Describe a member of an archive without time and origin."""
    member = ZipInfo(name)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member

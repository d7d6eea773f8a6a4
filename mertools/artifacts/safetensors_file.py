"""`.safetensors` files: named arrays, and a text in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.files import replacing
from mertools.errors import SchemaError

CARD_KEY = "card"
"""The only key of the metadata, whose keys would be written in any order."""

HEADER_BEGIN = 8
"""Where the header begins; the bytes before it are its length, least significant first."""


def begins(head: bytes) -> bool:
    """Return whether a file begins as this format does: a length below 4 GiB, then JSON."""
    return head[4:HEADER_BEGIN] == bytes(4) and head[HEADER_BEGIN : HEADER_BEGIN + 1] == b"{"


def write(path: Path, card: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays with their card, whole or not at all; the same give the same bytes."""
    from safetensors.numpy import save

    # It takes the bytes as they lie in memory, whatever the order of the dimensions there.
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with replacing(path) as part:
        part.write_bytes(save(in_order, {CARD_KEY: card}))


def read_card(path: Path) -> str | None:
    """Read the card's text; None if there is none.

    Raises SchemaError where the file is not whole.
    """
    return _read(path, arrays=False)[0]


def read_learnt(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays by name. Raises SchemaError where the file is not whole."""
    return _read(path, arrays=True)[1]


def _read(path: Path, *, arrays: bool) -> tuple[str | None, dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            names = file.keys() if arrays else ()
            found = {name: file.get_tensor(name) for name in names}
            return (file.metadata() or {}).get(CARD_KEY), found
    except (SafetensorError, TypeError, ValueError) as error:
        raise SchemaError(path, f"is cut off or damaged ({error})", "make it again") from None

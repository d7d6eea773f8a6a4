"""The schemas of all artifacts: where they lie and how tables are checked against theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLES = (
    "congruence",
    "tracks",
    "segments",
    "annotations",
    "labels",
    "predictions",
    "explanations",
    "alignment",
    "ranking",
    "notes",
    "folds",
    "history",
    "cv",
    "models",
    "failures",
    "lyrics",
    "tags",
    "tag_coverage",
)
REPEATED = "{k}"
"""Stands in a field's name where a table has a column for each class: p_{k} for p_1, p_2, ..."""


LARGEST_INTEGER = 1 << 53
"""As far as every program counts exactly, whatever type of number it reads."""


@dataclass(frozen=True)
class Field:
    """A column of a table, as its Frictionless field descriptor has it."""

    name: str
    type: str
    required: bool
    enum: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    pattern: re.Pattern[str] | None

    def parse(self, text: str) -> Any:
        """Turn a cell into a value of this field's type; an empty cell is None.

        Raises ValueError, saying what the cell should have been.
        """
        if text == "":
            if self.required:
                raise ValueError("is empty")
            return None
        value = _PARSERS[self.type](text)
        if self.enum and text not in self.enum:
            raise ValueError(f"is {text!r}, not one of {', '.join(self.enum)}")
        if self.minimum is not None and not value >= self.minimum:
            raise ValueError(f"is {text}, below {self.minimum:g}")
        if self.maximum is not None and not value <= self.maximum:
            raise ValueError(f"is {text}, above {self.maximum:g}")
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise ValueError(f"is {text!r}, which does not match {self.pattern.pattern}")
        return value


@dataclass(frozen=True)
class TableSchema:
    """A Frictionless Table Schema: a table's columns in order."""

    name: str
    fields: tuple[Field, ...]
    primary_key: tuple[str, ...]

    def header(self, n_classes: int = 0) -> list[str]:
        """Name the columns of a table whose repeated field stands `n_classes` times."""
        names: list[str] = []
        for field in self.fields:
            if REPEATED in field.name:
                names += [field.name.replace(REPEATED, str(k + 1)) for k in range(n_classes)]
            else:
                names.append(field.name)
        return names


@cache
def load_table_schema(name: str) -> TableSchema:
    """Load one of `TABLES`."""
    content = load_schema(f"{name}.schema.json")
    key = content.get("primaryKey", [])
    return TableSchema(
        name,
        tuple(_field(descriptor) for descriptor in content["fields"]),
        (key,) if isinstance(key, str) else tuple(key),
    )


@cache
def load_schema(file_name: str) -> Mapping[str, Any]:
    """Load a schema by its file's name in `schemas/`."""
    content: Mapping[str, Any] = json.loads((_folder() / file_name).read_text("utf-8"))
    return content


def _folder() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


def _field(descriptor: Mapping[str, Any]) -> Field:
    constraints = descriptor.get("constraints", {})
    pattern = constraints.get("pattern")
    return Field(
        descriptor["name"],
        descriptor["type"],
        constraints.get("required", False),
        tuple(constraints.get("enum", ())),
        constraints.get("minimum"),
        constraints.get("maximum"),
        re.compile(pattern) if pattern else None,
    )


def _integer(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"is {text[:40]!r}, not a whole number") from None
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"is {text[:40]}, beyond {LARGEST_INTEGER}")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"is {text!r}, not a number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"is {text!r}, not a finite number")
    return value


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is {text!r}, not true or false")
    return text == "true"


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}

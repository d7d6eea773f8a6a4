"""Parameters of computations: bounds that kinds share, and which enter the features' digest."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from mertools.errors import UsageError

ADDED_LATER = "added later"
"""In a field's metadata: features were stored before the parameter existed."""


def added_later(default: Any) -> Any:
    """Declare a parameter that older features lack; they were computed as `default` has it."""
    return dataclasses.field(default=default, metadata={ADDED_LATER: True})


def stored_params(params: Any) -> dict[str, Any]:
    """Give the parameters to store, by name.

    Those added later are left out at their default, so that older features keep their digest.
    """
    values: dict[str, Any] = dataclasses.asdict(params)
    for field in dataclasses.fields(params):
        if ADDED_LATER in field.metadata and values[field.name] == field.default:
            del values[field.name]
    return values


def check_least(kind: str, params: Any, **least: int) -> None:
    """Raise UsageError where a parameter is below the `least` that has a meaning."""
    for name, bound in least.items():
        value = getattr(params, name)
        if value < bound:
            raise UsageError(f"{kind}.{name}", f"{value} is too small", f"give {bound} or more")


def check_range_of_decibels(kind: str, top_db: float) -> None:
    """Raise UsageError where `top_db` is no distance below the loudest cell."""
    if not (math.isfinite(top_db) and top_db >= 0):
        raise UsageError(
            f"{kind}.top_db", f"{top_db} is no range", "give decibels, or 0 for no floor"
        )

"""Which parameters of a computation are stored beside its features and enter their digest."""

from __future__ import annotations

import dataclasses
from typing import Any

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

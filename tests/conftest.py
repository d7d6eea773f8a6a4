from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The 300 real tracks of Emotify, which lie beside the project and never in it."""
    folder = SHARED / "corpora" / "emotify"
    if not folder.is_dir():
        pytest.skip("the Emotify corpus is not beside this checkout (../shared/corpora/emotify)")
    return folder

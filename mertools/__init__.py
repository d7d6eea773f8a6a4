"""Composable commands for music emotion recognition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mertools.version import __version__

__all__ = ["__version__", "predict"]

if TYPE_CHECKING:
    from mertools.prediction.api import predict


def __getattr__(name: str) -> object:
    if name != "predict":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mertools.prediction.api import predict

    return predict

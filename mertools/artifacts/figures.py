"""What all figures have in common: how they look, and that the same gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mertools.artifacts.files import remove_stale_parts, replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, distinct with any colour vision."""

REFERENCE_COLOUR = "#777777"
FORMATS: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
"""The formats of figures, each with the metadata that would tie it to a day or a version."""

STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.bbox": "tight",
    "savefig.dpi": 150,
    "svg.hashsalt": "mertools",
    "text.parse_math": False,  # names are not formulas, even with a $
}


def save_figure(figure: Figure, path: Path, file_format: str) -> None:
    """Write a figure whole or not at all. Raises UsageError where it cannot be written."""
    remove_stale_parts(path.parent, path.name)
    with replacing(path) as part:
        figure.savefig(part, format=file_format, metadata=dict(FORMATS[file_format]))

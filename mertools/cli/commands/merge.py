"""`mer merge`."""

from __future__ import annotations

from typing import Annotated

import typer


def merge(
    shards: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files of features.", show_default=False),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")
    ],
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the features, so that the shards may go.")
    ] = False,
) -> None:
    """Join files of the same kinds of feature to one.

    Their segments follow each other in the order in which files are given. The file refers to the
    shards, which have to stay where they are: in its folder or below it. No features are copied.
    With --copy it stands for itself, and is the same to the byte as if it had been made at once.

    \b
    Examples:
      mer merge shards/*.h5 -o features.h5 --copy
      mer merge monday.h5 tuesday.h5 -o week.h5
    """
    from pathlib import Path

    from mertools.artifacts.merging import merge_features
    from mertools.cli.shared.console import count, say

    n_segments = merge_features(Path(output), [Path(name) for name in shards], copy=copy)
    say(f"{output}: {count(n_segments, 'segment')} of {count(len(shards), 'file')}")

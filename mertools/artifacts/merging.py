"""Joining features files of the same kinds, such as the shards of a large corpus, to one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from mertools.artifacts.features_check import rehearse
from mertools.artifacts.features_file import (
    FeaturesFile,
    common_peak,
    open_features,
    write_features,
    write_joined,
)
from mertools.artifacts.files import allowing_open_files, remove_stale_parts
from mertools.errors import SchemaError, UsageError
from mertools.runtime.probe import survives

PLACEHOLDER = "%"
"""Begins what HDF5 fills in, in the name of a file that a dataset refers to."""


def merge_features(target: Path, paths: Sequence[Path], *, copy: bool) -> int:
    """Join features files in their order to `target`, and count its segments.

    Without `copy` it holds the segments but refers to the files for their features. With it, its
    bytes are those of a file that was written at once.

    Raises UsageError where a file cannot be read or referred to, SchemaError where the files do not
    hold the same kinds of feature, or a segment twice.
    """
    with allowing_open_files(len(paths)), ExitStack() as stack:
        # One child process for all files, as to start one takes longer than to read a file. If it
        # dies, each file gets its own, which tells the damaged one.
        rehearsed = survives(partial(_rehearse_all, paths, joined=copy))
        files = [
            stack.enter_context(open_features(path, joined=copy, rehearsed=rehearsed))
            for path in paths
        ]
        _check_agreement(files)
        kinds = list(files[0].kinds.values())
        # How tracks were cut is known of the whole only where all files say the same.
        cutting = files[0].cutting if len({file.cutting for file in files}) == 1 else None
        peak_db = common_peak(files)
        positions = [(file, index) for file in files for index in range(len(file.rows))]
        remove_stale_parts(target.parent, target.name)
        rows = [file.rows[index] for file, index in positions]
        if copy:
            write_features(
                target,
                rows,
                kinds,
                lambda kind, row: positions[row][0].read(kind, positions[row][1]),
                cutting,
                peak_db,
            )
        else:
            for path in paths:
                check_reach(target, path, "give --copy, or -o in a folder that holds all shards")
            shards = [(file.path, len(file.rows)) for file in files]
            write_joined(target, rows, kinds, shards, cutting, peak_db)
    return len(positions)


def _rehearse_all(paths: Sequence[Path], *, joined: bool) -> None:
    for path in paths:
        rehearse(path, joined=joined)


def _check_agreement(files: Sequence[FeaturesFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.kinds != files[0].kinds:
            raise SchemaError(
                file.path,
                f"does not hold just the kinds of {files[0].path}, computed alike",
                "compute all with the same kinds, parameters and length",
            )
        for row in file.rows:
            if row.segment_id in seen:
                raise SchemaError(
                    file.path,
                    f"holds the segment {row.segment_id} again",
                    "give each segment once",
                )
            seen.add(row.segment_id)


def check_reach(target: Path, path: Path, remedy: str) -> None:
    """Check that a file `target` can refer to `path`, a shard or a folder of shards.

    Raises UsageError, with the remedy, where it cannot.
    """
    folder = target.parent.resolve()
    if path.resolve() in (target.resolve(), folder):
        raise UsageError(target, "is one of its own shards", "choose another -o")
    if not path.resolve().is_relative_to(folder):
        problem = f"lies outside of {folder}, where {target.name} could refer to it"
        raise UsageError(path, problem, remedy)
    if PLACEHOLDER in str(path.resolve().relative_to(folder)):
        raise UsageError(path, f"has {PLACEHOLDER} in its name", f"rename it, or {remedy}")

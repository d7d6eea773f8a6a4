"""Features in shards: what works on a part of the inputs writes it too, and the caller joins."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mertools.artifacts.feature_rows import Cutting, FeatureRow, KindDescription
from mertools.artifacts.features_file import open_features, write_joined
from mertools.artifacts.files import make_folder, remove_stale_parts
from mertools.artifacts.journal import Journal
from mertools.artifacts.merging import check_reach
from mertools.audio.sources import Source
from mertools.errors import InputError, MerError
from mertools.features.build import Precedents, build_features
from mertools.features.extract import Outcome, Recipe, SegmentFeatures
from mertools.runtime.parallel import Jobs, map_ordered

OF_A_SHARD = re.compile(r"\d{6,}\.h5|\.\d{6,}\.h5\.journal")


@dataclass(frozen=True, slots=True)
class _Part:
    """The inputs of a shard, and what is known of the shards before it."""

    path: Path
    sources: list[Source]
    precedents: Precedents


@dataclass(frozen=True, slots=True)
class _Made:
    """What comes back of a part: outcomes without features, and kinds where there is a shard."""

    outcomes: list[Outcome]
    rows: list[FeatureRow]
    kinds: dict[str, KindDescription]
    cutting: Cutting | None = None


def build_shards(
    target: Path,
    folder: Path,
    n_tracks: int,
    sources: Iterable[Source],
    recipe: Recipe,
    jobs: Jobs,
    *,
    force: bool,
) -> Iterator[Outcome]:
    """Compute features into shards of `n_tracks` tracks in `folder`, joined in `target`.

    Each is made as `build_features` makes a file, by the worker that computes it, and keeps what it
    holds already. Yields the outcomes of `build_features`, in its order, without their features.
    Once all are drawn, `target` is written, and what other runs left in `folder` is removed; where
    every outcome is a failure, neither.

    Raises UsageError where `target` could not refer to the shards, MerError where a shard that a
    worker wrote does not lie in this machine's `folder`.
    """
    check_reach(target, folder, "give -o in the folder that holds it")
    make_folder(folder)
    remove_stale_parts(target.parent, target.name)
    make = partial(_make_shard, recipe, force)
    waiting: deque[_Part] = deque()
    kinds: dict[str, KindDescription] = {}
    rows: list[FeatureRow] = []
    taken: set[str] = set()
    cuttings: set[Cutting | None] = set()
    shards: list[tuple[Path, int]] = []

    def parts() -> Iterator[_Part]:
        for number, some in enumerate(_cut(sources, n_tracks)):
            waiting.append(_Part(folder / f"{number:06}.h5", some, Precedents(kinds)))
            yield waiting[-1]

    with Journal(target) as journal:
        for made in map_ordered(make, parts(), jobs, grouped=False):
            part = waiting.popleft()
            clashes = taken.intersection(map(_segment_id, made.outcomes))
            if clashes or (kinds and made.kinds and made.kinds != kinds):
                # It could not know yet what the shards before it would decide.
                told = replace(part, precedents=Precedents(kinds, frozenset(clashes)))
                (made,) = map_ordered(make, [told], jobs)
            if made.rows:
                kinds = kinds or made.kinds
                shards.append((part.path, len(made.rows)))
                rows += made.rows
                cuttings.add(made.cutting)
                taken.update(row.segment_id for row in made.rows)
            yield from made.outcomes
        if rows:
            paths = [path for path, _ in shards]
            _check_presence(folder, paths)
            cutting = cuttings.pop() if len(cuttings) == 1 else None
            write_joined(target, rows, list(kinds.values()), shards, cutting)
            _leave_only(folder, set(paths))
        journal.discard()


def _cut(sources: Iterable[Source], n_tracks: int) -> Iterator[list[Source]]:
    """Cut sources into those of so many tracks each; segments of a track stay together."""

    def track_of(source: Source) -> str | None:
        return None if isinstance(source, InputError) else source.track_id

    tracks = (list(of_track) for _, of_track in itertools.groupby(sources, track_of))
    while some := list(itertools.islice(tracks, n_tracks)):
        yield list(itertools.chain.from_iterable(some))


def _segment_id(outcome: Outcome) -> str | None:
    return outcome.row.segment_id if isinstance(outcome, SegmentFeatures) else outcome.segment_id


def _make_shard(recipe: Recipe, force: bool, part: _Part) -> _Made:
    made = _Made([], [], {})
    for outcome in build_features(
        part.path, part.sources, recipe, 1, force=force, precedents=part.precedents
    ):
        if isinstance(outcome, SegmentFeatures):
            made.rows.append(outcome.row)
            made.outcomes.append(replace(outcome, features={}))
        else:
            made.outcomes.append(outcome)
    if made.rows:
        with open_features(part.path) as file:
            return replace(made, kinds=dict(file.kinds), cutting=file.cutting)
    return made


def _check_presence(folder: Path, paths: Iterable[Path]) -> None:
    """List the folder: of a single name, network storage may remember that it was missing."""
    found = {path.name for path in folder.iterdir()}
    for path in paths:
        if path.name not in found:
            problem = "was written by a worker, but is not here"
            raise MerError(path, problem, "give a folder that all machines share")


def _leave_only(folder: Path, shards: set[Path]) -> None:
    """Remove other shards, and all journals: they keep notes until the run is over."""
    for path in set(folder.iterdir()) - shards:
        if OF_A_SHARD.fullmatch(path.name):
            path.unlink(missing_ok=True)
    remove_stale_parts(folder)

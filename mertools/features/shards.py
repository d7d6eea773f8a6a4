"""Features in shards: what works on a part of the inputs writes it too, and the caller joins."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import open_features, write_joined
from mertools.artifacts.files import make_folder, remove_stale_parts
from mertools.artifacts.journal import Journal
from mertools.artifacts.merging import check_reach
from mertools.audio.sources import Source
from mertools.errors import InputError, MerError
from mertools.features.build import Precedents, build_features
from mertools.features.extract import Outcome, Recipe, SegmentFeatures
from mertools.parallel import Jobs, map_ordered

OF_A_SHARD = re.compile(r"\d{6,}\.h5|\.\d{6,}\.h5\.journal")


@dataclass(frozen=True, slots=True)
class _Part:
    """Inputs of one shard, and what is known of the shards before it."""

    path: Path
    sources: list[Source]
    precedents: Precedents


@dataclass(frozen=True, slots=True)
class _Made:
    """What comes back of a part: outcomes without features, and kinds if there is a shard."""

    outcomes: list[Outcome]
    kinds: dict[str, KindDescription]

    def rows(self) -> list[FeatureRow]:
        return [made.row for made in self.outcomes if isinstance(made, SegmentFeatures)]

    def segment_ids(self) -> Iterator[str | None]:
        for made in self.outcomes:
            yield made.row.segment_id if isinstance(made, SegmentFeatures) else made.segment_id


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
    holds already. Yields the outcomes that `build_features` would, in the same order, but for their
    features. Once all are drawn, `target` is written, and what other runs left in `folder` removed;
    where every outcome is a failure, neither.

    Raises UsageError where `target` could not refer to the shards, MerError where the shards that
    workers wrote do not lie in this machine's `folder`.
    """
    check_reach(target, folder, "give -o in the folder that holds it")
    make_folder(folder)
    remove_stale_parts(target.parent, target.name)
    make = partial(_make_shard, recipe, force)
    waiting: deque[_Part] = deque()
    kinds: dict[str, KindDescription] = {}
    rows: list[FeatureRow] = []
    taken: set[str] = set()
    shards: list[tuple[Path, int]] = []

    def parts() -> Iterator[_Part]:
        for number, some in enumerate(_cut(sources, n_tracks)):
            waiting.append(_Part(folder / f"{number:06}.h5", some, Precedents(kinds)))
            yield waiting[-1]

    with Journal(target) as journal:
        for made in map_ordered(make, parts(), jobs, grouped=False):
            part = waiting.popleft()
            clashes = taken.intersection(made.segment_ids())
            if clashes or (kinds and made.kinds and made.kinds != kinds):
                # It could not know what the shards before it would decide.
                known = Precedents(kinds, frozenset(clashes))
                (made,) = map_ordered(make, [replace(part, precedents=known)], jobs)
            kinds = kinds or made.kinds
            new = made.rows()
            if new:
                shards.append((part.path, len(new)))
                rows += new
                taken.update(row.segment_id for row in new)
            yield from made.outcomes
        if rows:
            _check_presence(folder, [path for path, _ in shards])
            write_joined(target, rows, list(kinds.values()), shards)
            _remove_others(folder, {path.name for path, _ in shards})
        journal.discard()


def _cut(sources: Iterable[Source], n_tracks: int) -> Iterator[list[Source]]:
    """Cut sources into those of so many tracks; segments of one that follow each other stay so."""

    def track_of(source: Source) -> str | None:
        return None if isinstance(source, InputError) else source.track_id

    tracks = (list(group) for _, group in itertools.groupby(sources, track_of))
    while some := list(itertools.islice(tracks, n_tracks)):
        yield list(itertools.chain.from_iterable(some))


def _make_shard(recipe: Recipe, force: bool, part: _Part) -> _Made:
    outcomes = [
        replace(outcome, features={}) if isinstance(outcome, SegmentFeatures) else outcome
        for outcome in build_features(
            part.path, part.sources, recipe, 1, force=force, precedents=part.precedents
        )
    ]
    made = _Made(outcomes, {})
    if not made.rows():
        return made
    with open_features(part.path) as file:
        return replace(made, kinds=file.kinds)


def _check_presence(folder: Path, paths: Iterable[Path]) -> None:
    """Look into the whole folder: of one name, network storage may remember that it was missing."""
    found = {path.name for path in folder.iterdir()}
    for path in paths:
        if path.name not in found:
            problem = "was written by a worker, but is not here"
            raise MerError(path, problem, "give a folder that all machines share")


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove shards of other runs, and journals, which hold notes until a run is over."""
    for path in folder.iterdir():
        if OF_A_SHARD.fullmatch(path.name) and path.name not in names:
            path.unlink(missing_ok=True)
    remove_stale_parts(folder)

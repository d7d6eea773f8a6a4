"""Features in shards: each worker writes a file of its inputs, and the caller joins them."""

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
from mertools.features.build import ShardLimits, build_features
from mertools.features.extract import Outcome, Recipe, SegmentFeatures
from mertools.runtime.parallel import Jobs, map_ordered

OF_A_SHARD = re.compile(r"\d{6,}\.h5|\.\d{6,}\.h5\.journal")


@dataclass(frozen=True, slots=True)
class _ShardTask:
    """The inputs of a shard, and what the shards before it impose."""

    path: Path
    sources: list[Source]
    limits: ShardLimits


@dataclass(frozen=True, slots=True)
class _ShardResult:
    """What a worker sends back: outcomes without features, and the kinds of the shard if any."""

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

    Each shard is written as by `build_features`, by the worker that computes it, and what it holds
    already is reused. Yields the outcomes of `build_features`, in its order, without the features
    it computed. Once all are drawn, `target` is written and the shards of other runs in `folder`
    are removed; neither happens where every outcome is a failure.

    Raises UsageError where `target` could not refer to the shards, MerError where a shard that a
    worker wrote does not lie in this machine's `folder`.
    """
    check_reach(target, folder, "give -o in the folder that holds it")
    make_folder(folder)
    remove_stale_parts(target.parent, target.name)
    compute = partial(_compute_shard, recipe, force)
    waiting: deque[_ShardTask] = deque()
    kinds: dict[str, KindDescription] = {}
    rows: list[FeatureRow] = []
    taken: set[str] = set()
    cuttings: set[Cutting | None] = set()
    shards: list[tuple[Path, int]] = []

    def tasks() -> Iterator[_ShardTask]:
        for number, some in enumerate(_cut(sources, n_tracks)):
            waiting.append(_ShardTask(folder / f"{number:06}.h5", some, ShardLimits(kinds)))
            yield waiting[-1]

    with Journal(target) as journal:
        for result in map_ordered(compute, tasks(), jobs, grouped=False):
            task = waiting.popleft()
            clashes = taken.intersection(map(_segment_id, result.outcomes))
            if clashes or (kinds and result.kinds and result.kinds != kinds):
                # The shards before it were not known when it began: it is computed again.
                task = replace(task, limits=ShardLimits(kinds, frozenset(clashes)))
                (result,) = map_ordered(compute, [task], jobs)
            if result.rows:
                kinds = kinds or result.kinds
                shards.append((task.path, len(result.rows)))
                rows += result.rows
                cuttings.add(result.cutting)
                taken.update(row.segment_id for row in result.rows)
            yield from result.outcomes
        if rows:
            paths = [path for path, _ in shards]
            _check_presence(folder, paths)
            cutting = cuttings.pop() if len(cuttings) == 1 else None
            write_joined(target, rows, list(kinds.values()), shards, cutting, recipe.peak_db)
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


def _compute_shard(recipe: Recipe, force: bool, task: _ShardTask) -> _ShardResult:
    result = _ShardResult([], [], {})
    for outcome in build_features(
        task.path, task.sources, recipe, 1, force=force, limits=task.limits
    ):
        if isinstance(outcome, SegmentFeatures):
            result.rows.append(outcome.row)
            # The file has the features; the caller only asks whether they existed already.
            features = outcome.features if outcome.is_kept else {}
            result.outcomes.append(replace(outcome, features=features))
        else:
            result.outcomes.append(outcome)
    if result.rows:
        with open_features(task.path) as file:
            return replace(result, kinds=dict(file.kinds), cutting=file.cutting)
    return result


def _check_presence(folder: Path, paths: Iterable[Path]) -> None:
    """List the folder: of a single name, network storage may remember that it was missing."""
    found = {path.name for path in folder.iterdir()}
    for path in paths:
        if path.name not in found:
            problem = "was written by a worker, but is not here"
            raise MerError(path, problem, "give a folder that all machines share")


def _leave_only(folder: Path, shards: set[Path]) -> None:
    """Remove other shards, and all journals, which hold notes until the run is over."""
    for path in set(folder.iterdir()) - shards:
        if OF_A_SHARD.fullmatch(path.name):
            path.unlink(missing_ok=True)
    remove_stale_parts(folder)

"""What `mer featurize` and `mer transcribe` share: computing a features.h5 from sound."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mertools.artifacts.rows import Segment
from mertools.audio.sources import Source
from mertools.cli.shared.console import count, say, track_progress
from mertools.cli.shared.failures import Failures
from mertools.cli.shared.inputs import count_if_known
from mertools.errors import UsageError, choose_from
from mertools.features.build import build_features
from mertools.features.extract import FailedInput, Recipe, SegmentFeatures
from mertools.features.registry import FeatureKind
from mertools.features.shards import build_shards
from mertools.runtime.devices import CPU
from mertools.runtime.parallel import Jobs, available_cores

PROCESSES_ON_A_DEVICE = 4
"""Enough to decode what an accelerator computes; each takes some of its memory."""


def choose_jobs(jobs: int | None, device: str) -> int | None:
    """Choose the number of processes where none is given; None is all cores."""
    if jobs is None and device != CPU:
        return min(available_cores(), PROCESSES_ON_A_DEVICE)
    return jobs


def make_features(
    command: str,
    output: str,
    sources: list[Source] | Iterator[Source],
    choose_recipe: Callable[[Source], Recipe],
    failed: Failures,
    jobs: Jobs,
    *,
    force: bool,
    shards: tuple[str | None, int],
) -> Iterator[SegmentFeatures]:
    """Compute features by the recipe that fits the first source, yielding each segment's.

    `shards` are the folder for them, if any, and the tracks of each. The file is written, and what
    it holds is said, once all are drawn. Raises UsageError where there is no source.
    """
    waiting = iter(sources)
    # Only one source is read ahead, as standard input may still be growing.
    first = next(waiting, None)
    if first is None:
        raise UsageError("the manifest", "names no segment", "give one with rows")
    all_sources = itertools.chain([first], waiting)
    recipe = choose_recipe(first)
    folder, n_tracks = shards
    outcomes = (
        build_features(Path(output), all_sources, recipe, jobs, force=force)
        if folder is None
        else build_shards(
            Path(output), Path(folder), n_tracks, all_sources, recipe, jobs, force=force
        )
    )
    n_silent = n_padded = n_segments = 0
    # How many segments a whole track gives shows only when it is cut.
    total = count_if_known(sources) if isinstance(first, Segment) else None
    for outcome in track_progress(outcomes, command, total):
        if isinstance(outcome, FailedInput):
            failed.add(outcome.error, outcome.track_id, outcome.segment_id)
            continue
        failed.count_done()
        failed.count_kept(outcome.is_kept)
        n_segments += 1
        n_silent += outcome.row.silent
        n_padded += outcome.row.padded
        yield outcome
    if n_segments:
        say(f"{output}: {count(n_segments, 'segment')}, {n_silent} silent, {n_padded} padded")


def parse_weights(entries: Sequence[str], kinds: Sequence[FeatureKind]) -> dict[str, str]:
    """Parse KIND=FILE into files by network. Raises UsageError where that makes no sense."""
    networks = {kind.name: kind.user_weights for kind in kinds if kind.user_weights}
    files: dict[str, str] = {}
    for entry in entries:
        name, mark, file = entry.partition("=")
        if not mark:
            raise UsageError(f"--weights {entry}", "names no kind", f"give KIND={entry}")
        if name not in networks:
            remedy = choose_from(networks, name) if networks else "leave it out, or add the --kind"
            raise UsageError(f"--weights {entry}", "is for no kind asked for", remedy)
        if not Path(file).is_file():
            raise UsageError(f"--weights {entry}", "names no file", "mer import weights makes one")
        files[networks[name]] = file
    return files

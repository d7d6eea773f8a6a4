"""What commands that work on many inputs share: a failure is put aside and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from mertools.artifacts.tables import Segment, Track
from mertools.audio.sources import IdFrom, find_sources
from mertools.cli.failures import Failures
from mertools.errors import InputError, UsageError
from mertools.parallel import map_ordered

T = TypeVar("T")


def tracks_of(
    inputs: Sequence[str], failures: Failures, *, null_separated: bool, id_from: IdFrom
) -> Iterator[Track]:
    """Yield the tracks among a command's inputs; what is none goes to `failures`.

    Raises UsageError for a manifest of segments.
    """
    for source in find_sources(inputs, null_separated=null_separated, id_from=id_from):
        if isinstance(source, InputError):
            failures.add(source)
        elif isinstance(source, Segment):
            raise UsageError(
                source.segment_id, "is a segment, not a track", "give a table of tracks, or audio"
            )
        else:
            yield source


def work_on(
    function: Callable[[Track], T], tracks: Iterable[Track], failures: Failures, jobs: int | None
) -> Iterator[T]:
    """Apply `function` to each track in `jobs` processes; what fails goes to `failures`."""
    for track, outcome in map_ordered(partial(_attempt, function), tracks, jobs):
        if isinstance(outcome, InputError):
            failures.add(outcome, track.track_id)
        else:
            failures.count_done()
            yield outcome


def _attempt(function: Callable[[Track], T], track: Track) -> tuple[Track, T | InputError]:
    try:
        return track, function(track)
    except InputError as error:
        return track, error

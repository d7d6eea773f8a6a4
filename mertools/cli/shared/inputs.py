"""What commands with many inputs share: one that fails is noted, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Segment, Track
from mertools.audio.settings import IdFrom
from mertools.audio.sources import Source, find_sources
from mertools.errors import InputError, UsageError
from mertools.runtime.parallel import Jobs, map_ordered

if TYPE_CHECKING:  # its typer is nothing that processes need
    from mertools.cli.shared.failures import Failures

T = TypeVar("T")


def gather_sources(
    inputs: Sequence[str], *, null_separated: bool, id_from: IdFrom
) -> list[Source] | Iterator[Source]:
    """Find a command's inputs, all of them first: an error in a manifest shows at the start.

    Only what comes on standard input alone is read as it comes.
    """
    sources = find_sources(inputs, null_separated=null_separated, id_from=id_from)
    return sources if list(inputs) == [STANDARD_STREAM] else list(sources)


def count_if_known(sources: list[Source] | Iterator[Source]) -> int | None:
    """Count inputs, unless they are still coming."""
    return len(sources) if isinstance(sources, list) else None


def tracks_among(sources: Iterable[Source], failures: Failures) -> Iterator[Track]:
    """Yield the tracks among a command's inputs; what is none goes to `failures`.

    Raises UsageError for a segment.
    """
    for source in sources:
        if isinstance(source, InputError):
            failures.add(source)
        elif isinstance(source, Segment):
            raise UsageError(
                source.segment_id, "is a segment, not a track", "give a table of tracks, or audio"
            )
        else:
            yield source


def work_on(
    function: Callable[[Track], T], tracks: Iterable[Track], failures: Failures, jobs: Jobs
) -> Iterator[T]:
    """Apply `function` to each track, on `jobs`; what fails goes to `failures`."""
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

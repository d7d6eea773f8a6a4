"""The one loop over sound files: from tracks or segments to features, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mertools.artifacts.features_file import FeatureRow, Features
from mertools.artifacts.files import digest_file
from mertools.artifacts.tables import Segment, Track
from mertools.audio.io import check_readable
from mertools.audio.segment import Cut, read_segments, read_track
from mertools.audio.settings import ConvertSettings, SegmentSettings
from mertools.audio.sources import Source
from mertools.errors import InputError
from mertools.features.registry import RequestedKind
from mertools.parallel import map_ordered

SEGMENTS_AT_ONCE = 64
"""Segments of one file that a process works on before it hands over what it has made."""

KeptKey = tuple[str, str, float, float, str]
"""What features made before are known by: kind, segment_id, start, duration, source digest."""

Kept = Mapping[KeptKey, FeatureRow]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides features beside the sound: the kinds, the sample rate in Hz, the cutting.

    `segment` is for whole tracks; segments that a manifest gives are taken as they are.
    """

    kinds: tuple[RequestedKind, ...]
    sample_rate: int
    segment: SegmentSettings

    def kind_names(self) -> tuple[str, ...]:
        """Name the kinds in order."""
        return tuple(kind.name for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """A segment with its features by kind; None stands for those kept from before."""

    row: FeatureRow
    features: dict[str, Features | None]


@dataclass(frozen=True, slots=True)
class FailedInput:
    """A track, or a segment of one, that cannot be computed."""

    track_id: str | None
    segment_id: str | None
    error: InputError


@dataclass(frozen=True, slots=True)
class _Task:
    """Segments of one file, or a whole track (None: cut it), with what is kept of them."""

    track: Track
    segments: tuple[Segment, ...] | None
    kept: Kept


Outcome = SegmentFeatures | FailedInput


def choose_sample_rate(source: Source) -> int:
    """Choose the rate in Hz to compute features at: a manifest's own, else that of `convert`."""
    known = None if isinstance(source, InputError) else source.sample_rate
    return known or ConvertSettings().sample_rate


def extract(
    sources: Iterable[Source],
    recipe: Recipe,
    jobs: int | None,
    kept: Callable[[str], Kept] = lambda track_id: {},
) -> Iterator[list[Outcome]]:
    """Compute the features of tracks and segments in `jobs` processes, in order.

    `kept` tells which features of a track are there already and need not be made. Yields lists of
    outcomes, each of one file; sound at another sample rate is converted as `mer convert` would.
    """
    work = partial(_extract_task, recipe)
    return map_ordered(work, _tasks(sources, kept), jobs)


def _tasks(sources: Iterable[Source], kept: Callable[[str], Kept]) -> Iterator[_Task | FailedInput]:
    """Join segments of one file that follow each other to one task."""
    waiting: list[Segment] = []
    for source in sources:
        same_file = isinstance(source, Segment) and waiting and source.path == waiting[0].path
        if waiting and (not same_file or len(waiting) == SEGMENTS_AT_ONCE):
            yield _segments_task(waiting, kept)
            waiting = []
        if isinstance(source, Segment):
            waiting.append(source)
        elif isinstance(source, Track):
            yield _Task(source, None, kept(source.track_id))
        else:
            yield FailedInput(None, None, source)
    if waiting:
        yield _segments_task(waiting, kept)


def _segments_task(segments: list[Segment], kept: Callable[[str], Kept]) -> _Task:
    known: dict[KeptKey, FeatureRow] = {}
    for track_id in {segment.track_id for segment in segments}:
        known |= kept(track_id)
    return _Task(Track(segments[0].track_id, segments[0].path), tuple(segments), known)


def _extract_task(recipe: Recipe, task: _Task | FailedInput) -> list[Outcome]:
    if isinstance(task, FailedInput):
        return [task]
    path = Path(task.track.path)
    outcomes: list[Outcome] = []
    try:
        check_readable(path)
        source_digest = digest_file(path)
        if task.segments is not None and (rows := _kept_rows(recipe, task, source_digest)):
            return [SegmentFeatures(row, dict.fromkeys(recipe.kind_names())) for row in rows]
        for segment, cut in _cuts(recipe, task, path):
            if isinstance(cut, InputError):
                outcomes.append(FailedInput(segment.track_id, segment.segment_id, cut))
            else:
                outcomes.append(_compute(recipe, task, segment, cut, source_digest))
    except InputError as error:
        outcomes.append(FailedInput(task.track.track_id, None, error))
    return outcomes


def _kept_rows(recipe: Recipe, task: _Task, source_digest: str) -> list[FeatureRow]:
    """Give a task's rows if everything of it is kept, so that its file need not be decoded."""
    segments = task.segments or ()
    keys = [[_key(kind, s, source_digest) for kind in recipe.kind_names()] for s in segments]
    if not all(key in task.kept for of_segment in keys for key in of_segment):
        return []
    return [task.kept[of_segment[0]] for of_segment in keys]


def _key(kind: str, segment: Segment, source_digest: str) -> KeptKey:
    return kind, segment.segment_id, segment.start, segment.duration, source_digest


def _cuts(recipe: Recipe, task: _Task, path: Path) -> Iterator[tuple[Segment, Cut | InputError]]:
    if task.segments is None:
        return read_track(task.track, recipe.sample_rate, recipe.segment)
    spans = [(segment.start, segment.duration) for segment in task.segments]
    return zip(task.segments, read_segments(path, spans, recipe.sample_rate), strict=True)


def _compute(
    recipe: Recipe, task: _Task, segment: Segment, cut: Cut, source_digest: str
) -> Outcome:
    features: dict[str, Features | None] = {}
    for kind in recipe.kinds:
        known = _key(kind.name, segment, source_digest) in task.kept
        features[kind.name] = None if known else kind.compute(cut.y)
    row = FeatureRow(
        segment.segment_id,
        segment.track_id,
        segment.start,
        segment.duration,
        silent=not cut.y.any(),
        padded=cut.padded or any(kind.fills_up(cut.y) for kind in recipe.kinds),
        source_digest=source_digest,
    )
    return SegmentFeatures(row, features)

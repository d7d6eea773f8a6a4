"""The one loop over sound files: from tracks or segments to features, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from mertools.artifacts.feature_rows import Cutting, FeatureRow, Features
from mertools.artifacts.files import digest_file, digest_json
from mertools.artifacts.rows import Segment, Track
from mertools.audio.convert import read_at_rates
from mertools.audio.io import check_rate, check_readable, probe
from mertools.audio.segment import Cut, cut, cut_out, read_segments, read_track
from mertools.audio.settings import SegmentSettings
from mertools.audio.sources import Source
from mertools.errors import InputError
from mertools.features.excerpt import Excerpt
from mertools.features.notes import NoteEvent, notes_in
from mertools.features.registry import RequestedKind
from mertools.runtime.parallel import Jobs, map_ordered

SEGMENTS_AT_ONCE = 64
"""Segments of one file that a process works on before it hands over what it has made."""

NOTES = "notes"
"""Stands where the kinds of feature stand for the notes of a segment."""

KeptKey = tuple[str, str, float, float, str]
"""What features made before are known by: kind, segment_id, start, duration, source digest."""

Kept = Mapping[KeptKey, FeatureRow]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides features beside the sound: the kinds, the sample rate in Hz, the cutting.

    `segment` is for whole tracks, which are cut at `sample_rate`; segments that a manifest gives
    are taken as they are. `notes` is the kind along with which notes are decoded, if any.
    `as_windows` tells that segments are windows of their track, which may share what is made of it.
    """

    kinds: tuple[RequestedKind, ...]
    sample_rate: int
    segment: SegmentSettings
    notes: RequestedKind | None = None
    as_windows: bool = False

    def kind_names(self) -> tuple[str, ...]:
        """Name the kinds in order."""
        return tuple(kind.name for kind in self.kinds)

    def made_names(self) -> tuple[str, ...]:
        """Name all that is made of a segment: the kinds in order, and notes."""
        return self.kind_names() + ((NOTES,) if self.notes else ())

    def cutting(self) -> Cutting:
        """Say how whole tracks are cut, as features.h5 records it."""
        length_s, hop_s = self.segment.length_s, self.segment.hop_s
        return Cutting(length_s, length_s if hop_s is None else hop_s, self.segment.last)

    def rates(self) -> list[int]:
        """Give `sample_rate` and then those in Hz that kinds need beside it."""
        further = {kind.sample_rate for kind in self.kinds} - {self.sample_rate}
        return [self.sample_rate, *sorted(further)]

    def notes_digest(self) -> str:
        """Tell notes that are interchangeable from others: a track's last segment has the rest."""
        kind = (self.notes.digest, self.notes.device) if self.notes else None
        return digest_json({"version": 1, "kind": kind, "segment": asdict(self.segment)})


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """A segment with its features by kind, and its notes where they are asked for.

    None stands for those kept from before.
    """

    row: FeatureRow
    features: dict[str, Features | None]
    notes: tuple[NoteEvent, ...] | None = None


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


def manifest_rate(source: Source) -> int | None:
    """Give the sample rate in Hz that a manifest states of its first row; None for sound files."""
    return None if isinstance(source, InputError) else source.sample_rate


def extract(
    sources: Iterable[Source],
    recipe: Recipe,
    jobs: Jobs,
    kept: Callable[[str], Kept] = lambda track_id: {},
) -> Iterator[list[Outcome]]:
    """Compute the features of tracks and segments, on `jobs`, in order.

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
        declared = {row.sample_rate for row in task.segments or (task.track,)} - {None}
        for rate in declared:
            check_rate(path, probe(path), rate)
        wholes = _Wholes(path, recipe.rates())
        for segment, cuts in _cuts(recipe, task, wholes):
            if isinstance(cuts, InputError):
                outcomes.append(FailedInput(segment.track_id, segment.segment_id, cuts))
                continue
            excerpts = {
                rate: Excerpt(cut.y, segment.start, partial(wholes.read, rate))
                for rate, cut in cuts.items()
            }
            row = _row(recipe, segment, cuts, source_digest)
            outcomes.append(_compute(recipe, task, row, excerpts))
        if (
            task.segments is None
            and isinstance(last := outcomes[-1], SegmentFeatures)
            and last.notes is not None
        ):
            # What `segment` leaves out of the track's end is heard all the same.
            outcomes[-1] = replace(last, notes=_notes(recipe, excerpts, math.inf))
    except InputError as error:
        outcomes.append(FailedInput(task.track.track_id, None, error))
    return outcomes


class _Wholes:
    """A whole file at each of some sample rates, decoded when one is first asked for."""

    def __init__(self, path: Path, rates: Sequence[int]) -> None:
        self.path = path
        self._rates = rates
        self._excerpts: dict[int, Excerpt] = {}

    def read(self, sample_rate: int) -> Excerpt:
        """Read the file at a sample rate in Hz."""
        if not self._excerpts:
            sounds = read_at_rates(self.path, self._rates)
            self._excerpts = dict(zip(self._rates, map(Excerpt, sounds), strict=True))
        return self._excerpts[sample_rate]


def _kept_rows(recipe: Recipe, task: _Task, source_digest: str) -> list[FeatureRow]:
    """Give a task's rows if everything of it is kept, so that its file need not be decoded."""
    segments = task.segments or ()
    keys = [[_key(name, s, source_digest) for name in recipe.made_names()] for s in segments]
    if not all(key in task.kept for of_segment in keys for key in of_segment):
        return []
    # A manifest may name another original than when the features were computed.
    return [
        replace(task.kept[of_segment[0]], original=segment.original or "")
        for of_segment, segment in zip(keys, segments, strict=True)
    ]


def _key(name: str, segment: Segment | FeatureRow, source_digest: str) -> KeptKey:
    return name, segment.segment_id, segment.start, segment.duration, source_digest


def _cuts(
    recipe: Recipe, task: _Task, wholes: _Wholes
) -> Iterator[tuple[Segment, dict[int, Cut] | InputError]]:
    """Yield segments with their samples at each sample rate that is needed."""
    track, path = task.track, wholes.path
    first_rate, *further = rates = recipe.rates()
    if further or recipe.as_windows:
        sounds = {rate: wholes.read(rate).y for rate in rates}
        segments = task.segments or cut(track, len(sounds[first_rate]), first_rate, recipe.segment)
        for segment in segments:
            by_rate = {
                rate: cut_out(y, path, segment.start, segment.duration, rate)
                for rate, y in sounds.items()
            }
            yield segment, _all_or_error(by_rate)
        return
    cuts: Iterable[tuple[Segment, Cut | InputError]]
    if task.segments is None:
        cuts = read_track(track, first_rate, recipe.segment)
    else:
        spans = [(segment.start, segment.duration) for segment in task.segments]
        cuts = zip(task.segments, read_segments(path, spans, first_rate), strict=True)
    for segment, made in cuts:
        yield segment, _all_or_error({first_rate: made})


def _all_or_error(cuts: Mapping[int, Cut | InputError]) -> dict[int, Cut] | InputError:
    made: dict[int, Cut] = {}
    for rate, found in cuts.items():
        if isinstance(found, InputError):
            return found
        made[rate] = found
    return made


def _row(
    recipe: Recipe, segment: Segment, cuts: Mapping[int, Cut], source_digest: str
) -> FeatureRow:
    return FeatureRow(
        segment.segment_id,
        segment.track_id,
        segment.start,
        segment.duration,
        silent=not any(cut.y.any() for cut in cuts.values()),
        padded=any(cut.padded for cut in cuts.values())
        or any(kind.fills_up(cuts[kind.sample_rate].y) for kind in recipe.kinds),
        source_digest=source_digest,
        original=segment.original or "",
    )


def _compute(
    recipe: Recipe, task: _Task, row: FeatureRow, excerpts: Mapping[int, Excerpt]
) -> SegmentFeatures:
    features: dict[str, Features | None] = {}
    for kind in recipe.kinds:
        known = _key(kind.name, row, row.source_digest) in task.kept
        compute = kind.compute_window if recipe.as_windows else kind.compute
        features[kind.name] = None if known else compute(excerpts[kind.sample_rate])
    if recipe.notes is None or _key(NOTES, row, row.source_digest) in task.kept:
        return SegmentFeatures(row, features)
    return SegmentFeatures(row, features, _notes(recipe, excerpts, row.start + row.duration))


def _notes(recipe: Recipe, excerpts: Mapping[int, Excerpt], end_s: float) -> tuple[NoteEvent, ...]:
    assert recipe.notes is not None  # noqa: S101
    kind = recipe.notes
    return notes_in(excerpts[kind.sample_rate], end_s, kind.params, kind.device)

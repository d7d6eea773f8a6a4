"""The one loop over sound files: from tracks or segments to features, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
"""Segments of one file in a task: its results reach the caller together."""

NOTES = "notes"
"""Takes the role of a kind of feature for the notes of a segment."""

KeptKey = tuple[str, str, float, float, str]
"""Identifies features that exist already: kind, segment_id, start, duration, source digest."""

Kept = Mapping[KeptKey, FeatureRow]

FindKept = Callable[[str], Kept]
"""Gives the features of a track that exist already."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What determines features beside the sound: the kinds, the sample rate in Hz, the cutting.

    `segment` is for whole tracks, which are cut at `sample_rate`; segments of a manifest are used
    as they are. `notes` is the kind along with which notes are decoded, if any. `as_windows` tells
    that segments are overlapping windows of their track, which may share computations.
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
        """Name what is computed of a segment: the kinds in order, and notes."""
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
        """Digest what notes depend on: a track's last segment has those up to the track's end."""
        kind = (self.notes.digest, self.notes.device) if self.notes else None
        return digest_json({"version": 1, "kind": kind, "segment": asdict(self.segment)})


def join_recipes(recipes: Sequence[Recipe]) -> tuple[list[Recipe], list[int]]:
    """Join recipes that cut the same sound alike, so that what models share is computed once.

    Returns the joined ones, and for each recipe the index of its own. Those that compute a kind of
    the same name with other parameters stay apart.
    """
    joined: list[Recipe] = []
    indices = []
    for recipe in recipes:
        for index, other in enumerate(joined):
            kinds = tuple(dict.fromkeys(other.kinds + recipe.kinds))
            if replace(other, kinds=recipe.kinds) == recipe and len(kinds) == len(
                {kind.name for kind in kinds}
            ):
                joined[index] = replace(other, kinds=kinds)
                break
        else:
            index = len(joined)
            joined.append(recipe)
        indices.append(index)
    return joined, indices


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """A segment with its features by kind, and its notes where they are asked for.

    None stands for those that exist already. `track_s` is the length in seconds of the track that
    it was cut from, where that was whole.
    """

    row: FeatureRow
    features: dict[str, Features | None]
    notes: tuple[NoteEvent, ...] | None = None
    track_s: float | None = None

    @property
    def is_kept(self) -> bool:
        """Check whether all features exist already, of an earlier run."""
        return bool(self.features) and all(part is None for part in self.features.values())


@dataclass(frozen=True, slots=True)
class FailedInput:
    """A track, or a segment of one, that cannot be computed."""

    track_id: str | None
    segment_id: str | None
    error: InputError


@dataclass(frozen=True, slots=True)
class _Task:
    """Segments of one file, or a whole track (None: cut it), with what exists of them."""

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

    `kept` gives the features of a track that exist already and are not computed. Yields lists of
    outcomes, each of one file; sound at another sample rate is converted as `mer convert` would.
    """
    return map_ordered(partial(_extract_task, recipe), _tasks(sources, kept), jobs)


def _tasks(sources: Iterable[Source], kept: Callable[[str], Kept]) -> Iterator[_Task | FailedInput]:
    """Group segments of one file that follow each other to a task."""
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
        track_s, all_cuts = _cuts(recipe, task, wholes)
        for segment, cuts in all_cuts:
            if isinstance(cuts, InputError):
                outcomes.append(FailedInput(segment.track_id, segment.segment_id, cuts))
                continue
            excerpts = {
                rate: Excerpt(cut.y, segment.start, partial(wholes.read, rate))
                for rate, cut in cuts.items()
            }
            row = _row(recipe, segment, cuts, source_digest)
            outcomes.append(replace(_compute(recipe, task, row, excerpts), track_s=track_s))
        if (
            task.segments is None
            and isinstance(last := outcomes[-1], SegmentFeatures)
            and last.notes is not None
        ):
            # Cutting may leave out the track's end, but its notes are transcribed all the same.
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
    """Give a task's rows if all its features exist, so that its file need not be decoded."""
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


CutsByRate = Iterator[tuple[Segment, dict[int, Cut] | InputError]]


def _cuts(recipe: Recipe, task: _Task, wholes: _Wholes) -> tuple[float | None, CutsByRate]:
    """Give the length in seconds of a track that is whole, and segments at each rate needed."""
    track, path = task.track, wholes.path
    first_rate, *further = rates = recipe.rates()
    if further or recipe.as_windows:
        sounds = {rate: wholes.read(rate).y for rate in rates}
        n_samples = len(sounds[first_rate])
        segments = task.segments or cut(track, n_samples, first_rate, recipe.segment)
        track_s = n_samples / first_rate if task.segments is None else None
        return track_s, ((segment, _cut_all(sounds, path, segment)) for segment in segments)
    cuts: Iterable[tuple[Segment, Cut | InputError]]
    if task.segments is None:
        found = read_track(track, first_rate, recipe.segment)
        track_s, cuts = found.duration_s, found.segments
    else:
        spans = [(segment.start, segment.duration) for segment in task.segments]
        track_s = None
        cuts = zip(task.segments, read_segments(path, spans, first_rate), strict=True)
    return track_s, ((segment, _all_or_error({first_rate: one})) for segment, one in cuts)


def _cut_all(
    sounds: Mapping[int, NDArray[np.int16]], path: Path, segment: Segment
) -> dict[int, Cut] | InputError:
    return _all_or_error(
        {
            rate: cut_out(y, path, segment.start, segment.duration, rate)
            for rate, y in sounds.items()
        }
    )


def _all_or_error(cuts: Mapping[int, Cut | InputError]) -> dict[int, Cut] | InputError:
    good: dict[int, Cut] = {}
    for rate, found in cuts.items():
        if isinstance(found, InputError):
            return found
        good[rate] = found
    return good


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

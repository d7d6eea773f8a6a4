"""Writing features.h5; features that exist already are reused, also those of a killed run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mertools.artifacts.feature_rows import Cutting, FeatureRow, Features, KindDescription
from mertools.artifacts.features_file import FeaturesFile, open_features, write_features
from mertools.artifacts.files import remove_stale_parts
from mertools.artifacts.journal import Header, Journal
from mertools.artifacts.rows import Segment
from mertools.audio.sources import Source
from mertools.errors import InputError, SchemaError
from mertools.features.extract import (
    NOTES,
    FailedInput,
    FindKept,
    Kept,
    Outcome,
    Recipe,
    SegmentFeatures,
    extract,
)
from mertools.features.notes import NoteEvent
from mertools.features.registry import RequestedKind
from mertools.runtime.parallel import Jobs


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """What other shards of the same features impose on one: shapes, and segment_ids in use."""

    descriptions: Mapping[str, KindDescription] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()


def build_features(
    target: Path,
    sources: Iterable[Source],
    recipe: Recipe,
    jobs: Jobs,
    *,
    force: bool,
    limits: ShardLimits | None = None,
) -> Iterator[Outcome]:
    """Compute the features of all sources and write them to `target`, yielding each outcome.

    Features of the same segment, sound, parameters, engine and device are reused from `target` and
    from the journal of a run that was killed, unless `force`. The file is written once all outcomes
    are drawn, and not at all where every one of them is a failure. It holds no notes: those of a
    killed run are reused, others are decoded again.

    With `limits` the file is a shard: it is not written again where nothing of it changes, and its
    journal keeps the notes, as the run is not over.
    """
    inputs = _Inputs(sources)
    yield from store_features(
        target,
        recipe.kinds,
        lambda kept: extract(inputs, recipe, jobs, kept),
        # Segments of a manifest may have been cut in any way.
        lambda: None if inputs.have_segments else recipe.cutting(),
        recipe.notes_digest() if recipe.notes else None,
        force=force,
        limits=limits,
    )


def store_features(
    target: Path,
    kinds: tuple[RequestedKind, ...],
    compute: Callable[[FindKept], Iterator[list[Outcome]]],
    find_cutting: Callable[[], Cutting | None],
    notes_digest: str | None = None,
    *,
    force: bool,
    limits: ShardLimits | None = None,
) -> Iterator[Outcome]:
    """Write what `compute` gives as `build_features` does, whatever it is computed from.

    `compute` is given a function that says which features of a track exist already. How tracks were
    cut is asked for once all outcomes are drawn. Notes come along where they have a digest.
    """
    remove_stale_parts(target.parent, target.name)
    with Journal(target) as journal, ExitStack() as stack:
        former = None
        if target.is_file() and not force:
            try:
                former = stack.enter_context(open_features(target, joined=limits is None))
            except SchemaError:
                former = None  # what is no features.h5 is replaced
        store = _Store(
            kinds, notes_digest, journal, former, limits or ShardLimits(), use_journal=not force
        )
        rows: list[FeatureRow] = []
        for outcomes in compute(store.kept):
            for outcome in outcomes:
                checked = store.put(outcome) if isinstance(outcome, SegmentFeatures) else outcome
                if isinstance(checked, SegmentFeatures):
                    rows.append(checked.row)
                yield checked
        cutting = find_cutting()
        if rows and not (limits and store.is_former(rows, cutting)):
            descriptions = [store.descriptions[kind.name] for kind in kinds]

            def read(kind: str, index: int) -> Features:
                return store.read(kind, rows[index].segment_id)

            write_features(target, rows, descriptions, read, cutting)
        if limits:
            store.leave_notes()
        else:
            journal.discard()


class _Inputs:
    """Sources to read once; `have_segments`: whether any read so far was a segment."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources
        self.have_segments = False

    def __iter__(self) -> Iterator[Source]:
        for source in self._sources:
            self.have_segments |= isinstance(source, Segment)
            yield source


class _Store:
    """Features by segment: those of the former file, those of the journal, and new ones."""

    def __init__(
        self,
        kinds: tuple[RequestedKind, ...],
        notes_digest: str | None,
        journal: Journal,
        former: FeaturesFile | None,
        limits: ShardLimits,
        *,
        use_journal: bool,
    ) -> None:
        self._kinds = kinds
        self._notes_digest = notes_digest
        self._journal = journal
        self._former = former
        self.descriptions = dict(limits.descriptions)
        self._in_former: dict[tuple[str, str], int] = {}
        self._in_journal: dict[tuple[str, str], tuple[int, KindDescription]] = {}
        self._by_track: dict[str, dict[tuple[str, str], FeatureRow]] = {}
        self._notes: dict[str, tuple[int, int]] = {}
        self._put = set(limits.taken)
        if former is not None:
            self._load_former(former)
        self._load_journal(use_journal)

    def _load_former(self, former: FeaturesFile) -> None:
        for kind in self._kinds:
            found = former.kinds.get(kind.name)
            if found is None or found != kind.describe(found.shape, found.dtype):
                continue
            for index, row in enumerate(former.rows):
                self._in_former[kind.name, row.segment_id] = index
                self._by_track.setdefault(row.track_id, {})[kind.name, row.segment_id] = row

    def _load_journal(self, use: bool) -> None:
        if not use:
            self._journal.clear()
        for header, offset in self._journal.records():
            try:
                if header["kind"] == NOTES:
                    self._load_notes(header, offset)
                else:
                    self._load_features(header, offset)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # written by another release, with other fields: it is computed anew

    def _load_features(self, header: Header, offset: int) -> None:
        made_by = (header["kind"], header["digest"], header["engine"], header.get("device", ""))
        for kind in self._kinds:
            if made_by == (kind.name, kind.digest, kind.engine, kind.device):
                row = FeatureRow(**header["row"])
                described = kind.describe(tuple(header["shape"]), header["dtype"])
                self._in_journal[kind.name, row.segment_id] = offset, described
                self._by_track.setdefault(row.track_id, {})[kind.name, row.segment_id] = row

    def _load_notes(self, header: Header, offset: int) -> None:
        if self._notes_digest is not None and header["digest"] == self._notes_digest:
            row = FeatureRow(**header["row"])
            self._notes[row.segment_id] = (offset, header["n_bytes"])
            self._by_track.setdefault(row.track_id, {})[NOTES, row.segment_id] = row

    def kept(self, track_id: str) -> Kept:
        """Give the rows of a track whose features exist already."""
        return {
            (kind, segment_id, row.start, row.duration, row.source_digest): row
            for (kind, segment_id), row in self._by_track.get(track_id, {}).items()
        }

    def put(self, segment: SegmentFeatures) -> Outcome:
        """Add a segment's features; those that do not fit the others come back as a failure."""
        segment_id = segment.row.segment_id
        if segment_id in self._put:
            return _refused(segment, "is the segment_id of two segments", "give each its own")
        for kind in self._kinds:
            features = segment.features[kind.name]
            found = (
                self._describe_kept(kind.name, segment_id)
                if features is None
                else kind.describe(features.shape, features.dtype.name)
            )
            description = self.descriptions.setdefault(kind.name, found)
            if description.shape != found.shape:
                return _refused(
                    segment,
                    f"gives {kind.name} of shape {found.shape}, others {description.shape}",
                    "cut segments of one length (--last pad or drop)",
                )
            if features is None:
                continue
            header = {
                "kind": kind.name,
                "digest": kind.digest,
                "engine": kind.engine,
                "device": kind.device,
                "shape": features.shape,
                "dtype": features.dtype.name,
                "row": dataclasses.asdict(segment.row),
            }
            offset = self._journal.append(header, features.tobytes())
            self._in_journal[kind.name, segment_id] = offset, description
        self._put.add(segment_id)
        return segment if self._notes_digest is None else self._with_notes(segment)

    def _with_notes(self, segment: SegmentFeatures) -> SegmentFeatures:
        """Write a segment's notes to the journal, or read those that it holds."""
        segment_id = segment.row.segment_id
        if segment.notes is None:
            offset, n_bytes = self._notes[segment_id]
            content = json.loads(self._journal.read(offset, n_bytes))
            notes = (NoteEvent(**note | {"bends": tuple(note["bends"])}) for note in content)
            return dataclasses.replace(segment, notes=tuple(notes))
        content = json.dumps([dataclasses.asdict(note) for note in segment.notes]).encode()
        header = {
            "kind": NOTES,
            "digest": self._notes_digest,
            "row": dataclasses.asdict(segment.row),
            "n_bytes": len(content),
        }
        self._journal.append(header, content)
        return segment

    def leave_notes(self) -> None:
        """Remove all but the notes from the journal."""
        notes = [
            (header, self._journal.read(offset, header["n_bytes"]))
            for header, offset in (() if self._notes_digest is None else self._journal.records())
            if header.get("kind") == NOTES
        ]
        self._journal.clear()
        for header, content in notes:
            self._journal.append(header, content)

    def is_former(self, rows: Sequence[FeatureRow], cutting: Cutting | None) -> bool:
        """Check whether the former file is what would be written."""
        return (
            self._former is not None
            and self._former.rows == rows
            and self._former.cutting == cutting
            and self._former.kinds.keys() == {kind.name for kind in self._kinds}
            and not self._in_journal
        )

    def _describe_kept(self, kind: str, segment_id: str) -> KindDescription:
        if (kind, segment_id) in self._in_journal:
            return self._in_journal[kind, segment_id][1]
        assert self._former is not None  # noqa: S101
        return self._former.kinds[kind]

    def read(self, kind: str, segment_id: str) -> Features:
        """Read a segment's features, (*shape)."""
        if (kind, segment_id) not in self._in_journal:
            assert self._former is not None  # noqa: S101
            return self._former.read(kind, self._in_former[kind, segment_id])
        offset, described = self._in_journal[kind, segment_id]
        dtype = np.dtype(described.dtype)
        n_bytes = int(np.prod(described.shape, dtype=np.int64)) * dtype.itemsize
        features: Features = np.frombuffer(self._journal.read(offset, n_bytes), dtype)
        return features.reshape(described.shape)


def _refused(segment: SegmentFeatures, problem: str, remedy: str) -> FailedInput:
    row = segment.row
    return FailedInput(row.track_id, row.segment_id, InputError(row.segment_id, problem, remedy))

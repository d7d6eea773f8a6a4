"""Making features.h5: what was made before is kept, and so is what a killed run had made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    Kept,
    Outcome,
    Recipe,
    SegmentFeatures,
    extract,
)
from mertools.features.notes import NoteEvent
from mertools.runtime.parallel import Jobs


@dataclass(frozen=True, slots=True)
class Precedents:
    """What other shards of the same features decide: shapes, and segment_ids that are taken."""

    descriptions: Mapping[str, KindDescription] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()


def build_features(
    target: Path,
    sources: Iterable[Source],
    recipe: Recipe,
    jobs: Jobs,
    *,
    force: bool,
    precedents: Precedents | None = None,
) -> Iterator[Outcome]:
    """Compute the features of all sources and write them to `target`, yielding each outcome.

    Features of the same segment, sound, parameters and engine are taken over from `target` and
    from the journal of a run that was killed, unless `force` says to make them anew. The file is
    written once all outcomes are drawn, and not at all where every one of them is a failure. Notes
    do not stand in it: those of a killed run are kept, others are made anew.

    With `precedents` the file is a shard: where all of it is kept it is not written again, and its
    journal stays with the notes, as the run is not over.
    """
    remove_stale_parts(target.parent, target.name)
    with Journal(target) as journal, ExitStack() as stack:
        former = None
        if target.is_file() and not force:
            try:
                former = stack.enter_context(open_features(target, joined=precedents is None))
            except SchemaError:
                former = None  # what is no features.h5 is replaced
        decided = precedents or Precedents()
        inputs = _Inputs(sources)
        store = _Store(recipe, journal, former, decided, use_journal=not force)
        rows: list[FeatureRow] = []
        for outcomes in extract(inputs, recipe, jobs, store.kept):
            for outcome in outcomes:
                checked = store.put(outcome) if isinstance(outcome, SegmentFeatures) else outcome
                if isinstance(checked, SegmentFeatures):
                    rows.append(checked.row)
                yield checked
        # Segments of a manifest may have been cut in any way.
        cutting = None if inputs.have_segments else recipe.cutting()
        if rows and not (precedents and store.is_former(rows, cutting)):
            descriptions = [store.descriptions[name] for name in recipe.kind_names()]

            def read(kind: str, index: int) -> Features:
                return store.read(kind, rows[index].segment_id)

            write_features(target, rows, descriptions, read, cutting)
        if precedents:
            store.leave_notes()
        else:
            journal.discard()


class _Inputs:
    """Sources to draw once; `have_segments` tells whether any drawn so far was a segment."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources
        self.have_segments = False

    def __iter__(self) -> Iterator[Source]:
        for source in self._sources:
            self.have_segments |= isinstance(source, Segment)
            yield source


class _Store:
    """All features at hand: those of the former file, of the journal, and those put in."""

    def __init__(
        self,
        recipe: Recipe,
        journal: Journal,
        former: FeaturesFile | None,
        decided: Precedents,
        *,
        use_journal: bool,
    ) -> None:
        self._recipe = recipe
        self._journal = journal
        self._former = former
        self.descriptions = dict(decided.descriptions)
        self._in_former: dict[tuple[str, str], int] = {}
        self._in_journal: dict[tuple[str, str], tuple[int, KindDescription]] = {}
        self._by_track: dict[str, dict[tuple[str, str], FeatureRow]] = {}
        self._notes: dict[str, tuple[int, int]] = {}
        self._put = set(decided.taken)
        if former is not None:
            self._load_former(former)
        self._load_journal(use_journal)

    def _load_former(self, former: FeaturesFile) -> None:
        for kind in self._recipe.kinds:
            found = former.kinds.get(kind.name)
            if found is None or found != kind.describe(found.shape, found.dtype):
                continue
            for place, row in enumerate(former.rows):
                self._in_former[kind.name, row.segment_id] = place
                self._by_track.setdefault(row.track_id, {})[kind.name, row.segment_id] = row

    def _load_journal(self, use: bool) -> None:
        if not use:
            self._journal.clear()
        for header, place in self._journal.records():
            try:
                if header["kind"] == NOTES:
                    self._load_notes(header, place)
                else:
                    self._load_features(header, place)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # written by another release, with other fields: it is made anew

    def _load_features(self, header: Header, place: int) -> None:
        made_by = (header["kind"], header["digest"], header["engine"], header.get("device", ""))
        for kind in self._recipe.kinds:
            if made_by == (kind.name, kind.digest, kind.engine, kind.device):
                row = FeatureRow(**header["row"])
                described = kind.describe(tuple(header["shape"]), header["dtype"])
                self._in_journal[kind.name, row.segment_id] = place, described
                self._by_track.setdefault(row.track_id, {})[kind.name, row.segment_id] = row

    def _load_notes(self, header: Header, place: int) -> None:
        if self._recipe.notes and header["digest"] == self._recipe.notes_digest():
            row = FeatureRow(**header["row"])
            self._notes[row.segment_id] = (place, header["n_bytes"])
            self._by_track.setdefault(row.track_id, {})[NOTES, row.segment_id] = row

    def kept(self, track_id: str) -> Kept:
        """Tell what is at hand of a track."""
        return {
            (kind, segment_id, row.start, row.duration, row.source_digest): row
            for (kind, segment_id), row in self._by_track.get(track_id, {}).items()
        }

    def put(self, made: SegmentFeatures) -> Outcome:
        """Take in a segment's features; what does not fit the others comes back as a failure."""
        segment_id = made.row.segment_id
        if segment_id in self._put:
            return _refused(made, "is the segment_id of two segments", "give each its own")
        for kind in self._recipe.kinds:
            features = made.features[kind.name]
            found = (
                self._describe_kept(kind.name, segment_id)
                if features is None
                else kind.describe(features.shape, features.dtype.name)
            )
            decided = self.descriptions.setdefault(kind.name, found)
            if decided.shape != found.shape:
                return _refused(
                    made,
                    f"gives {kind.name} of shape {found.shape}, others {decided.shape}",
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
                "row": dataclasses.asdict(made.row),
            }
            place = self._journal.append(header, features.tobytes())
            self._in_journal[kind.name, segment_id] = place, decided
        self._put.add(segment_id)
        return self._with_notes(made) if self._recipe.notes else made

    def _with_notes(self, made: SegmentFeatures) -> SegmentFeatures:
        """Put a segment's notes into the journal, or take those that are there."""
        segment_id = made.row.segment_id
        if made.notes is None:
            place, n_bytes = self._notes[segment_id]
            content = json.loads(self._journal.read(place, n_bytes))
            notes = (NoteEvent(**note | {"bends": tuple(note["bends"])}) for note in content)
            return dataclasses.replace(made, notes=tuple(notes))
        content = json.dumps([dataclasses.asdict(note) for note in made.notes]).encode()
        header = {
            "kind": NOTES,
            "digest": self._recipe.notes_digest(),
            "row": dataclasses.asdict(made.row),
            "n_bytes": len(content),
        }
        self._journal.append(header, content)
        return made

    def leave_notes(self) -> None:
        """Leave nothing but notes in the journal."""
        notes = [
            (header, self._journal.read(place, header["n_bytes"]))
            for header, place in (self._journal.records() if self._recipe.notes else ())
            if header.get("kind") == NOTES
        ]
        self._journal.clear()
        for header, content in notes:
            self._journal.append(header, content)

    def is_former(self, rows: Sequence[FeatureRow], cutting: Cutting | None) -> bool:
        """Tell whether the former file holds these rows, and all that is asked for, already."""
        return (
            self._former is not None
            and self._former.rows == rows
            and self._former.cutting == cutting
            and self._former.kinds.keys() == set(self._recipe.kind_names())
            and not self._in_journal
        )

    def _describe_kept(self, kind: str, segment_id: str) -> KindDescription:
        if (kind, segment_id) in self._in_journal:
            return self._in_journal[kind, segment_id][1]
        assert self._former is not None  # noqa: S101
        return self._former.kinds[kind]

    def read(self, kind: str, segment_id: str) -> Features:
        """Read features that were put in or kept."""
        if (kind, segment_id) not in self._in_journal:
            assert self._former is not None  # noqa: S101
            return self._former.read(kind, self._in_former[kind, segment_id])
        place, described = self._in_journal[kind, segment_id]
        dtype = np.dtype(described.dtype)
        n_bytes = int(np.prod(described.shape, dtype=np.int64)) * dtype.itemsize
        features: Features = np.frombuffer(self._journal.read(place, n_bytes), dtype)
        return features.reshape(described.shape)


def _refused(made: SegmentFeatures, problem: str, remedy: str) -> FailedInput:
    row = made.row
    return FailedInput(row.track_id, row.segment_id, InputError(row.segment_id, problem, remedy))

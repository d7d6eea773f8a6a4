"""Joining features with labels by key, and with the relations between tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Cutting, FeatureRow, KindDescription
from mertools.artifacts.features_file import FeaturesFile, open_features
from mertools.artifacts.files import DIGEST_BYTES
from mertools.artifacts.rows import Label
from mertools.artifacts.tables import read_table
from mertools.dataset.dataset import Dataset, Joined, TrackLabels
from mertools.dataset.locate import KindRows, Located, align_levels, locate_rows
from mertools.dataset.relatives import find_originals, number_units
from mertools.dataset.stored import StoredFeatures
from mertools.errors import SchemaError, UsageError, choose_from
from mertools.models.registry import NOTES
from mertools.targets.plane import QUADRANT, TARGETS
from mertools.targets.scale import Classes, Scale, Target, class_names, parse_scale

TEST = "test"
VALIDATION = "validation"

LabelsOfTrack = tuple[Label, ...]
"""A track's labels, one for each target."""


@dataclass(frozen=True)
class Request:
    """What to join: files of features, of which some hold copies, with the labels of targets.

    `kinds` are looked for in all files together. `keeps_disputed` takes tracks whose annotators
    disagree, too; `with_test` those that are marked test. `groups` maps tracks to what stays
    together with them in folds. A track may lack `optional` kinds of level track.
    """

    features: tuple[Path, ...]
    labels: str
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    copies: tuple[Path, ...] = ()
    keeps_disputed: bool = False
    with_test: bool = False
    groups: Mapping[str, str] | None = None
    optional: tuple[str, ...] = ()


def join(request: Request) -> Joined:
    """Join features with labels.

    Augmented copies are learnt from with their original, by its labels where they have none of
    their own, and left out where the original is. Raises UsageError where nothing is left to learn
    from or a kind is missing, SchemaError where files contradict each other or hold features that
    are no finite numbers.
    """
    labels = _read_labels(request.labels, request.targets)
    learnt = {
        track_id: rows
        for track_id, rows in labels.items()
        if (request.with_test or rows[0].split != TEST)
        and (request.keeps_disputed or all(row.kept for row in rows))
    }
    with ExitStack() as stack:
        files, copies = (
            [stack.enter_context(open_features(path)) for path in paths]
            for paths in (request.features, request.copies)
        )
        # Of all rows, as a copy's original may lack a kind that is asked for, or be a copy itself.
        originals = find_originals(row for file in (*files, *copies) for row in file.rows)
        wanted = {track_id for track_id, original in originals.items() if original in learnt}
        kinds = _gather(files, copies, request, wanted)
        ids = sorted(set.intersection(*(set(kind.located) for kind in kinds)))
        if not ids:
            raise UsageError(
                request.labels,
                f"shares no track with {request.features[0]}",
                "check the track_id of both",
            )
        # In the order of their ids, whatever that of the files: the digest does not depend on it.
        segments = [kinds[0].located[name].row for name in ids]
        stored = _store([*files, *copies], kinds, ids)
        dataset = _assemble(request, labels, originals, segments, stored)
        cutting = files[0].cutting or _infer_cutting(segments)
    heard = {t for t, c in zip(dataset.track_ids, dataset.is_copy, strict=True) if not c}
    return Joined(
        dataset,
        cutting,
        n_train=len(heard),
        n_test=sum(
            rows[0].split == TEST and all(row.kept for row in rows) for rows in labels.values()
        ),
        n_dropped=sum(
            not all(row.kept for row in rows) and track_id not in learnt
            for track_id, rows in labels.items()
        ),
        n_without_features=len(learnt.keys() - heard),
        n_copies=len(dataset.track_ids) - len(heard),
    )


def _read_labels(source: str, targets: Sequence[str]) -> dict[str, LabelsOfTrack]:
    """Read the labels of whole tracks that have all targets.

    Raises UsageError where a target has none or is named twice, SchemaError where its rows differ
    in scale.
    """
    by_target: dict[str, dict[str, Label]] = {target: {} for target in targets}
    for target in by_target:
        if targets.count(target) > 1:
            raise UsageError("--target", f"names {target} twice", "name each target once")
    over_time, known = set(), set()
    for row in read_table(source, Label):
        known.add(row.target)
        if row.target not in by_target:
            continue
        # What is said of a stretch is no label of the whole track.
        if row.start is not None:
            over_time.add(row.target)
        else:
            by_target[row.target][row.track_id] = row
    for target, rows in by_target.items():
        if not rows and target in over_time:
            raise UsageError(
                source, f"rates {target} over time only", "give labels of whole tracks to learn"
            )
        if not rows:
            raise UsageError(
                source, f"holds no label for {target}", choose_from(sorted(known), target)
            )
        if len({row.scale for row in rows.values()}) > 1:
            raise SchemaError(source, f"has several scales of {target}", "give one scale a target")
    first, *others = by_target.values()
    return {
        track_id: (row, *(rows[track_id] for rows in others))
        for track_id, row in first.items()
        if all(track_id in rows for rows in others)
    }


def name_targets(source: str) -> tuple[str, ...]:
    """Name targets of labels that tell quadrants, else any: for what learns none of them.

    Raises UsageError where there is no label of a whole track.
    """
    by_target: dict[str, set[str]] = {}
    for row in read_table(source, Label):
        if row.start is None:
            by_target.setdefault(row.target, set()).add(row.track_id)
    for names in (TARGETS, (QUADRANT,), tuple(sorted(by_target))[:1]):
        if names and all(name in by_target for name in names):
            return names
    raise UsageError(source, "holds no labels of whole tracks", "give labels with a split")


def find_targets(source: str, names: Sequence[str]) -> tuple[Target, ...]:
    """Find targets in labels by their names, each with its scale. Raises as `join` does."""
    labels = _read_labels(source, names)
    return _targets_of(source, names, list(labels.values()))


def _targets_of(
    source: str, names: Sequence[str], labels: Sequence[LabelsOfTrack]
) -> tuple[Target, ...]:
    if not labels:
        raise UsageError(source, f"has no track with all of {', '.join(names)}", "learn one alone")
    targets = tuple(
        Target(name, _scale_of(name, [rows[k] for rows in labels])) for k, name in enumerate(names)
    )
    if len(targets) > 1 and any(isinstance(target.scale, Classes) for target in targets):
        raise UsageError(
            f"--target {','.join(names)}", "are not all numbers", "learn classes one by one"
        )
    return targets


def _scale_of(target: str, rows: Sequence[Label]) -> Scale:
    """Give a target's scale; a class that no track has takes its name from the usual ones."""
    scale = parse_scale(rows[0].scale)
    if not isinstance(scale, Classes):
        return scale
    names = list(class_names(target, len(rows[0].distribution)))
    for row in rows:
        if row.label is not None and row.class_name is not None:
            names[row.label - 1] = row.class_name
    return Classes(tuple(names), scale.ordered)


@dataclass(frozen=True)
class _Kind:
    """One kind of feature over all files, by segment_id."""

    description: KindDescription
    located: dict[str, Located]


def _gather(
    files: Sequence[FeaturesFile],
    copies: Sequence[FeaturesFile],
    request: Request,
    wanted: Collection[str],
) -> list[_Kind]:
    """Find each kind of feature of the tracks that are learnt from, and of their copies."""
    kinds = [_gather_kind(files, name, wanted) for name in request.kinds]
    of_segments = [kind for kind in kinds if kind.description.level == "segment"]
    for number, file in enumerate(copies, start=1):
        # Changed sound has its track's words, so a file of copies need not hold them.
        _add_copies(of_segments or kinds, file, number, wanted)
    aligned = align_levels(
        [
            KindRows(
                kind.description.level, kind.located, kind.description.name in request.optional
            )
            for kind in kinds
        ]
    )
    return [_Kind(kind.description, located) for kind, located in zip(kinds, aligned, strict=True)]


def _gather_kind(files: Sequence[FeaturesFile], name: str, wanted: Collection[str]) -> _Kind:
    holders = [file for file in files if name in file.kinds]
    if not holders:
        raise _no_kind(files[0], name)
    description = holders[0].kinds[name]
    for file in holders:
        if file.kinds[name].params_digest != description.params_digest:
            raise SchemaError(
                file.path,
                f"holds {name} features made otherwise than those in {holders[0].path}",
                "make both with the same parameters",
            )
    return _Kind(description, locate_rows(holders, name, lambda row: row.track_id in wanted))


def _no_kind(file: FeaturesFile, name: str) -> UsageError:
    return UsageError(
        file.path,
        f"holds no {name} features (found: {', '.join(file.kinds) or 'none'})",
        "make them with " + ("mer transcribe" if name in NOTES else f"mer featurize --kind {name}"),
    )


def _add_copies(
    kinds: Sequence[_Kind], file: FeaturesFile, number: int, wanted: Collection[str]
) -> None:
    """Add a file of --copies: the same tracks with changed sound, under names of their own."""
    known = {located.row.track_id for located in kinds[0].located.values()}
    for kind in kinds:
        name = kind.description.name
        if name not in file.kinds:
            raise _no_kind(file, name)
        if file.kinds[name].params_digest != kind.description.params_digest:
            raise SchemaError(
                file.path, "holds features made otherwise", "make both with the same parameters"
            )
        for located in locate_rows([file], name, lambda row: row.track_id in wanted).values():
            row = located.row
            if row.track_id not in known:
                raise SchemaError(
                    file.path,
                    f"holds {row.track_id}, which the features do not",
                    "make copies of the same tracks",
                )
            copy = replace(
                row,
                segment_id=f"{row.segment_id} copy {number}",
                track_id=f"{row.track_id} copy {number}",
                original=row.track_id,
            )
            kind.located[copy.segment_id] = Located(copy, file, located.index)


def _store(
    files: Sequence[FeaturesFile], kinds: Sequence[_Kind], ids: Sequence[str]
) -> StoredFeatures:
    number = {file.path: i for i, file in enumerate(files)}
    return StoredFeatures(
        tuple(file.path for file in files),
        tuple(kind.description for kind in kinds),
        tuple(
            tuple(
                (number[located.file.path], located.index)
                for located in (kind.located[name] for name in ids)
            )
            for kind in kinds
        ),
    )


def _assemble(
    request: Request,
    labels: Mapping[str, LabelsOfTrack],
    originals_of: Mapping[str, str],
    segments: Sequence[FeatureRow],
    stored: StoredFeatures,
) -> Dataset:
    targets = _targets_of(request.labels, request.targets, list(labels.values()))
    # What --copies names is no track of the files, but its original is, and may be a copy, too.
    found = {
        row.track_id: originals_of.get(row.track_id) or originals_of[row.original]
        for row in segments
    }
    track_ids = tuple(sorted(found))
    originals = [found[track_id] for track_id in track_ids]
    index = {track_id: i for i, track_id in enumerate(track_ids)}
    groups = np.array([index[row.track_id] for row in segments], np.int64)
    # A copy's own labels, if it has any, tell what it sounds like; its original's, its split.
    of_tracks = [
        labels.get(track_id, labels[original])
        for track_id, original in zip(track_ids, originals, strict=True)
    ]
    splits = [labels[original][0].split for original in originals]
    track_labels = _lay_out(targets, of_tracks, splits)
    row_ids = tuple(row.segment_id for row in segments)
    durations = np.array([row.duration for row in segments])
    digest = _digest(targets, row_ids, track_ids, groups, durations, track_labels, stored)
    return Dataset(
        targets,
        row_ids,
        groups,
        np.array([row.start for row in segments]),
        durations,
        track_ids,
        track_labels,
        np.array([t != o for t, o in zip(track_ids, originals, strict=True)]),
        number_units(originals, request.groups),
        stored,
        digest,
    )


def _lay_out(
    targets: Sequence[Target], labels: Sequence[LabelsOfTrack], splits: Sequence[str | None]
) -> TrackLabels:
    n = len(labels)
    has_classes = isinstance(targets[0].scale, Classes)
    return TrackLabels(
        np.array([(rows[0].label or 1) - 1 for rows in labels], np.int64),
        np.array([rows[0].distribution for rows in labels]) if has_classes else np.empty((n, 0)),
        np.empty((n, 0))
        if has_classes
        else np.array([[row.mean for row in rows] for rows in labels], np.float64),
        np.array([all(row.kept for row in rows) for rows in labels]),
        np.array([split == VALIDATION for split in splits]),
    )


def _digest(
    targets: Sequence[Target],
    row_ids: Sequence[str],
    track_ids: Sequence[str],
    groups: NDArray[np.int64],
    durations: NDArray[np.float64],
    labels: TrackLabels,
    stored: StoredFeatures,
) -> str:
    """Digest all that is learnt from; features that are no finite numbers raise SchemaError."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    texts = [
        text for target in targets for text in (target.name, str(target.scale), *target.classes)
    ]
    kinds = [kind.name for kind in stored.kinds]
    for text in (*texts, *kinds, *row_ids, *track_ids):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    for values in (
        groups, durations, labels.y, labels.distributions, labels.numbers, labels.kept
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(values).tobytes())
    begin = 0
    with stored.open() as batches:
        for features in batches.iterate(np.arange(len(row_ids))):
            for part in features:
                digest.update(part.tobytes())
                finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
                if not finite.all():
                    raise SchemaError(
                        row_ids[begin + int(finite.argmin())],
                        "has features that are no finite numbers",
                        "run mer validate on the features",
                    )
            begin += len(features[0])
    return digest.hexdigest()


def _infer_cutting(segments: Sequence[FeatureRow]) -> Cutting:
    """Infer from the rows how their tracks were cut, where the file does not say."""
    length_s = max(row.duration for row in segments)
    starts: dict[str, list[float]] = {}
    for row in segments:
        starts.setdefault(row.track_id, []).append(row.start)
    hops = [hop for of_track in starts.values() for hop in np.diff(sorted(of_track)) if hop > 0]
    last = "keep" if any(row.duration < length_s for row in segments) else "auto"
    return Cutting(length_s, float(min(hops, default=length_s)), last)

"""Ratings in exports of Label Studio: JSON, JSON-MIN and CSV, with any number of annotators.

JSON holds the tasks, each with its annotations; JSON-MIN and CSV hold one flat record an annotation
in which the task's data and the results stand side by side, written by `prettify_result` of
label_studio_sdk.converter: a single choice as its name, a rating as `[{"rating": 3}]`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mertools.errors import SchemaError
from mertools.labels.classes import EVERY_TARGET, Scales
from mertools.labels.ratings import Rating
from mertools.labels.records import read_records
from mertools.targets.scale import CLASS_NAMES

TRACK_FIELD = "track_id"
STRETCH = ("start", "duration")
MEDIA_FIELDS = ("audio", "path", "url")
"""The fields of a task that name its sound file, the likelier first."""

RATED_TYPES = ("choices", "rating", "number")
"""The types of result that hold a rating; any other, such as textarea, is passed over."""

_UPLOAD = re.compile(r".*/data/upload/(?:.*/)?(?:[0-9a-f]{8}-)?(?P<name>[^/]+)", re.DOTALL)
_LOCAL_FILES = "/data/local-files/"


@dataclass(frozen=True)
class Conversion:
    """How the labels in a file become ratings.

    values: the rating of each (target, label), the label in lower case, with `EVERY_TARGET` for any
    target. targets: the wanted ones, all where it is empty. track_field: the field of a task that
    names its track, where that is neither `TRACK_FIELD` nor one of `MEDIA_FIELDS`.
    """

    scales: Scales = field(default_factory=Scales)
    values: Mapping[tuple[str, str], int] = field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    track_field: str | None = None

    def is_wanted(self, target: str) -> bool:
        """Check whether a target's ratings are to be read."""
        return not self.targets or target in self.targets

    def is_target(self, column: str) -> bool:
        """Check whether a column of a flat record is known by its name to hold ratings."""
        if self.targets:
            return column in self.targets
        mapped = {target for target, _ in self.values}
        scales = self.scales
        described = {*CLASS_NAMES, *scales.classes, *scales.thresholds, *scales.scales, *mapped}
        return column in described - {EVERY_TARGET}

    def rating(
        self, target: str, label: str | float, *, classes_are_ordered: bool = False
    ) -> float | str:
        """Turn a label into a rating: a number, or a word of unordered classes.

        `values` come first, then the scale. `classes_are_ordered` says that words are levels where
        the scale names the target's classes. Raises ValueError, saying why, where it is no rating.
        """
        if isinstance(label, str):
            key = label.strip().casefold()
            mapped = self.values.get((target, key), self.values.get((EVERY_TARGET, key)))
            if mapped is not None:
                self.scales.check(target, mapped)
                return float(mapped)
        are_ordered = classes_are_ordered and target in self.scales.classes
        # Whoever maps one word to a number means an order, for the other words too.
        is_mapped = any(name in (target, EVERY_TARGET) for name, _ in self.values)
        # JSON may have the class "3" as the number 3.0.
        text = str(label).removesuffix(".0")
        return self.scales.parse(target, text, are_ordered=are_ordered or is_mapped)


def is_export_header(header: Sequence[str]) -> bool:
    """Check whether a CSV table with this header is an export of Label Studio."""
    return {"annotator", "annotation_id"} <= set(header)


def read_json(text: str, name: str, conversion: Conversion) -> Iterator[Rating]:
    """Yield the ratings in an export as JSON or JSON-MIN; `name` names it in errors.

    Raises SchemaError naming the task that breaks the format.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(name, f"is not JSON ({error})", "export it again") from None
    export = _Export(name, conversion)
    for number, item in enumerate(content if isinstance(content, list) else [content], 1):
        if isinstance(item, dict) and isinstance(item.get("annotations"), list):
            yield from export.read_task(item, f"task {item.get('id', number)}")
        elif isinstance(item, dict) and is_export_header(list(item)):
            yield from export.read_record(item, f"task {item.get('id', number)}")
        else:
            raise export.error(
                f"item {number} is neither a task with annotations nor a record of JSON-MIN",
                "export as JSON or JSON-MIN",
            )


def read_csv(lines: Iterable[str], name: str, conversion: Conversion) -> Iterator[Rating]:
    """Yield the ratings in an export as CSV; `name` names it in errors.

    Raises SchemaError naming the line that breaks the format.
    """
    export = _Export(name, conversion)
    for line, record in read_records(lines, name):
        yield from export.read_record(record, f"line {line}")


class _Export:
    """Reads one export, and remembers the file of each track to notice two of one name."""

    def __init__(self, name: str, conversion: Conversion) -> None:
        self._name = name
        self._conversion = conversion
        self._locations: dict[str, str] = {}

    def error(self, problem: str, remedy: str) -> SchemaError:
        return SchemaError(self._name, problem, remedy)

    def read_task(self, task: Mapping[str, Any], where: str) -> Iterator[Rating]:
        """Yield the ratings of a task of a JSON export, which `where` names in errors."""
        for annotation in self._objects(task["annotations"], f"{where}, annotations"):
            # A task that an annotator skipped is exported as a cancelled annotation.
            if annotation.get("was_cancelled"):
                continue
            annotated = f"{where}, annotation {annotation.get('id', '?')}"
            results = self._objects(annotation.get("result"), f"{annotated}, result")
            labels = [
                (str(result.get("from_name")), result.get("value"))
                for result in results
                if result.get("type") in RATED_TYPES
            ]
            yield from self._ratings(
                task.get("data"), annotation.get("completed_by"), labels, annotated
            )

    def read_record(self, record: Mapping[str, Any], where: str) -> Iterator[Rating]:
        """Yield the ratings of a record of JSON-MIN or CSV, which `where` names in errors."""
        if record["annotation_id"] in (None, ""):
            return  # a task without annotations is exported too
        cells = [(column, _unpack(cell)) for column, cell in record.items()]
        labels = [
            (column, value)
            for column, value in cells
            if self._conversion.is_target(column) or _is_lone_rating(value)
        ]
        yield from self._ratings(record, record["annotator"], labels, where)

    def _ratings(
        self, data: object, annotator: object, labels: Sequence[tuple[str, Any]], where: str
    ) -> Iterator[Rating]:
        wanted = [
            (target, label)
            for target, value in labels
            if self._conversion.is_wanted(target)
            and (label := self._label(value, f"{where}, {target}")) is not None
        ]
        if not wanted:
            return
        track_id = self._track_id(data, where)
        stretch = self._stretch(data, where)
        if isinstance(annotator, dict):
            # The address comes first: exports as CSV and JSON-MIN have nothing else.
            annotator = annotator.get("email") or annotator.get("id")
        if annotator in (None, ""):
            raise self.error(
                f"{where}, annotator is not told",
                "export with the annotators, who must be distinguished",
            )
        for target, label in wanted:
            try:
                value = self._conversion.rating(target, label, classes_are_ordered=True)
            except ValueError as error:
                raise self.error(
                    f"{where}, {target} {error}",
                    f"say which rating it is with --map '{target}:{label}=1', name the classes of "
                    f"{target} with --classes, or choose other targets with --target",
                ) from None
            yield Rating(track_id, str(annotator), target, value, *stretch)

    def _label(self, value: Any, where: str) -> str | float | None:
        """Take the one label from a result's value; None where nothing was chosen."""
        result = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(result, dict):
            value = next((result[kind] for kind in RATED_TYPES if kind in result), result)
        if isinstance(value, list):
            if len(value) > 1:
                raise self.error(
                    f"{where} has {len(value)} choices at once",
                    "a rating is a single choice; choose other targets with --target",
                )
            value = value[0] if value else None
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.error(f"{where} holds no label and no number", "export it again")
        return value

    def _track_id(self, data: object, where: str) -> str:
        """Find a task's track by the field named for it, or the name of its file.

        Two files of one name are an error within an export only: across exports, the same track may
        well have another path.
        """
        if not isinstance(data, dict):
            raise self.error(f"{where}, data is missing", "export the tasks with their data")
        chosen = self._conversion.track_field
        fields = [chosen] if chosen else [TRACK_FIELD, *MEDIA_FIELDS]
        found = next((name for name in fields if data.get(name) not in (None, "")), None)
        if found is None or not isinstance(data[found], (str, int)):
            raise self.error(
                f"{where} has no {' or '.join(fields)} to name its track "
                f"(found: {', '.join(map(str, data))})",
                "name one with --track-field",
            )
        text = str(data[found])
        # A field of any name may hold an address, of which only the file's name is the track.
        if found not in MEDIA_FIELDS and not (text.startswith("/") or "://" in text):
            return text
        location = _location(text)
        track_id = PurePosixPath(location).stem
        if not track_id:
            raise self.error(
                f"{where}, {found} {text!r} names no file", "name another field with --track-field"
            )
        if self._locations.setdefault(track_id, location) != location:
            raise self.error(
                f"{where}, {found} {location!r} and {self._locations[track_id]!r} are two files, "
                f"but both track {track_id}",
                "name a field that tells them apart with --track-field",
            )
        return track_id

    def _stretch(self, data: object, where: str) -> tuple[float, float] | tuple[None, None]:
        """Find which stretch of its track a task is of, if it has a start and a duration."""
        assert isinstance(data, dict)  # noqa: S101, or it would have no track
        cells = [data.get(name) for name in STRETCH]
        if any(cell in (None, "") for cell in cells):
            return None, None
        try:
            start, duration = (float(str(cell)) for cell in cells)
        except ValueError:
            start, duration = math.nan, math.nan
        if not (0 <= start < math.inf and 0 < duration < math.inf):
            raise self.error(
                f"{where}, start {cells[0]!r} and duration {cells[1]!r} are no stretch of time",
                "give seconds, or leave both out",
            )
        return start, duration

    def _objects(self, value: object, where: str) -> list[Mapping[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(f"{where} is not a list of objects", "export it as JSON again")
        return value


def _location(text: str) -> str:
    """Find the path of a media file from how a task refers to it.

    An upload loses the eight digits that Label Studio puts before its name, and its folder, which
    is the project's number. A local file's path is in the query. A web address loses its query.
    Keys of storage buckets (s3://...) are no addresses and stay as they are.
    """
    try:
        parts = urlsplit(text, allow_fragments=False)
    except ValueError:
        return text
    if parts.scheme not in ("", "http", "https"):
        return text
    if parts.path.endswith(_LOCAL_FILES):
        return parse_qs(parts.query).get("d", [""])[0].replace("\\", "/")
    path = unquote(parts.path)
    if upload := _UPLOAD.fullmatch(path):
        return upload["name"]
    return f"{parts.netloc}{path}" if parts.scheme else text


def _unpack(cell: object) -> object:
    """Decode a cell that holds JSON, as an export as CSV has for whatever is not a single name."""
    if isinstance(cell, str) and cell.startswith(("[", "{")):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _is_lone_rating(value: object) -> bool:
    """Check whether a flat record's value is the result of a rating or a number field.

    A choice is exported by its name alone, like any other text of the task, and cannot be seen.
    """
    match value:
        case [{"rating": _}] | [{"number": _}]:
            return True
    return False

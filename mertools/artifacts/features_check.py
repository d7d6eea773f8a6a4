"""Whether an HDF5 file is a features.h5 that can be trusted: its schema and what it leads to."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mertools.artifacts.files import allowing_open_files
from mertools.artifacts.schema import load_schema
from mertools.errors import SchemaError, UsageError
from mertools.runtime.probe import renew_allowance, survives

SCHEMA_FILE = "features.h5.json"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_SUFFIXES = (".h5", ".hdf5")

ROWS_AT_ONCE = 64

LABELS = "DIMENSION_LABELS"
MOST_COMPRESSION = 1100
"""Deflate packs no tighter than 1 to 1032."""

DEEPEST = 4
"""Groups within groups at most: a link to a group above would have no end."""

HDF5_WORDS = re.compile(
    r"Unable to|Can't|synchronously|HDF5|h5|No NumPy equivalent|dataspace|conversion path"
)
"""Words of which any stands in what HDF5 raises, and h5py for it."""

COMPUTED_BY = ("params_digest", "engine", "device")
"""Attributes of a dataset that say how its features were computed."""

COMPUTED_OF = ("segments/segment_id", "segments/source_digest")
"""Datasets that say of which segments, and of which sound."""


@contextmanager
def open_hdf5(path: Path, *, joined: bool = True, rehearsed: bool = False) -> Iterator[h5py.File]:
    """Open an HDF5 file to read, unless it leads to other files than those it is `joined` of.

    HDF5 crashes at some damaged files, and never comes back from others, so that a child process
    reads the file first, unless one has `rehearsed` it already.

    Raises UsageError where it cannot be read, SchemaError where it is no whole HDF5 file.
    """
    if not rehearsed and not survives(partial(rehearse, path, joined=joined)):
        raise SchemaError(path, "is damaged (HDF5 does not survive reading it)", "make it again")
    with _open_here(path, joined=joined) as file:
        yield file


def rehearse(path: Path, *, joined: bool) -> None:
    """Read all that any command reads of a file, but of the features' values only one row.

    For a child process (see `open_hdf5`). Raises UsageError and SchemaError as opening does.
    """
    with _open_here(path, joined=joined) as file:
        if list(find_problems(file, thorough=False)):
            return
        for name in load_schema(SCHEMA_FILE)["groups"]["segments"]["datasets"]:
            renew_allowance()
            _ = file["segments"][name][...] if name in file["segments"] else None
        for dataset in file["features"].values():
            _ = dict(dataset.attrs), [dimension.label for dimension in dataset.dims], dataset[:1]


@contextmanager
def _open_here(path: Path, *, joined: bool) -> Iterator[h5py.File]:
    """Open an HDF5 file as `open_hdf5` does, at the risk of this process."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(
            path, f"cannot be read ({error.strerror})", "give the path of a features.h5"
        ) from None
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        cut_off = "truncated" in str(error)
        raise SchemaError(
            path,
            "is an HDF5 file cut off before its end" if cut_off else "is not an HDF5 file",
            "make it again",
        ) from None
    with damage_named(path), file:
        shards: dict[str, list[_Part]] = {}
        for part in _virtual_parts(path, file, joined=joined):
            shards.setdefault(part[1].file_name, []).append(part)
        for name, parts in shards.items():
            _check_shard(path, Path(name), parts)
        with allowing_open_files(len(shards)):  # HDF5 keeps those open that were read
            yield file


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what HDF5 raises where it cannot read part of a file into a SchemaError.

    Its errors are of several types that Python code raises, too; only their text tells them.
    """
    try:
        yield
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        if HDF5_WORDS.search(str(error)) is None:
            raise
        raise SchemaError(path, f"is damaged ({error.args[0]})", "make it again") from None


def is_hdf5(path: Path) -> bool:
    """Tell an HDF5 file by its content, or where there is nothing to read by its name."""
    if not path.is_file() or path.stat().st_size == 0:
        return path.suffix in HDF5_SUFFIXES
    with path.open("rb") as stream:
        return stream.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def find_problems(file: h5py.File, *, thorough: bool) -> Iterator[str]:
    """Yield what breaks the schema, a line each, naming the dataset or attribute.

    Only where `thorough` are the features' values themselves read and checked.
    """
    schema = load_schema(SCHEMA_FILE)
    for name in schema["attributes"]:
        if name not in file.attrs:
            yield f"has no attribute {name}"
        elif not isinstance(file.attrs[name], str):
            yield f"has an attribute {name} that is no text"
            return
    if file.attrs.get("schema", schema["name"]) != schema["name"]:
        yield f"has the schema {file.attrs['schema']}, not {schema['name']}"
        return
    version = str(file.attrs.get("schema_version", schema["version"]))
    if version.split(".")[0] != schema["version"].split(".")[0]:
        yield f"has schema version {version}; this program reads {schema['version']}"
        return
    has_whole_rows = True
    for group, description in schema["groups"].items():
        if not isinstance(file.get(group), h5py.Group):
            yield f"has no group /{group}"
            return
        for name, expected in description["datasets"].items():
            for problem in _dataset_problems(file, f"{group}/{name}", expected):
                has_whole_rows = False
                yield problem
    yield from _cutting_problems(file.attrs.get("cutting"))
    peak_db = file.attrs.get("peak_db", 0.0)
    if not isinstance(peak_db, float) or not -math.inf < peak_db <= 0:
        yield "has an attribute peak_db that is no level of 0 dBFS or below"
    n_rows = file["segments/segment_id"].shape[:1] if "segments/segment_id" in file else ()
    # Only kinds without a problem count, as a damaged attribute may say anything.
    levels = set()
    for name in file["features"]:
        dataset = file["features"][name]
        problems = list(_kind_problems(dataset, n_rows, schema["kinds"]))
        yield from problems
        if not problems:
            levels.add(dataset.attrs.get("level", "segment"))
            if thorough:
                yield from _value_problems(dataset)
    if len(levels) > 1:
        yield "/features holds features of segments and of tracks, which go into files of their own"
    if not has_whole_rows:
        return  # a column may declare more than memory holds
    if levels == {"track"}:
        yield from _track_level_problems(file["segments"])
    else:
        yield from _length_problems(file)


def _cutting_problems(content: str | None) -> Iterator[str]:
    """Yield what is wrong with the attribute that says how tracks were cut."""
    if content is None:
        return
    try:
        cutting = json.loads(content)
        is_whole = (
            set(cutting) == {"length_s", "hop_s", "last"}
            and min(cutting["length_s"], cutting["hop_s"]) > 0
        )
    except (TypeError, ValueError):
        is_whole = False
    if not is_whole:
        yield "has an attribute cutting that is no JSON of length_s, hop_s and last"


def _length_problems(file: h5py.File) -> Iterator[str]:
    """Yield what is wrong with the lengths of segments, by which a track's features are weighted.

    If all are 0 its features are not defined.
    """
    if not (file["segments/duration"][...] > 0).all():
        yield "/segments/duration holds lengths that are not above 0"


def _track_level_problems(segments: h5py.Group) -> Iterator[str]:
    """Yield what is wrong with the rows of features that a track has as a whole."""
    if any(segments[name][...].any() for name in ("start", "duration")):
        yield "/segments has starts or durations, but its features are of whole tracks"
    if not np.array_equal(segments["segment_id"][...], segments["track_id"][...]):
        yield "/segments has a segment_id unlike its track_id, but its features are of whole tracks"


def _dataset_problems(file: h5py.File, name: str, expected: Mapping[str, Any]) -> Iterator[str]:
    renew_allowance()
    dataset = file.get(name)
    if dataset is None and expected.get("optional"):
        return
    if not isinstance(dataset, h5py.Dataset):
        yield f"has no dataset /{name}"
        return
    n_rows = file["segments/segment_id"].shape[:1] if "segments/segment_id" in file else ()
    if dataset.shape != n_rows or len(dataset.shape) != 1:
        yield f"/{name} has shape {dataset.shape}, not {n_rows}"
        return
    if problem := _extent_problem(dataset):
        yield problem
        return
    found = "utf8" if h5py.check_string_dtype(dataset.dtype) else dataset.dtype.name
    if found != expected["dtype"]:
        yield f"/{name} is of type {found}, not {expected['dtype']}"
    elif found == "utf8" and expected.get("unique") and len(set(dataset[...])) != len(dataset):
        yield f"/{name} holds the same value twice"
    elif found.startswith("float") and not np.isfinite(dataset[...]).all():
        yield f"/{name} holds values that are not finite numbers"


def _kind_problems(
    dataset: object, n_rows: tuple[int, ...], expected: Mapping[str, Any]
) -> Iterator[str]:
    if not isinstance(dataset, h5py.Dataset):
        yield "/features holds something that is no dataset"
        return
    name = dataset.name
    if dataset.shape is None or not dataset.shape or dataset.shape[:1] != n_rows:
        yield f"{name} has the shape {dataset.shape}, /segments {n_rows[0] if n_rows else 0} rows"
        return
    if problem := _extent_problem(dataset):
        yield problem
        return
    if dataset.dtype.name not in expected["dtypes"]:
        yield f"{name} is of type {dataset.dtype.name}, not {' or '.join(expected['dtypes'])}"
    for attribute in (*expected["attributes"], *expected["optional_attributes"]):
        if attribute not in dataset.attrs:
            if attribute in expected["optional_attributes"]:
                continue
            yield f"{name} has no attribute {attribute}"
        elif attribute == "columns":
            columns = np.asarray(dataset.attrs[attribute])
            if columns.ndim != 1 or not all(isinstance(column, str) for column in columns):
                yield f"{name} has an attribute columns that is no list of names"
        elif not isinstance(dataset.attrs[attribute], str):
            yield f"{name} has an attribute {attribute} that is no text"
        elif attribute == "params" and not _is_json_object(dataset.attrs[attribute]):
            yield f"{name} has an attribute params that is no object of JSON"
    # Checked as a plain attribute: HDF5 itself crashes where it asks a damaged one for its labels.
    labels = np.asarray(dataset.attrs.get(LABELS, [""] * dataset.ndim))
    if labels.shape != (dataset.ndim,) or not all(isinstance(x, str | bytes) for x in labels):
        yield f"{name} has an attribute {LABELS} that does not name its dimensions"
    for attribute, choices in expected["choices"].items():
        if str(dataset.attrs.get(attribute, choices[0])) not in choices:
            yield f"{name} has the {attribute} {dataset.attrs[attribute]}, not one of {choices}"


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _extent_problem(dataset: h5py.Dataset) -> str | None:
    """Say that a dataset declares more than was ever written: it would be read as zeros.

    A declared size takes no room in the file, but all of it in memory.
    """
    if dataset.is_virtual:
        return None  # its parts are checked in their own files
    # HDF5 gives chunks that were never written as zeros, without an error.
    written = dataset.id.get_storage_size()
    is_packed = dataset.compression is not None or dataset.scaleoffset is not None
    if dataset.nbytes <= written * (MOST_COMPRESSION if is_packed else 1):
        return None
    return f"{dataset.name} declares {dataset.nbytes} bytes, of which only {written} were written"


def _value_problems(dataset: h5py.Dataset) -> Iterator[str]:
    for begin in range(0, len(dataset), ROWS_AT_ONCE):
        if not np.isfinite(dataset[begin : begin + ROWS_AT_ONCE]).all():
            yield (
                f"{dataset.name} holds values that are not finite, between row {begin} and "
                f"{begin + ROWS_AT_ONCE}"
            )
            return


_Part = tuple[h5py.Dataset, Any]
"""A joined dataset, and where a part of it lies."""


def _virtual_parts(path: Path, group: h5py.Group, *, joined: bool) -> Iterator[_Part]:
    """Yield the parts of a joined file's datasets; refuse all else that leads to other files."""
    if group.name.count("/") > DEEPEST:
        raise SchemaError(path, f"{group.name} lies too deep in groups", "make it again")
    for name in group:
        # Soft links may point outside of the checked groups, external ones to any file.
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise SchemaError(
                path, f"{group.name}/{name} is a link, perhaps to another file", "copy its data in"
            )
        entry = group[name]
        if isinstance(entry, h5py.Group):
            yield from _virtual_parts(path, entry, joined=joined)
        elif not isinstance(entry, h5py.Dataset):
            continue
        elif entry.external or (entry.is_virtual and not joined):
            raise SchemaError(path, f"{entry.name} lies in other files", "copy its data in")
        elif entry.is_virtual:
            yield from ((entry, source) for source in entry.virtual_sources())


def _check_shard(path: Path, name: Path, parts: Sequence[_Part]) -> None:
    """Check that parts of joined datasets are there: HDF5 would give zeros instead.

    They hold the same segments of the same sound, with the same parameters, as when they were
    joined, and lie in the joined file's folder or below, so that a file cannot lead out of there.
    """
    for dataset, source in parts:
        if name.is_absolute() or ".." in name.parts or source.dset_name != dataset.name:
            raise SchemaError(path, f"{dataset.name} leads to {name}", "copy its data in")
    renew_allowance()
    with _open_here(path.parent / name, joined=False) as file:
        if not all(_is_part(file, dataset, source) for dataset, source in parts):
            raise SchemaError(path, f"was joined of another {name}", "join it again (mer merge)")


def _is_part(shard: h5py.File, dataset: h5py.Dataset, source: Any) -> bool:
    # A shard that was computed again has the same name, but perhaps other rows.
    found = shard.get(dataset.name)
    first, last = np.array(source.vspace.get_select_bounds())
    if not isinstance(found, h5py.Dataset) or found.shape != tuple(last - first + 1):
        return False
    rows = [(shard.get(name), dataset.file.get(name)) for name in COMPUTED_OF]
    return all(found.attrs.get(name) == dataset.attrs.get(name) for name in COMPUTED_BY) and all(
        np.array_equal(one[...], other[first[0] : last[0] + 1])
        for one, other in rows
        if isinstance(one, h5py.Dataset) and isinstance(other, h5py.Dataset)
    )

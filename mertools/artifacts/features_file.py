"""features.h5: a row for each segment, and a dataset for each kind of feature."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mertools.artifacts.feature_rows import FeatureRow, Features, KindDescription
from mertools.artifacts.files import allowing_open_files, replacing, reserve
from mertools.artifacts.schema import load_schema
from mertools.errors import SchemaError, UsageError
from mertools.version import __version__

SCHEMA_FILE = "features.h5.json"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_SUFFIXES = (".h5", ".hdf5")
CHUNK_BYTES = 1 << 15
"""Small rows share a chunk of about this size; a larger row is a chunk of its own."""

ROWS_AT_ONCE = 64

MADE_BY = ("params_digest", "engine")
"""Attributes of a dataset that tell how its features were made."""

MADE_OF = ("segments/segment_id", "segments/source_digest")
"""Datasets that tell which segments those features are of, and of which sound."""

OVERHEAD_BYTES = 1 << 16
ROW_OVERHEAD_BYTES = 256
CHUNK_OVERHEAD_BYTES = 128
COLUMN_OVERHEAD_BYTES = 64
"""What HDF5 takes at most beside the data: for the file, a row's texts, a chunk's place, a name."""


def write_features(
    path: Path,
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    read: Callable[[str, int], Features],
) -> None:
    """Write features.h5 whole or not at all; `read(kind, row)` gives each row's features.

    The same rows give the same bytes.
    """
    with replacing(path) as part:
        reserve(part, _size_at_most(rows, kinds))
        with _created(part, rows, "v108") as file:
            # By name, as a reader finds them: their order is none of the file's content.
            for kind in sorted(kinds, key=lambda kind: kind.name):
                _write_kind(file["features"], kind, len(rows), read)


def write_joined(
    path: Path,
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    shards: Sequence[tuple[Path, int]],
) -> None:
    """Write a features.h5 of the rows of all shards, whose features stay where they are.

    Each shard is given with its number of rows, holds all kinds, and lies in the folder of `path`
    or below it.
    """
    folder = path.parent.resolve()
    places = [(str(shard.resolve().relative_to(folder)), n_rows) for shard, n_rows in shards]
    with replacing(path) as part, _created(part, rows, "v110") as joined:
        for kind in kinds:
            layout = h5py.VirtualLayout((len(rows), *kind.shape), kind.dtype)
            begin = 0
            for place, n_rows in places:
                layout[begin : begin + n_rows] = h5py.VirtualSource(
                    place, f"/features/{kind.name}", (n_rows, *kind.shape), kind.dtype
                )
                begin += n_rows
            _describe_dataset(joined["features"].create_virtual_dataset(kind.name, layout), kind)


@contextmanager
def _created(path: Path, rows: Sequence[FeatureRow], version: str) -> Iterator[h5py.File]:
    """Create a features.h5 of some version of HDF5 that has its rows, but no features yet."""
    # Unlocked by HDF5, since `replacing` holds a lock on the part already.
    with h5py.File(path, "w", libver=(version, version), locking=False) as file:
        _write_rows(file, load_schema(SCHEMA_FILE), rows)
        file.create_group("features")
        yield file


def _write_rows(file: h5py.File, schema: Mapping[str, Any], rows: Sequence[FeatureRow]) -> None:
    file.attrs["schema"] = schema["name"]
    file.attrs["schema_version"] = schema["version"]
    file.attrs["producer"] = f"mertools {__version__}"
    segments = file.create_group("segments")
    for name, description in schema["groups"]["segments"]["datasets"].items():
        values = [getattr(row, name) for row in rows]
        dtype = description["dtype"]
        if dtype == "utf8":
            # A track_id from the name of a file that is not UTF-8 keeps its bytes.
            values = [os.fsencode(value) for value in values]
            dtype = h5py.string_dtype()
        dataset = segments.create_dataset(name, data=values, dtype=dtype)
        dataset.attrs["description"] = description["description"]
        if "unit" in description:
            dataset.attrs["unit"] = description["unit"]


def _write_kind(
    group: h5py.Group, kind: KindDescription, n_rows: int, read: Callable[[str, int], Features]
) -> None:
    dataset = group.create_dataset(
        kind.name,
        (n_rows, *kind.shape),
        kind.dtype,
        chunks=(min(n_rows, _rows_per_chunk(kind)), *kind.shape),
        fillvalue=None,
    )
    _describe_dataset(dataset, kind)
    for begin in range(0, n_rows, ROWS_AT_ONCE):
        end = min(begin + ROWS_AT_ONCE, n_rows)
        dataset[begin:end] = np.stack([read(kind.name, row) for row in range(begin, end)])


def _describe_dataset(dataset: h5py.Dataset, kind: KindDescription) -> None:
    for place, dimension in enumerate(kind.dimensions):
        dataset.dims[place].label = dimension
    dataset.attrs["columns"] = list(kind.columns)
    dataset.attrs["unit"] = kind.unit
    dataset.attrs["params"] = json.dumps(kind.params, sort_keys=True)
    dataset.attrs["params_digest"] = kind.params_digest
    dataset.attrs["engine"] = kind.engine


def _rows_per_chunk(kind: KindDescription) -> int:
    return max(1, CHUNK_BYTES // max(1, _row_bytes(kind)))


def _row_bytes(kind: KindDescription) -> int:
    return math.prod(kind.shape) * np.dtype(kind.dtype).itemsize


def _size_at_most(rows: Sequence[FeatureRow], kinds: Sequence[KindDescription]) -> int:
    """Bound the size in bytes of the file that these rows and kinds make."""
    texts = sum(2 * len(os.fsencode(row.segment_id + row.track_id)) for row in rows)
    size = OVERHEAD_BYTES + ROW_OVERHEAD_BYTES * len(rows) + texts
    for kind in kinds:
        n_chunks = -(-len(rows) // _rows_per_chunk(kind))
        size += sum(COLUMN_OVERHEAD_BYTES + len(column.encode()) for column in kind.columns)
        size += n_chunks * (_rows_per_chunk(kind) * _row_bytes(kind) + CHUNK_OVERHEAD_BYTES)
    return size


class FeaturesFile:
    """An open features.h5, checked against its schema."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        segments = file["segments"]
        texts = {
            name: [os.fsdecode(text) for text in segments[name][...]]
            for name in ("segment_id", "track_id", "source_digest")
            if name in segments
        }
        numbers = {name: segments[name][...] for name in ("start", "duration", "silent", "padded")}
        self.rows = [
            FeatureRow(
                texts["segment_id"][i],
                texts["track_id"][i],
                float(numbers["start"][i]),
                float(numbers["duration"][i]),
                bool(numbers["silent"][i]),
                bool(numbers["padded"][i]),
                texts["source_digest"][i] if "source_digest" in texts else "",
            )
            for i in range(len(texts["segment_id"]))
        ]
        self._datasets = dict(file["features"].items())
        self.kinds = {name: _describe(name, file["features"][name]) for name in file["features"]}

    def read(self, kind: str, row: int) -> Features:
        """Read the features of a row: (*shape)."""
        features: Features = self._datasets[kind][row]
        return features

    def read_into(self, features: Features, kind: str, first: int) -> None:
        """Fill an array with the features of rows that follow each other: (n_rows, *shape)."""
        self._datasets[kind].read_direct(features, np.s_[first : first + len(features)])


def read_places(kind: str, places: Sequence[tuple[FeaturesFile, int]]) -> Features:
    """Read features that lie in any rows of any files, each of which has the kind: (n, *shape)."""
    description = places[0][0].kinds[kind]
    features: Features = np.empty((len(places), *description.shape), description.dtype)
    begin = 0
    for end in range(1, len(places) + 1):
        file, first = places[begin]
        # Runs of rows are read at once, as HDF5 takes long to pick single ones.
        if end == len(places) or places[end] != (file, first + end - begin):
            file.read_into(features[begin:end], kind, first)
            begin = end
    return features


@contextmanager
def open_features(path: Path, *, joined: bool = True) -> Iterator[FeaturesFile]:
    """Open features.h5 to read; if `joined`, it may be joined of files beside it.

    Raises UsageError where it cannot be read, SchemaError where it breaks its schema or leads to
    other files.
    """
    with open_hdf5(path, joined=joined) as file:
        for problem in find_problems(file, thorough=False):
            raise SchemaError(path, problem, f"see schemas/{SCHEMA_FILE}")
        yield FeaturesFile(path, file)


@contextmanager
def open_hdf5(path: Path, *, joined: bool = True) -> Iterator[h5py.File]:
    """Open an HDF5 file to read, unless it leads to other files than those it is `joined` of.

    Raises UsageError where it cannot be read, SchemaError where it is no whole HDF5 file.
    """
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
    with file:
        shards: dict[str, list[_Part]] = {}
        for part in _virtual_parts(path, file, joined=joined):
            shards.setdefault(part[1].file_name, []).append(part)
        for name, parts in shards.items():
            _check_shard(path, Path(name), parts)
        with allowing_open_files(len(shards)):  # HDF5 keeps those open that were read
            yield file


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
    if file.attrs.get("schema", schema["name"]) != schema["name"]:
        yield f"has the schema {file.attrs['schema']}, not {schema['name']}"
        return
    version = str(file.attrs.get("schema_version", schema["version"]))
    if version.split(".")[0] != schema["version"].split(".")[0]:
        yield f"has schema version {version}; this program reads {schema['version']}"
        return
    for group, description in schema["groups"].items():
        if not isinstance(file.get(group), h5py.Group):
            yield f"has no group /{group}"
            return
        for name, expected in description["datasets"].items():
            yield from _dataset_problems(file, f"{group}/{name}", expected)
    n_rows = file["segments/segment_id"].shape[:1] if "segments/segment_id" in file else ()
    for name in file["features"]:
        dataset = file["features"][name]
        problems = list(_kind_problems(dataset, n_rows, schema["kinds"]))
        yield from problems
        if thorough and not problems:
            yield from _value_problems(dataset)


def _dataset_problems(file: h5py.File, name: str, expected: Mapping[str, Any]) -> Iterator[str]:
    dataset = file.get(name)
    if dataset is None and expected.get("optional"):
        return
    if not isinstance(dataset, h5py.Dataset):
        yield f"has no dataset /{name}"
        return
    n_rows = file["segments/segment_id"].shape[:1] if "segments/segment_id" in file else ()
    if dataset.shape != n_rows:
        yield f"/{name} has shape {dataset.shape}, not {n_rows}"
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
    if dataset.shape[:1] != n_rows:
        yield f"{name} has {dataset.shape[0]} rows, /segments {n_rows[0] if n_rows else 0}"
    if dataset.dtype.name not in expected["dtypes"]:
        yield f"{name} is of type {dataset.dtype.name}, not {' or '.join(expected['dtypes'])}"
    for attribute in expected["attributes"]:
        if attribute not in dataset.attrs:
            yield f"{name} has no attribute {attribute}"


def _value_problems(dataset: h5py.Dataset) -> Iterator[str]:
    for begin in range(0, len(dataset), ROWS_AT_ONCE):
        if not np.isfinite(dataset[begin : begin + ROWS_AT_ONCE]).all():
            yield (
                f"{dataset.name} holds values that are not finite, between row {begin} and "
                f"{begin + ROWS_AT_ONCE}"
            )
            return


def _describe(name: str, dataset: h5py.Dataset) -> KindDescription:
    return KindDescription(
        name,
        dataset.shape[1:],
        dataset.dtype.name,
        tuple(dimension.label for dimension in dataset.dims),
        tuple(dataset.attrs["columns"]),
        dataset.attrs.get("unit", "1"),
        json.loads(dataset.attrs["params"]),
        dataset.attrs["params_digest"],
        dataset.attrs.get("engine", ""),
    )


_Part = tuple[h5py.Dataset, Any]
"""A joined dataset, and where a part of it lies."""


def _virtual_parts(path: Path, group: h5py.Group, *, joined: bool) -> Iterator[_Part]:
    """Yield the parts of a joined file's datasets; refuse all else that leads to other files."""
    for name in group:
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
    """Check that parts of joined datasets are there: HDF5 would give zeros in their place.

    They hold the same segments of the same sound, with the same parameters, as when they were
    joined, and lie in the joined file's folder or below, so that no file can lead to any place.
    """
    for dataset, source in parts:
        if name.is_absolute() or ".." in name.parts or source.dset_name != dataset.name:
            raise SchemaError(path, f"{dataset.name} leads to {name}", "copy its data in")
    with open_hdf5(path.parent / name, joined=False) as file:
        if not all(_is_part(file, dataset, source) for dataset, source in parts):
            raise SchemaError(path, f"was joined of another {name}", "join it again (mer merge)")


def _is_part(shard: h5py.File, dataset: h5py.Dataset, source: Any) -> bool:
    found = shard.get(dataset.name)
    first, last = np.array(source.vspace.get_select_bounds())
    if not isinstance(found, h5py.Dataset) or found.shape != tuple(last - first + 1):
        return False
    rows = [(shard.get(name), dataset.file.get(name)) for name in MADE_OF]
    return all(found.attrs.get(name) == dataset.attrs.get(name) for name in MADE_BY) and all(
        np.array_equal(one[...], other[first[0] : last[0] + 1])
        for one, other in rows
        if isinstance(one, h5py.Dataset) and isinstance(other, h5py.Dataset)
    )

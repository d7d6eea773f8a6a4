"""features.h5: a row for each segment, and a dataset for each kind of feature."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mertools.artifacts.feature_rows import (
    NO_TOKEN,
    Cutting,
    FeatureRow,
    Features,
    KindDescription,
)
from mertools.artifacts.features_check import (
    ROWS_AT_ONCE,
    SCHEMA_FILE,
    find_problems,
    open_hdf5,
)
from mertools.artifacts.files import replacing, reserve
from mertools.artifacts.schema import load_schema
from mertools.errors import SchemaError
from mertools.runtime.devices import ACCELERATORS
from mertools.version import __version__

CHUNK_BYTES = 1 << 15
"""Small rows share a chunk of about this size; a larger row is a chunk of its own."""

FIRST_VERSION = "1.0"
"""The schema version of files without level, source, original, cutting, device and integers."""

KIND_DEFAULTS = {"level": "segment", "source": "sound", "device": "cpu"}
"""Attributes of a dataset that are written only where they differ from these."""

NETWORK_ENGINE = "fast"
"""What is read where an older file names the device of a network as its engine."""

OVERHEAD_BYTES = 1 << 16
ROW_OVERHEAD_BYTES = 256
CHUNK_OVERHEAD_BYTES = 128
COLUMN_OVERHEAD_BYTES = 64
"""What HDF5 takes at most beside the data: of the file, a row's texts, a chunk, a name."""


def write_features(
    path: Path,
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    read: Callable[[str, int], Features],
    cutting: Cutting | None = None,
) -> None:
    """Write features.h5 whole or not at all; `read(kind, row)` gives each row's features, (*shape).

    All kinds are of one level. `cutting` is how whole tracks were cut into the rows, where they
    were. The same rows give the same bytes.
    """
    with replacing(path) as part:
        reserve(part, _size_at_most(rows, kinds))
        with _created(part, rows, kinds, cutting, "v108") as file:
            # By name, so that the order in which kinds are asked for changes no byte.
            for kind in sorted(kinds, key=lambda kind: kind.name):
                _write_kind(file["features"], kind, len(rows), read)


def write_joined(
    path: Path,
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    shards: Sequence[tuple[Path, int]],
    cutting: Cutting | None = None,
) -> None:
    """Write a features.h5 of the rows of all shards, whose features stay where they are.

    Each shard is given with its number of rows, holds all kinds, and lies in the folder of `path`
    or below it. The same rows and names of shards give the same bytes.
    """
    folder = path.parent.resolve()
    parts = [(str(shard.resolve().relative_to(folder)), n_rows) for shard, n_rows in shards]
    with replacing(path) as part, _created(part, rows, kinds, cutting, "v110") as joined:
        for kind in kinds:
            _describe_dataset(_create_virtual(joined["features"], kind, len(rows), parts), kind)


def _create_virtual(
    group: h5py.Group, kind: KindDescription, n_rows: int, parts: Sequence[tuple[str, int]]
) -> h5py.Dataset:
    """Create a dataset of `n_rows` rows that lie in other files, given by name and number of rows.

    By the calls of HDF5, since `create_virtual_dataset` stores the time: each run would give other
    bytes.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.VIRTUAL)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple((n_rows, *kind.shape))
    begin = 0
    for name, n_part_rows in parts:
        part_shape = (n_part_rows, *kind.shape)
        space.select_hyperslab((begin, *(0 for _ in kind.shape)), part_shape)
        properties.set_virtual(
            space,
            os.fsencode(name),
            f"/features/{kind.name}".encode(),
            h5py.h5s.create_simple(part_shape),
        )
        begin += n_part_rows
    space.select_all()
    dtype = h5py.h5t.py_create(np.dtype(kind.dtype), logical=True)
    return h5py.Dataset(h5py.h5d.create(group.id, kind.name.encode(), dtype, space, properties))


@contextmanager
def _created(
    path: Path,
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    cutting: Cutting | None,
    hdf5_version: str,
) -> Iterator[h5py.File]:
    """Create a features.h5 that has its rows, but no features yet."""
    # Unlocked by HDF5, since `replacing` holds a lock on the part already.
    with h5py.File(path, "w", libver=(hdf5_version, hdf5_version), locking=False) as file:
        schema = load_schema(SCHEMA_FILE)
        file.attrs["schema"] = schema["name"]
        file.attrs["schema_version"] = _schema_version(schema, rows, kinds, cutting)
        file.attrs["producer"] = f"mertools {__version__}"
        if cutting is not None:
            file.attrs["cutting"] = json.dumps(asdict(cutting))
        _write_rows(file.create_group("segments"), schema["groups"]["segments"]["datasets"], rows)
        file.create_group("features")
        yield file


def _schema_version(
    schema: Mapping[str, Any],
    rows: Sequence[FeatureRow],
    kinds: Sequence[KindDescription],
    cutting: Cutting | None,
) -> str:
    """Give the lowest version that describes the file: older programs read what they can."""
    has_newer_parts = (
        cutting is not None
        or any(row.original or row.truncated for row in rows)
        or any(_attributes_to_write(kind) or "int" in kind.dtype for kind in kinds)
    )
    version: str = schema["version"] if has_newer_parts else FIRST_VERSION
    return version


def _attributes_to_write(kind: KindDescription) -> dict[str, str]:
    """Give the attributes of a kind that differ from `KIND_DEFAULTS`."""
    values = {name: getattr(kind, name) for name in KIND_DEFAULTS}
    return {name: value for name, value in values.items() if value != KIND_DEFAULTS[name]}


def _write_rows(
    group: h5py.Group, columns: Mapping[str, Mapping[str, Any]], rows: Sequence[FeatureRow]
) -> None:
    for name, description in columns.items():
        values = [getattr(row, name) for row in rows]
        if description.get("written") == "where any row has one" and not any(values):
            continue
        dtype = description["dtype"]
        if dtype == "utf8":
            # A track_id from the name of a file that is not UTF-8 keeps its bytes.
            values = [os.fsencode(value) for value in values]
            dtype = h5py.string_dtype()
        dataset = group.create_dataset(name, data=values, dtype=dtype)
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
    for axis, dimension in enumerate(kind.dimensions):
        dataset.dims[axis].label = dimension
    dataset.attrs["columns"] = list(kind.columns)
    dataset.attrs["unit"] = kind.unit
    dataset.attrs["params"] = json.dumps(kind.params, sort_keys=True)
    dataset.attrs["params_digest"] = kind.params_digest
    dataset.attrs["engine"] = kind.engine
    for name, value in _attributes_to_write(kind).items():
        dataset.attrs[name] = value


def _rows_per_chunk(kind: KindDescription) -> int:
    return max(1, CHUNK_BYTES // max(1, _row_bytes(kind)))


def _row_bytes(kind: KindDescription) -> int:
    return math.prod(kind.shape) * np.dtype(kind.dtype).itemsize


def _size_at_most(rows: Sequence[FeatureRow], kinds: Sequence[KindDescription]) -> int:
    """Bound the size in bytes of the file that these rows and kinds make."""
    texts = sum(2 * len(os.fsencode(r.segment_id + r.track_id + r.original)) for r in rows)
    size = OVERHEAD_BYTES + ROW_OVERHEAD_BYTES * len(rows) + texts
    for kind in kinds:
        n_chunks = -(-len(rows) // _rows_per_chunk(kind))
        size += sum(COLUMN_OVERHEAD_BYTES + len(column.encode()) for column in kind.columns)
        size += n_chunks * (_rows_per_chunk(kind) * _row_bytes(kind) + CHUNK_OVERHEAD_BYTES)
    return size


MISSING = -1
"""The index of what a file does not hold."""


class FeaturesFile:
    """An open features.h5, checked against its schema.

    `rows` are its segments in order and `kinds` describe its datasets. `cutting` is how whole
    tracks were cut into the segments; None where a manifest gave these, or in an older file.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        segments = file["segments"]
        texts = {
            name: [os.fsdecode(text) for text in segments[name][...]]
            for name in ("segment_id", "track_id", "source_digest", "original")
            if name in segments
        }
        numbers = {name: segments[name][...] for name in ("start", "duration", "silent", "padded")}
        truncated = segments["truncated"][...] if "truncated" in segments else numbers["silent"] & 0
        self.rows = [
            FeatureRow(
                texts["segment_id"][i],
                texts["track_id"][i],
                float(numbers["start"][i]),
                float(numbers["duration"][i]),
                bool(numbers["silent"][i]),
                bool(numbers["padded"][i]),
                texts["source_digest"][i] if "source_digest" in texts else "",
                texts["original"][i] if "original" in texts else "",
                bool(truncated[i]),
            )
            for i in range(len(texts["segment_id"]))
        ]
        cutting = file.attrs.get("cutting")
        self.cutting = None if cutting is None else Cutting(**json.loads(cutting))
        self._datasets = dict(file["features"].items())
        self.kinds = {name: _describe(name, file["features"][name]) for name in file["features"]}

    def read(self, kind: str, row: int) -> Features:
        """Read the features of a row: (*shape)."""
        features: Features = self._datasets[kind][row]
        return features

    def read_into(self, features: Features, kind: str, first: int) -> None:
        """Fill an array with the features of rows that follow each other: (n_rows, *shape)."""
        self._datasets[kind].read_direct(features, np.s_[first : first + len(features)])


def read_rows(kind: str, indices: Sequence[tuple[FeaturesFile, int]]) -> Features:
    """Read features of a kind from rows of any files, each given by its index: (n, *shape).

    Zeros, or no tokens, stand for an index that is `MISSING`.
    """
    description = indices[0][0].kinds[kind]
    features = blank_features(len(indices), description.shape, description.dtype)
    begin = 0
    for end in range(1, len(indices) + 1):
        file, first = indices[begin]
        if first == MISSING:
            begin = end
        # Runs of rows are read at once, as HDF5 takes long to pick single ones.
        elif end == len(indices) or indices[end] != (file, first + end - begin):
            file.read_into(features[begin:end], kind, first)
            begin = end
    return features


def blank_features(n_rows: int, shape: tuple[int, ...], dtype: str) -> Features:
    """Give the features of lyrics without words: zeros, or no token, (n_rows, *shape)."""
    blank: Features = np.full((n_rows, *shape), NO_TOKEN if "int" in dtype else 0, dtype)
    return blank


@contextmanager
def open_features(
    path: Path, *, joined: bool = True, rehearsed: bool = False
) -> Iterator[FeaturesFile]:
    """Open features.h5 to read; if `joined`, it may be joined of files beside it.

    `rehearsed` tells that a child process has outlived reading the file (see `open_hdf5`).

    Raises UsageError where it cannot be read, SchemaError where it breaks its schema or leads to
    other files.
    """
    with open_hdf5(path, joined=joined, rehearsed=rehearsed) as file:
        for problem in find_problems(file, thorough=False):
            raise SchemaError(path, problem, f"see schemas/{SCHEMA_FILE}")
        yield FeaturesFile(path, file)


def _describe(name: str, dataset: h5py.Dataset) -> KindDescription:
    optional = {key: dataset.attrs.get(key, default) for key, default in KIND_DEFAULTS.items()}
    engine = dataset.attrs.get("engine", "")
    if engine in ACCELERATORS:  # before schema version 1.1 a network's engine was its device
        engine, optional["device"] = NETWORK_ENGINE, engine
    return KindDescription(
        name,
        dataset.shape[1:],
        dataset.dtype.name,
        tuple(dimension.label for dimension in dataset.dims),
        tuple(dataset.attrs["columns"]),
        dataset.attrs.get("unit", "1"),
        json.loads(dataset.attrs["params"]),
        dataset.attrs["params_digest"],
        engine,
        **optional,
    )

"""Tables of vectors that another program computed, as a kind of feature.

A vector belongs to a track or to a segment. The table is CSV, a row a vector with the key in the
column `track_id` or `segment_id`, or NPZ: a matrix (n, columns) and an array of the n keys.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.files import digest_json
from mertools.artifacts.rows import Segment
from mertools.artifacts.tables import open_table
from mertools.errors import SchemaError, UsageError

KEYS = ("segment_id", "track_id")
ABOUT_SEGMENTS = (*KEYS, "start", "duration")
"""Columns and arrays that say what a vector is of; all others are features."""

COLUMNS = "columns"
"""The array of an NPZ that names the matrix' columns."""

KIND_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
ENGINE = "imported"


@dataclass(frozen=True)
class VectorTable:
    """Vectors of tracks or segments: `matrix` is (n, columns), `about` has n values by name.

    `text_columns` were left out, as they hold no numbers.
    """

    source: str
    about: Mapping[str, Sequence[str]]
    columns: tuple[str, ...]
    matrix: NDArray[np.float32]
    text_columns: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """What a vector is of: "segment" or "track"."""
        return "segment" if "segment_id" in self.about else "track"


def read_vectors(source: str) -> VectorTable:
    """Read a table of vectors: NPZ by its content, else CSV ("-" is standard input).

    Raises UsageError where it cannot be read, SchemaError where it has no keys or no vectors, a key
    twice, or a value that is no finite number.
    """
    table = _read_npz(source) if zipfile.is_zipfile(source) else _read_csv(source)
    keys = table.about[f"{table.level}_id"]
    if not keys or not table.columns:
        raise SchemaError(source, "has no vectors", "give a table with rows and columns of numbers")
    # Checked here, as HDF5 would take what no reader of features.h5 accepts.
    seen: set[str] = set()
    for row, key in enumerate(keys):
        if not key or key in seen:
            what = f"the {table.level}_id {key} again" if key else f"no {table.level}_id"
            raise SchemaError(source, f"vector {row + 1} has {what}", "give each one vector")
        seen.add(key)
    finite = np.isfinite(table.matrix)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise SchemaError(
            source,
            f"has no finite number for {keys[row]} in column {table.columns[column]}",
            "leave the row or the column out",
        )
    return table


def describe_vectors(name: str, table: VectorTable) -> KindDescription:
    """Describe the kind of feature that a table of vectors is imported as.

    Raises UsageError where its name is none.
    """
    if not KIND_NAME.fullmatch(name):
        raise UsageError(
            f"--kind {name}",
            "is no name of a kind",
            "use small letters, digits, - and _, such as clap",
        )
    # Only name and columns are known of how other programs computed vectors: those that agree in
    # both are taken to be interchangeable.
    digest = digest_json({"kind": name, "imported": True, "columns": list(table.columns)})
    return KindDescription(
        name,
        (len(table.columns),),
        "float32",
        ("segment", "column"),
        table.columns,
        "1",
        {"imported": True},
        digest,
        ENGINE,
        level=table.level,
    )


def vector_rows(table: VectorTable, segments: Mapping[str, Segment] | None) -> list[FeatureRow]:
    """Give the rows of features.h5 that vectors belong to; `segments` are segments by segment_id.

    Raises UsageError where a segment's track and times are known from neither of them.
    """
    if table.level == "track":
        return [_feature_row(key, key, 0.0, 0.0) for key in table.about["track_id"]]
    keys = table.about["segment_id"]
    if segments is not None:
        if missing := [key for key in keys if key not in segments]:
            raise UsageError(
                table.source,
                f"has {len(missing)} segments that --segments does not have, such as {missing[0]}",
                "give the table of segments that the vectors are of",
            )
        found = (segments[key] for key in keys)
        return [_feature_row(s.segment_id, s.track_id, s.start, s.duration) for s in found]
    if missing := [name for name in ABOUT_SEGMENTS if name not in table.about]:
        raise UsageError(
            table.source,
            f"does not say {' and '.join(missing)} of its segments",
            "give the table of segments with --segments",
        )
    times = _parse_times(table)
    return [
        _feature_row(key, track_id, start, duration)
        for key, track_id, (start, duration) in zip(
            keys, table.about["track_id"], times, strict=True
        )
    ]


def _feature_row(segment_id: str, track_id: str, start: float, duration: float) -> FeatureRow:
    return FeatureRow(
        segment_id, track_id, start, duration, silent=False, padded=False, source_digest=""
    )


def _parse_times(table: VectorTable) -> list[tuple[float, float]]:
    pairs = zip(table.about["start"], table.about["duration"], strict=True)
    times = []
    for row, pair in enumerate(pairs):
        try:
            start, duration = (float(text) for text in pair)
        except ValueError:
            start, duration = -1.0, -1.0
        if not (0 <= start < np.inf and 0 <= duration < np.inf):
            raise SchemaError(
                table.source,
                f"vector {row + 1} has the start {pair[0]!r} and the duration {pair[1]!r}",
                "give both in seconds, from 0 up",
            )
        times.append((start, duration))
    return times


def _read_csv(source: str) -> VectorTable:
    with open_table(source) as stream:
        try:
            header, *records = [row for row in csv.reader(stream, strict=True) if row] or [[]]
        except csv.Error as error:
            raise SchemaError(source, f"is not CSV ({error})", "give CSV or NPZ") from None
    _check_header(source, header)
    for row, record in enumerate(records):
        if len(record) != len(header):
            raise SchemaError(
                source,
                f"row {row + 1} has {len(record)} cells, the header {len(header)}",
                "mend the table",
            )
    cells = dict(zip(header, zip(*records, strict=True), strict=True)) if records else {}
    about = {name: cells.get(name, ()) for name in ABOUT_SEGMENTS if name in header}
    numbers: dict[str, list[float]] = {}
    texts = []
    for name in header:
        if name in about:
            continue
        # The whole column shows whether it is text or a broken number: one word among numbers is a
        # mistake, while a column of words was never meant as a feature.
        column = [_number(cell) for cell in cells.get(name, ())]
        if all(value is None for value in column):
            texts.append(name)
        elif None in column:
            row = column.index(None)
            raise SchemaError(
                source,
                f"has {cells[name][row]!r} in column {name}, row {row + 1}, which is no number",
                "mend it, or leave the column out",
            )
        else:
            numbers[name] = [value for value in column if value is not None]
    matrix = _to_float32(np.array(list(numbers.values())).reshape(len(numbers), len(records)).T)
    return VectorTable(source, about, tuple(numbers), matrix, tuple(texts))


def _check_header(source: str, header: Sequence[str]) -> None:
    if "" in header:
        raise SchemaError(
            source,
            f"column {header.index('') + 1} has no name",
            "name it or leave it out (pandas: to_csv(index=False))",
        )
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise SchemaError(source, f"has two columns {twice[0]}", "rename or remove one")
    if not set(KEYS) & set(header):
        raise SchemaError(
            source,
            f"has neither track_id nor segment_id (found: {', '.join(header)[:100]})",
            "add one of them (mer match finds tracks by artist and title, or file name)",
        )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_npz(source: str) -> VectorTable:
    arrays = _load_arrays(source)
    about = {name: _texts(arrays.pop(name)) for name in ABOUT_SEGMENTS if name in arrays}
    if not set(KEYS) & set(about):
        raise SchemaError(
            source,
            f"has no array track_id or segment_id (found: {', '.join(arrays)[:100]})",
            "save the keys beside the matrix: numpy.savez(FILE, track_id=..., vectors=...)",
        )
    columns = _texts(arrays.pop(COLUMNS)) if COLUMNS in arrays else None
    matrices = [array for array in arrays.values() if array.ndim == 2 and array.dtype.kind in "fiu"]
    n_rows = len(about["segment_id" if "segment_id" in about else "track_id"])
    if len(matrices) != 1:
        raise SchemaError(
            source, f"has {len(matrices)} matrices of numbers, not one", "save one of them alone"
        )
    matrix = _to_float32(matrices[0])
    # Numbered from 1, as the columns of other kinds (mel_1, mel_2, ...) are.
    if columns is None:
        columns = [str(number + 1) for number in range(matrix.shape[1])]
    sizes = {n_rows, len(matrix), *(len(values) for values in about.values())}
    if len(sizes) > 1 or len(columns) != matrix.shape[1]:
        raise SchemaError(
            source,
            f"has a matrix of {matrix.shape[0]} x {matrix.shape[1]} for {n_rows} keys and "
            f"{len(columns)} columns",
            "save arrays that belong together",
        )
    return VectorTable(source, about, tuple(columns), matrix)


def _load_arrays(source: str) -> dict[str, NDArray[Any]]:
    try:
        # Arrays of objects are pickles, which run whatever their author wrote.
        with np.load(source, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SchemaError(
            source,
            f"cannot be read as NPZ ({error})",
            "save keys as an array of text and vectors as one of numbers",
        ) from None


def _to_float32(matrix: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return matrix.astype(np.float32)


def _texts(array: NDArray[Any]) -> list[str]:
    """Give an array's values as text."""
    values = array.reshape(-1).tolist()
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]

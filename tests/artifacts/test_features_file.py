from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mertools.artifacts.feature_rows import Cutting, FeatureRow, KindDescription
from mertools.artifacts.features_file import _size_at_most, open_features, write_features
from mertools.artifacts.validate import problems_of
from mertools.errors import SchemaError

MEL = KindDescription(
    "mel",
    (3, 4),
    "float32",
    ("segment", "band", "frame"),
    ("a", "b", "c"),
    "dB",
    {"n": 1},
    "d",
    "e",
)
NOTE = KindDescription(
    "note", (5, 2), "float16", ("segment", "frame", "key"), (), "1", {}, "f", "e"
)


def rows(n: int) -> list[FeatureRow]:
    return [
        FeatureRow(f"é_{i}", f"t{i // 3}", 10.0 * i, 10.0, i == 0, i == 1, "ab") for i in range(n)
    ]


def features(kind: str, row: int) -> np.ndarray:
    description = MEL if kind == "mel" else NOTE
    return np.full(description.shape, row / 8, description.dtype)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 700])
def test_what_is_written_is_read(tmp_path: Path, n: int) -> None:
    path = tmp_path / "f.h5"
    write_features(path, rows(n), [MEL, NOTE], features)
    with open_features(path) as file:
        assert file.rows == rows(n)
        assert file.kinds == {"mel": MEL, "note": NOTE}
        for kind in ("mel", "note"):
            for row in {0, n // 2, n - 1}:
                np.testing.assert_array_equal(file.read(kind, row), features(kind, row))
    assert list(problems_of(path)) == []
    assert path.stat().st_size <= _size_at_most(rows(n), [MEL, NOTE])


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_features(tmp_path / name, rows(70), [NOTE, MEL], features)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_by_another_program_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.attrs["schema"], file.attrs["schema_version"] = "mertools/features", "1.0"
        file.attrs["producer"] = "another program"
        file["segments/segment_id"] = ["a", "b"]
        file["segments/track_id"] = ["t", "t"]
        file["segments/start"], file["segments/duration"] = [0.0, 10.0], [10.0, 10.0]
        file["segments/silent"], file["segments/padded"] = [False, False], [False, True]
        dataset = file.create_dataset("features/mel", data=np.zeros((2, 3, 4), "f4"))
        dataset.attrs["columns"] = ["a", "b", "c"]
        dataset.attrs["params"], dataset.attrs["params_digest"] = json.dumps({"n": 1}), "d"
    assert list(problems_of(tmp_path / "f.h5")) == []
    with open_features(tmp_path / "f.h5") as read:
        assert [row.padded for row in read.rows] == [False, True]
        assert read.kinds["mel"].shape == (3, 4)


def drop_start(file: h5py.File) -> None:
    del file["segments/start"]


def shorten(file: h5py.File) -> None:
    del file["segments/start"]
    file["segments/start"] = [0.0]


def repeat_id(file: h5py.File) -> None:
    file["segments/segment_id"][1] = "é_0"


def spoil_value(file: h5py.File) -> None:
    file["features/mel"][1, 0, 0] = np.nan


def change_type(file: h5py.File) -> None:
    del file["features/mel"]
    file["features/mel"] = np.zeros((3, 2), np.int16)


def later_version(file: h5py.File) -> None:
    file.attrs["schema_version"] = "2.0"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (drop_start, "no dataset /segments/start"),
        (shorten, "/segments/start has shape"),
        (repeat_id, "/segments/segment_id holds the same value twice"),
        (spoil_value, "/features/mel holds values that are not finite"),
        (change_type, "/features/mel is of type int16"),
        (later_version, "has schema version 2.0"),
    ],
)
def test_what_breaks_the_schema_is_named(
    tmp_path: Path, spoil: Callable[[h5py.File], None], problem: str
) -> None:
    path = tmp_path / "f.h5"
    write_features(path, rows(3), [MEL], features)
    with h5py.File(path, "a") as file:
        spoil(file)
    assert any(problem in line for line in problems_of(path))
    if spoil is not spoil_value:  # values are only read where they are wanted
        with pytest.raises(SchemaError), open_features(path):
            pass


def test_what_is_unlike_the_defaults_is_written_and_read(tmp_path: Path) -> None:
    tokens = dataclasses.replace(MEL, name="tokens", dtype="int32", level="track", source="lyrics")
    whole = [FeatureRow(name, name, 0.0, 0.0, False, False, "ab", name[1:]) for name in ("a", "ba")]
    path, plain = tmp_path / "f.h5", tmp_path / "plain.h5"
    write_features(path, whole, [tokens], lambda kind, row: np.full((3, 4), row, np.int32))
    with open_features(path) as file:
        assert file.rows == whole
        assert file.kinds == {"tokens": tokens}
        assert file.cutting is None
        assert file.read("tokens", 1).dtype == np.int32
    assert list(problems_of(path)) == []
    write_features(plain, rows(2), [MEL], features)
    with h5py.File(plain) as file:
        assert file.attrs["schema_version"] == "1.0"
        assert "original" not in file["segments"]
        assert not {"level", "source", "device"} & set(file["features/mel"].attrs)


def test_the_cutting_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    write_features(path, rows(2), [MEL], features, Cutting(10.0, 5.0, "drop"))
    with open_features(path) as file:
        assert file.cutting == Cutting(10.0, 5.0, "drop")
    with h5py.File(path, "a") as file:
        file.attrs["cutting"] = '{"length_s": 0}'
    assert list(problems_of(path)) == [
        "has an attribute cutting that is no JSON of length_s, hop_s and last"
    ]


def test_a_file_is_of_one_level(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    whole = dataclasses.replace(NOTE, level="track")
    write_features(path, rows(2), [MEL, whole], features)
    assert "features of segments and of tracks" in " ".join(problems_of(path))
    write_features(path, rows(2), [whole], features)
    assert len(list(problems_of(path))) == 2  # starts and durations, and other segment_ids
    write_features(path, rows(2), [dataclasses.replace(MEL, source="smell")], features)
    assert "has the source smell" in " ".join(problems_of(path))


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_older_files_name_the_device_as_the_engine(tmp_path: Path, device: str) -> None:
    path = tmp_path / "f.h5"
    write_features(path, rows(2), [dataclasses.replace(NOTE, engine=device)], features)
    with open_features(path) as file:
        assert (file.kinds["note"].engine, file.kinds["note"].device) == ("fast", device)

"""HDF5 files that are damaged or lie: each is a named breach of the schema, without a crash."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]
Damage = Callable[[h5py.File], None]


@pytest.fixture
def features(tmp_path: Path, mer: Mer, write_tone: WriteTone) -> Path:
    write_tone(tmp_path / "a.wav", 3.0)
    mer("featurize", "a.wav", "--kind", "mel", "-o", "f.h5", "--length", "1")
    return tmp_path / "f.h5"


def set_attribute(name: str, value: object, item: str = "features/mel") -> Damage:
    def damage(file: h5py.File) -> None:
        file[item].attrs[name] = value

    return damage


def labels_of_another_type(file: h5py.File) -> None:
    del file["features/mel"].attrs["DIMENSION_LABELS"]
    file["features/mel"].attrs["DIMENSION_LABELS"] = 7.0  # HDF5 crashes where it is asked for them


def a_cycle(file: h5py.File) -> None:
    file["segments/all"] = file["/"]


def never_written(file: h5py.File) -> None:
    attributes = dict(file["features/mel"].attrs)
    del file["features/mel"]
    n_rows = len(file["segments/segment_id"])
    dataset = file["features"].create_dataset("mel", (n_rows, 2**20, 2**10), "f4", chunks=True)
    dataset.attrs.update(attributes)


def no_lengths(file: h5py.File) -> None:
    file["segments/duration"][...] = 0.0


DAMAGES = {
    "does not name its dimensions": labels_of_another_type,
    "too deep in groups": a_cycle,
    "were written": never_written,
    "not above 0": no_lengths,
    "schema that is no text": set_attribute("schema", [1, 2], "/"),
    "columns that is no list": set_attribute("columns", 3),
    "params that is no object": set_attribute("params", "[1"),
    "params_digest that is no text": set_attribute("params_digest", np.nan),
}


@pytest.mark.parametrize("problem", DAMAGES)
def test_a_lie_is_named_by_every_command(mer: Mer, features: Path, problem: str) -> None:
    with h5py.File(features, "r+") as file:
        DAMAGES[problem](file)
    assert problem in mer("validate", "f.h5", status=2).stdout
    for command in (["inspect"], ["merge", "-o", "g.h5"], ["merge", "--copy", "-o", "g.h5"]):
        assert problem in mer(*command, "f.h5", status=2).stderr


def test_a_flipped_byte_in_what_hdf5_reads_is_damage(mer: Mer, features: Path) -> None:
    whole = features.read_bytes()
    statuses = set()
    for at in range(24, 1200, 97):
        features.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        done = mer("validate", "f.h5", status=None)
        assert "fault" not in done.stderr, (at, done.stderr)
        statuses.add(done.returncode)
    assert 2 in statuses <= {0, 2}


def test_a_damaged_file_is_in_nobodys_way(mer: Mer, features: Path) -> None:
    shutil.copy(features, features.with_name("g.h5"))
    with h5py.File(features, "r+") as file:
        labels_of_another_type(file)
    mer("featurize", "a.wav", "--kind", "mel", "-o", "f.h5", "--length", "1")
    assert features.read_bytes() == features.with_name("g.h5").read_bytes()


def test_a_file_that_hdf5_never_comes_back_from_is_damaged(mer: Mer, features: Path) -> None:
    mer("merge", "f.h5", "-o", "joined.h5")
    joined = features.with_name("joined.h5")
    content = bytearray(joined.read_bytes())
    # Where the mel lies in f.h5 is a selection of three dimensions and one block; of 2**32
    # dimensions HDF5 reads on and on.
    dimensions = content.index(bytes([3, 0, 0, 0, 1, 0, 0, 0]), content.index(b"f.h5\0"))
    content[dimensions : dimensions + 4] = b"\xff" * 4
    joined.write_bytes(content)
    assert "is damaged" in mer("validate", "joined.h5", status=2).stdout
    assert "is damaged" in mer("inspect", "joined.h5", status=2).stderr
    mer("validate", "f.h5")


def test_a_column_longer_than_memory_is_not_read(mer: Mer, features: Path) -> None:
    with h5py.File(features, "r+") as file:
        del file["segments/duration"]
        file["segments"].create_dataset("duration", (2**40,), "f8", chunks=True)
    assert "/segments/duration has shape" in mer("validate", "f.h5", status=2).stdout


@pytest.mark.parametrize("name", ["engine", "device", "unit", "level", "source"])
def test_optional_attributes_are_texts(mer: Mer, features: Path, name: str) -> None:
    with h5py.File(features, "r+") as file:
        file["features/mel"].attrs[name] = [1, 2]
    problem = f"attribute {name} that is no text"
    assert problem in mer("validate", "f.h5", status=2).stdout
    assert problem in mer("inspect", "f.h5", status=2).stderr

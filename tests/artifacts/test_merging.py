from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import open_features, write_features
from mertools.artifacts.merging import merge_features
from mertools.errors import SchemaError

Mer = Callable[..., subprocess.CompletedProcess[str]]


KINDS = [
    KindDescription(
        name,
        shape,
        "float32",
        ("segment", "band", "frame")[: 1 + len(shape)],
        ("c",),
        "1",
        {},
        name,
        "x",
    )
    for name, shape in (("mel", (8, 300)), ("handcrafted", (136,)))
]


def write(path: Path, places: range, kinds: Sequence[KindDescription] = KINDS) -> None:
    rows = [
        FeatureRow(f"s{i}", f"t{i // 2}", 10.0 * (i % 2), 10.0, i == 3, False, "0") for i in places
    ]

    def make(kind: str, row: int) -> NDArray[np.float32]:
        shape = {described.name: described.shape for described in kinds}[kind]
        return np.random.default_rng(places[row]).normal(size=shape).astype(np.float32)

    path.parent.mkdir(exist_ok=True)
    write_features(path, rows, kinds, make)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder with features of ten segments, at once (whole.h5) and in two shards."""
    write(tmp_path / "whole.h5", range(10))
    write(tmp_path / "shards/a.h5", range(4))
    write(tmp_path / "shards/b.h5", range(4, 10))
    return tmp_path


def test_copied_shards_are_what_is_made_at_once(shards: Path, mer: Mer) -> None:
    mer("merge", "shards/a.h5", "shards/b.h5", "-o", "copy.h5", "--copy")
    whole = (shards / "whole.h5").read_bytes()
    assert (shards / "copy.h5").read_bytes() == whole
    mer("merge", "shards/a.h5", "shards/b.h5", "-o", "joined.h5")
    mer("merge", "joined.h5", "-o", "again.h5", "--copy")
    assert (shards / "again.h5").read_bytes() == whole


def test_joined_shards_are_read_as_one_file_wherever_they_move(shards: Path, mer: Mer) -> None:
    mer("merge", "shards/a.h5", "shards/b.h5", "-o", "joined.h5")
    assert (shards / "joined.h5").stat().st_size < (shards / "whole.h5").stat().st_size / 5
    (shards / "moved").mkdir()
    for name in ("joined.h5", "shards"):
        (shards / name).rename(shards / "moved" / name)
    mer("validate", "moved/joined.h5")
    told = [json.loads(mer("inspect", "--json", f).stdout) for f in ("moved/joined.h5", "whole.h5")]
    assert told[0] == told[1]
    with h5py.File(shards / "moved/joined.h5") as joined, h5py.File(shards / "whole.h5") as whole:
        for kind in ("handcrafted", "mel"):
            np.testing.assert_array_equal(joined["features"][kind][...], whole["features"][kind])


def test_a_joined_file_misses_its_shards(shards: Path, mer: Mer) -> None:
    mer("merge", "shards/a.h5", "shards/b.h5", "-o", "joined.h5")
    shutil.copy(shards / "shards/b.h5", shards / "shards/a.h5")
    assert "was joined of another shards/a.h5" in mer("inspect", "joined.h5", status=2).stderr
    other = dataclasses.replace(KINDS[0], params_digest="of other parameters")
    for places, kinds in ((range(1, 5), KINDS), (range(4), [other, KINDS[1]])):
        write(shards / "shards/a.h5", places, kinds)
        with (
            pytest.raises(SchemaError, match=r"was joined of another shards/a\.h5"),
            open_features(shards / "joined.h5"),
        ):
            pass
    (shards / "shards/a.h5").unlink()
    assert "shards/a.h5" in mer("inspect", "joined.h5", status=2).stderr


def test_more_shards_than_files_may_be_open(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i:02}.h5" for i in range(40)]
    for i, path in enumerate(paths):
        write(path, range(i, i + 1), KINDS[1:])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "00.h5").open() as file:
        n_open = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 20, limits[1]))
    try:
        merge_features(tmp_path / "joined.h5", paths, copy=False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 20, limits[1]))
        merge_features(tmp_path / "copy.h5", [tmp_path / "joined.h5"], copy=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    # Where HDF5 cannot open a shard, it may read zeros.
    few = ("bash", "-c", 'ulimit -n 150; exec "$@"', "-", sys.executable, "-m", "mertools")
    done = subprocess.run(
        [*few, "inspect", "joined.h5"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "40 files: are more than may be open at once (150)" in done.stderr
    write(tmp_path / "whole.h5", range(40), KINDS[1:])
    assert (tmp_path / "copy.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_file_joined_of_what_lies_elsewhere_is_refused(shards: Path, mer: Mer) -> None:
    with h5py.File(shards / "whole.h5") as file:
        shape = file["features/mel"].shape
    for source in ("../whole.h5", str(shards / "whole.h5"), "loop.h5"):
        shutil.copy(shards / "whole.h5", shards / "shards/loop.h5")
        with h5py.File(shards / "shards/loop.h5", "a") as file:
            attributes = dict(file["features/mel"].attrs)
            del file["features/mel"]
            layout = h5py.VirtualLayout(shape, "f4")
            layout[:] = h5py.VirtualSource(source, "/features/mel", shape, "f4")
            file["features"].create_virtual_dataset("mel", layout).attrs.update(attributes)
        assert "copy its data in" in mer("inspect", "shards/loop.h5", status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("shards/a.h5", "whole.h5", "-o", "x.h5"), "whole.h5: holds the segment s0 again"),
        (("shards/a.h5", "-o", "shards/a.h5"), "is an input that would be replaced"),
        (("whole.h5", "-o", "shards/x.h5"), "lies outside of"),
        (("shards/a.h5", "text.h5", "-o", "x.h5"), "text.h5: is not an HDF5 file"),
        (("100%.h5", "-o", "x.h5"), "has % in its name"),
        (("shards/a.h5", "mel.h5", "-o", "x.h5"), "mel.h5: does not hold just the kinds"),
    ],
)
def test_what_cannot_be_merged(
    shards: Path, mer: Mer, arguments: tuple[str, ...], problem: str
) -> None:
    write(shards / "mel.h5", range(10, 12), KINDS[:1])
    write(shards / "100%.h5", range(2))
    (shards / "text.h5").write_text("no features")
    assert problem in mer("merge", *arguments, status=2).stderr
    assert not (shards / "x.h5").exists()
    assert not (shards / "shards/x.h5").exists()


def test_a_file_joined_at_another_time_is_the_same(shards: Path) -> None:
    joined = []
    for _ in range(20):
        merge_features(
            shards / "j.h5", [shards / "shards/a.h5", shards / "shards/b.h5"], copy=False
        )
        joined.append((shards / "j.h5").read_bytes())
        time.sleep(0.1)  # HDF5 counts whole seconds
    assert len(set(joined)) == 1

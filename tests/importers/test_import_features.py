"""Vectors of other programs as a kind of feature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mertools.errors import MerError
from mertools.importers.vectors import describe_vectors, read_vectors, vector_rows

Mer = Callable[..., object]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_h5(path: Path, kind: str) -> tuple[list[tuple[str, str, float, float]], np.ndarray]:
    with h5py.File(path) as file:
        about = file["segments"]
        names = [
            [text.decode() for text in about[name][...]] for name in ("segment_id", "track_id")
        ]
        times = [about[name][...].tolist() for name in ("start", "duration")]
        return list(zip(*names, *times, strict=True)), file["features"][kind][...]


def test_vectors_of_tracks_have_the_level_track(mer: Mer, tmp_path: Path) -> None:
    write(tmp_path / "v.csv", "b,artist,track_id,a", "1.5,Zoë,t2,-2", "0,Moi,t1,1e3")
    done = mer("import", "features", "v.csv", "--kind", "clap", "-o", "f.h5")
    rows, matrix = read_h5(tmp_path / "f.h5", "clap")
    assert rows == [("t2", "t2", 0, 0), ("t1", "t1", 0, 0)]
    np.testing.assert_array_equal(matrix, np.float32([[1.5, -2], [0, 1000]]))
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["features/clap"].attrs["columns"].tolist() == ["b", "a"]
        assert file["features/clap"].dtype == np.float32
    assert "left out, as they are no numbers: artist" in done.stderr
    mer("validate", "f.h5")
    assert describe_vectors("clap", read_vectors(str(tmp_path / "v.csv"))).level == "track"


def test_csv_and_npz_give_the_same_bytes(mer: Mer, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    ids = [f"s{n}" for n in range(5)]
    numbers = (",".join(repr(float(x)) for x in row) for row in matrix)
    lines = (f"{i},t,{n},2.5,{x}" for n, (i, x) in enumerate(zip(ids, numbers, strict=True)))
    write(tmp_path / "v.csv", "segment_id,track_id,start,duration,1,2,3", *lines)
    np.savez_compressed(
        tmp_path / "v.npz",
        segment_id=np.array(ids),
        track_id=np.array([b"t"] * 5),
        start=np.arange(5),
        duration=np.full(5, 2.5),
        anything=matrix.astype(np.float64),
    )
    for name in ("v.csv", "v.npz"):
        mer("import", "features", name, "--kind", "x-1", "-o", f"{name}.h5")
    assert (tmp_path / "v.csv.h5").read_bytes() == (tmp_path / "v.npz.h5").read_bytes()
    rows, read = read_h5(tmp_path / "v.npz.h5", "x-1")
    assert rows[4] == ("s4", "t", 4.0, 2.5)
    np.testing.assert_array_equal(read, matrix)


def test_segments_say_what_vectors_are_of(mer: Mer, tmp_path: Path) -> None:
    write(
        tmp_path / "s.csv",
        "segment_id,track_id,path,start,duration,sample_rate",
        "a,t,t.wav,0,10,8000",
        "b,t,t.wav,5,10,8000",
    )
    write(tmp_path / "v.csv", "segment_id,1", "b,3")
    mer("import", "features", "v.csv", "--kind", "x", "--segments", "s.csv", "-o", "f.h5")
    assert read_h5(tmp_path / "f.h5", "x")[0] == [("b", "t", 5.0, 10.0)]
    assert read_vectors(str(tmp_path / "v.csv")).level == "segment"
    done = mer("import", "features", "v.csv", "--kind", "x", "-o", "g.h5", status=2)
    assert "does not say track_id and start and duration" in done.stderr
    write(tmp_path / "v.csv", "segment_id,1", "c,3")
    done = mer(
        "import", "features", "v.csv", "--kind", "x", "--segments", "s.csv", "-o", "g.h5", status=2
    )
    assert "such as c" in done.stderr
    assert not (tmp_path / "g.h5").exists()


def test_standard_input_is_read(mer: Mer, tmp_path: Path) -> None:
    text = "\ufefftrack_id,x\n1,2\n"
    mer("import", "features", "-", "--kind", "x", "-o", "f.h5", stdin=text)
    assert read_h5(tmp_path / "f.h5", "x")[0] == [("1", "1", 0, 0)]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["id,x", "1,2"], "has neither track_id nor segment_id (found: id, x)"),
        (["track_id,x", "1,2", "1,3"], "vector 2 has the track_id 1 again"),
        (["track_id,x", ",2"], "vector 1 has no track_id"),
        (["track_id,x", "1,2", "2,many"], "has 'many' in column x, row 2, which is no number"),
        (["track_id,x", "1,2", "2,nan"], "has no finite number for 2 in column x"),
        (["track_id,x", "1,1e300"], "has no finite number for 1 in column x"),
        (["track_id,x", "1,2,3"], "row 1 has 3 cells, the header 2"),
        (["track_id,x,x", "1,2,3"], "has two columns x"),
        ([",track_id,x", "0,1,2"], "column 1 has no name"),
        (["track_id,artist", "1,Zoë"], "has no vectors"),
        (["track_id,x"], "has no vectors"),
        (["segment_id,track_id,start,duration,x", "a,t,-1,1,0"], "has the start '-1'"),
        ([""], "has neither track_id nor segment_id"),
    ],
)
def test_tables_that_are_none_are_refused(
    mer: Mer, tmp_path: Path, lines: list[str], problem: str
) -> None:
    write(tmp_path / "v.csv", *lines)
    done = mer("import", "features", "v.csv", "--kind", "x", "-o", "f.h5", status=2)
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "f.h5").exists()


@pytest.mark.parametrize("kind", ["mel", "A/b", "a.b", "", "../x"])
def test_names_of_kinds_are_checked(mer: Mer, tmp_path: Path, kind: str) -> None:
    write(tmp_path / "v.csv", "track_id,x", "1,2")
    assert (
        "--kind"
        in mer("import", "features", "v.csv", "--kind", kind, "-o", "f.h5", status=2).stderr
    )


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": np.zeros((2, 3))}, "has no array track_id or segment_id"),
        ({"track_id": np.array(["a", "b"]), "x": np.zeros((3, 3))}, "3 x 3 for 2 keys"),
        ({"track_id": np.array(["a"]), "x": np.zeros(1)}, "has 0 matrices"),
        (
            {"track_id": np.array(["a"]), "x": np.zeros((1, 2)), "columns": np.array(["p"])},
            "1 x 2 for 1 keys and 1 columns",
        ),
        ({"track_id": np.array(["a"], object), "x": np.zeros((1, 1))}, "cannot be read as NPZ"),
    ],
)
def test_archives_that_are_none_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], problem: str
) -> None:
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(MerError, match=problem):
        read_vectors(str(tmp_path / "v.npz"))


def test_a_pickle_in_an_archive_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    np.savez(tmp_path / "v.npz", track_id=np.array([Trap()], object), x=np.zeros((1, 1)))
    with pytest.raises(MerError, match="cannot be read as NPZ"):
        read_vectors(str(tmp_path / "v.npz"))
    assert not (tmp_path / "ran").exists()


def test_columns_and_name_decide_what_is_interchangeable(tmp_path: Path) -> None:
    one = read_vectors(str(write(tmp_path / "1.csv", "track_id,x,y", "1,2,3")))
    other = read_vectors(str(write(tmp_path / "2.csv", "track_id,x,y", "2,5,6")))
    renamed = read_vectors(str(write(tmp_path / "3.csv", "track_id,x,z", "2,5,6")))
    digests = [describe_vectors("k", table).params_digest for table in (one, other, renamed)]
    assert digests[0] == digests[1] != digests[2]
    assert describe_vectors("l", one).params_digest != digests[0]
    assert [row.track_id for row in vector_rows(other, None)] == ["2"]

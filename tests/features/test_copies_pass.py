"""What an augmented copy was made from passes through the commands that read manifests."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from conftest import Mer
from mertools.artifacts.features_file import open_features

MANIFEST = "track_id,path,original,transform\na,a.wav,,\nb,b.wav,a,gain:db=3\n"


@pytest.fixture
def songs(tmp_path: Path, write_tone: Callable[..., Path]) -> Path:
    for name in ("a", "b"):
        write_tone(tmp_path / f"{name}.wav", 4.0)
    (tmp_path / "tracks.csv").write_text(MANIFEST)
    return tmp_path


def column(table: str, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(table))]


@pytest.mark.parametrize("piped", [False, True])
def test_through_convert_segment_and_featurize(mer: Mer, songs: Path, piped: bool) -> None:
    source, stdin = ("-", MANIFEST) if piped else ("tracks.csv", "")
    tracks = mer("convert", source, "-o", "w", stdin=stdin).stdout
    assert column(tracks, "original") == ["", "a"]
    assert column(tracks, "transform") == ["", "gain:db=3"]
    segments = mer("segment", "-", "--length", 2, stdin=tracks).stdout
    assert column(segments, "original") == ["", "", "a", "a"]
    assert column(segments, "transform") == ["", "", "gain:db=3", "gain:db=3"]
    (songs / "segments.csv").write_text(segments)
    mer("featurize", "segments.csv", "-o", "f.h5", "--length", 2)
    mer("featurize", "tracks.csv", "-o", "g.h5", "--length", 2)
    for name in ("f.h5", "g.h5"):
        with open_features(songs / name) as file:
            assert [row.original for row in file.rows] == ["", "", "a", "a"]
    mer("validate", "segments.csv", "f.h5", "g.h5")


def test_no_columns_without_copies(mer: Mer, songs: Path) -> None:
    (songs / "tracks.csv").write_text(MANIFEST.replace("a,gain:db=3", ","))
    header = mer("convert", "tracks.csv", "-o", "w").stdout.splitlines()[0]
    assert not {"original", "transform"} & set(header.split(","))
    header = mer("segment", "tracks.csv").stdout.splitlines()[0]
    assert not {"original", "transform"} & set(header.split(","))
    mer("featurize", "tracks.csv", "-o", "f.h5")
    with h5py.File(songs / "f.h5") as file:
        assert "original" not in file["segments"]


def test_a_manifest_that_names_another_original_is_followed(mer: Mer, songs: Path) -> None:
    segments = mer("segment", "tracks.csv", "--length", 2).stdout
    (songs / "segments.csv").write_text(segments.replace(",a,gain:db=3", ",,"))
    mer("featurize", "segments.csv", "-o", "f.h5")
    (songs / "segments.csv").write_text(segments)
    mer("featurize", "segments.csv", "-o", "f.h5")
    with open_features(songs / "f.h5") as file:
        assert [row.original for row in file.rows] == ["", "", "a", "a"]


def test_the_cutting_is_recorded_of_whole_tracks(mer: Mer, songs: Path) -> None:
    (songs / "segments.csv").write_text(mer("segment", "tracks.csv", "--length", 2).stdout)
    mer("featurize", "segments.csv", "-o", "f.h5")
    cut = ("--length", 2, "--hop", 1, "--last", "drop")
    mer("featurize", "tracks.csv", "-o", "g.h5", *cut)
    mer("featurize", "tracks.csv", "-o", "s.h5", *cut, "--shards", "s", "--shard-size", 1)
    mer("merge", "s/000000.h5", "s/000001.h5", "-o", "m.h5", "--copy")
    with open_features(songs / "f.h5") as file:
        assert file.cutting is None
    for name in ("g.h5", "s.h5", "m.h5"):
        with open_features(songs / name) as file:
            assert file.cutting is not None
            assert (file.cutting.length_s, file.cutting.hop_s, file.cutting.last) == (2, 1, "drop")
    assert (songs / "m.h5").read_bytes() == (songs / "g.h5").read_bytes()

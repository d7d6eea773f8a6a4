"""Features in shards: the same as at once, wherever they are cut and however often made."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.artifacts.merging import merge_features
from mertools.artifacts.rows import Track
from mertools.audio.settings import SegmentSettings
from mertools.errors import UsageError
from mertools.features import transcription
from mertools.features.extract import Recipe, SegmentFeatures
from mertools.features.registry import request_kind
from mertools.features.shards import build_shards

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

SHARDS = ("--shards", "parts/s", "--shard-size", 2)


@pytest.fixture
def songs(tmp_path: Path, write_tone: WriteTone) -> Path:
    """Five songs, and two files that are none and make up a whole shard."""
    for place, seconds in enumerate((5, 4, 0, 0, 3, 4, 2)):
        path = tmp_path / f"songs/{place}.wav"
        if seconds:
            write_tone(path, seconds, hz=200.0 + 20 * place)
        else:
            path.write_bytes(b"")
    return tmp_path


def check_shards(folder: Path, mer: Mer, *command: object) -> list[int]:
    """Check that a command makes in shards what it makes at once, and give the shards' numbers."""
    at_once = mer(*command, "-o", "one.h5", "--failures", "one.csv", "-j", 1, status=None)
    done = mer(*command, *SHARDS, "-o", "some.h5", "--failures", "some.csv", "-j", 2, status=None)
    assert done.returncode == at_once.returncode
    assert done.stderr == at_once.stderr.replace("one.h5", "some.h5")
    assert (folder / "some.csv").read_bytes() == (folder / "one.csv").read_bytes()
    shards = sorted((folder / "parts/s").iterdir())
    for parts in (shards, [folder / "some.h5"]):
        merge_features(folder / "copy.h5", parts, copy=True)
        assert (folder / "copy.h5").read_bytes() == (folder / "one.h5").read_bytes()
    assert not list(folder.glob(".*"))
    return [int(path.stem) for path in shards]


def test_shards_are_what_is_made_at_once_and_stale_ones_go(songs: Path, mer: Mer) -> None:
    featurize = ("featurize", "songs", "--kind", "mel", "--kind", "handcrafted")
    assert check_shards(songs, mer, *featurize, "--length", 2) == [0, 2, 3]
    made = {path: path.stat().st_ino for path in (songs / "parts/s").iterdir()}
    mer(*featurize, "--length", 2, *SHARDS, "-o", "some.h5", status=3)
    assert {path: path.stat().st_ino for path in made} == made  # nothing was written again
    for name in "156":
        (songs / f"songs/{name}.wav").unlink()
    (songs / "parts/s/.000009.h5.journal").write_bytes(b"of a run that was killed")
    assert check_shards(songs, mer, *featurize, "--set", "mel.n_mels=32") == [0, 1]


def test_what_one_shard_decides_holds_for_those_after_it(songs: Path, mer: Mer) -> None:
    """Segments of another length, and a segment_id that another shard has, are failures."""
    rows = [("4", "d", 2), ("5", "1_0000", 3), ("5", "e", 3), ("6", "f", 2), ("0", "g", 2)]
    with (songs / "segments.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("track_id", "segment_id", "path", "start", "duration", "sample_rate"))
        table.writerows((t, s, f"songs/{t}.wav", 0, seconds, 8000) for t, s, seconds in rows)
    inputs = ("songs/0.wav", "songs/1.wav", "segments.csv")
    command = ("transcribe", *inputs, "--device", "cpu", "--length", 3, "--last", "drop")
    assert check_shards(songs, mer, *command) == [0, 1]
    with (songs / "one.csv").open(newline="") as stream:
        refused = [row["segment_id"] for row in csv.DictReader(stream)]
    assert refused == ["d", "1_0000", "f", "g"]


def test_a_run_goes_on_with_other_segments(songs: Path, mer: Mer) -> None:
    command = ("transcribe", "songs/0.wav", "songs/1.wav", "songs/4.wav", "--device", "cpu")
    for length in (2, 1):
        check_shards(songs, mer, *command, "--length", length)


def test_notes_of_a_shard_are_kept_until_the_run_is_over(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(songs)
    kind = request_kind("note", 22050, {"context": "track"})
    recipe = Recipe((kind,), 22050, SegmentSettings(2.0), kind)
    tracks = [Track(name, f"songs/{name}.wav") for name in "01456"]
    heard: list[int] = []
    transcribe_whole = transcription._transcribe_whole

    def count(y: object, device: str) -> object:
        heard.append(len(y))
        return transcribe_whole(y, device)

    monkeypatch.setattr(transcription, "_transcribe_whole", count)

    def build() -> list[SegmentFeatures]:
        return build_shards(Path("n.h5"), Path("s"), 2, tracks, recipe, 1, force=False)

    outcomes = build()
    first = [next(outcomes) for _ in range(2)]
    outcomes.close()
    assert len(heard) == 2
    assert not Path("n.h5").exists()
    again = list(build())
    assert len(heard) == 5
    assert [made.notes for made in again[:2]] == [made.notes for made in first]
    assert all(made.notes is not None for made in again)
    assert sorted(path.name for path in Path("s").iterdir()) == [
        "000000.h5",
        "000001.h5",
        "000002.h5",
    ]


@pytest.mark.parametrize("folder", [".", "../s", "x.h5", "100%"])
def test_shards_that_could_not_be_referred_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe((request_kind("mel", 8000),), 8000, SegmentSettings())
    with pytest.raises(UsageError, match="-o"):
        next(build_shards(Path("x.h5"), Path(folder), 2, [], recipe, 1, force=False))
    assert not list(tmp_path.iterdir())


def test_every_input_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe((request_kind("mel", 8000),), 8000, SegmentSettings())
    tracks = [Track(name, f"{name}.wav") for name in "abc"]
    made = list(build_shards(Path("x.h5"), Path("s"), 2, tracks, recipe, 1, force=False))
    assert [failed.track_id for failed in made] == ["a", "b", "c"]
    assert [path.name for path in tmp_path.rglob("*")] == ["s"]

"""`mer transcribe` as it is called: what it makes, how it fails, and how it goes on."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pretty_midi
import pytest
import soundfile
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Cutting
from mertools.artifacts.features_file import open_features

Mer = Callable[..., subprocess.CompletedProcess[str]]

KINDS = ("note", "onset", "contour")
ROOT = Path(__file__).resolve().parents[2]
RATE = 22050
PITCHES = (57, 60, 64, 69, 72)


@pytest.fixture
def transcribe(mer: Mer) -> Mer:
    """Run `mer transcribe` in one process, which spares the start of others."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return mer("transcribe", "--device", "cpu", "--jobs", 1, *arguments, **options)

    return run


@pytest.fixture(scope="session")
def melody() -> Callable[..., NDArray[np.float32]]:
    """A note a second of those in PITCHES, after each other and again."""

    def make(seconds: float, sample_rate: int = RATE, transpose: int = 0) -> NDArray[np.float32]:
        t = np.arange(round(seconds * sample_rate)) / sample_rate
        pitch = np.array(PITCHES)[t.astype(int) % len(PITCHES)] + transpose
        hz = 440 * 2 ** ((pitch - 69) / 12)
        fading = np.exp(-3 * (t % 1))
        tone = sum(np.sin(2 * np.pi * k * hz * (t % 1)) / k**2 for k in (1, 2, 3))
        return (0.3 * fading * tone).astype(np.float32)

    return make


@pytest.fixture
def songs(tmp_path: Path, melody: Callable[..., NDArray[np.float32]]) -> Path:
    """Three songs of 23, 10 and 4 s, one at another sample rate."""
    folder = tmp_path / "songs"
    folder.mkdir()
    soundfile.write(folder / "long.wav", melody(23), RATE)
    soundfile.write(folder / "low.flac", melody(10, 16000, -12), 16000)
    soundfile.write(folder / "short ünd odd.wav", melody(4, RATE, 5), RATE)
    return folder


def read(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file["features"][name][...] for name in file["features"]}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_features_notes_and_midi_of_songs(
    mer: Mer, transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    done = transcribe(songs, "-o", "t.h5", "--notes", "n.csv", "--midi", "m/midi")
    assert done.stdout == ""
    assert done.stderr == "t.h5: 4 segments, 0 silent, 1 padded\n"
    mer("validate", "t.h5", "n.csv")
    made = read(tmp_path / "t.h5")
    assert {name: made[name].shape for name in made} == {
        "note": (4, 858, 88),
        "onset": (4, 858, 88),
        "contour": (4, 858, 264),
    }
    assert all(values.dtype == np.float16 for values in made.values())
    notes = rows(tmp_path / "n.csv")
    names = {"long", "low", "short ünd odd"}
    assert {row["track_id"] for row in notes} == names
    assert {path.stem for path in (tmp_path / "m" / "midi").iterdir()} == names
    for name in names:
        of_track = [row for row in notes if row["track_id"] == name]
        midi = pretty_midi.PrettyMIDI(str(tmp_path / "m" / "midi" / f"{name}.mid"))
        heard = [note for instrument in midi.instruments for note in instrument.notes]
        assert sorted((n.pitch, n.velocity) for n in heard) == sorted(
            (int(row["pitch_midi"]), int(row["velocity"])) for row in of_track
        )
        for row in of_track:
            n_frames = (float(row["end_s"]) - float(row["start_s"])) * RATE / 256
            assert len(row["bends"].split()) == pytest.approx(n_frames, abs=2)
    # Of 23 s, the last 3 are less than half a segment, but a track's notes are all its own.
    onsets = sorted(float(row["start_s"]) for row in notes if row["track_id"] == "long")
    assert {round(onset) for onset in onsets} >= set(range(23))


def test_notes_are_the_tracks_and_features_the_segments_unless_told(
    transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    song = songs / "long.wav"
    transcribe(song, "-o", "plain.h5")
    transcribe(song, "-o", "noted.h5", "--notes", "default.csv")
    assert (tmp_path / "plain.h5").read_bytes() == (tmp_path / "noted.h5").read_bytes()
    for context in ("track", "segment"):
        transcribe(song, "-o", f"{context}.h5", "--notes", f"{context}.csv", "--context", context)
    by_default, of_track, of_segments = (
        (tmp_path / f"{name}.csv").read_text() for name in ("default", "track", "segment")
    )
    assert by_default == of_track != of_segments


def test_the_whole_of_a_track_is_heard_at_once(
    transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    transcribe(songs, "-o", "t.h5", "--context", "track", "--notes", "n.csv")
    onsets = [float(r["start_s"]) for r in rows(tmp_path / "n.csv") if r["track_id"] == "long"]
    assert {round(onset) for onset in onsets} >= set(range(23))
    transcribe(songs, "-o", "s.h5")
    of_track, of_segment = read(tmp_path / "t.h5"), read(tmp_path / "s.h5")
    for kind in KINDS:
        assert of_track[kind].shape == of_segment[kind].shape
        assert not np.array_equal(of_track[kind], of_segment[kind])
    with h5py.File(tmp_path / "t.h5") as one, h5py.File(tmp_path / "s.h5") as other:
        digests = [file["features/note"].attrs["params_digest"] for file in (one, other)]
    assert digests[0] != digests[1]


@pytest.mark.slow
def test_jobs_do_not_matter(mer: Mer, tmp_path: Path, songs: Path) -> None:
    made = []
    for jobs in (1, 2, 3):
        names = [f"t{jobs}.h5", f"n{jobs}.csv", f"m{jobs}"]
        options = ["-o", names[0], "--notes", names[1], "--midi", names[2]]
        mer("transcribe", songs, *options, "--jobs", jobs, "--device", "cpu")
        midi = sorted((tmp_path / names[2]).iterdir())
        files = [tmp_path / names[0], tmp_path / names[1], *midi]
        made.append([path.read_bytes() for path in files])
    assert made[0] == made[1] == made[2]


def test_a_manifest_of_segments_and_one_of_tracks_give_the_same(
    mer: Mer, transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    """In one file or in pieces; but the tail of a track has a row of its own only where cut so."""
    cut = mer("segment", songs / "long.wav", "-o", "segments.csv", "--last", "pad")
    assert cut.returncode == 0
    for name, source in (("a", "segments.csv"), ("b", songs / "long.wav")):
        transcribe(source, "-o", f"{name}.h5", "--last", "pad", "--notes", f"{name}.csv")
    with open_features(tmp_path / "a.h5") as one, open_features(tmp_path / "b.h5") as other:
        assert one.rows == other.rows and one.kinds == other.kinds
        # Only of whole tracks is it known how they were cut.
        assert (one.cutting, other.cutting) == (None, Cutting(10.0, 10.0, "pad"))
    first, second = read(tmp_path / "a.h5"), read(tmp_path / "b.h5")
    for kind in KINDS:
        np.testing.assert_array_equal(first[kind], second[kind])
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_sound_is_heard_at_the_manifests_rate(
    mer: Mer, transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    """What a chain at 8 kHz transcribes is what `predict` will hear again at 8 kHz."""
    tracks = mer("convert", songs, "-o", "w").stdout
    transcribe("-", "-o", "a.h5", stdin=tracks)
    transcribe(songs, "-o", "b.h5", "--sample-rate", 8000)
    one, other = read(tmp_path / "a.h5"), read(tmp_path / "b.h5")
    for kind in KINDS:
        np.testing.assert_array_equal(one[kind], other[kind])
    with h5py.File(tmp_path / "a.h5") as file:
        assert '"sample_rate": 8000' in file["features/note"].attrs["params"]


def test_what_fails_is_named_and_the_rest_is_done(
    transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    (songs / "empty.wav").write_bytes(b"")
    (songs / "text.mp3").write_text("no music\n")
    soundfile.write(songs / "one sample.wav", np.array([0.5]), 8000)
    soundfile.write(songs / "silent.wav", np.zeros(RATE * 10), RATE)
    done = transcribe(songs, "-o", "t.h5", "--failures", "f.csv", "--midi", "m", status=3)
    lines = [line for line in done.stderr.splitlines() if line.startswith("mer: ")]
    assert len(lines) == 2
    assert [Path(row["path"]).name for row in rows(tmp_path / "f.csv")] == ["empty.wav", "text.mp3"]
    assert {path.stem for path in (tmp_path / "m").iterdir()} == {
        *("long", "low", "short ünd odd", "one sample", "silent")
    }
    made = read(tmp_path / "t.h5")
    assert all(np.isfinite(values).all() for values in made.values())
    transcribe(songs / "text.mp3", "-o", "none.h5", status=4)
    assert not (tmp_path / "none.h5").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "cuda:9"], "--device cuda:9: is not there: choose from auto, cpu"),
        (["--device", "abacus"], "--device abacus: is not there: choose from auto, cpu"),
        (["--context", "album"], "album"),
        (["--length", "0"], "no length of a segment"),
        (["-o", "nowhere/t.h5"], "cannot be written"),
    ],
)
def test_wrong_usage(mer: Mer, tmp_path: Path, songs: Path, options: list[str], said: str) -> None:
    done = mer("transcribe", songs, "-o", "t.h5", *options, status=2)
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "t.h5").exists()


def test_a_track_id_that_leads_out_of_the_folder(
    transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    (tmp_path / "tracks.csv").write_text(f"track_id,path\n../out,{songs / 'low.flac'}\n")
    done = transcribe("tracks.csv", "-o", "t.h5", "--midi", "m", status=3)
    assert "leads out of the folder" in done.stderr
    assert not (tmp_path / "out.mid").exists()
    assert (tmp_path / "t.h5").exists()


def test_segments_of_a_track_apart_from_each_other(
    mer: Mer, transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    header, *cut = mer("segment", songs).stdout.splitlines()
    (tmp_path / "s.csv").write_text("\n".join([header, cut[0], cut[2], cut[1]]) + "\n")
    done = transcribe("s.csv", "-o", "t.h5", "--midi", "m", status=3)
    assert "mer: long: has segments apart from each other" in done.stderr


def test_overlapping_segments_give_each_note_of_a_track_once_in_midi(
    transcribe: Mer, tmp_path: Path, songs: Path
) -> None:
    options = ["--context", "track", "--midi"]
    transcribe(songs / "long.wav", "-o", "a.h5", *options, "a", "--hop", 5)
    transcribe(songs / "long.wav", "-o", "b.h5", *options, "b")
    assert (tmp_path / "a/long.mid").read_bytes() == (tmp_path / "b/long.mid").read_bytes()


def test_nothing_is_made_twice(transcribe: Mer, tmp_path: Path, songs: Path) -> None:
    command = [songs, "-o", "t.h5", "--notes", "n.csv"]
    transcribe(*command)
    features, notes = (tmp_path / "t.h5").read_bytes(), (tmp_path / "n.csv").read_bytes()
    transcribe(*command)
    assert (tmp_path / "t.h5").read_bytes() == features
    assert (tmp_path / "n.csv").read_bytes() == notes
    # With the notes left out, nothing is computed: the model need not even be loaded.
    soundfile.write(songs / "new.wav", np.zeros(RATE * 10), RATE)
    transcribe(songs, "-o", "t.h5")
    assert read(tmp_path / "t.h5")["note"].shape == (5, 858, 88)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["segment", "track"])
def test_a_killed_run_goes_on(
    mer: Mer, tmp_path: Path, melody: Callable[..., NDArray[np.float32]], context: str
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        soundfile.write(folder / f"{number}.wav", melody(21, RATE, number), RATE)
    options = ["--context", context, "--jobs", "1", "--device", "cpu"]
    mer("transcribe", folder, "-o", "whole.h5", "--notes", "whole.csv", *options)
    command = ["transcribe", "many", "-o", "t.h5", "--notes", "n.csv", *options]
    running = subprocess.Popen([sys.executable, "-m", "mertools", *command], cwd=tmp_path)
    journal = tmp_path / ".t.h5.journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 2_000_000):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert not (tmp_path / "t.h5").exists() and not (tmp_path / "n.csv").exists()
    kept = journal.stat().st_size
    assert kept > 2_000_000
    mer(*command)
    assert (tmp_path / "t.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert (tmp_path / "n.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not journal.exists()


def test_features_of_several_rates_join_in_one_run(tmp_path: Path, songs: Path) -> None:
    """A model may have learnt from mel at 8 kHz and from notes heard at 22,050 Hz."""
    from mertools.artifacts.rows import Track
    from mertools.audio.settings import SegmentSettings
    from mertools.features.extract import Recipe, SegmentFeatures, extract
    from mertools.features.registry import request_kind

    mel, note = request_kind("mel", 8000), request_kind("note", 22050)
    tracks = [Track("long", str(songs / "long.wav")), Track("low", str(songs / "low.flac"))]

    def made(*kinds: object) -> list[SegmentFeatures]:
        recipe = Recipe(kinds, kinds[0].sample_rate, SegmentSettings())
        outcomes = [outcome for some in extract(tracks, recipe, 1) for outcome in some]
        assert all(isinstance(outcome, SegmentFeatures) for outcome in outcomes)
        return outcomes

    for both, one, other in zip(made(mel, note), made(mel), made(note), strict=True):
        assert both.row == one.row
        np.testing.assert_array_equal(both.features["mel"], one.features["mel"])
        np.testing.assert_array_equal(both.features["note"], other.features["note"])


@pytest.mark.parametrize("context", ["segment", "track"])
def test_what_a_killed_run_had_made_is_not_computed_again(
    tmp_path: Path, songs: Path, context: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mertools.artifacts.rows import Track
    from mertools.audio.settings import SegmentSettings
    from mertools.features import transcription
    from mertools.features.build import build_features
    from mertools.features.extract import Recipe
    from mertools.features.registry import request_kind

    kinds = tuple(request_kind(name, RATE, {"context": context}) for name in KINDS)
    recipe = Recipe(kinds, RATE, SegmentSettings(), kinds[0])
    tracks = [Track(name, str(songs / name)) for name in ("long.wav", "low.flac")]
    runs: list[int] = []
    transcribe_whole = transcription._transcribe_whole

    def count(y: NDArray[np.float32], device: str) -> object:
        runs.append(len(y))
        return transcribe_whole(y, device)

    monkeypatch.setattr(transcription, "_transcribe_whole", count)
    outcomes = build_features(tmp_path / "t.h5", tracks, recipe, 1, force=False)
    first = [next(outcomes), next(outcomes)]
    outcomes.close()
    runs.clear()
    again = list(build_features(tmp_path / "t.h5", tracks, recipe, 1, force=False))
    assert runs == [10 * RATE]  # that of low.flac
    assert [outcome.notes for outcome in again[:2]] == [outcome.notes for outcome in first]
    assert all(outcome.notes for outcome in again)

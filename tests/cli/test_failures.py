"""Each way in which inputs, files and runs can fail: the documented status, and one clear line."""

from __future__ import annotations

import csv
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

SUBPROCESS = [sys.executable, "-m", "mertools"]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def awkward(tmp_path: Path, write_tone: WriteTone) -> Path:
    """A folder of files that fail in different ways, and of odd ones that do not."""
    folder = tmp_path / "in"
    write_tone(folder / "good.wav", 3.0, 22050)
    whole = write_tone(folder / "cut.wav", 3.0).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.mp3").write_text("no music here\n")
    write_tone(folder / "renamed.flac").rename(folder / "renamed.mp3")
    soundfile.write(folder / "silent.wav", np.zeros(8000), 8000)
    soundfile.write(folder / "one sample.wav", np.array([0.5]), 8000)
    write_tone(folder / "naïve 'song', \"live\".wav")
    return folder


FAILING = ["cut.wav", "empty.wav", "text.mp3"]


def test_what_fails_is_named_and_the_rest_is_done(mer: Mer, awkward: Path) -> None:
    done = mer("convert", awkward, "-o", "w", "--failures", "failures.csv", status=3)
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("mer: ")]) == len(FAILING)
    for name in FAILING:
        (line,) = [line for line in lines if name in line]
        assert line.count(": ") == 3
    made = rows(done.stdout)
    assert [row["track_id"] for row in made] == [
        "good",
        "naïve 'song', \"live\"",
        "one sample",
        "renamed",
        "silent",
    ]
    table = rows((awkward.parent / "failures.csv").read_text("utf-8"))
    assert [Path(row["path"]).name for row in table] == FAILING
    assert all(row["problem"] and row["remedy"] for row in table)
    chain = mer("segment", "-", stdin=done.stdout)
    mer(
        "featurize", "-", "--kind", "handcrafted", "--kind", "mel", "-o", "f.h5", stdin=chain.stdout
    )
    with h5py.File(awkward.parent / "f.h5") as file:
        ids = file["segments/track_id"].asstr()[...].tolist()
        silent = dict(zip(ids, file["segments/silent"][...].tolist(), strict=True))
        assert silent == {name: name == "silent" for name in ids}
        assert file["segments/padded"][...].all()
        assert len(ids) == 5
        for kind in ("handcrafted", "mel"):
            assert np.isfinite(file["features"][kind][...]).all()
    mer("validate", "f.h5", "failures.csv")


@pytest.mark.parametrize(
    "command", [["convert", "-o", "w"], ["segment"], ["featurize", "-o", "f.h5"]]
)
def test_status_when_everything_fails(mer: Mer, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    done = mer(*command, "a.wav", "b.wav", status=4)
    assert "mer: a.wav: is empty" in done.stderr
    assert "mer: b.wav: does not exist" in done.stderr
    assert not (tmp_path / "f.h5").exists()


def test_a_folder_without_sound(mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = mer("convert", "none", "-o", "w", status=4)
    assert "mer: none: holds no sound file" in done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("track_id,file\n1,a.wav\n", "no column path"),
        ("segment_id,track_id,path,start,sample_rate\n1,1,a.wav,0,8000\n", "no column duration"),
        ("", "is empty"),
    ],
)
def test_a_manifest_that_breaks_its_schema(
    mer: Mer, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "m.csv").write_text(text)
    assert problem in mer("featurize", "m.csv", "-o", "f.h5", status=2).stderr
    assert problem in mer("featurize", "-", "-o", "f.h5", stdin=text, status=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert"],
        ["convert", "a.wav"],
        ["convert", "a.wav", "-o", "w", "--sample-rate", "0"],
        ["segment", "a.wav", "--length", "0"],
        ["segment", "a.wav", "--last", "maybe"],
        ["featurize", "a.wav", "-o", "f.h5", "--kind", "smell"],
        ["featurize", "a.wav", "-o", "f.h5", "--set", "handcrafted.colour=1"],
        ["featurize", "a.wav", "-o", "f.h5", "--set", "handcrafted.window_s=short"],
        ["featurize", "a.wav", "-o", "f.h5", "--set", "mel.n_fft=400"],
        ["featurize", "a.wav", "-o", "nowhere/f.h5"],
        ["no-such-command"],
        ["validate", "missing.csv"],
    ],
)
def test_wrong_usage(mer: Mer, tmp_path: Path, write_tone: WriteTone, arguments: list[str]) -> None:
    write_tone(tmp_path / "a.wav")
    done = mer(*arguments, status=2)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f.h5").exists()


def test_an_hdf5_file_cut_in_half(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav")
    mer("featurize", "a.wav", "-o", "f.h5")
    whole = (tmp_path / "f.h5").read_bytes()
    (tmp_path / "f.h5").write_bytes(whole[: len(whole) // 2])
    done = mer("validate", "f.h5", status=2)
    assert "cut off" in done.stdout
    assert "cut off" in mer("inspect", "f.h5", status=2).stderr
    # It is in nobody's way: what was to be made is made.
    mer("featurize", "a.wav", "-o", "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == whole


def test_an_hdf5_file_that_leads_elsewhere_is_refused(
    mer: Mer, tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav")
    mer("featurize", "a.wav", "-o", "f.h5")
    shutil.copy(tmp_path / "f.h5", tmp_path / "g.h5")
    with h5py.File(tmp_path / "g.h5", "a") as file:
        del file["features/handcrafted"]
        file["features/handcrafted"] = h5py.ExternalLink("f.h5", "/features/handcrafted")
    assert "is a link" in mer("inspect", "g.h5", status=2).stderr
    with h5py.File(tmp_path / "g.h5", "a") as file:
        del file["features/handcrafted"]
        file["features"].create_dataset(
            "handcrafted", (1, 136), "f4", external=[("f.h5", 0, h5py.h5f.UNLIMITED)]
        )
    assert "other files" in mer("inspect", "g.h5", status=2).stderr


def limited(*arguments: str, folder: Path, n_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run `mer` where no file may grow beyond `n_bytes`."""
    code = (
        "import resource, sys; from mertools.cli.app import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({n_bytes}, {n_bytes}))\n"
        "sys.argv = ['mer', *sys.argv[1:]]; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [["convert", "-o", "w"], ["featurize", "-o", "f.h5", "--kind", "mel"]]
)
def test_a_file_that_may_not_grow(
    tmp_path: Path, write_tone: WriteTone, command: list[str]
) -> None:
    write_tone(tmp_path / "a.wav", 20.0)
    done = limited(*command, "a.wav", "-j", "1", folder=tmp_path, n_bytes=10_000)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert "File too large" in line
    assert not list(tmp_path.glob("*.h5"))
    assert not list(tmp_path.glob("w/*.wav"))


def small_disk(folder: Path, n_kib: int) -> list[str]:
    """Words that run a shell command where `folder` is a disk of its own, if the system lets us."""
    mount = f'mount -t tmpfs -o size={n_kib}k none "{folder}" && eval "$0"'
    words = ["unshare", "-rm", "sh", "-c", mount]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*words, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system lets nobody mount a small disk")
    return words


@pytest.mark.parametrize(
    "command", ["convert a.wav -o disk", "featurize a.wav --kind mel -o disk/f.h5"]
)
@pytest.mark.parametrize("n_kib", [4, 60, 200])
def test_a_full_disk(tmp_path: Path, write_tone: WriteTone, command: str, n_kib: int) -> None:
    write_tone(tmp_path / "a.wav", 60.0)
    (tmp_path / "disk").mkdir()
    words = small_disk(tmp_path / "disk", n_kib)
    mer_command = f"{sys.executable} -m mertools {command} >out; s=$?; ls disk; exit $s"
    done = subprocess.run(
        [*words, mer_command], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mer: ")
    assert "No space left on device" in line
    assert done.stdout == ""


def test_a_closed_pipe_ends_quietly(tmp_path: Path, write_tone: WriteTone) -> None:
    for i in range(30):
        write_tone(tmp_path / f"in/{i:02}.wav", 0.1)
    script = (
        f"{' '.join(SUBPROCESS)} segment in --length 0.001 | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("segment_id,")
    assert done.stdout.splitlines()[-1] == "0"


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*SUBPROCESS, *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


FEATURIZE = ("featurize", "in", "--kind", "mel", "--kind", "handcrafted", "-o", "f.h5")


@pytest.fixture
def many(tmp_path: Path, write_tone: WriteTone) -> Path:
    for i in range(24):
        write_tone(tmp_path / f"in/{i:02}.flac", 21.0, 44100, hz=100.0 + 10 * i)
    return tmp_path


def test_ctrl_c_half_way(many: Path) -> None:
    process = start(many, *FEATURIZE)
    while not (many / ".f.h5.journal").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr == b""
    assert not (many / "f.h5").exists()


@pytest.mark.slow
def test_killed_at_any_moment_a_rerun_makes_the_same_bytes(many: Path, mer: Mer) -> None:
    mer(*FEATURIZE)
    mer("convert", "in", "-o", "w")
    expected = {p: p.read_bytes() for p in [many / "f.h5", *sorted((many / "w").iterdir())]}
    chance = random.Random(1)
    for attempt in range(12):
        (many / "f.h5").unlink(missing_ok=True)
        if attempt % 4 == 0:
            shutil.rmtree(many / "w", ignore_errors=True)
        for command in (("convert", "in", "-o", "w"), FEATURIZE):
            process = start(many, *command)
            time.sleep(chance.uniform(0.2, 1.6))
            process.kill()
            process.communicate()
    mer("convert", "in", "-o", "w")
    mer(*FEATURIZE)
    found = {p: p.read_bytes() for p in [many / "f.h5", *sorted((many / "w").iterdir())]}
    assert found == expected
    assert sorted(p.name for p in many.iterdir()) == ["f.h5", "in", "w"]


@pytest.mark.slow
def test_a_killed_prediction_goes_on(many: Path, mer: Mer) -> None:
    ratings = [f"{i:02},{a},arousal,{1 + i % 3}\n" for i in range(24) for a in ("x", "y")]
    header = "track_id,annotator_id,target,value\n"
    (many / "ratings.csv").write_text(header + "".join(ratings))
    mer("aggregate-labels", "ratings.csv", "-o", "labels.csv")
    mer(*FEATURIZE)
    data = ("--features", "f.h5", "--labels", "labels.csv", "--target", "arousal", "--cv", "2")
    mer("train", "svm", *data, "-o", "m.skops")
    predict = ("predict", "-m", "m.skops", "in", "-o", "p.csv")
    mer(*predict)
    expected = (many / "p.csv").read_bytes()
    (many / "p.csv").unlink()
    journal, n_kept = many / ".p.csv.journal", []
    for _ in range(3):
        process = start(many, *predict, "--jobs", "1")
        size = journal.stat().st_size if journal.exists() else 0
        while process.poll() is None and (not journal.exists() or journal.stat().st_size <= size):
            time.sleep(0.005)
        process.kill()
        process.communicate()
        n_kept.append(journal.stat().st_size if journal.exists() else 0)
    assert 0 < n_kept[0] < n_kept[1] < n_kept[2]
    mer(*predict)
    assert (many / "p.csv").read_bytes() == expected
    assert not journal.exists()


def test_workers_do_not_outlive_a_killed_parent(many: Path) -> None:
    process = start(many, *FEATURIZE)
    time.sleep(0.8)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = subprocess.run(
            ["ps", "-o", "stat=", "-g", str(process.pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if all(state.startswith("Z") for state in alive):
            return
        time.sleep(0.1)
    pytest.fail("worker processes go on")


def test_two_runs_at_once_both_end_well(many: Path, mer: Mer) -> None:
    processes = [start(many, *FEATURIZE) for _ in range(2)]
    for process in processes:
        _, stderr = process.communicate()
        assert process.returncode == 0, stderr
    first = (many / "f.h5").read_bytes()
    mer(*FEATURIZE, "--force")
    assert (many / "f.h5").read_bytes() == first


def test_any_name_goes_through_the_chain(
    mer: Mer, tmp_path: Path, tone: Callable[..., NDArray[np.float32]]
) -> None:
    names = ["a b", "ö", "x,y", 'q"q', "line\nbreak", "cr\rcr", "-o", "日本"]
    (tmp_path / "in").mkdir()
    for name in names:
        soundfile.write(tmp_path / "in" / f"{name}.wav", tone(0.2), 8000)
    odd = os.fsdecode(b"not-utf8-\xff.wav")
    shutil.copy(tmp_path / "in" / "ö.wav", tmp_path / "in" / odd)
    listing = "\0".join(f"in/{name}.wav" for name in names) + f"\0in/{odd}\0"
    tracks = mer("convert", "-0", "-", "-o", "w", stdin=listing).stdout
    segments = mer("segment", "-", stdin=tracks).stdout
    mer("featurize", "-", "-o", "f.h5", stdin=segments)
    with h5py.File(tmp_path / "f.h5") as file:
        found = [os.fsdecode(name) for name in file["segments/track_id"][...]]
    assert found == [*names, odd.removesuffix(".wav")]


def test_debug_shows_where_and_without_it_nothing_does(mer: Mer) -> None:
    assert "Traceback" not in mer("inspect", "missing.h5", status=2).stderr
    assert "Traceback" in mer("inspect", "missing.h5", "--debug", status=2).stderr

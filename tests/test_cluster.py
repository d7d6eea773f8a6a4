"""Work on a real Dask cluster: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from distributed import Client

from mertools.artifacts.merging import merge_features
from mertools.version import __version__

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]
Process = subprocess.Popen[bytes]

FEATURIZE = ("featurize", "in", "--kind", "mel", "--kind", "handcrafted", "--length", "1")


@contextmanager
def dask(folder: Path, *words: str) -> Iterator[Process]:
    """Run one of Dask's own programs, killed in the end."""
    command = [sys.executable, "-m", *words, "--no-dashboard", "--scheduler-file", "scheduler.json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=log, stdout=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_cluster(folder: Path, n_workers: int) -> Iterator[tuple[Client, list[Process]]]:
    """Run a cluster whose files lie in `folder`, and give its workers and a client."""
    folder.mkdir()
    with ExitStack() as stack:
        host = ("--host", "127.0.0.1", "--port", "0")
        stack.enter_context(dask(folder, "distributed.cli.dask_scheduler", *host))
        worker = ("distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", *host[:2])
        workers = [stack.enter_context(dask(folder, *worker)) for _ in range(n_workers)]
        deadline = time.monotonic() + 60
        while not (folder / "scheduler.json").exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        file = str(folder / "scheduler.json")
        client = stack.enter_context(Client(scheduler_file=file, set_as_default=False))
        client.wait_for_workers(n_workers, timeout=60)
        yield client, workers


@pytest.fixture
def tones(tmp_path: Path, write_tone: WriteTone) -> Path:
    for i in range(30):
        write_tone(tmp_path / f"in/{i:02}.flac", 9.6, 44100, hz=100.0 + 10 * i)
    (tmp_path / "in/bad.wav").write_bytes(b"")
    return tmp_path


def start(folder: Path, *arguments: str) -> Process:
    command = [sys.executable, "-m", "mertools", *arguments]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)


def wait_for_size(path: Path, n_bytes: int, process: Process) -> None:
    while not path.exists() or path.stat().st_size < n_bytes:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def test_a_cluster_gives_the_bytes_of_one_machine_though_a_worker_is_killed(
    tones: Path, mer: Mer
) -> None:
    mer(*FEATURIZE, "-j", "1", "-o", "one.h5", status=3)
    expected = (tones / "one.h5").read_bytes()
    listed = mer("convert", "in", "-j", "1", "-o", "w", "--failures", "one.csv", status=3).stdout
    converted = {path.name: path.read_bytes() for path in (tones / "w").iterdir()}
    with running_cluster(tones / "cluster", n_workers=2) as (client, workers):
        place = ("--cluster", client.scheduler.address)
        process = start(tones, *FEATURIZE, *place, "-o", "two.h5")
        wait_for_size(tones / ".two.h5.journal", len(expected) // 10, process)
        workers[0].kill()
        half_way = (tones / ".two.h5.journal").stat().st_size
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 3, stderr
        assert stderr.count(b"\n") == 3, stderr  # the file that is none, and two summaries
        assert half_way < len(expected) * 0.9
        assert (tones / "two.h5").read_bytes() == expected
        assert len(client.nthreads()) == 1

        for path in (tones / "w").iterdir():
            path.unlink()
        again = mer("convert", "in", *place, "-o", "w", "--failures", "two.csv", status=3)
        assert again.stdout == listed
        assert {path.name: path.read_bytes() for path in (tones / "w").iterdir()} == converted
        assert (tones / "two.csv").read_bytes() == (tones / "one.csv").read_bytes()


def test_shards_of_killed_workers_are_those_of_one_machine(
    tmp_path: Path, write_tone: WriteTone, mer: Mer
) -> None:
    for i in range(12):
        write_tone(tmp_path / f"in/{i:02}.wav", 6.0, hz=100.0 + 20 * i)
    (tmp_path / "in/bad.wav").write_bytes(b"")
    notes = ("--notes", "notes.csv", "--midi", "midi", "--length", "3", "--device", "cpu")
    commands = {"f": FEATURIZE, "t": ("transcribe", "in", *notes)}
    expected: dict[str, list[bytes]] = {}
    for name, command in commands.items():
        mer(*command, "-j", "1", "-o", f"{name}.h5", "--failures", f"{name}.csv", status=3)
        expected[name] = read_all(tmp_path, name)
    with running_cluster(tmp_path / "cluster", n_workers=3) as (client, workers):
        place = ("--cluster", client.scheduler.address, "--shard-size", "1")
        for (name, command), worker in zip(commands.items(), workers, strict=False):
            output = ("-o", f"{name}.h5", "--shards", name, "--failures", f"{name}.csv")
            process = start(tmp_path, *command, *place, *output)
            wait_for_size(tmp_path / name / "000002.h5", 1, process)
            worker.kill()
            n_made = len(list((tmp_path / name).glob("*.h5")))
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == 3, stderr
            # Shards that the killed worker had finished are kept, and said to be.
            lines = [line for line in stderr.splitlines() if not line.startswith(b"kept ")]
            assert len(lines) == 3, stderr
            assert n_made < 12
            shards = sorted((tmp_path / name).iterdir())
            assert [path.name for path in shards] == [f"{i:06}.h5" for i in range(12)]
            assert (tmp_path / f"{name}.h5").stat().st_size < len(expected[name][0]) / 2
            merge_features(tmp_path / f"{name}.h5", shards, copy=True)
            assert read_all(tmp_path, name) == expected[name]
        assert len(client.nthreads()) == 1


def read_all(folder: Path, name: str) -> list[bytes]:
    """Read features, failures and what is made of notes."""
    made = [folder / f"{name}.h5", folder / f"{name}.csv"]
    if name == "t":
        made += [folder / "notes.csv", *sorted((folder / "midi").iterdir())]
    return [path.read_bytes() for path in made]


@pytest.mark.slow
def test_a_search_on_a_cluster_chooses_what_one_machine_does(tones: Path, mer: Mer) -> None:
    """A network, of which a worker that is killed has begun a fold."""
    mer(*FEATURIZE, "-o", "f.h5", status=3)
    levels = [f"{i:02},{rater},arousal,{1 + i // 15}" for i in range(30) for rater in "ab"]
    (tones / "ratings.csv").write_text(
        "\n".join(["track_id,annotator_id,target,value", *levels]) + "\n"
    )
    mer("aggregate-labels", "ratings.csv", "--classes", "arousal=low,high", "-o", "labels.csv")
    data = ("--features", "f.h5", "--labels", "labels.csv", "--target", "arousal", "--cv", "2")
    quick = ("--set", "max_epochs=4", "--device", "cpu")
    trains = {
        "cnn.safetensors": ("train", "cnn", *data, *quick),
        "kernel.safetensors": ("train", "kernel", *data, "--kind", "handcrafted"),
    }
    for name, train in trains.items():
        mer(*train, "--jobs", "1", "-o", f"one-{name}")
    with running_cluster(tones / "cluster", n_workers=2) as (client, workers):
        place = ("--cluster", client.scheduler.address)
        process = start(tones, *trains["cnn.safetensors"], *place, "-o", "two-cnn.safetensors")
        while not list(tones.glob(".two-cnn.safetensors.state/*.begun")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        workers[0].kill()
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        mer(*trains["kernel.safetensors"], *place, "-o", "two-kernel.safetensors")
    for name in trains:
        assert (tones / f"two-{name}").read_bytes() == (tones / f"one-{name}").read_bytes()


def test_ctrl_c_takes_the_work_off_the_cluster_and_a_rerun_goes_on(tones: Path, mer: Mer) -> None:
    with running_cluster(tones / "cluster", n_workers=1) as (client, _):
        place = ("--cluster", client.scheduler.address)
        process = start(tones, *FEATURIZE, *place, "-o", "f.h5")
        wait_for_size(tones / ".f.h5.journal", 200_000, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 130
        assert stderr == b""
        deadline = time.monotonic() + 20
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline, "tasks are left on the scheduler"
            time.sleep(0.1)
        made = (tones / ".f.h5.journal").stat().st_size
        assert made >= 200_000
        mer(*FEATURIZE, *place, "-o", "f.h5", status=3)
        mer(*FEATURIZE, "-j", "1", "-o", "g.h5", status=3)
        assert (tones / "f.h5").read_bytes() == (tones / "g.h5").read_bytes()

        told = altered("mertools.version.__version__ = '9'", tones, *place)
        assert f"has mertools {__version__}, not 9: install mertools 9 there" in told


def altered(change: str, folder: Path, *arguments: str) -> str:
    """Say what a featurize of a `mer` that is changed a little ends with, which is status 2."""
    code = f"import sys, mertools; {change}; from mertools.cli.app import main; main()"
    command = [sys.executable, "-c", code, *FEATURIZE, "-o", "x.h5", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert not list(folder.glob("*x.h5*"))
    return line


def test_no_cluster_to_work_on(tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "500ms")
    told = altered("0", tones, "--cluster", "tcp://127.0.0.1:9")
    assert "tcp://127.0.0.1:9: no Dask scheduler answers there" in told
    assert "localhost: is no address" in altered("0", tones, "--cluster", "localhost")
    missing = altered("sys.modules['distributed'] = None", tones, "--cluster", "tcp://127.0.0.1:9")
    assert "pip install 'mertools[cluster]'" in missing

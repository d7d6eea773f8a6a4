"""What commands write to: devices, links, folders, their own inputs, closed and full streams."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import typer

from mertools.artifacts.files import PART_STEM_BYTES, replacing
from mertools.cli import app as cli
from mertools.cli.shared.overwriting import BOTH, OUTPUTS
from mertools.runtime import parallel

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

MER = f"{sys.executable} -m mertools"


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=folder, check=False
    )


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device like /dev/null, which may be lost."""
    path = tmp_path / "null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("this system lets nobody make a device")
    return path


def test_a_device_stays_a_device(
    mer: Mer, tmp_path: Path, write_tone: WriteTone, device: Path
) -> None:
    write_tone(tmp_path / "a.wav")
    mer("featurize", "a.wav", "-o", "null")
    assert stat.S_ISCHR(device.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "null"]
    with replacing(device) as part:
        part.write_bytes(b"model")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_pipe_gets_the_whole_file(tmp_path: Path, mer: Mer, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav")
    mer("featurize", "a.wav", "-o", "f.h5")
    shell(tmp_path, f"{MER} featurize a.wav -o >(cat > g.h5); sleep 0.3")
    assert (tmp_path / "g.h5").read_bytes() == (tmp_path / "f.h5").read_bytes()


def test_a_link_is_followed(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav")
    (tmp_path / "elsewhere").mkdir()
    for name in ("f.h5", "s.csv"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    mer("featurize", "a.wav", "-o", "f.h5")
    mer("segment", "a.wav", "-o", "s.csv")
    assert (tmp_path / "f.h5").is_symlink()
    assert (tmp_path / "s.csv").is_symlink()
    with h5py.File(tmp_path / "elsewhere/f.h5") as file:
        assert "features" in file
    assert (tmp_path / "elsewhere/s.csv").read_text().startswith("segment_id,")
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


@pytest.mark.parametrize("command", ["featurize", "segment", "predict", "transcribe"])
def test_a_folder_is_no_output(
    mer: Mer, tmp_path: Path, write_tone: WriteTone, command: str
) -> None:
    write_tone(tmp_path / "a.wav")
    done = mer(command, "a.wav", "-o", ".", status=2)
    assert done.stderr == "mer: .: is a folder: give the name of a file\n"


@pytest.mark.parametrize(
    "command",
    [
        "predict a.wav -o a.wav",
        "predict a.wav -o ./link.wav",
        "predict tracks.csv -o a.wav",
        "predict . -o a.wav",
        "segment tracks.csv -o tracks.csv",
        "segment - -o tracks.csv < tracks.csv",
        "segment a.wav -o s.csv --failures s.csv",
        "featurize tracks.csv -o tracks.csv",
        "featurize a.wav -o f.h5 --failures a.wav",
        "predict -m model f.h5 -o model",
        "evaluate p.csv --labels labels.csv -o labels.csv",
        "evaluate p.csv --labels labels.csv -o p.csv",
        "aggregate-labels labels.csv -o labels.csv",
        "align p.csv --labels labels.csv --summary labels.csv",
        "rank-features f.h5 --labels labels.csv --target arousal -o f.h5",
        "merge f.h5 -o f.h5",
        "train svm --features f.h5 --labels labels.csv --target arousal -o labels.csv",
    ],
)
def test_no_input_is_replaced(tmp_path: Path, write_tone: WriteTone, command: str) -> None:
    write_tone(tmp_path / "a.wav")
    (tmp_path / "link.wav").symlink_to("a.wav")
    (tmp_path / "tracks.csv").write_text("track_id,path\n1,a.wav\n")
    for name in ("model", "f.h5", "labels.csv", "p.csv"):
        (tmp_path / name).write_bytes(b"precious")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = shell(tmp_path, f"{MER} {command}")
    assert done.returncode == 2, done.stderr
    assert re.fullmatch("mer: .*(replaced|written twice).*\n", done.stderr)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_option_for_a_file_is_known_to_be_read_or_written() -> None:
    read = {"model", "features", "labels", "annotations", "against", "init", "copies", "split_file"}
    read |= {
        "labels_file",
        "lexicon",
        "drop",
        "groups",
        "recipe",
        "encoder",
        "lyrics",
        "audio_only",
        "lyrics_only",
        "judged",
        "weights",
        "segments",
    }
    click_command = typer.main.get_command(cli.app)
    groups = [
        click_command,
        *(c for c in click_command.commands.values() if hasattr(c, "commands")),
    ]
    options = {
        (option.name, option.metavar)
        for group in groups
        for command in group.commands.values()
        for option in command.params
        if option.param_type_name == "option" and "FILE" in (option.metavar or "")
    }
    assert {name for name, _ in options} <= OUTPUTS | BOTH | read


@pytest.mark.parametrize(
    ("redirection", "status"),
    [
        ("segment a.wav >&-", 1),
        ("segment a.wav >/dev/full", 1),
        ("--help >/dev/full", 1),
        ("segment --help >&-", 1),
        ("segment a.wav -o /dev/full", 1),
        ("featurize a.wav -o /dev/full", 1),
        ("segment - <&-", 2),
        ("featurize - -o f.h5 <&-", 2),
        ("segment a.wav -o s.csv >&- <&-", 0),
        ("featurize a.wav -q -o f.h5 >&- <&-", 0),
    ],
)
def test_closed_and_full_streams(
    tmp_path: Path, write_tone: WriteTone, redirection: str, status: int
) -> None:
    write_tone(tmp_path / "a.wav")
    done = shell(tmp_path, f"{MER} {redirection}")
    assert done.returncode == status, done.stderr
    assert re.fullmatch("mer: (standard|/dev/full).*\n" if status else "", done.stderr)


def test_nothing_lands_in_a_file_that_got_the_number_of_a_closed_stream(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav")
    done = shell(tmp_path, f"{MER} segment a.wav none.wav -o s.csv >&- 2>&- <&-")
    assert done.returncode == 3
    assert (tmp_path / "s.csv").read_text().splitlines()[1:] == [
        "a_0000,a,a.wav,0.0,10.0,8000",
    ]


def test_names_that_are_not_utf8_are_written_in_every_locale(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav").rename(tmp_path / os.fsdecode(b"\xff.wav"))
    done = subprocess.run(
        [*MER.split(), "segment", "."],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\n\xff_0000,\xff,\xff.wav," in done.stdout


@pytest.mark.parametrize("delay_s", [0.01, 0.03, 0.06, 0.1, 0.2, 0.4])
def test_ctrl_c_while_modules_are_imported(
    tmp_path: Path, write_tone: WriteTone, delay_s: float
) -> None:
    write_tone(tmp_path / "a.wav", 600.0, 44100)
    # What Python itself does before any of our code runs is not ours to mend.
    started = "import mertools.__main__ as m; print(flush=True); m.main()"
    command = [sys.executable, "-c", started, "featurize", "a.wav", "--kind", "mel", "-o", "f.h5"]
    process = subprocess.Popen(
        [*command, "-q"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, b"")


def test_no_more_processes_than_items_or_cores_make_sensible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []

    class Pool(parallel.ProcessPoolExecutor):
        def __init__(self, jobs: int, *arguments: object, **options: object) -> None:
            started.append(jobs)
            super().__init__(jobs, *arguments, **options)

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(parallel, "available_cores", lambda: 2)
    assert list(parallel.map_ordered(abs, range(-3, 0), 400)) == [3, 2, 1]
    assert list(parallel.map_ordered(abs, range(-50, 0), 400)) == list(range(50, 0, -1))
    assert started == [3, 2 * parallel.PROCESSES_PER_CORE]


def test_an_output_may_have_the_longest_name(
    mer: Mer, tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav")
    name = "é" * 120 + ".csv"
    assert PART_STEM_BYTES < len(name.encode()) <= 255
    mer("segment", "a.wav", "-o", name)
    assert (tmp_path / name).exists()

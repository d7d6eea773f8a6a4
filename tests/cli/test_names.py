"""Names of files and ids from strangers: none leads out of a folder, ends a run, or reaches the
terminal as it stands."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.artifacts import files
from mertools.artifacts.names import output_path, replacing_named
from mertools.errors import InputError

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

OF_NAMES = ("track_id", "path")

MER = f"{sys.executable} -m mertools"


@pytest.mark.parametrize("track_id", ["../../x", "/abs/x", "a/../../x", "x" * 300])
def test_an_id_never_leads_out_of_its_folder(
    tmp_path: Path, mer: Mer, write_tone: WriteTone, track_id: str
) -> None:
    with pytest.raises(InputError):
        output_path(tmp_path, track_id, "wav")
    write_tone(tmp_path / "in/a.wav", 1.0)
    track_id = track_id.replace("/abs", str(tmp_path / "abs"))
    (tmp_path / "t.csv").write_text(f"track_id,path\n{track_id},in/a.wav\ngood,in/a.wav\n")
    for command in (
        "segment t.csv --write-audio out/w",
        "convert t.csv -o out/c",
        "transcribe t.csv -o n.h5 --midi out/m",
    ):
        done = mer(*command.split(), status=3)
        assert done.stderr.count("mer: ") == 1
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    good = {"out/w/good_0000.wav", "out/c/good.wav", "out/m/good.mid"}
    assert made == {"in/a.wav", "t.csv", "n.h5", *good}


def test_no_id_has_a_nul(tmp_path: Path, mer: Mer) -> None:
    with pytest.raises(InputError):
        output_path(tmp_path, "x\0y", "wav")
    (tmp_path / "t.csv").write_text("track_id,path\nx\0y,a.wav\n")
    assert "NUL" in mer("validate", "t.csv", status=2).stdout
    assert "NUL" in mer("featurize", "t.csv", "-o", "n.h5", status=2).stderr


def test_ids_of_which_one_is_the_others_folder(
    tmp_path: Path, mer: Mer, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav", 1.0)
    (tmp_path / "t.csv").write_text("track_id,path\nb,a.wav\nb.wav/c,a.wav\nd,a.wav\n")
    assert "files of other ids" in mer("convert", "t.csv", "-o", "w", status=3).stderr
    assert not list(tmp_path.rglob("*.part"))
    assert (tmp_path / "w/d.wav").exists()


def test_no_line_of_a_list_ends_it(tmp_path: Path, mer: Mer, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav")
    for bad in ("x" * 400, "x" * 70_000, "nul\0nul", "\x1b[2J", "a.wav/b", '"', "\r", "tab\t.wav"):
        done = mer("segment", "-", stdin=f"a.wav\n{bad}\na.wav\n", status=None)
        assert done.returncode == (0 if bad == "\r" else 3), done.stderr
        assert "a_0000" in done.stdout
        assert "\x1b" not in done.stderr
        done = mer("segment", "-", stdin=f"{bad}\na.wav\n", status=None)
        assert done.returncode in ((0,) if bad == "\r" else (3, 4) if "\0" in bad else (3,))


def test_what_is_no_plain_file_is_one_failed_input(
    tmp_path: Path, mer: Mer, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "in/a.wav")
    os.mkfifo(tmp_path / "in/pipe.wav")
    (tmp_path / "in/zero.wav").symlink_to("/dev/zero")
    (tmp_path / "in/broken.wav").symlink_to("nowhere")
    (tmp_path / "in/loop.wav").symlink_to("loop.wav")
    for command in (["segment"], ["convert", "-o", "w"], ["predict", "--format", "csv"]):
        done = mer(*command, "in", "/dev/zero", status=3)
        assert done.stderr.count("mer: ") == 5, done.stderr


@pytest.mark.parametrize("hidden", ["in/sub", "in/a.wav"])
def test_what_may_not_be_read_is_one_failed_input(
    tmp_path: Path, write_tone: WriteTone, hidden: str
) -> None:
    write_tone(tmp_path / "in/a.wav")
    write_tone(tmp_path / "in/sub/b.wav")
    (tmp_path / "m.csv").write_text("track_id,path\n1,in/sub/b.wav\n2,in/a.wav\n")
    (tmp_path / hidden).chmod(0)
    # Root may read everything, unless it gives that up.
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if words and shutil.which("setpriv") is None:
        pytest.skip("run by root, who may read everything, without setpriv")
    for inputs in (["in"], ["m.csv"], ["in/a.wav", "in/sub/b.wav"]):
        done = subprocess.run(
            [*words, *MER.split(), "segment", *inputs],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 3, done.stderr
        assert done.stderr.count("Permission denied") == 1
    (tmp_path / hidden).chmod(0o755)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_sound_itself_on_standard_input_or_a_pipe(
    tmp_path: Path, write_tone: WriteTone, suffix: str
) -> None:
    write_tone(tmp_path / f"a.{suffix}", 3.0, 22050)
    tables = []
    for inputs in (f"a.{suffix}", f"- < a.{suffix}", f"<(cat a.{suffix})"):
        done = subprocess.run(
            ["bash", "-c", f"{MER} predict {inputs} --level track --format csv"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows = csv.DictReader(io.StringIO(done.stdout))
        tables.append(
            [{name: cell for name, cell in row.items() if name not in OF_NAMES} for row in rows]
        )
    assert tables[0] == tables[1] == tables[2] != []


def test_a_manifest_and_a_list_from_a_pipe(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", 1.0)
    script = f"{MER} segment <(echo a.wav) && {MER} segment <({MER} convert a.wav -o w)"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a_0000") == 2


def test_names_reach_the_terminal_escaped(tmp_path: Path, mer: Mer, write_tone: WriteTone) -> None:
    name = "\x1b[31m\u202ered\r"
    write_tone(tmp_path / "in" / f"{name}.wav")
    (tmp_path / f"{name}.csv").write_text("track_id,path\n")
    for arguments in (
        ("predict", "in", "--format", "table"),
        ("validate", f"{name}.csv"),
        ("featurize", "in", "-o", f"{name}.h5"),
        ("segment", f"{name}.mp3"),
    ):
        done = mer(*arguments, status=None)
        text = done.stdout + done.stderr
        assert "\\x1b[31m\\u202ered\\r" in text, text
        assert not {"\x1b", "\r", "\u202e"} & set(text)


def test_what_a_killed_run_left_among_segments_goes(
    tmp_path: Path, mer: Mer, write_tone: WriteTone
) -> None:
    for i in range(8):
        write_tone(tmp_path / f"in/{i}.flac", 300.0, 8000)
    command = ("segment", "in", "--length", "1", "--write-audio", "w", "-o", "s.csv", "-j", "1")
    process = subprocess.Popen([*MER.split(), *command], cwd=tmp_path)
    while not list(tmp_path.glob("w/.*.part")) and process.poll() is None:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "w/.0_0000.wav.0badcafe.part").write_bytes(b"left")
    mer(*command)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("looks", [[], [0]])
def test_a_folder_made_meanwhile_is_a_failed_input_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[int]
) -> None:
    """Another process may make the folder after it was looked for, once or twice."""
    (tmp_path / "b.wav").mkdir()
    first, later = iter([False]), iter(looks)
    is_dir, file_mode = Path.is_dir, files.file_mode
    monkeypatch.setattr(Path, "is_dir", lambda path: next(first, is_dir(path)))
    monkeypatch.setattr(files, "file_mode", lambda path: next(later, file_mode(path)))
    with (
        pytest.raises(InputError, match="files of other ids"),
        replacing_named(tmp_path / "b.wav") as part,
    ):
        part.write_bytes(b"sound")

"""Sound files that lie: each is one failed input, soon and in little memory."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mertools.artifacts.rows import Track
from mertools.audio import io
from mertools.audio.convert import convert, read_converted
from mertools.audio.segment import cut_out, read_segments
from mertools.audio.settings import ConvertSettings
from mertools.errors import InputError

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

MOST_MEMORY_KB = 1_200_000


def write_wav(
    path: Path, channels: int = 1, sample_rate: int = 8000, n_bytes: int = 200_000
) -> Path:
    align = channels * 2 % 65536
    form = struct.pack(
        "<HHIIHH", 1, channels, sample_rate, sample_rate * align % (1 << 32), align, 16
    )
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", n_bytes)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + n_bytes) + body + bytes(n_bytes))
    return path


def run_measured(folder: Path, *arguments: str) -> tuple[int, str, int]:
    """Run `mer` within 20 s; give its status, what it says, and its peak of memory in kB."""
    code = (
        "import resource, sys\n"
        "from mertools.__main__ import main\n"
        "sys.argv = ['mer', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    # The shell between starts it afresh: a child's peak begins at the memory of what forked it.
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*shell, sys.executable, "-c", code, *arguments, "-j", "1"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )
    *lines, peak_kb = done.stderr.splitlines()
    return done.returncode, "\n".join(lines), int(peak_kb)


@pytest.mark.parametrize(
    ("channels", "sample_rate"),
    [(0, 8000), (1025, 8000), (65535, 8000), (1, 0), (1, 1), (1, 2**31), (1, 2**32 - 1)],
)
def test_a_wav_that_declares_what_no_sound_has(
    tmp_path: Path, write_tone: WriteTone, channels: int, sample_rate: int
) -> None:
    write_wav(tmp_path / "bad.wav", channels, sample_rate)
    write_tone(tmp_path / "good.wav")
    for command in (["segment"], ["convert", "-o", "w"], ["featurize", "-o", "f.h5"]):
        status, text, peak_kb = run_measured(tmp_path, *command, "bad.wav", "good.wav")
        assert status == 3, text
        assert "mer: bad.wav: " in text
        assert peak_kb < MOST_MEMORY_KB


def test_many_channels_take_little_memory(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", channels=1024, n_bytes=2048 * 50_000)
    status, text, peak_kb = run_measured(tmp_path, "convert", "a.wav", "-o", "w")
    assert status == 0, text
    assert peak_kb < 400_000


@pytest.mark.parametrize("name", ["a.raw", "a.vox", "a.gsm", "a.sds", "a.wav"])
def test_a_name_makes_nothing_sound(tmp_path: Path, mer: Mer, name: str) -> None:
    (tmp_path / name).write_bytes(b"no sound " * 1000)
    assert f"mer: {name}: " in mer("convert", name, "-o", "w", status=4).stderr


def test_a_header_that_declares_more_than_the_file_holds(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    path = write_tone(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] | 0x0F, 255, 255, 255, 255])  # 2 ** 36 - 1 samples
    path.write_bytes(content)
    with pytest.raises(InputError, match="more than it can hold"):
        io.probe(path)


def test_damage_that_a_seek_finds_is_one_failed_input(
    tmp_path: Path, mer: Mer, tone: Callable[..., np.ndarray]
) -> None:
    soundfile.write(tmp_path / "a.flac", tone(60.0), 8000)
    mer("segment", "a.flac", "-o", "s.csv")
    content = (tmp_path / "a.flac").read_bytes()
    broken = b"".join(
        (content[:begin], np.random.default_rng(begin).bytes(len(content) - begin))[1]
        for begin in [len(content) // 2]
    )
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2] + broken)
    for command in (["featurize", "-o", "f.h5"], ["predict", "--format", "csv"]):
        done = mer(*command, "s.csv", status=None)
        assert done.returncode in (3, 4), done.stderr
        assert "mer: a.flac: " in done.stderr
        assert "fault" not in done.stderr


@pytest.mark.parametrize("duration", ["1e5", "1e9"])
def test_a_segment_far_longer_than_its_file(
    tmp_path: Path, write_tone: WriteTone, duration: str
) -> None:
    write_tone(tmp_path / "a.wav")
    header = "segment_id,track_id,path,start,duration,sample_rate\n"
    rows = f"1,1,a.wav,0,{duration},8000\n2,1,a.wav,0,1,8000\n3,1,a.wav,{duration},1,8000\n"
    (tmp_path / "s.csv").write_text(header + rows)
    for more in ([], ["--kind", "tonal"]):
        status, text, peak_kb = run_measured(
            tmp_path, "featurize", "s.csv", "-o", "f.h5", "--force", *more
        )
        assert status == 3, text
        assert text.count("mer: a.wav: ") == 2, text
        assert peak_kb < MOST_MEMORY_KB
    path = tmp_path / "a.wav"
    y = read_converted(path, 8000)
    assert isinstance(cut_out(y, path, 0, 1e9, 8000), InputError)
    assert isinstance(next(iter(read_segments(path, [(0, 1e9)], 8000))), InputError)


@pytest.mark.parametrize("rate", ["99999999999999999999", "9", "0", "-1"])
def test_sample_rates_that_no_sound_has(
    tmp_path: Path, mer: Mer, write_tone: WriteTone, rate: str
) -> None:
    write_tone(tmp_path / "a.wav")
    for command in (["convert", "-o", "w"], ["featurize", "-o", "f"], ["transcribe", "-o", "f"]):
        assert mer(*command, "a.wav", "--sample-rate", rate, status=2)
    (tmp_path / "t.csv").write_text(f"track_id,path,sample_rate\n1,a.wav,{rate}\n")
    header = "segment_id,track_id,path,start,duration,sample_rate\n"
    (tmp_path / "s.csv").write_text(f"{header}1,1,a.wav,0,1,{rate}\n")
    for table in ("t.csv", "s.csv"):
        assert "column sample_rate" in mer("featurize", table, "-o", "f.h5", status=2).stderr
        assert "column sample_rate" in mer("validate", table, status=2).stdout


def test_a_manifest_that_disagrees_with_its_file(
    tmp_path: Path, mer: Mer, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "in/a.wav", 3.0, 16000)
    write_tone(tmp_path / "in/b.wav", 3.0, 16000)
    (tmp_path / "t.csv").write_text(mer("convert", "in", "-o", "w").stdout)
    mer("segment", "t.csv", "-o", "s.csv")
    mer("convert", "in/a.wav", "-o", "w", "--sample-rate", "16000")
    for command in (
        "featurize s.csv -o f.h5",
        "featurize t.csv -o f.h5",
        "featurize s.csv --kind musicnn -o f.h5",
        "predict s.csv --format csv",
        "segment t.csv",
        "convert t.csv -o w2",
    ):
        done = mer(*command.split(), status=3)
        assert done.stderr.count("w/a.wav: is at 16000 Hz, but its manifest says 8000 Hz") == 1


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_a_conversion_that_was_cut_off_is_made_again(
    tmp_path: Path, write_tone: WriteTone, form: str
) -> None:
    source = write_tone(tmp_path / "a.wav", 20.0, 16000)
    settings = ConvertSettings(format=form)
    converted = convert(Track("a", str(source)), tmp_path / "w", settings, force=False)
    target = Path(converted.track.path)
    whole = target.read_bytes()
    for share in (0.1, 0.5, 0.999):
        target.write_bytes(whole[: round(share * len(whole))])
        convert(Track("a", str(source)), tmp_path / "w", settings, force=False)
        assert target.read_bytes() == whole


def test_more_channels_than_the_format_has(tmp_path: Path, mer: Mer, write_tone: WriteTone) -> None:
    soundfile.write(tmp_path / "many.wav", np.zeros((8000, 12)), 8000)
    write_tone(tmp_path / "good.wav")
    command = ("convert", "many.wav", "good.wav", "--keep-channels", "--format", "flac", "-o", "w")
    assert "cannot be written as FLAC of 12 channels" in mer(*command, status=3).stderr
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["good.flac"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": null, "streams": [{}]}',
        '{"format": {"probe_score": 100}, "streams": [{}]}',
        '{"format": {"probe_score": 100}, "streams": [{"sample_rate": "0", "channels": 2}]}',
        '{"format": {"probe_score": 100}, "streams": [{"sample_rate": "N/A", "channels": 2}]}',
        '{"format": {"probe_score": 100}, "streams": [{"sample_rate": "8000", "channels": 0}]}',
        '{"format": {"probe_score": 100, "format_name": "mov", "duration": "inf"},'
        ' "streams": [{"sample_rate": "8000", "channels": 2}]}',
        '{"format": {"probe_score": 100, "format_name": "mov", "duration": "1e12"},'
        ' "streams": [{"sample_rate": "8000", "channels": 2}]}',
    ],
)
def test_whatever_ffprobe_says_is_one_failed_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    for program in ("ffprobe", "ffmpeg"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " * 100)
    with pytest.raises(InputError):
        io.probe(tmp_path / "a.m4a")


def test_ffmpegs_complaints_neither_block_nor_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bin/ffmpeg"
    path.parent.mkdir()
    path.write_text(
        "#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' x >&2\necho >&2; echo bad >&2\nexit 1\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"cannot be decoded by ffmpeg \(bad\)"):
        list(io.read_blocks(tmp_path / "a.m4a", io.AudioInfo(8000, 1, None, "ffmpeg")))


def test_sound_that_would_take_all_memory_is_refused(
    tmp_path: Path, write_tone: WriteTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tone(tmp_path / "a.wav", 60.0)
    monkeypatch.setattr("mertools.audio.convert.LONGEST_BYTES", 100_000)
    with pytest.raises(InputError, match="is longer than"):
        read_converted(path, 8000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

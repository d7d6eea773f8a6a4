"""What commands say and do when they go on where an earlier run was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Mer

WriteTone = Callable[..., Path]


@pytest.fixture
def songs(tmp_path: Path, write_tone: WriteTone) -> Path:
    for k in range(3):
        write_tone(tmp_path / f"in/{k}.wav", 11.0, hz=200.0 + 50 * k)
    return tmp_path / "in"


def test_convert_and_featurize_say_what_they_kept(
    mer: Mer, songs: Path, write_tone: WriteTone
) -> None:
    for command in (("convert", songs, "-o", "w"), ("featurize", songs, "-o", "f.h5")):
        assert "kept" not in mer(*command).stderr
    write_tone(songs / "3.wav", 11.0)
    for command in (("convert", songs, "-o", "w"), ("featurize", songs, "-o", "f.h5")):
        assert "kept 3, made 1" in mer(*command).stderr
        assert "kept 4, made 0" in mer(*command).stderr
        assert "kept" not in mer(*command, "--quiet").stderr
        assert "kept" not in mer(*command, "--force").stderr


def test_predict_goes_on_after_ctrl_c_and_says_so(mer: Mer, tmp_path: Path, songs: Path) -> None:
    """It says how much was kept; the bytes are those of a run that was not interrupted."""
    predict = ["predict", songs, "-m", "emotify-arousal", "--jobs", "1"]
    mer(*predict, "-o", "whole.csv")
    command = [sys.executable, "-m", "mertools", *map(str, predict), "-o", "p.csv"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    journal = tmp_path / ".p.csv.journal"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    if process.returncode == 0:
        pytest.skip("it was done before the signal came")
    assert process.returncode == 130
    saved = journal.read_bytes()
    said = mer(*predict, "-o", "p.csv").stderr
    assert "kept 1, made 2" in said or "kept 2, made 1" in said
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    journal.write_bytes(saved)
    assert "kept" not in mer(*predict, "-o", "p.csv", "--force").stderr
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not journal.exists()
    # A finished table does not say of what sound it is, so it is made anew.
    assert "kept" not in mer(*predict, "-o", "p.csv").stderr

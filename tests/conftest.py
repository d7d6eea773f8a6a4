from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tools.build_weights import build_missing

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background jobs: what tests start would inherit that, and ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    """Build the networks' weights where a checkout was not installed, as in a worktree."""
    build_missing()


SHARED = Path(__file__).resolve().parents[2] / "shared"

Mer = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def no_data_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the weights that the person who runs the tests has: mer predict would take them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The 300 real tracks of Emotify, which lie beside the project and never in it."""
    folder = SHARED / "corpora" / "emotify"
    if not folder.is_dir():
        pytest.skip("the Emotify corpus is not beside this checkout (../shared/corpora/emotify)")
    return folder


@pytest.fixture
def mer(tmp_path: Path) -> Mer:
    """Run `mer` with some arguments in the test's own folder."""

    def run(
        *arguments: object, stdin: str | bytes = b"", status: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        answer = subprocess.run(
            [sys.executable, "-m", "mertools", *map(str, arguments)],
            input=stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | environment,
            check=False,
        )
        done = subprocess.CompletedProcess(
            answer.args,
            answer.returncode,
            answer.stdout.decode("utf-8", "surrogateescape"),
            answer.stderr.decode("utf-8", "surrogateescape"),
        )
        assert status is None or done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def tone() -> Callable[..., NDArray[np.float32]]:
    """A sine with two overtones and a little noise, the same at every call."""

    def make(
        seconds: float = 2.0, sample_rate: int = 8000, hz: float = 220.0, level: float = 0.3
    ) -> NDArray[np.float32]:
        t = np.arange(round(seconds * sample_rate)) / sample_rate
        y = sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3))
        noise = np.random.default_rng(0).normal(size=len(t))
        return (level * (y + 0.05 * noise) / 2).astype(np.float32)

    return make


@pytest.fixture
def write_tone(tone: Callable[..., NDArray[np.float32]]) -> Callable[..., Path]:
    """Write a tone to a sound file; its name decides the format."""

    def write(path: Path, seconds: float = 2.0, sample_rate: int = 8000, **options: float) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        opus = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
        soundfile.write(path, tone(seconds, sample_rate, **options), sample_rate, **opus)
        return path

    return write


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg program, which decodes what libsndfile cannot."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("the ffmpeg program is not installed")
    return program

"""bin/mer in a made-up checkout whose environment is a stand-in: nothing is downloaded here.

What it does with a real one, from nothing, is what CI does first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MADE_FROM = ("constraints.txt", "pyproject.toml", "bin/environment.py")


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Lay out a checkout whose path has a space, its environment marked as up to date."""
    folder = tmp_path.resolve() / "a checkout"
    shutil.copytree(ROOT / "bin", folder / "bin")
    for name in MADE_FROM:
        shutil.copy(ROOT / name, folder / name)
    venv = folder / ".venv"
    write_program(venv / "bin" / "mer", 'printf "<%s>" "$@"; exit 3')
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / ".mer-lock").touch()
    (venv / ".mer-python").touch()
    stamp = subprocess.check_output(["cksum", *(str(folder / name) for name in MADE_FROM)])
    (venv / ".mer-stamp").write_bytes(stamp)
    return folder


def call(
    program: Path | str, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "MER_PYTHON"}
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_arguments_and_exit_status_pass_through(checkout: Path) -> None:
    done = call(checkout / "bin" / "mer", "predict", "a b", "", "*")
    assert (done.returncode, done.stdout, done.stderr) == (3, "<predict><a b><><*>", "")


def test_links_to_it_and_other_folders_lead_to_the_same_checkout(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "first").symlink_to(checkout / "bin" / "mer")
    (tmp_path / "links" / "mer").symlink_to("../first")
    path = f"{tmp_path / 'links'}:{os.environ['PATH']}"
    for done in (
        call("sh", "-c", "mer x", cwd=tmp_path, PATH=path),
        call("../bin/mer", "x", cwd=checkout / ".venv"),
        call("sh", "mer", "x", cwd=checkout / "bin"),
    ):
        assert (done.stdout, done.stderr) == ("<x>", "")


@pytest.mark.parametrize("change", ["pins", "moved", "no python", "other python"])
def test_an_outdated_environment_is_made_anew_first(
    checkout: Path, tmp_path: Path, change: str
) -> None:
    python = write_program(tmp_path / "python", 'echo "called: $*"; exit 7')
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "python3").symlink_to(python)
    if change == "pins":
        with (checkout / "constraints.txt").open("a", encoding="utf-8") as pins:
            pins.write("one-more==1.0\n")
    elif change == "moved":
        checkout = checkout.rename(tmp_path / "moved")
    elif change == "no python":
        (checkout / ".venv" / "bin" / "python").unlink()
    else:
        variables["MER_PYTHON"] = str(python)
    done = call(checkout / "bin" / "mer", "x", **variables)
    assert done.stdout == ""  # neither mer ran, nor did the set-up say a word on stdout
    assert done.stderr.strip().endswith("bin/environment.py")
    assert done.returncode == 7


def test_environment_of_something_else_is_left_alone(checkout: Path) -> None:
    venv = checkout / ".venv"
    for name in (".mer-lock", ".mer-stamp"):
        (venv / name).unlink()
    (venv / "pyvenv.cfg").touch()
    done = call(checkout / "bin" / "mer", MER_PYTHON=sys.executable)
    assert done.returncode == 1
    assert "made by something else" in done.stderr
    assert (venv / "bin" / "mer").exists()


def test_missing_interpreter_is_one_line(checkout: Path) -> None:
    done = call(checkout / "bin" / "mer", MER_PYTHON="no-such-python")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mer: no-such-python: ")
    assert done.stderr.count("\n") == 1

"""The benchmarks still run; what they measure here has no meaning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_module("benchmarks", "--corpus", ROOT / "examples/clips", *arguments)


def run_module(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", name, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pairs_are_measured_in_turns_and_written_as_json_and_markdown(tmp_path: Path) -> None:
    """A warm pair, a cold one, and train-cnn, which depends most on mertools' internals."""
    names = ("handcrafted", "train-cnn", "help")
    only = [word for name in names for word in ("--only", name)]
    path = tmp_path / "figures.json"
    done = run(*only, "--tracks", "4", "--repeat", "2", "--json", path, "--markdown")
    assert done.returncode == 0, done.stderr
    found = {pair["name"]: pair for pair in json.loads(path.read_text())["pairs"]}
    assert tuple(found) == names
    for pair in found.values():
        assert pair["reason"] is None
        assert len(pair["rounds"]) == len(pair["figures"]) == 2
        for each in pair["rounds"]:
            assert each["ours"]["wall_s"] > 0 < each["theirs"]["wall_s"]
        assert f"| {pair['work']} |" in done.stdout


def test_what_fails_is_told_and_the_rest_measured(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"no sound")
    done = run("--corpus", tmp_path, "--only", "handcrafted", "--only", "help", "--repeat", "1")
    assert done.returncode == 1
    assert "failed: " in done.stderr
    assert "song.mp3" in done.stderr
    assert "help: round 1 of 1" in done.stderr


def test_all_pairs_are_named() -> None:
    done = run("--list")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(names) == len(set(names))
    assert {"convert", "mel-shell", "transcribe", "chain", "help-train-dual"} <= set(names)


@pytest.mark.slow
def test_memory_is_measured_and_flat_in_the_number_of_segments() -> None:
    names = ("predict, from features", "merge --copy")
    only = [word for name in names for word in ("--only", name)]
    done = run_module("benchmarks.memory", "--segments", 300, 1500, "--json", *only)
    assert done.returncode == 0, done.stderr
    for (_, few), (_, many), *_ in json.loads(done.stdout).values():
        assert 20 < few < many < 1.2 * few + 5

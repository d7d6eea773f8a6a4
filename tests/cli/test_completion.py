"""Completion in shells: what each is told, and in bash what it then offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def tell(**environment: str) -> str:
    """Call mer as a shell's completion does."""
    command = [sys.executable, "-m", "mertools"]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "typed"),
    [
        ("bash", {"COMP_WORDS": "mer pre", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "mer pre"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "mer pre", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_commands_are_completed(shell: str, typed: dict[str, str]) -> None:
    found = tell(_MER_COMPLETE=f"complete_{shell}", **typed)
    assert "predict" in found
    assert "segment" not in found
    script = tell(_MER_COMPLETE=f"source_{shell}")
    assert f"_MER_COMPLETE=complete_{shell}" in script


def test_bash_completes_commands_options_and_their_values(tmp_path: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    mer = tmp_path / "mer"
    mer.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mertools "$@"\n', encoding="utf-8")
    mer.chmod(0o755)
    script = """
        eval "$(_MER_COMPLETE=source_bash mer)"
        offer() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mer_completion mer; echo "${COMPREPLY[*]}"
        }
        offer mer rank; offer mer train sv; offer mer predict --over; offer mer predict --level t
        offer mer featurize --kind han; offer mer predict --device c; offer mer train du
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "rank-features",
        "svm",
        "--over-time",
        "track",
        "handcrafted",
        "cpu",
        "cuda",
        "dual",
    ]


def test_models_at_hand_and_their_files_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.skops", "emotive.safetensors", "empty.csv", "own/song.skops"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def offered(typed: str) -> list[str]:
        words = {"COMP_WORDS": f"mer predict -m {typed}", "COMP_CWORD": "3"}
        return tell(_MER_COMPLETE="complete_bash", **words).split()

    bundled = ["emotify-arousal-efficientat", "emotify-arousal"]
    bundled += ["emotify-valence-skey", "emotify-valence"]
    assert offered("") == [*bundled, "emotive.safetensors", "mine.skops"]
    monkeypatch.setenv("MER_MODELS", str(tmp_path / "own"))
    assert offered("s") == ["song"]
    assert offered("own/") == []  # the shell completes files itself
    monkeypatch.setenv("MER_MODELS", "nowhere")
    assert offered("m") == ["mine.skops"]

"""Hundreds of mutated files and some killed runs: `python -m tests.fuzz --n 10000` does all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("--n", "200", "--no-network"), ("--kills", "15", "--no-network")]
)
def test_no_mutated_file_is_a_fault_and_every_killed_run_goes_on(
    arguments: tuple[str, ...],
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

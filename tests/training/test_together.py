"""Two processes under torchrun train one network, on processors by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from made_segments import write_segments

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TESTS = Path(__file__).parents[1]
SCRIPT = str(Path(__file__).with_name("train_together.py"))
pytestmark = pytest.mark.slow


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stderr


def test_two_processes_train_to_the_result_of_one(tmp_path: Path) -> None:
    write_segments(tmp_path)
    run(tmp_path, SCRIPT, ".", "alone.safetensors")
    run(tmp_path, *TORCHRUN, SCRIPT, ".", "together.safetensors")
    alone = load_file(tmp_path / "alone.safetensors")
    together = load_file(tmp_path / "together.safetensors")
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-3, atol=1e-4, msg=name)


def test_the_command_writes_once_and_goes_on(tmp_path: Path) -> None:
    write_segments(tmp_path)
    train = (
        *("-m", "mertools", "train", "cnn", "--features", "features.h5", "--labels", "labels.csv"),
        *("--target", "arousal", "--cv", "3", "--set", "max_epochs=2", "--device", "cpu"),
        *("--folds", "folds.csv", "--predictions", "p.csv", "-o", "m.safetensors"),
    )
    told = run(tmp_path, *TORCHRUN, *train)
    assert told.count("16 tracks to learn from") == 1
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"features.h5", "labels.csv", "folds.csv", "p.csv", "m.safetensors"}
    run(tmp_path, "-m", "mertools", "validate", *sorted(files))
    told = run(tmp_path, *TORCHRUN, *train, "--set", "batch_size=4", status=1)
    assert "batch_size=4: is too small for 2 processes: set at least 5" in told

"""The example clips are those that their script writes, and small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
def test_script_makes_the_same_clips_and_ratings(tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLES / "make_clips.py", tmp_path], check=True)
    assert (tmp_path / "annotations.csv").read_bytes() == (
        EXAMPLES / "annotations.csv"
    ).read_bytes()
    kept = sorted((EXAMPLES / "clips").iterdir())
    written = sorted((tmp_path / "clips").iterdir())
    assert [path.name for path in written] == [path.name for path in kept]
    for new_path, old_path in zip(written, kept, strict=True):
        new, new_rate = soundfile.read(new_path)
        old, old_rate = soundfile.read(old_path)
        assert (new.shape, new_rate) == (old.shape, old_rate)
        if new_path.suffix in {".wav", ".flac"}:
            # One step of 16 bits: another processor's sine may differ in its last bit.
            assert np.abs(new - old).max() <= 1 / 32768
        else:
            # An encoder of another version decides differently, but not audibly.
            assert np.std(new - old) < 0.02 * np.std(old)


def test_clips_are_small() -> None:
    files = [EXAMPLES / "annotations.csv", *(EXAMPLES / "clips").iterdir()]
    assert sum(path.stat().st_size for path in files) < 2_000_000

"""The kind `wave`: a segment's own samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import soundfile

from conftest import Mer


def test_samples_are_those_of_the_file(mer: Mer, tmp_path: Path) -> None:
    y = np.random.default_rng(0).integers(-(2**15), 2**15, 16000 * 4, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", y, 16000, "PCM_16")
    mer("featurize", "a.wav", "--kind", "wave", "--length", "2", "-o", "f.h5")
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        made = file["features/wave"]
        assert (made.shape, made.dtype) == ((2, 32000), np.float32)
        np.testing.assert_array_equal(made[...].ravel() * 2**15, y)


def test_the_level_is_kept_and_the_rate_is_its_own(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    for name, level in (("loud", 0.4), ("soft", 0.1)):
        write_tone(tmp_path / f"{name}.wav", 2.0, 44100, level=level)
    mer("featurize", "loud.wav", "soft.wav", "--kind", "wave", "--length", "2", "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        loud, soft = file["features/wave"][...]
    assert len(loud) == 32000
    np.testing.assert_allclose(loud, 4 * soft, atol=1e-3)


def test_segments_of_several_lengths_are_refused(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    write_tone(tmp_path / "a.wav", 2.0)
    write_tone(tmp_path / "b.wav", 3.0)
    (tmp_path / "s.csv").write_text(
        "segment_id,track_id,path,start,duration,sample_rate\n"
        "a,a,a.wav,0,2,8000\nb,b,b.wav,0,3,8000\n"
    )
    done = mer("featurize", "s.csv", "--kind", "wave", "-o", "f.h5", status=3)
    assert "gives wave of shape (24000,), others (16000,)" in done.stderr

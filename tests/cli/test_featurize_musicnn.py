"""Features of MusiCNN through the commands, on the project's own synthetic clips."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

Mer = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_model_learns_from_it_and_predicts_a_song(mer: Mer, tmp_path: Path) -> None:
    clips = EXAMPLES / "clips"
    mer("featurize", clips, "--kind", "musicnn", "--length", "6", "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        dataset = file["features/musicnn"]
        assert dataset.shape[1] == len(dataset.attrs["columns"]) == 924
        assert '"sample_rate": 16000' in dataset.attrs["params"]
        assert (file["segments/padded"][:] == 0).any()
    mer("aggregate-labels", EXAMPLES / "annotations.csv", "-o", "labels.csv")
    data = ("--labels", "labels.csv", "--target", "arousal", "--kind", "musicnn")
    mer("train", "svm", "--features", "f.h5", *data, "--cv", "2", "-o", "a.skops")
    mer("validate", "f.h5", "a.skops")
    ranked = rows(mer("rank-features", "f.h5", *data).stdout)
    assert {row["kind"] for row in ranked} == {"musicnn"}
    stored = rows(mer("predict", "-m", "a.skops", "f.h5").stdout)
    alone = rows(mer("predict", "-m", "a.skops", clips / "piece02.mp3").stdout)
    expected = [row for row in stored if row["track_id"] == "piece02"]
    assert len(alone) == len(expected)
    for one, other in zip(alone, expected, strict=True):
        assert one["predicted"] == other["predicted"]
        assert float(one["value"]) == pytest.approx(float(other["value"]), abs=1e-6)


def test_converted_sound_is_heard_as_it_is(mer: Mer, tmp_path: Path) -> None:
    """What was converted to 8 kHz has nothing above 4 kHz, and the features say so."""
    manifest = mer("convert", EXAMPLES / "clips" / "piece01.ogg", "-o", "w").stdout
    kinds = ("--kind", "handcrafted", "--kind", "musicnn")
    mer("featurize", "-", *kinds, "-o", "f.h5", stdin=manifest)
    with h5py.File(tmp_path / "f.h5") as file:
        for kind in ("handcrafted", "musicnn"):
            assert '"sample_rate": 8000' in file[f"features/{kind}"].attrs["params"]
    mer("featurize", EXAMPLES / "clips" / "piece01.ogg", *kinds, "-o", "g.h5")
    with h5py.File(tmp_path / "g.h5") as file:
        assert '"sample_rate": 8000' in file["features/handcrafted"].attrs["params"]
        assert '"sample_rate": 16000' in file["features/musicnn"].attrs["params"]

"""Models of the comparison predict a song from their file alone, as from its features."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Mer

MEL = (
    *("--kind", "mel", "--set", "mel.n_fft=2048", "--set", "mel.hop_length=512"),
    *("--set", "mel.n_frames=0", "--set", "mel.reference=absolute", "--sample-rate", "16000"),
)
CHUNK = "3.6905625"
QUICK = ("--set", "max_epochs=1", "--set", "stop=epochs", "--set", "batch_size=4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "featurize", "length", "n_segments"),
    [
        ("choi", MEL, "5", 2),
        ("cnn-gru", MEL, "5", 2),
        ("crnn", MEL, "5", 2),
        ("short-chunk", MEL, CHUNK, 2),
        ("sample-cnn", ("--kind", "wave"), CHUNK, 2),
        ("dnn", ("--kind", "handcrafted", "--kind", "notestats"), "5", 2),
        ("forest", ("--kind", "notestats"), "5", 2),
    ],
)
def test_a_song_is_predicted_as_its_features_are(
    mer: Mer,
    tmp_path: Path,
    write_tone: Callable[..., Path],
    name: str,
    featurize: tuple[str, ...],
    length: str,
    n_segments: int,
) -> None:
    lines = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,split,scale"]
    for k in range(8):
        write_tone(tmp_path / "songs" / f"s{k}.wav", 10.0, 16000, hz=110.0 * (1 + k % 2))
        y = k % 2
        lines.append(f"s{k},quadrant,,,,,{y + 1},Q{y + 1},true,{1 - y},{y},,unordered")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    mer("featurize", "songs", *featurize, "--length", length, "--last", "drop", "-o", "f.h5")
    kinds = featurize if name in ("dnn", "forest") else ()
    quick = ("--set", "n_estimators=5") if name == "forest" else (*QUICK, "--device", "cpu")
    data = ("--features", "f.h5", "--labels", "labels.csv", "--target", "quadrant", "--cv", "0")
    mer("train", name, *data, *kinds, *quick, "-o", "m.safetensors")
    tables = []
    for source in ("f.h5", "songs/s3.wav"):
        table = mer("predict", "-m", "m.safetensors", source, "--device", "cpu").stdout
        of_song = [r for r in csv.DictReader(table.splitlines()) if r["track_id"] == "s3"]
        tables.append(of_song)
        assert sum(row["level"] == "segment" for row in of_song) == n_segments
    for one, other in zip(*tables, strict=True):
        for column in ("p_1", "p_2"):
            np.testing.assert_allclose(float(one[column]), float(other[column]), atol=1e-5)

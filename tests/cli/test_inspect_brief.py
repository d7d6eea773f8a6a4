"""`mer inspect --brief`: a few lines of any artifact or model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import Mer


def test_a_few_lines_of_each(mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]) -> None:
    model = mer("inspect", "emotify-arousal", "--brief").stdout.splitlines()
    assert model[0] == "kernel model of arousal, ordered (weak, neutral, strong)"
    assert model[1].startswith("looks at musicnn 924, musicnn-change 424, tonal 36; segments of 10")
    assert model[2] == "learnt from 300 tracks: weak 98, neutral 86, strong 116"
    assert model[3] == "scores of held-out tracks: macro_f1 0.504, accuracy 0.647"
    assert len(model) == 5
    write_tone(tmp_path / "a.wav", 11.0)
    mer("featurize", "a.wav", "--kind", "handcrafted", "--kind", "mel", "-o", "f.h5")
    features = mer("inspect", "f.h5", "--brief").stdout.splitlines()
    assert features[-1] == "features: handcrafted 136, mel 128 x 51"
    assert len(features) == 7
    (tmp_path / "a.csv").write_text("track_id,annotator_id,target,value\na,1,arousal,1\n")
    table = mer("inspect", "a.csv", "--brief").stdout.splitlines()
    assert table == ["artifact: annotations", "rows: 1", "tracks: 1", "target: arousal 1"]
    error = mer("inspect", "a.csv", "--brief", "--json", status=2).stderr
    assert "--brief and --json: exclude each other" in error

"""The study of sound and lyrics: pairs made up by us, exchanged lyrics, and `make small`."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mertools.models.registry import find_architecture
from mertools.training.recipes import read_recipe

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "examples" / "bimodal"


def run(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, STUDY / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("recipe", "architecture"),
    [("sound", "vgg"), ("both", "bimodal"), ("m1", "bimodal"), ("siamese", "siamese")],
)
def test_recipes_are_read(recipe: str, architecture: str) -> None:
    found = read_recipe(STUDY / "recipes" / f"{recipe}.toml", find_architecture(architecture))
    assert (found["variant"] if recipe == "m1" else "M1") == "M1"


def test_tracks_are_paired_with_sentences_like_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["track_id,target,mean,split"]
    for k, (valence, arousal) in enumerate(rng.uniform(size=(80, 2))):
        part = ("train", "validation", "test")[k % 3]
        labels += [f"t{k},valence,{valence},{part}", f"t{k},arousal,{arousal},{part}"]
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    sentences = ["id,split,V,A,D,text"]
    for k, (valence, arousal) in enumerate(rng.uniform(1, 5, size=(900, 2))):
        part = ("train", "dev", "test")[k % 3]
        sentences.append(f's{k},{part},{valence},{arousal},3,"{part}, {valence} {arousal}"')
    (tmp_path / "emobank.csv").write_text("\n".join(sentences) + "\n")
    written = run("pair.py", tmp_path / "labels.csv", tmp_path / "emobank.csv")
    texts = {row["track_id"]: row["text"] for row in csv.DictReader(written.splitlines())}
    assert len(texts) == len(set(texts.values())) == 80
    valences = [float(line.split(",")[2]) for line in labels[1::2]]
    of_texts = []
    for k in range(80):
        part, _, plane = texts[f"t{k}"].partition(", ")
        assert part == ("train", "dev", "test")[k % 3]
        of_texts.append(float(plane.split()[0]))
    assert np.corrcoef(valences, of_texts)[0, 1] > 0.95


def test_late_fusion_is_a_mean_and_leans_on_sound_where_words_do_not_fit(tmp_path: Path) -> None:
    header = "level,track_id,segment_id,start,duration,target,classes,predicted,value,scale\n"
    for name, values in {"audio": (0.2, 0.4), "lyrics": (0.8, 0.6)}.items():
        lines = [f"track,t{k},,,,valence,,,{value},0..1\n" for k, value in enumerate(values)]
        (tmp_path / f"{name}.csv").write_text(header + "".join(lines))
    (tmp_path / "congruence.csv").write_text("track_id,similarity\nt0,0.0\nt1,1.0\n")

    def fuse(*options: object) -> list[float]:
        out = tmp_path / "late.csv"
        run("late.py", tmp_path / "audio.csv", tmp_path / "lyrics.csv", *options, "-o", out)
        return [float(row["value"]) for row in csv.DictReader(out.read_text().splitlines())]

    assert fuse() == pytest.approx([0.5, 0.5])
    weighted = fuse("--congruence", tmp_path / "congruence.csv")
    assert weighted == pytest.approx([0.75 * 0.2 + 0.25 * 0.8, 0.5])


@pytest.mark.slow
def test_make_small_ends_in_a_report(tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("the make program is not installed")
    mer = tmp_path / "mer"
    mer.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mertools "$@"\n', encoding="utf-8")
    mer.chmod(0o755)
    ignore = shutil.ignore_patterns("out", "__pycache__")
    examples = Path(shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignore))
    done = subprocess.run(
        ["make", "small", f"MER={mer}", f"PYTHON={sys.executable}"],
        cwd=examples / "bimodal",
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    out = examples / "bimodal" / "out" / "small"
    report = (out / "report.md").read_text("utf-8")
    for heading in ("Scores", "Beside trivial answers", "in disguise", "Congruence"):
        assert heading in report
    for row in ("regression: the lyrics' vectors", "weighted by congruence", "untrained"):
        assert row in report
    assert "| M2 | valence |" in report
    figures = {path.name for path in (out / "figures").rglob("*.png")}
    assert {"doughnut.png", "similarity.png", "errors_by_similarity.png"} <= figures

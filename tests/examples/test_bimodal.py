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
    assert "| M2 | valence |" in report
    figures = {path.name for path in (out / "figures").rglob("*.png")}
    assert {"doughnut.png", "similarity.png", "errors_by_similarity.png"} <= figures

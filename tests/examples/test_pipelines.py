"""The examples run as their READMEs say, in a copy, on the synthetic clips."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the examples, and let MER name the mer of this environment."""
    mer = tmp_path / "mer"
    mer.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mertools "$@"\n', encoding="utf-8")
    mer.chmod(0o755)
    monkeypatch.setenv("MER", str(mer))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ignore = shutil.ignore_patterns("out", "__pycache__")
    return Path(shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignore))


def test_pipeline_prints_predictions_and_scores(examples: Path) -> None:
    done = subprocess.run(
        [examples / "pipeline.sh"], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["track_id"] for row in rows] == [f"piece{n:02d}" for n in range(1, 25)]
    assert {row["predicted"] for row in rows} == {"weak", "neutral", "strong"}
    assert "macro F1" in done.stderr


def make(folder: Path, *arguments: str) -> str:
    done = try_make(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("make"):
        pytest.skip("the make program is not installed")
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_make_remakes_what_depends_on_a_change_and_nothing_else(examples: Path) -> None:
    def times() -> dict[str, int]:
        files = (path for path in (examples / "out").rglob("*") if path.is_file())
        return {str(path.relative_to(examples)): path.stat().st_mtime_ns for path in files}

    def changed() -> set[str]:
        return {name for name, time in times().items() if time != before.get(name)}

    make(examples, "check")
    before = times()
    assert len([name for name in before if name.endswith(".wav")]) == 24
    assert make(examples, "-q") == ""

    song = examples / "clips" / "piece08.wav"
    signal, sample_rate = soundfile.read(song)
    soundfile.write(song, np.flip(signal), sample_rate, subtype="PCM_16")
    make(examples)
    assert {name for name in changed() if name.endswith(".wav")} == {"out/wav/piece08.wav"}
    assert {"out/features.h5", "out/arousal.skops", "out/metrics.json"} <= changed()
    assert "out/labels.csv" not in changed()

    before = times()
    ratings = examples / "annotations.csv"
    os.utime(ratings)
    make(examples)
    assert {"out/labels.csv", "out/valence.skops", "out/metrics.json"} <= changed()
    assert not changed() & {"out/tracks.csv", "out/segments.csv", "out/features.h5"}
    assert make(examples, "-q") == ""


def test_the_thesis_experiments_end_in_a_report(examples: Path) -> None:
    crib = examples / "crib"
    said = make(crib, "small", f"PYTHON={sys.executable}")
    out = crib / "out" / "small"
    assert said.splitlines()[-1] == str(out / "report.md")
    report = (out / "report.md").read_text("utf-8")
    for name in ("SVM, hard", "CNN, hard", "CNN, soft", "LSTM, soft", "Dual-Stream, soft"):
        assert report.count(f"| {name} | 0.") == 2, name  # scores and alignment
    assert report.count(" over ") >= 2 * 6  # pairs of four models, two objectives
    for point in ("learning_rate=0.002", "freeze=S4", "heads=4"):
        assert f"| {point} | 0." in report
    assert "| feature | F | p | flac | mp3 | ogg | wav |" in report
    for figure in re.findall(r"\]\((figures/.*?)\)", report):
        assert (out / figure).stat().st_size > 1000


def test_the_experiments_need_a_corpus_and_explain_themselves(examples: Path) -> None:
    crib = examples / "crib"
    assert "make CORPUS=FOLDER" in make(crib, "help")
    done = try_make(crib, "CORPUS=nowhere")
    assert done.returncode == 2
    assert "nowhere/annotations.csv does not exist" in done.stderr
    assert not (crib / "out").exists()


def test_words_to_valence_arousal_and_dominance(examples: Path) -> None:
    """examples/vad: every network, each number, both sorts of labels, and a report of them."""
    folder = examples / "vad"
    make(folder, "small", f"PYTHON={sys.executable}", "KINDS=mfcc", "NETWORKS=seq-cnn seq-lstm")
    report = (folder / "out" / "small" / "report.md").read_text("utf-8")
    assert "24 of 24 tracks have labels" in report
    for line in ("seq-cnn, mfcc", "seq-lstm, mfcc", "always the mean", "arousal: seq-lstm, mfcc"):
        # The first table has errors, the second R2 and correlations.
        found = [row for row in report.splitlines() if row.startswith(f"| {line} |")]
        assert len(re.findall(r"\d\.\d\d", found[0])) >= 2
    done = try_make(folder, f"PYTHON={sys.executable}")
    assert done.returncode == 2
    assert "name songs, tags and a lexicon" in done.stderr

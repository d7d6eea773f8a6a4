"""The comparison's report, by closed forms and references; and `make small`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from made_comparison import write_comparison
from made_keras import write_keras
from made_published import draw_artist, draw_choi, draw_won

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "comparison"


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("comparison_report", FOLDER / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["comparison_report"] = module
    spec.loader.exec_module(module)
    return module


def test_the_t_test_is_that_of_nadeau_and_bengio(report: ModuleType) -> None:
    """Written out for 2 x 5 folds, beside scipy's test of the uncorrected variance."""
    from scipy.stats import t, ttest_1samp

    rng = np.random.default_rng(0)
    one, other = rng.normal(0.6, 0.05, (2, 5)), rng.normal(0.55, 0.05, (2, 5))
    d = (one - other).ravel()
    expected = d.mean() / np.sqrt((1 / 10 + 1 / 4) * d.var(ddof=1))
    assert report.resampled_t_test(one, other) == pytest.approx(2 * t.sf(abs(expected), 9))
    plain = ttest_1samp(d, 0)
    assert plain.statistic == pytest.approx(expected * np.sqrt(1 + 10 / 4))
    assert report.resampled_t_test(one, other) > plain.pvalue
    low, high = report.interval(one)
    assert (low + high) / 2 == pytest.approx(one.mean())
    assert report.resampled_t_test(one, one) == 1


def test_macro_f1_of_confusions_is_scikit_learns(report: ModuleType) -> None:
    from sklearn.metrics import confusion_matrix, f1_score

    rng = np.random.default_rng(0)
    y, guess = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    found = report.macro_f1(confusion_matrix(y, guess).astype(float))
    assert float(found) == pytest.approx(f1_score(y, guess, average="macro"))


def test_permutations_tell_a_better_method_from_an_equal_one(report: ModuleType) -> None:
    rng = np.random.default_rng(0)
    classes = ["Q1", "Q2", "Q3", "Q4"]
    truth = {f"t{k}": classes[k % 4] for k in range(120)}

    def method(right: float) -> object:
        guesses = {
            (repeat, track): name if rng.random() < right else str(rng.choice(classes))
            for repeat in (1, 2)
            for track, name in truth.items()
        }
        return report.Method("m", {}, guesses)

    assert report.permutation_test(method(0.8), method(0.3), truth, classes) < 0.01
    assert report.permutation_test(method(0.5), method(0.5), truth, classes) > 0.05


@pytest.mark.slow
def test_leaks_are_worth_much_where_there_is_nothing_to_learn(tmp_path: Path) -> None:
    """Vectors are noise: what is above chance is the leak's."""
    import h5py

    kinds = {"handcrafted": (90,), "tonal": (20,), "notestats": (10,), "musicnn": (80,)}
    write_comparison(tmp_path, kinds, 48)
    (tmp_path / "features.h5").rename(tmp_path / "clips.h5")
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "clips.h5", "r+") as file:
        for values in file["features"].values():
            values[...] = rng.normal(size=values.shape)
    (tmp_path / "copies").mkdir()
    copies = Path(shutil.copy(tmp_path / "clips.h5", tmp_path / "copies" / "gain.h5"))
    with h5py.File(copies, "r+") as file:
        segments = file["segments"]
        originals = [name.decode() for name in segments["track_id"][...]]
        for column in ("segment_id", "track_id"):
            segments[column][...] = [f"{name}~gain" for name in originals]
        segments.create_dataset("original", data=originals, dtype=h5py.string_dtype())
        file.attrs["schema_version"] = "1.1"
        for values in file["features"].values():
            values[...] += 0.01 * rng.normal(size=values.shape)
    folds = [f"t{k:03},{1 + k // 4 % 2}" for k in range(48)]
    (tmp_path / "folds.csv").write_text("\n".join(["track_id,fold", *folds]) + "\n")
    done = subprocess.run(
        [
            *(sys.executable, FOLDER / "leaks.py", tmp_path, "--columns", "12"),
            *("--labels", tmp_path / "labels.csv", "--mer", f"{sys.executable} -m mertools"),
            *("--dense", "dnn --device cpu --set max_epochs=20 --set stop=epochs"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    leaks = [row for row in rows if len(row) > 4 and row[3].strip("| ")]
    assert [row[:2] for row in leaks] == [
        ["12 of 120 columns", "svm"],
        ["12 of 120 columns", "dnn"],
        ["12 of 200 columns", "svm"],
        ["12 of 200 columns", "dnn"],
        ["copies (gain)", "svm"],
    ]
    for row in leaks:
        sound, leaky = float(row[2]), float(row[3])
        assert sound < 45  # chance is 25
        assert leaky > sound + 10


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Run make in a copy of the example, and give its folder."""
    if not shutil.which("make"):
        pytest.skip("the make program is not installed")
    mer = tmp_path / "mer"
    mer.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mertools "$@"\n', encoding="utf-8")
    mer.chmod(0o755)
    ignore = shutil.ignore_patterns("out", "__pycache__")
    examples = Path(shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignore))

    def run(*arguments: str) -> Path:
        done = subprocess.run(
            ["make", *arguments, f"MER={mer}", f"PYTHON={sys.executable}"],
            cwd=examples / "comparison",
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        return examples / "comparison" / "out"

    return run


@pytest.mark.slow
def test_make_small_ends_in_a_table(make: Callable[..., Path]) -> None:
    out = make("small") / "small"
    table = (out / "report.md").read_text()
    assert "2 x 2 folds of whole tracks" in table
    assert "| Baseline CNN, pitch-shift |" in table
    assert "| Random forest on an autoencoder |" in table
    assert table.count("±") == 3 * 10
    assert "| method | from svm" not in table  # neither of the rows on MusiCNN is in it
    assert (out / "figures" / "scores.svg").exists()


@pytest.mark.slow
def test_networks_of_others_are_rows_where_their_files_are_named(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    """Drawn weights: rows that end in a table, each from features as its authors have them."""
    write_keras(tmp_path / "choi.h5", draw_choi())
    write_keras(tmp_path / "artist.h5", draw_artist())
    torch.save(draw_won(), tmp_path / "won.pth")
    clips = sorted((ROOT / "examples" / "clips").iterdir())[:8]
    songs = [f"{clip.stem},{clip}" for clip in clips]
    (tmp_path / "songs.csv").write_text("\n".join(["track_id,path", *songs]) + "\n")
    labels = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,split,scale"]
    for k, clip in enumerate(clips):
        y = k % 2
        labels.append(f"{clip.stem},letter,,,,,{y + 1},{'AB'[y]},true,{1 - y},{y},,unordered")
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    out = make(
        *(f"TRACKS={tmp_path}/songs.csv", f"LABELS={tmp_path}/labels.csv", "TARGET=letter"),
        *(f"WEIGHTS_choi-crnn={tmp_path}/choi.h5", f"WEIGHTS_won-crnn={tmp_path}/won.pth"),
        *(f"WEIGHTS_artist={tmp_path}/artist.h5", "METHODS=forest svm-musicnn $(BROUGHT)"),
        *("FOLDS=2", "REPEATS=1", "LENGTH=4", "DEVICE=cpu", "BASELINE=forest"),
        "NETWORK_OPTIONS=--set max_epochs=1",
    )
    table = (out / "report.md").read_text()
    for name in ("Transfer, Choi's tagger", "Transfer, Won's tagger", "Transfer, artists"):
        assert f"| {name} |" in table
    assert "| method | from svm-musicnn | p (t-test) | p (permutation) |" in table
    assert "Not done" not in table
    (out / "cv" / "won-transfer.csv").unlink()
    make(
        *("report", f"LABELS={tmp_path}/labels.csv", "TARGET=letter", "BASELINE=forest"),
        "METHODS=forest choi-transfer won-transfer",
    )
    table = (out / "report.md").read_text()
    assert "Not done: won-transfer." in table
    assert "| Transfer, Won's tagger |" not in table

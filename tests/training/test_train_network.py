"""`mer train cnn`, `lstm` and `dual` on small features in which the class shows."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner, Result

from made_segments import CLASSES, write_segments
from mertools.cli.app import app

Mer = Callable[..., subprocess.CompletedProcess[str]]

DATA = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
QUICK = (
    *("--cv", "3", "--set", "max_epochs=3", "--set", "batch_size=8"),
    *("--device", "cpu", "--jobs", "1"),
)
TABLES = ("--predictions", "p.csv", "--history", "h.csv", "--folds", "folds.csv")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def values_of(table: list[dict[str, str]], level: str, score: str, point: int = 1) -> list[float]:
    """Pick a score of each fold at a point from cv.csv."""
    key = (str(point), level, score)
    return [
        float(row["value"]) for row in table if (row["point"], row["level"], row["score"]) == key
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_segments(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here(*arguments: str, status: int = 0) -> Result:
    """Run `mer` in this process, which torch need not be imported into each time."""
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn", "lstm", "dual"])
def test_the_whole_way_of_a_network(folder: Path, model: str) -> None:
    train = ("train", model, *DATA, *QUICK, *TABLES, "--cv-table", "cv.csv")
    done = here(*train, "-o", "m.safetensors")
    assert "16 tracks to learn from; 4 kept for testing, 4 dropped" in done.stderr
    made = {name: (folder / name).read_bytes() for name in ("m.safetensors", "p.csv", "h.csv")}
    for name in made:
        (folder / name).unlink()
    here(*train, "-o", "m.safetensors", "--jobs", "2")
    for name, content in made.items():
        assert (folder / name).read_bytes() == content, name
    files = [path.name for path in folder.iterdir()]
    assert len(files) == 7
    assert not any(name.startswith(".") for name in files)
    here("validate", *files)

    told = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert (told["model"], told["unit"], told["search"]["n_folds"]) == (model, "segment", 3)
    history = rows(folder / "h.csv")
    assert [row["fold"] for row in history[::3]] == ["1", "2", "3", ""]
    table = rows(folder / "cv.csv")
    scores = told["scores"]["levels"]["track"]
    of_folds = {name: values_of(table, "track", name) for name in ("macro_f1", "accuracy")}
    assert np.mean(of_folds["macro_f1"]) == pytest.approx(scores["macro_f1"]["mean"], abs=1e-8)
    assert np.std(of_folds["accuracy"], ddof=1) == pytest.approx(
        scores["accuracy"]["std"], abs=1e-8
    )

    predicted = rows(folder / "p.csv")
    held_out = {row["track_id"]: row["fold"] for row in rows(folder / "folds.csv")}
    of_tracks = {row["track_id"]: row for row in predicted if row["level"] == "track"}
    assert of_tracks.keys() == held_out.keys()
    labels = {row["track_id"]: row["class"] for row in rows(folder / "labels.csv")}
    right = [row["predicted"] == labels[track] for track, row in of_tracks.items()]
    folds = [[r for r, f in zip(right, held_out.values(), strict=True) if f == k] for k in "123"]
    assert of_folds["accuracy"] == pytest.approx([np.mean(f) for f in folds])
    assert all(row["fold"] == held_out[row["track_id"]] for row in predicted)

    (folder / "all.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    everything = rows(folder / "all.csv")
    assert sum(row["level"] == "segment" for row in everything) == 48
    for track in [row for row in everything if row["level"] == "track"]:
        segments = [
            float(row["p_1"])
            for row in everything
            if row["level"] == "segment" and row["track_id"] == track["track_id"]
        ]
        assert float(track["p_1"]) == pytest.approx(np.mean(segments), abs=1e-8)


@pytest.mark.parametrize("model", ["cnn", "lstm", "dual"])
def test_a_network_learns_what_shows(folder: Path, model: str) -> None:
    longer = ("--cv", "0", "--set", "max_epochs=20")
    here("train", model, *DATA, *QUICK, *longer, "-o", "m.safetensors")
    (folder / "p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    labels = {row["track_id"]: row["class"] for row in rows(folder / "labels.csv")}
    tracks = [row for row in rows(folder / "p.csv") if row["level"] == "track"]
    right = [row["predicted"] == labels[row["track_id"]] for row in tracks]
    assert np.mean(right) > 0.8
    assert json.loads(here("inspect", "m.safetensors", "--json").stdout)["scores"]["folds"] == []


@pytest.mark.slow
def test_a_grid_is_searched_and_its_best_point_trained(folder: Path) -> None:
    grid = ("--grid", "learning_rate=0.002,1e-9", "--grid", "heads=2,4")
    train = ("train", "lstm", *DATA, *QUICK, "--set", "max_epochs=8", *grid, "--history", "h.csv")
    done = here(*train, "--cv-table", "cv.csv", "-o", "m.safetensors")
    table = rows(folder / "cv.csv")
    parameters = list(dict.fromkeys(row["parameters"] for row in table))
    assert parameters == [
        "learning_rate=0.002 heads=2",
        "learning_rate=0.002 heads=4",
        "learning_rate=1e-09 heads=2",
        "learning_rate=1e-09 heads=4",
    ]
    scores = [np.mean(values_of(table, "track", "macro_f1", point)) for point in (1, 2, 3, 4)]
    best = int(np.argmax(scores))
    told = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    chosen = " ".join(f"{name}={value}" for name, value in told["search"]["chosen"].items())
    assert chosen == parameters[best]
    assert told["search"]["nested"] is False
    assert told["architecture"]["heads"] == told["search"]["chosen"]["heads"]
    assert parameters[best] in done.stderr
    in_the_end = [row["point"] for row in rows(folder / "h.csv") if not row["fold"]]
    assert set(in_the_end) == {str(best + 1)}
    (folder / "one.csv").write_text((folder / "cv.csv").read_text())
    here(*train, "--cv-table", "cv.csv", "--no-refit", "--jobs", "2")
    assert (folder / "one.csv").read_bytes() == (folder / "cv.csv").read_bytes()


def test_kinds_of_features_may_lie_in_several_files(folder: Path) -> None:
    here("train", "dual", *DATA, *QUICK, "--cv", "0", "-o", "m.safetensors")
    write_segments(folder / "mel", kinds=("mel",))
    write_segments(folder / "notes", 20, kinds=("onset", "contour", "note"))
    some, more = ("mel/features.h5", "notes/features.h5")
    done = here("predict", "-m", "m.safetensors", more, some, status=3)
    assert len(done.stdout.splitlines()) == 1 + 20 * 3
    assert "mer: t20_0: has no onset features, but others" in done.stderr
    of_all = here("predict", "-m", "m.safetensors", "features.h5").stdout
    assert of_all.splitlines()[0] == done.stdout.splitlines()[0]
    for names, problem in (
        ([some], "mel/features.h5: holds no onset features that m.safetensors can use"),
        ([some, more, some], "holds mel of the segment t00_0 again"),
    ):
        assert problem in here("predict", "-m", "m.safetensors", *names, status=2).stderr
    here("train", "lstm", *DATA, *QUICK, "--cv", "0", "-o", "l.safetensors")
    done = here("predict", "-m", "l.safetensors", more, some, status=2)
    assert "mel/features.h5: holds no onset features that l.safetensors can use" in done.stderr
    write_segments(folder / "same", 20, kinds=("mel",))
    needless = here("predict", "-m", "l.safetensors", "same/features.h5", more).stdout
    assert needless == here("predict", "-m", "l.safetensors", more).stdout


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start `mer`; what is not over when the test ends, or fails, is killed."""
    with ExitStack() as stack:

        def run(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "mertools", *arguments],
                cwd=folder,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield run


def wait_for_epochs(process: subprocess.Popen[bytes], folder: Path, n: int) -> None:
    log = folder / ".m.safetensors.state" / "log"
    while not log.exists() or len(log.read_text().splitlines()) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


LONGER = ("train", "cnn", *DATA, *QUICK, "--set", "max_epochs=6", *TABLES, "-o", "m.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_at_any_epoch_it_goes_on_as_if_nothing_had_happened(
    folder: Path, start: Start, mer: Mer, jobs: str
) -> None:
    mer(*LONGER)
    names = ("m.safetensors", "p.csv", "h.csv")
    expected = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    for n_epochs in (3, 4, 9, 19):  # of which a kill undoes two
        process = start(*LONGER, "--resume", "--jobs", jobs)
        wait_for_epochs(process, folder, n_epochs)
        process.kill()
        process.communicate()
        assert not (folder / "m.safetensors").exists()
    assert list(folder.glob(".m.safetensors.state/*.done"))
    mer(*LONGER, "--resume", "--jobs", jobs)
    assert {name: (folder / name).read_bytes() for name in names} == expected
    assert not (folder / ".m.safetensors.state").exists()


ENDLESS = ("--set", "max_epochs=100000", "--set", "patience=100000", "--jobs", "2")


def test_ctrl_c_ends_it_at_once_and_it_goes_on(folder: Path, start: Start) -> None:
    process = start(*LONGER, *ENDLESS)
    wait_for_epochs(process, folder, 4)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert len(stderr.splitlines()) == 1  # what there is to learn from
    assert not (folder / "m.safetensors").exists()
    # What was begun with other parameters is not taken for this.
    here(*LONGER, "--resume")


def test_two_runs_do_not_write_the_same_model(folder: Path, start: Start) -> None:
    process = start(*LONGER, *ENDLESS)
    wait_for_epochs(process, folder, 1)
    done = here(*LONGER, status=1)
    process.kill()
    process.communicate()
    assert "is being trained by another process" in done.stderr
    assert (folder / ".m.safetensors.state" / "log").exists()


def write_other_corpus(folder: Path) -> None:
    write_segments(folder / "other", 18, 1, classes=("calm", "wild"), target="energy")


OTHER = ("--features", "other/features.h5", "--labels", "other/labels.csv", "--target", "energy")


@pytest.mark.parametrize(
    ("scenario", "n_frozen"), [("S0", 0), ("S1", 4), ("S2", 1), ("S3", 2), ("S4", 3)]
)
def test_a_network_begins_with_what_another_has_learnt(
    folder: Path, scenario: str, n_frozen: int
) -> None:
    write_other_corpus(folder)
    here("train", "cnn", *OTHER, *QUICK, "--cv", "0", "-o", "first.safetensors")
    transfer = ("--init", "first.safetensors", "--freeze", scenario, "--cv", "0")
    for model in ("cnn", "dual"):
        done = here("train", model, *DATA, *QUICK, *transfer, "-o", "m.safetensors")
        assert "weights are taken over" in done.stderr
        assert "begun by chance: classifier" in done.stderr
        assert ("the input's statistics are the training part's" in done.stderr) == (n_frozen == 0)
        first, made = load_file(folder / "first.safetensors"), load_file(folder / "m.safetensors")
        same = {
            name
            for name, weight in made.items()
            if name in first and np.array_equal(first[name], weight)
        }
        frozen = {name for name in made if name.startswith("spectrogram.standardise") and n_frozen}
        for i in range(n_frozen):
            frozen |= {name for name in made if name.startswith(f"spectrogram.blocks.{i}.")}
        assert same == frozen
        assert made["classifier.bias"].shape == (len(CLASSES),)
    told = json.loads(here("inspect", "m.safetensors", "--json").stdout)["training"]
    assert told["init"]["target"] == "energy"


def test_the_last_layer_is_kept_for_the_same_classes(folder: Path) -> None:
    here("train", "lstm", *DATA, *QUICK, "--cv", "0", "-o", "first.safetensors")
    still = ("--set", "learning_rate=1e-30", "--init", "first.safetensors", "--cv", "0")
    done = here("train", "lstm", *DATA, *QUICK, *still, "-o", "m.safetensors")
    assert "by chance" not in done.stderr
    first, made = load_file(folder / "first.safetensors"), load_file(folder / "m.safetensors")
    for name, weight in first.items():
        np.testing.assert_array_equal(made[name], weight, err_msg=name)


def test_soft_learns_the_distribution_of_dropped_tracks_too(folder: Path) -> None:
    train = ("train", "cnn", *DATA, *QUICK, "--set", "max_epochs=12", "--cv-table", "cv.csv")
    here(*train, "--objective", "hard", "--folds", "folds.csv", "-o", "hard.safetensors")
    soft = (*train, "--objective", "soft", "--predictions", "p.csv", "--folds", "folds.csv")
    done = here(*soft, "-o", "soft.safetensors")
    assert "20 tracks to learn from; 4 kept for testing, 0 dropped" in done.stderr
    told = json.loads(here("inspect", "soft.safetensors", "--json").stdout)
    assert sum(fold["n_tracks"] for fold in told["scores"]["folds"]) == 16
    assert len([row for row in rows(folder / "p.csv") if row["level"] == "track"]) == 20
    labels = {row["track_id"]: row for row in rows(folder / "labels.csv")}
    divergence = {}
    for name in ("hard", "soft"):
        answer = here("predict", "-m", f"{name}.safetensors", "features.h5", "--level", "track")
        (folder / "all.csv").write_text(answer.stdout)
        divergence[name] = np.mean(
            [
                sum(
                    float(labels[row["track_id"]][p])
                    * np.log(float(labels[row["track_id"]][p]) / max(float(row[p]), 1e-9))
                    for p in ("p_1", "p_2", "p_3")
                )
                for row in rows(folder / "all.csv")
            ]
        )
    assert divergence["soft"] < divergence["hard"]


@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        ("cnn", ["--device", "cuda:77"], "--device cuda:77: is not there: choose from"),
        ("cnn", ["--grid", "heads=2"], "--grid heads: is no parameter"),
        ("cnn", ["--grid", "batch_size=1.5"], "PARAM=VALUE"),
        ("cnn", ["--set", "batch_size=0"], "batch_size=0: makes no sense"),
        ("cnn", ["--set", "batch_size=1,2"], "try them with --grid"),
        ("cnn", ["--grid", "freeze=S0,S9"], "choose from S0, S1"),
        ("cnn", ["--freeze", "S2"], "would freeze weights by chance"),
        ("cnn", ["--cv", "1"], "too few folds"),
        ("cnn", ["--cv", "9"], "--cv 9"),
        ("cnn", ["--cv", "0", "--predictions", "p.csv"], "needs folds"),
        ("cnn", ["--init", "labels.csv"], "labels.csv: is no model"),
        ("cnn", ["--init", "none.safetensors"], "cannot be read"),
        ("cnn", ["--target", "valence"], "holds no label for valence"),
        ("lstm", ["--init", "lstm.safetensors", "--freeze", "S1"], "convolution blocks"),
        ("cnn", ["--init", "lstm.safetensors"], "has no layer that fits"),
        (
            "dual",
            ["--init", "lstm.safetensors", "--freeze", "S1"],
            "has not all of what freeze=S1",
        ),
    ],
)
def test_what_cannot_be_trained(folder: Path, model: str, options: list[str], problem: str) -> None:
    if "lstm.safetensors" in options:
        here("train", "lstm", *DATA, *QUICK, "--cv", "0", "-o", "lstm.safetensors")
    done = here("train", model, *DATA, *QUICK, *options, "-o", "m.safetensors", status=2)
    assert problem in done.stderr.splitlines()[-1]
    assert not (folder / "m.safetensors").exists()
    assert not (folder / ".m.safetensors.state").exists()


def test_a_model_needs_a_place(folder: Path) -> None:
    assert "--output: is missing" in here("train", "cnn", *DATA, status=2).stderr
    done = here("train", "cnn", *DATA, "--no-refit", status=2)
    assert "leaves nothing to write" in done.stderr


def test_an_svm_does_not_need_torch(folder: Path, mer: Mer) -> None:
    mer("train", "svm", *DATA, "--kind", "mel", "--cv", "3", "-o", "m.skops")
    program = (
        "import sys; sys.argv = ['mer', 'predict', '-m', 'm.skops', 'features.h5']\n"
        "from mertools.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)


def test_an_svm_and_a_network_share_folds(folder: Path) -> None:
    here("train", "svm", *DATA, "--kind", "mel", "--cv", "3", "--folds", "svm.csv", "-o", "m.skops")
    here("train", "cnn", *DATA, *QUICK, "--folds", "cnn.csv", "-o", "m.safetensors")
    assert (folder / "svm.csv").read_text() == (folder / "cnn.csv").read_text()
    here("validate", "svm.csv")
    one = here("inspect", "m.skops", "--json").stdout
    seeded = ("--seed", "5", "--folds", "cnn.csv", "-o", "m.skops")
    here("train", "svm", *DATA, "--kind", "mel", "--cv", "3", *seeded)
    other = json.loads(here("inspect", "m.skops", "--json").stdout)
    counts = [fold["n_tracks"] for fold in json.loads(one)["scores"]["folds"]]
    assert [fold["n_tracks"] for fold in other["scores"]["folds"]] == counts

"""Recipe files, transfer by branches, and searches that were interrupted, through `mer train`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from in_process import card_of, here, rows
from made_segments import write_segments
from mertools.models.registry import find_architecture
from mertools.training.recipes import read_recipe

FILES = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
QUICK = ("--set", "batch_size=8", "--device", "cpu", "--jobs", 1)
NAMES = ("m.safetensors", "h.csv", "cv.csv")

RECIPE = """
batch_size = 8
stop = "epochs"
schedule = "none"
clip_norm = 5

[[phases]]
optimiser = "adam"
learning_rate = 1e-3
epochs = 2

[[phases]]
optimiser = "sgd"
momentum = 0.5
nesterov = true
learning_rate = 0.01
epochs = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_segments(tmp_path, kinds=("mel", "onset", "contour", "note"))
    return tmp_path


def write_recipe(text: str = RECIPE) -> tuple[str, str]:
    Path("recipe.toml").write_text(text)
    return "--recipe", "recipe.toml"


def test_a_recipe_has_phases() -> None:
    recipe = write_recipe()
    options = ("--device", "cpu", "--cv", 0, "--history", "h.csv", "-o", "m.safetensors")
    here("train", "cnn", *FILES, *recipe, *options)
    here("validate", "m.safetensors", "h.csv")
    history = rows("h.csv")
    assert [float(row["learning_rate"]) for row in history] == [0.001] * 2 + [0.01] * 3
    assert [row["best"] for row in history] == ["false"] * 4 + ["true"]
    # Nothing looks at a validation part, so that all is learnt from.
    assert {row["validation_loss"] for row in history} == {""}
    parameters = card_of("m.safetensors")["training"]["parameters"]
    assert (parameters["stop"], parameters["clip_norm"]) == ("epochs", 5)
    assert parameters["phases"] == [
        {"optimiser": "adam", "learning_rate": 0.001, "epochs": 2},
        {
            "optimiser": "sgd",
            "momentum": 0.5,
            "nesterov": "yes",
            "learning_rate": 0.01,
            "epochs": 3,
        },
    ]
    here("train", "cnn", *FILES, *recipe, "--set", "max_epochs=3", *options)
    assert [float(row["learning_rate"]) for row in rows("h.csv")] == [0.001] * 2 + [0.01]


def test_a_recipe_has_as_many_epochs_as_its_phases() -> None:
    """The usual bound on epochs is not of phases that say how long they are."""
    write_recipe(RECIPE.replace("epochs = 3", "epochs = 300"))
    phases = read_recipe(Path("recipe.toml"), find_architecture("cnn")).list_phases()
    assert [phase.epochs for phase in phases] == [2, 300]
    write_recipe("max_epochs = 50\n" + RECIPE.replace("epochs = 3", "epochs = 300"))
    phases = read_recipe(Path("recipe.toml"), find_architecture("cnn")).list_phases()
    assert [phase.epochs for phase in phases] == [2, 48]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "recipe.toml: cannot be read"),
        ("batch_size = ", "recipe.toml: is no TOML"),
        ("\udcff", "recipe.toml: is no TOML"),
        ("heads = 2", "recipe.toml: heads is no parameter"),
        ("batch_size = 0", "recipe.toml: batch_size=0"),
        ("batch_size = 1.5", "recipe.toml: batch_size = 1.5 is no whole number"),
        ('batch_size = "many"', "recipe.toml: batch_size = 'many' does not fit"),
        ("batch_size = [1, 2]", "recipe.toml: batch_size = [1, 2] does not fit"),
        ("stop = 3", "recipe.toml: stop = 3 does not fit"),
        ('stop = "never"', "recipe.toml: stop=never"),
        ("learning_rate = nan", "recipe.toml: learning_rate=nan"),
        ("phases = 3", "recipe.toml: has phases that are no tables"),
        ("[[phases]]\nbatch_size = 3", "recipe.toml: batch_size is no parameter"),
        ("[[phases]]\nepochs = 0", "recipe.toml: epochs=0"),
        ("[[phases]]\nepochs = -5", "recipe.toml: epochs=-5"),
        ("[[phases]]\n[[phases]]\nepochs = 5", "recipe.toml: has a phase without epochs"),
        ('[[phases]]\noptimiser = "lion"', "recipe.toml: optimiser=lion"),
    ],
)
def test_a_wrong_recipe_is_named(text: str | None, problem: str) -> None:
    if text is not None:
        Path("recipe.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    options = ("--recipe", "recipe.toml", "--cv", 0, "-o", "m.safetensors")
    done = here("train", "cnn", *FILES, *options, status=2)
    assert problem in done.stderr.splitlines()[-1]


def test_stops_that_need_classes_are_of_classes() -> None:
    lines = Path("labels.csv").read_text().splitlines()
    numbers = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,split,scale"]
    numbers += [f"{line.partition(',')[0]},v,1,2,,,,,true,train,1..9" for line in lines[1:]]
    Path("numbers.csv").write_text("\n".join(numbers) + "\n")
    files = ("--features", "features.h5", "--labels", "numbers.csv", "--target", "v")
    stop = ("--set", "stop=training_accuracy", "-o", "m.safetensors")
    done = here("train", "cnn", *files, *stop, status=2)
    assert "stop=training_accuracy: is of classes" in done.stderr


# Interrupts


def kill_after(n_lines: int, *arguments: object) -> None:
    """Run `mer` until so many epochs are logged, and kill it."""
    command = [sys.executable, "-m", "mertools", *map(str, arguments)]
    log = Path(".m.safetensors.state/log")
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not log.exists() or len(log.read_text().splitlines()) < n_lines:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("n_epochs", [2, 4])
def test_killed_in_any_phase_it_goes_on_as_if_nothing_had_happened(n_epochs: int) -> None:
    options = (*write_recipe(), "--device", "cpu", "--cv", 0, "--history", "h.csv")
    train = ("train", "cnn", *FILES, *options, "-o", "m.safetensors")
    here(*train)
    expected = [Path(name).read_bytes() for name in NAMES[:2]]
    for name in NAMES[:2]:
        Path(name).unlink()
    kill_after(n_epochs, *train)
    assert not Path("m.safetensors").exists()
    here(*train)
    assert [Path(name).read_bytes() for name in NAMES[:2]] == expected


@pytest.mark.slow
def test_a_killed_bayesian_search_goes_on_as_if_nothing_had_happened() -> None:
    search = ("--search", "bayes", "--trials", 7, "--cv", 3, "--set", "max_epochs=1")
    tables = ("--history", "h.csv", "--cv-table", "cv.csv")
    train = ("train", "cnn", *FILES, *QUICK, *search, *tables, "-o", "m.safetensors")
    here(*train)
    expected = [Path(name).read_bytes() for name in NAMES]
    for name in NAMES:
        Path(name).unlink()
    for n_epochs in (4, 19):  # 18 are of the first six trials, of which five are drawn by chance
        kill_after(n_epochs, *train)
    assert not Path("m.safetensors").exists()
    here(*train)
    assert [Path(name).read_bytes() for name in NAMES] == expected


# Transfer


def train(model: str, output: str, *options: object) -> str:
    one = ("--set", "max_epochs=1", "--cv", 0)
    done = here("train", model, *FILES, *QUICK, *one, *options, "-o", output)
    return str(done.stderr)


def same_weights(one: str, other: str) -> set[str]:
    first, second = load_file(one), load_file(other)
    return {n for n, w in second.items() if n in first and np.array_equal(first[n], w)}


def test_branches_begin_with_networks_of_their_own_and_stay() -> None:
    train("cnn", "cnn.safetensors")
    train("lstm", "lstm.safetensors")
    init = ("--init", "spectrogram=cnn.safetensors", "--init", "sequence=lstm.safetensors")
    told = train("dual", "m.safetensors", *init, "--freeze", "spectrogram,sequence")
    assert "begun by chance: classifier, hidden.1" in told
    weights = load_file("m.safetensors")
    for branch, model in (("spectrogram", "cnn"), ("sequence", "lstm")):
        of_branch = {name for name in weights if name.startswith(f"{branch}.")}
        assert same_weights(f"{model}.safetensors", "m.safetensors") == of_branch
    starts = card_of("m.safetensors")["training"]["init"]["models"]
    assert [(start["model"], start["branch"]) for start in starts] == [
        ("cnn", "spectrogram"), ("lstm", "sequence"),
    ]  # fmt: skip
    here("validate", "m.safetensors")


@pytest.mark.parametrize("branch", ["spectrogram", "sequence"])
def test_one_branch_is_frozen(branch: str) -> None:
    train("dual", "first.safetensors")
    train("dual", "m.safetensors", "--init", "first.safetensors", "--freeze", branch)
    same = same_weights("first.safetensors", "m.safetensors")
    weights = load_file("m.safetensors")
    assert same == {name for name in weights if name.startswith(f"{branch}.")} | (
        # Fitted anew to the same tracks, the statistics of the other branch are as before.
        {name for name in weights if name.startswith("spectrogram.standardise.")}
    )


def test_a_branch_alone_is_begun_with() -> None:
    train("dual", "first.safetensors")
    still = ("--set", "learning_rate=1e-30", "--init", "sequence=first.safetensors")
    told = train("dual", "m.safetensors", *still)
    same = same_weights("first.safetensors", "m.safetensors")
    assert {n for n in load_file("m.safetensors") if n.startswith("sequence.")} <= same
    assert "spectrogram.embedding.1.weight" not in same
    assert "spectrogram.blocks.0.0" in told


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--init", "mood=cnn.safetensors"), "mood is no branch of dual: choose from spectrogram"),
        (("--init", "sequence=cnn.safetensors"), "has no layer that fits"),
        (("--init", "cnn.safetensors", "--freeze", "sequence"), "has not all of what"),
        (("--init", "cnn.safetensors", "--freeze", "spectrogram,mood"), "choose from S0"),
        (("--freeze", "sequence"), "would freeze weights by chance"),
        (("--init", "svm.skops"), "svm.skops: holds an svm: give a network"),
    ],
)
def test_what_cannot_be_begun_with(options: tuple[str, ...], problem: str) -> None:
    if "svm.skops" in options:
        here("train", "svm", *FILES, "--kind", "mel", "--cv", 3, "-o", "svm.skops")
    train("cnn", "cnn.safetensors")
    done = here("train", "dual", *FILES, *options, "--cv", 0, "-o", "m.safetensors", status=2)
    assert problem in done.stderr.splitlines()[-1]


def test_a_branch_may_be_searched_over() -> None:
    train("cnn", "first.safetensors")
    grid = ("--init", "first.safetensors", "--grid", "freeze=S0,spectrogram")
    train("cnn", "m.safetensors", *grid)
    assert card_of("m.safetensors")["search"]["grid"] == {"freeze": ["S0", "spectrogram"]}

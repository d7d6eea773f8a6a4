"""A new architecture and a new kind of feature are one module and one row each."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_segments import class_label, number_label, write_labels

TOY_KIND = '''
"""The toy kind: the level of a segment, and how often the sound crosses zero."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ToyParams:
    sample_rate: int = 8000
    factor: float = 1.0


def toy(excerpt, params, device):
    y = excerpt.y.astype(np.float32) / 32768
    crossings = np.mean(np.signbit(y[1:]) != np.signbit(y[:-1]))
    return np.array([params.factor * np.abs(y).mean(), crossings], np.float32)
'''

TOY_ESTIMATOR = '''
"""The toy estimator: the nearest mean of a class, or the mean number."""

from dataclasses import dataclass

import numpy as np

from mertools.models.model import are_numbers, scale_numbers
from mertools.targets.pooling import side_by_side

STANDARDISATION = "none"
LIBRARIES = ("numpy",)


@dataclass
class Toy:
    targets: tuple
    means: np.ndarray
    softness: float

    def predict(self, features):
        X = side_by_side(features)
        if are_numbers(self.targets):
            return scale_numbers(np.full((len(X), 1), self.means.mean()), self.targets)
        gaps = -np.abs(X[:, None] - self.means).sum(axis=2) / self.softness
        shares = np.exp(gaps - gaps.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def arrays(self):
        return {"means": self.means}


def fit(problem, points):
    X = side_by_side(problem.features)
    if are_numbers([problem.target]):
        means = problem.numbers.mean(keepdims=True)
    else:
        classes = range(problem.target.scale.n_outputs)
        means = np.stack([X[problem.y == k].mean(axis=0) for k in classes])
    return [Toy((problem.target,), means, float(point["softness"])) for point in points]


def try_points(problem, points, features):
    return [model.predict(features) for model in fit(problem, points)]


def describe_form(problem, model, point):
    return dict(point)


def restore(path, card, learnt):
    return Toy(card.targets, learnt["means"], float(card.form["softness"]))
'''

TOY_NETWORK = '''
"""The toy network: one hidden layer over vectors."""

from functools import partial

import torch
from torch import nn

from mertools.models.layers import InputBranch
from mertools.models.network import Network, restore_network


class Vectors(InputBranch):
    def __init__(self, n_columns, width):
        super().__init__()
        self.hidden = nn.Linear(n_columns, width)

    def forward(self, x):
        return torch.tanh(self.hidden(x))


class Toy(Network):
    def __init__(self, shapes, n_outputs, width):
        super().__init__()
        ((n_columns,),) = shapes
        self.vectors = Vectors(n_columns, width)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(width, n_outputs)


build = Toy
restore = partial(restore_network, Toy)
'''

ROWS = """
import sys

from mertools.features.registry import KINDS, FeatureKind
from mertools.models.registry import ARCHITECTURES, Architecture, Branch, Parameter
from toy_kind import ToyParams, toy

KINDS["toy"] = FeatureKind(
    "toy", ToyParams, {"fast": toy}, ("segment", "column"),
    lambda params: ("level", "crossings"), "1", lambda params: 2,
)
VECTORS = (Branch("vectors", ("toy",), "vectors"),)
ARCHITECTURES["toy"] = {
    "estimator": Architecture(
        "toy", "the nearest mean", VECTORS, "estimator", "toy_estimator", ("hard", "mse"),
        parameters=(Parameter("softness", 0.1, "of the posteriors", grid=(0.1, 1.0)),),
    ),
    "network": Architecture(
        "toy", "one hidden layer", VECTORS, "network", "toy_network",
        ("hard", "soft", "mse", "mae"), parameters=(Parameter("width", 8, "of the layer"),),
    ),
}[FAMILY]

if __name__ == "__main__":
    from mertools.cli.app import main

    main()
"""

Run = Callable[..., str]


@pytest.fixture(params=["estimator", "network"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def toy(tmp_path: Path, family: str) -> Run:
    """Run `mer` with the toys registered, which live in this folder."""
    modules = {"toy_kind": TOY_KIND, "toy_estimator": TOY_ESTIMATOR, "toy_network": TOY_NETWORK}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "run.py").write_text(ROWS.replace("FAMILY", repr(family)))
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "run.py", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Noise is one class and a low tone the other; loudness is a number."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "songs"
    folder.mkdir()
    labels = []
    for i in range(12):
        t = np.arange(16000) / 8000
        y = rng.standard_normal(16000) if i % 2 else np.sin(2 * np.pi * 110 * t)
        level = 0.05 + 0.02 * i
        soundfile.write(folder / f"s{i:02}.wav", level * y / np.abs(y).max(), 8000)
        labels.append(class_label(f"s{i:02}", i % 2, ("tone", "noise"), "sort", scale="unordered"))
        labels.append(number_label(f"s{i:02}", "loudness", 1 + i / 2))
    write_labels(tmp_path / "labels.csv", labels, 2)
    return folder


@pytest.mark.slow
def test_one_module_and_one_row_are_all_it_takes(toy: Run, songs: Path, family: str) -> None:
    toy("featurize", songs, "--kind", "toy", "--set", "toy.factor=2", "-o", "f.h5", "--length", 1)
    shown = toy("train", "toy", "--help")
    assert "toy" in shown
    assert ("softness" if family == "estimator" else "width") in shown
    assert ("--recipe" in shown) == (family == "network")
    suffix = ".safetensors"
    options = ("--features", "f.h5", "--labels", "labels.csv", "--cv", 3)
    if family == "network":
        options += ("--set", "learning_rate=0.05", "--set", "max_epochs=30", "--device", "cpu")
    for target in ("sort", "loudness"):
        model = f"{target}{suffix}"
        toy("train", "toy", *options, "--target", target, "--predictions", "p.csv", "-o", model)
        toy("validate", "f.h5", "p.csv", model)
    card = json.loads(toy("inspect", f"sort{suffix}", "--json"))
    assert (card["model"], card["scale"]) == ("toy", "unordered")
    assert card["features"][0]["params"] == {"factor": 2.0, "sample_rate": 8000}
    if family == "estimator":
        assert card["search"]["grid"] == {"softness": [0.1, 1.0]}
    song = toy(
        "predict", "-m", f"sort{suffix}", "-m", f"loudness{suffix}", songs / "s01.wav",
        "--format", "csv", "--level", "track",
    )  # fmt: skip
    sort, loudness = csv.DictReader(io.StringIO(song))
    assert (sort["target"], sort["predicted"], sort["value"]) == ("sort", "noise", "")
    assert 1 <= float(loudness["value"]) <= 9
    # What is predicted of stored features is what is predicted of the sound.
    stored = toy("predict", "-m", f"sort{suffix}", "f.h5", "--level", "track")
    of_song = next(r for r in csv.DictReader(io.StringIO(stored)) if r["track_id"].endswith("s01"))
    assert float(of_song["p_2"]) == pytest.approx(float(sort["p_2"]), abs=1e-6)

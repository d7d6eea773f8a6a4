"""`mer train kernel` and its regression, beside scikit-learn's."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_plans import make_number_tracks, make_plan, model_of, run
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.kernel_ridge import KernelRidge as Reference

from made_segments import write_segments
from mertools.artifacts.model_file import read_model
from mertools.dataset.dataset import Dataset
from mertools.dataset.folds import assign_folds, share_folds
from mertools.dataset.join import Request, join
from mertools.dataset.vectors import VectorDataset, load_vectors
from mertools.models.kernel import KernelRidge, restore
from mertools.models.kernel_blocks import Block, Standardisation
from mertools.models.registry import find_architecture
from mertools.training.estimators import fit_estimator
from mertools.training.plan import Plan, Settings, Task
from mertools.training.recipes import Recipe
from mertools.training.search import make_space

Mer = Callable[..., subprocess.CompletedProcess[str]]

DATA = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
KINDS = ("mel", "note")
TRAIN = ("train", "kernel", *DATA, "--kind", "mel", "--kind", "note", "--cv", "3", "--jobs", "1")
QUICK = ("--grid", "gamma=0.3", "--grid", "ridge=1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_segments(tmp_path, kinds=KINDS)
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def fit(
    folder: Path, point: dict[str, float] | None = None, shares: tuple[float, float] = (0.5, 0.5)
) -> tuple[Dataset, VectorDataset, KernelRidge]:
    """Fit a kernel to all tracks, by the parameters of a point or by those that it chooses."""
    paths = (folder / "features.h5",)
    request = Request(paths, str(folder / "labels.csv"), ("arousal",), KINDS, keeps_disputed=True)
    data = join(request).dataset
    vectors = load_vectors(data, "segment")
    row = find_architecture("kernel")
    space = make_space(row.parameters, {}, {}, None, 1, 0)
    recipe = Recipe(row, {})
    blocks = tuple(Block(kind, n, shares[n]) for n, kind in enumerate(KINDS))
    settings = Settings(row, "soft", recipe, space, 3, 1, 0, "mean", blocks=blocks)
    plan = Plan(data, settings, tuple(share_folds(None, data, 3, 1, 0)), vectors)
    made = fit_estimator(plan, Task(point))
    number = {k: made.arrays[k] for k in ("coefficients", "intercepts", "usual_distances")}
    model = KernelRidge(
        data.targets,
        blocks,
        tuple(Standardisation(made.arrays[f"mean_{n}"], made.arrays[f"scale_{n}"]) for n in (0, 1)),
        tuple(made.arrays[f"landmarks_{n}"] for n in (0, 1)),
        float(made.point["gamma"]),
        **number,
    )
    return data, vectors, model


def test_equals_kernel_ridge_regression_by_hand(folder: Path) -> None:
    """All rows are landmarks here, where it is the plain regression."""
    data, vectors, model = fit(folder, {"gamma": 0.3, "ridge": 0.5}, (0.75, 0.25))
    features = vectors.features
    assert len(data.row_ids) == 40  # test tracks are left out, and those not kept are not

    def kernel(A: list[np.ndarray], B: list[np.ndarray]) -> np.ndarray:
        K = 0
        for a, b, share in zip(A, B, (0.75, 0.25), strict=True):
            gap = np.square(a[:, None] - b).mean(axis=2)
            K = K + share * np.exp(-0.3 * gap)
        return K

    scaled = []
    for part in features:
        standard = Standardisation.fit(part)
        np.testing.assert_allclose(standard.mean, part.mean(axis=0), rtol=1e-5)
        scaled.append(np.clip((part - part.mean(axis=0)) / part.std(axis=0), -5, 5))
    targets = data.labels.distributions[data.groups]
    reference = Reference(alpha=0.5, kernel="precomputed")
    K = kernel(scaled, scaled)
    reference.fit(K, targets - targets.mean(axis=0))
    expected = reference.predict(K) + targets.mean(axis=0)
    expected = np.maximum(expected, 0.01)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(features), expected, atol=2e-3)


@pytest.mark.parametrize("objective", ["mse", "mae"])
def test_numbers_equal_kernel_ridge_regression_by_hand(objective: str) -> None:
    """The number itself, in 0..1 of its scale, is regressed; it is searched for within folds."""
    data, X = make_number_tracks()
    grid = {"gamma": (0.1, 0.5), "ridge": (0.05, 0.5)}
    plan = make_plan(data, X, "kernel", grid=grid, objective=objective)
    trained = run(plan)
    numbers = data.labels.numbers[:, 0]
    unit = (numbers - 1) / 8

    def predict(learnt: np.ndarray, others: np.ndarray, gamma: float, ridge: float) -> np.ndarray:
        mean, spread = X[learnt].mean(axis=0), X[learnt].std(axis=0)
        A, B = (np.clip((X[rows] - mean) / spread, -5, 5) for rows in (learnt, others))
        K, L = (np.exp(-gamma * np.square(C[:, None] - A).mean(axis=2)) for C in (A, B))
        regression = Reference(alpha=ridge, kernel="precomputed")
        regression.fit(K, unit[learnt] - unit[learnt].mean())
        predicted = regression.predict(L) + unit[learnt].mean()
        return 1 + 8 * np.clip(predicted, 0, 1)

    ids, expected = np.array(data.track_ids), np.zeros(40)
    for fold in range(3):
        learnt = np.flatnonzero(plan.folds[0] != fold)
        held_out = np.flatnonzero(plan.folds[0] == fold)
        inner = assign_folds(ids[learnt].tolist(), data.strata()[learnt], 3, 0)
        losses = {}
        for gamma in grid["gamma"]:
            for ridge in grid["ridge"]:
                errors = []
                for k in range(3):
                    some, rest = learnt[inner != k], learnt[inner == k]
                    gaps = predict(some, rest, gamma, ridge) - numbers[rest]
                    squared = objective == "mse"
                    errors.append(np.mean(np.square(gaps) if squared else np.abs(gaps)))
                losses[gamma, ridge] = np.mean(errors)
        best = min(losses, key=losses.__getitem__)
        chosen = trained.results[0].fits[0][fold].point
        assert (chosen["gamma"], chosen["ridge"]) == best
        expected[held_out] = predict(learnt, held_out, *best)
    out_of_fold = trained.results[0].levels[0]["track"]
    np.testing.assert_allclose(out_of_fold.outputs[:, 0], expected, atol=0.02)
    assert out_of_fold.score()["r2"] > 0.4
    model, everything = model_of(plan, trained), np.arange(40)
    point = trained.final[0].point
    of_all = predict(everything, everything, point["gamma"], point["ridge"])
    np.testing.assert_allclose(model.predict([X])[:, 0], of_all, atol=0.02)


def test_the_whole_way(folder: Path, mer: Mer) -> None:
    train = (*TRAIN, "--predictions", "p.csv", "--folds", "folds.csv", "--licence", "mine")
    mer(*train, "-o", "m.safetensors")
    mer("validate", "m.safetensors", "p.csv")
    first = (folder / "m.safetensors").read_bytes(), (folder / "p.csv").read_bytes()
    mer(*train, "--jobs", "2", "-o", "m.safetensors")
    assert ((folder / "m.safetensors").read_bytes(), (folder / "p.csv").read_bytes()) == first
    card = json.loads(mer("inspect", "m.safetensors", "--json").stdout)
    assert (card["model"], card["licence"], card["unit"]) == ("kernel", "mine", "segment")
    assert card["architecture"]["shares"] == {"mel": 0.5, "note": 0.5}

    labels = {row["track_id"]: row for row in rows(folder / "labels.csv")}
    out_of_fold = [row for row in rows(folder / "p.csv") if row["level"] == "track"]
    assert {row["track_id"] for row in out_of_fold} == {
        name for name, row in labels.items() if row["split"] != "test"
    }
    right = [row["predicted"] == labels[row["track_id"]]["class"] for row in out_of_fold]
    assert np.mean(right) > 0.9  # the class shows
    (folder / "all.csv").write_text(mer("predict", "-m", "m.safetensors", "features.h5").stdout)
    mer("evaluate", "all.csv", "--labels", "labels.csv", "--quiet", "-o", "m.json")


def test_scores_are_of_tracks_that_were_not_learnt_from(folder: Path, mer: Mer) -> None:
    """Where labels are drawn by lot nothing can be told of tracks held out."""
    lines = (folder / "labels.csv").read_text().splitlines()
    columns = lines[0].split(",")
    chance = np.random.default_rng(1)
    made = [lines[0]]
    for line in lines[1:]:
        values = dict(zip(columns, line.split(","), strict=True))
        k = int(chance.integers(3))
        values |= {"label": str(k + 1), "class": ("weak", "neutral", "strong")[k]}
        values |= {f"p_{i + 1}": str(float(i == k)) for i in range(3)}
        made.append(",".join(values[name] for name in columns))
    (folder / "labels.csv").write_text("\n".join(made) + "\n")
    mer(*TRAIN, *QUICK, "--predictions", "p.csv", "-o", "m.safetensors")
    labels = {row["track_id"]: row["class"] for row in rows(folder / "labels.csv")}
    right = [
        row["predicted"] == labels[row["track_id"]]
        for row in rows(folder / "p.csv")
        if row["level"] == "track"
    ]
    assert np.mean(right) < 0.7


def test_copies_are_learnt_from_but_not_scored(folder: Path, mer: Mer) -> None:
    """A change of the sound that only copies have shown."""
    with h5py.File(folder / "features.h5") as file:
        changed = file["features/mel"][...]
        changed[:, :5] += 60  # in all as much as in the first class
        track_ids = file["segments/track_id"].asstr()[...]
    (folder / "copies.h5").write_bytes((folder / "features.h5").read_bytes())
    with h5py.File(folder / "copies.h5", "a", locking=False) as file:
        file["features/mel"][...] = changed
    labels = {row["track_id"]: int(row["label"]) - 1 for row in rows(folder / "labels.csv")}
    y = np.array([labels[track_id] for track_id in track_ids])
    right = {}
    for name, copies in (("alone", ()), ("both", ("--copies", "copies.h5"))):
        train = ("train", "kernel", *DATA, "--kind", "mel", "--cv", "3", "--jobs", "1", *QUICK)
        mer(*train, *copies, "-o", f"{name}.safetensors", "--predictions", f"{name}.csv")
        path = folder / f"{name}.safetensors"
        model = restore(path, *read_model(path))
        right[name] = (model.predict([changed]).argmax(axis=1) == y).mean()
    assert right["alone"] < 0.5 < 0.9 < right["both"]
    assert len(rows(folder / "both.csv")) == len(rows(folder / "alone.csv"))
    card = json.loads(mer("inspect", "both.safetensors", "--json").stdout)
    assert card["training"]["n_copies"] == card["training"]["n_rows"] == 40
    assert card["architecture"]["n_landmarks"] == 40

    with h5py.File(folder / "copies.h5", "a", locking=False) as file:
        file["features/mel"].attrs["params_digest"] = "another"
    done = mer(*TRAIN, *QUICK, "--copies", "copies.h5", "-o", "x.safetensors", status=2)
    assert "made otherwise" in done.stderr


def test_far_from_all_music_it_tells_the_mean_and_that_it_is_unlike(folder: Path) -> None:
    _, _, model = fit(folder)
    with h5py.File(folder / "features.h5") as file:
        features = [file[f"features/{kind}"][...].astype(np.float32) for kind in KINDS]
    usual = model.unlike(features)
    assert ((usual >= 0) & (usual <= 1)).all()
    assert np.median(usual) < 0.1
    for factor in (1e3, -1e30):
        strange = [np.full_like(part[:2], factor) for part in features]
        assert (model.unlike(strange) > 0.9).all()
        far = model.predict(strange)
        assert np.isfinite(far).all()
        assert np.abs(far - model.intercepts).max() < 0.1
    one, many = model.predict([part[:1] for part in features]), model.predict(features)
    np.testing.assert_array_equal(one[0], many[0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"coefficients": np.zeros((3, 3), np.float32)}, "has shape"),
        ({"landmarks_0": None}, "landmarks_0"),
        ({"intercepts": np.full(3, np.nan)}, "not finite"),
        ({"intercepts": np.ones(3, bool)}, "not of real numbers"),
        ({"columns_0": np.array([0, 100_000])}, "columns that are not there"),
    ],
)
def test_wrong_arrays_are_refused(
    folder: Path, mer: Mer, change: dict[str, np.ndarray | None], told: str
) -> None:
    mer(*TRAIN, *QUICK, "-o", "m.safetensors")
    arrays = load_file(folder / "m.safetensors")
    with safe_open(folder / "m.safetensors", "numpy") as file:
        metadata = file.metadata()
    changed = {name: value for name, value in {**arrays, **change}.items() if value is not None}
    save_file(changed, folder / "m.safetensors", metadata)
    done = mer("predict", "-m", "m.safetensors", "features.h5", status=2)
    assert told in done.stderr


@pytest.mark.parametrize(
    ("shares", "told"),
    [({}, "no kind has a share"), ({"tempo": 1.0}, "holds no kernel"), ([1.0], "holds no kernel")],
)
def test_wrong_shares_are_refused(folder: Path, mer: Mer, shares: object, told: str) -> None:
    mer(*TRAIN, *QUICK, "-o", "m.safetensors")
    arrays = load_file(folder / "m.safetensors")
    with safe_open(folder / "m.safetensors", "numpy") as file:
        metadata = file.metadata()
    (key,) = (key for key, text in metadata.items() if '"shares"' in text)
    card = json.loads(metadata[key])
    card["architecture"]["shares"] = shares
    save_file(arrays, folder / "m.safetensors", metadata | {key: json.dumps(card)})
    assert told in mer("predict", "-m", "m.safetensors", "features.h5", status=2).stderr


def test_music_is_alike_by_all_columns_of_all_kinds(folder: Path) -> None:
    """What blocks and shares take of the kinds says nothing of it."""
    point = {"gamma": 0.5, "ridge": 0.1}
    _, _, even = fit(folder, point)
    _, _, odd = fit(folder, point, shares=(0.9, 0.1))
    with h5py.File(folder / "features.h5") as file:
        features = [file[f"features/{kind}"][...].astype(np.float32) for kind in KINDS]
    np.testing.assert_allclose(odd.unlike(features), even.unlike(features), atol=1e-6)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--grid", "gamma=0"), "give a number above 0"),
        (("--grid", "C=1"), "is no parameter"),
        (("--share", "tonal=1"), "is not learnt from"),
        (("--share", "mel=-1"), "above 0"),
        (("--cv", "9"), "has only"),
    ],
)
def test_wrong_usage_is_named(folder: Path, mer: Mer, option: tuple[str, ...], told: str) -> None:
    assert told in mer(*TRAIN, *option, "-o", "m.safetensors", status=2).stderr


def test_it_predicts_without_heavy_libraries(folder: Path, mer: Mer) -> None:
    mer(*TRAIN, *QUICK, "-o", "m.safetensors")
    code = (
        "import sys; from mertools.cli.app import app\n"
        "try: app(['predict', '-m', 'm.safetensors', 'features.h5', '-o', 'p.csv'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'librosa', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_columns_are_blocks_of_their_own_and_lines_go_on(mer: Mer, tmp_path: Path) -> None:
    """Beyond the range of training an RBF falls silent, and a straight line does not."""
    rng = np.random.default_rng(0)
    ids = [f"t{n:02}" for n in range(40)]
    told = rng.uniform(-1, 1, 40)

    def write(name: str, sustain: np.ndarray) -> None:
        columns = {"tag_a": rng.standard_normal(40), "tag_b": rng.standard_normal(40)}
        table = {"track_id": ids, **columns, "sustain": sustain}
        lines = zip(*table.values(), strict=True)
        text = "\n".join(",".join(map(str, line)) for line in [tuple(table), *lines])
        (tmp_path / f"{name}.csv").write_text(text + "\n")
        mer("import", "features", f"{name}.csv", "--kind", "notes", "-o", f"{name}.h5")

    write("near", 10 + told)
    write("far", 12 + told / 2)
    numbers = "\n".join(f"{i},a,arousal,{5 + x:.3f}" for i, x in zip(ids, told, strict=True))
    (tmp_path / "ratings.csv").write_text(f"track_id,annotator_id,target,value\n{numbers}\n")
    mer("aggregate-labels", "ratings.csv", "--scale", "arousal=1..9", "-o", "numbers.csv")
    train = ("train", "kernel", "--features", "near.h5", "--labels", "numbers.csv", "--jobs", "1")
    fixed = ("--target", "arousal", "--set", "gamma=1", "--set", "ridge=0.1", "--cv", "3")
    r = {}
    for name, blocks in (
        ("whole", ("--kind", "notes")),
        ("line", ("--share", "notes.tag=1", "--linear", "notes.sustain=0.5", "--kind", "notes")),
    ):
        mer(*train, *fixed, *blocks, "-o", f"{name}.safetensors")
        mer("validate", f"{name}.safetensors")
        found = mer("predict", "-m", f"{name}.safetensors", "far.h5", "--level", "track").stdout
        value = [float(row["value"]) for row in csv.DictReader(found.splitlines())]
        r[name] = np.corrcoef(value, told)[0, 1] if np.std(value) > 1e-6 else 0.0
    assert r["line"] > 0.9 > r["whole"]
    form = json.loads(mer("inspect", "line.safetensors", "--json").stdout)["architecture"]
    assert (form["shares"], form["linear"]) == ({"notes.tag": 1.0}, {"notes.sustain": 0.5})
    for option, words in (
        (("--share", "notes.pitch=1"), "names no column of notes: choose from tag, sustain"),
        (("--share", "notes.sustian=1"), "did you mean sustain?"),
        (("--linear", "notes=1"), "is all of the kernel"),
        (("--linear", "notes.sustain"), "NAME=WEIGHT"),
        (("--linear", "notes.sustain=1", "--select", "f:2"), "leave out --select"),
    ):
        refused = mer(*train, *fixed, "--kind", "notes", *option, "-o", "x.safetensors", status=2)
        assert words in refused.stderr

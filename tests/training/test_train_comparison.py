"""The networks of papers 001 and 002 through `mer train` and `mer predict`."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner, Result

from made_comparison import write_comparison
from mertools.cli.app import app

DATA = ("--features", "features.h5", "--labels", "labels.csv", "--target", "quadrant")
QUICK = ("--set", "batch_size=8", "--device", "cpu", "--jobs", "1", "--set", "class_weights=none")

SHAPES: dict[str, tuple[int, ...]] = {
    "choi": (128, 96),
    "cnn-gru": (128, 96),
    "crnn": (96, 96),
    "dnn": (12,),
    "short-chunk": (32, 16),
    "sample-cnn": (59_049,),
}
KIND_OF = {"dnn": "handcrafted", "sample-cnn": "wave"}


def here(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.stderr
    return done


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [*SHAPES])
def test_from_training_to_prediction(folder: Path, name: str) -> None:
    kind = KIND_OF.get(name, "mel")
    n_segments = 3 if name in ("short-chunk", "sample-cnn") else 1
    write_comparison(folder, {kind: SHAPES[name]}, 8, n_segments)
    epochs = ("--cv", "0", "--set", "max_epochs=2", "--set", "stop=epochs")
    here("train", name, *DATA, *QUICK, *epochs, "-o", "m.safetensors")
    here("validate", "m.safetensors")
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert card["pool"] == ("mode" if n_segments == 3 else "mean")
    assert card["architecture"]["n_parameters"] > 0
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    here("validate", "p.csv")
    tracks = [row for row in rows("p.csv") if row["level"] == "track"]
    assert len(tracks) == 8
    assert {row["classes"] for row in tracks} == {"Q1|Q2|Q3|Q4"}
    for row in tracks:
        assert sum(float(row[f"p_{k}"]) for k in (1, 2, 3, 4)) == pytest.approx(1)
    if n_segments == 3:  # the class that most segments have is the track's
        for track in tracks:
            votes = [
                row["predicted"]
                for row in rows("p.csv")
                if row["level"] == "segment" and row["track_id"] == track["track_id"]
            ]
            assert votes.count(track["predicted"]) == max(map(votes.count, votes))


def test_numbers_are_learnt_too(folder: Path) -> None:
    write_comparison(folder, {"handcrafted": (12,)})
    data = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
    more = ("--set", "max_epochs=60", "--set", "learning_rate=0.005", "--set", "stop=epochs")
    here("train", "dnn", *data, *QUICK, *more, "--cv", "0", "-o", "m.safetensors")
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    found = [float(row["value"]) for row in rows("p.csv") if row["level"] == "track"]
    assert np.corrcoef(found, np.arange(24) % 4)[0, 1] > 0.8


def test_a_dense_network_learns_from_the_columns_selected_in_each_fold(folder: Path) -> None:
    write_comparison(folder, {"handcrafted": (40,), "tonal": (30,)}, 40)
    train = (
        *("train", "dnn", *DATA, *QUICK, "--kind", "handcrafted", "--kind", "tonal"),
        *("--select", "f:8", "--cv", "2", "--set", "max_epochs=60", "--set", "stop=epochs"),
    )
    here(*train, "--cv-table", "cv.csv", "-o", "m.safetensors")
    columns = load_file("m.safetensors")["selected"]
    # The class shows in the first four columns of either kind.
    assert columns.tolist() == [0, 1, 2, 3, 40, 41, 42, 43]
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    norm_and_layers = 2 * 8 + 8 * 500 + 500 + 500 * 300 + 300 + 300 * 100 + 100 + 404
    assert card["architecture"]["n_parameters"] == norm_and_layers
    assert card["search"]["select"]["n_columns"] == 8
    assert [needed["shape"] for needed in card["features"]] == [[40], [30]]
    accuracy = [
        float(row["value"])
        for row in rows("cv.csv")
        if (row["level"], row["score"]) == ("track", "accuracy")
    ]
    assert np.mean(accuracy) > 0.8
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    tracks = [row for row in rows("p.csv") if row["level"] == "track"]
    assert np.mean([row["predicted"] == f"Q{k % 4 + 1}" for k, row in enumerate(tracks)]) > 0.9
    here("embed", "-m", "m.safetensors", "features.h5", "-o", "e.h5")
    here("validate", "e.h5")


@pytest.mark.parametrize("name", ["dnn", "hybrid"])
def test_selection_does_not_see_the_fold_held_out(folder: Path, name: str) -> None:
    """A column that tells the class in the held-out fold only is not selected there."""
    from mertools.artifacts.features_file import open_features, write_features

    image = {"mel": (128, 96)} if name == "hybrid" else {}
    write_comparison(folder, {"handcrafted": (40,), **image}, 40)
    Path("folds.csv").write_text(
        "track_id,fold\n" + "".join(f"t{k:03},{1 + (k >= 20)}\n" for k in range(40))
    )
    train = (
        *("train", name, *DATA, *QUICK, "--select", "f:4", "--cv", "2", "--folds", "folds.csv"),
        *("--set", "max_epochs=1", "--set", "stop=epochs", "--no-refit"),
    )
    here(*train, "--predictions", "one.csv")
    with open_features(folder / "features.h5") as file:
        kinds = list(file.kinds.values())
        content = {kind: [file.read(kind, row).copy() for row in range(40)] for kind in file.kinds}
        for row in range(20):  # the first fold's own tell-tale
            content["handcrafted"][row][20 + row % 4] += 1000
        held, cutting = list(file.rows), file.cutting
        write_features(
            folder / "leak.h5", held, kinds, lambda kind, row: content[kind][row], cutting
        )
    here(*train[:2], "--features", "leak.h5", *train[4:], "--predictions", "two.csv")
    one, two = (
        {row["track_id"]: row["p_1"] for row in rows(name) if row["fold"] == "1"}
        for name in ("one.csv", "two.csv")
    )
    assert one == two


@pytest.mark.parametrize("name", ["choi", "dnn"])
def test_training_stops_at_the_accuracy_asked_for(folder: Path, name: str) -> None:
    kind = KIND_OF.get(name, "mel")
    write_comparison(folder, {kind: SHAPES[name]}, 24)
    stop = ("--set", "stop=training_accuracy", "--set", "stop_accuracy=0.6")
    here(
        *("train", name, *DATA, *QUICK, *stop, "--set", "max_epochs=60"),
        *("--cv", "0", "--history", "h.csv", "-o", "m.safetensors"),
    )
    accuracy = [float(row["train_accuracy"]) for row in rows("h.csv")]
    assert accuracy[-1] >= 0.6
    assert max(accuracy[:-1], default=0) < 0.6


RECIPE = """
freeze = "vectors"
max_epochs = 30
stop = "epochs"
batch_size = 8
class_weights = "none"
learn_copies = false

[vectors]
max_epochs = 30
stop = "epochs"
batch_size = 8
learn_copies = false

[spectrogram]
max_epochs = 2
stop = "epochs"
batch_size = 8
"""


def test_the_hybrid_trains_its_branches_first_and_freezes_one(folder: Path) -> None:
    write_comparison(folder, {"mel": (128, 96), "handcrafted": (12,), "tonal": (5,)}, 16)
    Path("r.toml").write_text(RECIPE)
    hybrid = ("--kind", "handcrafted", "--kind", "tonal", "--recipe", "r.toml", "--device", "cpu")
    train = ("train", "hybrid", *DATA, *hybrid, "--jobs", "1", "--seed", "3")
    here(*train, "--cv", "2", "--predictions", "cv.csv", "-o", "m.safetensors")
    first = Path("m.safetensors").read_bytes()
    here(*train, "--cv", "2", "--predictions", "again.csv", "-o", "m.safetensors")
    assert Path("m.safetensors").read_bytes() == first
    assert Path("cv.csv").read_text() == Path("again.csv").read_text()
    here("validate", "m.safetensors", "cv.csv")
    weights = load_file("m.safetensors")
    # The dense branch, frozen, is that of a dense network of the same seed and recipe.
    alone = ("--set", "max_epochs=30", "--set", "stop=epochs", "--set", "batch_size=8")
    dense = ("train", "dnn", *DATA, *hybrid[:4], *alone, "--device", "cpu", "--seed", "3")
    here(*dense, "--cv", "0", "-o", "dnn.safetensors")
    for name, array in load_file("dnn.safetensors").items():
        if name.startswith("vectors."):
            np.testing.assert_array_equal(weights[name], array)
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    frozen = 2 * 17 + 17 * 500 + 500 + 500 * 300 + 300 + 300 * 100 + 100
    whole = sum(
        array.size
        for name, array in weights.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    assert card["architecture"]["n_parameters"] == whole - frozen
    assert card["training"]["parameters"]["vectors"]["max_epochs"] == 30
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    tracks = [row for row in rows("p.csv") if row["level"] == "track"]
    assert np.mean([row["predicted"] == f"Q{k % 4 + 1}" for k, row in enumerate(tracks)]) > 0.8


def test_the_hybrid_selects_columns_for_its_dense_branch(folder: Path) -> None:
    write_comparison(folder, {"mel": (128, 96), "handcrafted": (12,), "tonal": (5,)}, 16)
    Path("r.toml").write_text(RECIPE)
    select = ("--kind", "handcrafted", "--kind", "tonal", "--select", "f:6", "--cv", "0")
    common = ("--device", "cpu", "--jobs", "1", "--seed", "3")
    here("train", "hybrid", *DATA, *select, *common, "--recipe", "r.toml", "-o", "m.safetensors")
    here("validate", "m.safetensors")
    weights = load_file("m.safetensors")
    alone = ("--set", "max_epochs=30", "--set", "stop=epochs", "--set", "batch_size=8")
    here("train", "dnn", *DATA, *select, *common, *alone, "-o", "dnn.safetensors")
    dense = load_file("dnn.safetensors")
    assert len(dense["selected"]) == 6
    for name, array in dense.items():
        if name == "selected" or name.startswith("vectors."):
            np.testing.assert_array_equal(weights[name], array)
    Path("p.csv").write_text(here("predict", "-m", "m.safetensors", "features.h5").stdout)
    tracks = [row for row in rows("p.csv") if row["level"] == "track"]
    assert np.mean([row["predicted"] == f"Q{k % 4 + 1}" for k, row in enumerate(tracks)]) > 0.8


def test_what_the_hybrid_cannot_do_is_refused(folder: Path) -> None:
    write_comparison(folder, {"mel": (128, 96), "handcrafted": (12,)}, 8)
    train = ("train", "hybrid", *DATA, "--device", "cpu", "--cv", "0", "-o", "m.safetensors")
    assert "give --init" in here(*train, "--freeze", "vectors", status=2).stderr
    done = here(*train, "--oversample", "smote", status=2)
    assert "is of vectors alone, and hybrid looks at mel, handcrafted" in done.stderr
    Path("r.toml").write_text("[vectors]\nheads = 3\n")
    assert "heads is no parameter" in here(*train, "--recipe", "r.toml", status=2).stderr


def test_copies_are_left_out_where_the_recipe_says_so(folder: Path) -> None:
    """Without copies the model is the one that never saw any."""
    from mertools.artifacts.features_file import open_features, write_features

    write_comparison(folder, {"handcrafted": (12,)}, 16)
    with open_features(folder / "features.h5") as file:
        (kind,) = file.kinds.values()
        held = [
            replace(row, segment_id=f"{row.segment_id}c", track_id=f"{row.track_id}c",
                    original=row.track_id)
            for row in file.rows
        ]  # fmt: skip
        content = [file.read(kind.name, row) * 2 for row in range(16)]
        write_features(
            folder / "copies.h5", held, [kind], lambda _, row: content[row], file.cutting
        )
    quick = ("--set", "max_epochs=3", "--set", "stop=epochs", "--device", "cpu", "--cv", "0")
    train = ("train", "dnn", *DATA, *quick)
    with_copies = ("--features", "copies.h5")
    here(*train, "-o", "plain.safetensors")
    here(*train, *with_copies, "-o", "copies.safetensors")
    here(*train, *with_copies, "--set", "learn_copies=no", "-o", "left.safetensors")
    plain, copies, left = (load_file(f"{name}.safetensors") for name in ("plain", "copies", "left"))
    assert all(np.array_equal(plain[name], left[name]) for name in plain)
    assert any(not np.array_equal(plain[name], copies[name]) for name in plain)


def test_a_forest_learns_from_the_codes_of_an_autoencoder(folder: Path) -> None:
    write_comparison(folder, {"mel": (32, 48)}, 24)
    kept = [line for line in Path("labels.csv").read_text().splitlines() if "quadrant" in line]
    head = Path("labels.csv").read_text().splitlines()[0]
    marked = [f"{line.removesuffix(',unordered')}test,unordered" for line in kept[:4]]
    Path("labels.csv").write_text("\n".join([head, *marked, *kept[4:]]) + "\n")
    epochs = ("--set", "max_epochs=40", "--set", "stop=epochs", "--set", "batch_size=8")
    device = ("--device", "cpu", "--jobs", "1")
    train = ("train", "autoencoder", *DATA, *epochs, *device)
    here(*train, "--history", "epochs.csv", "-o", "ae.safetensors")
    here("validate", "ae.safetensors")
    card = json.loads(here("inspect", "ae.safetensors", "--json").stdout)
    assert card["training"]["objective"] == "reconstruction"
    assert card["training"]["n_tracks"] == 20  # the test part is not learnt from
    assert card["scores"] == {"folds": [], "levels": {}}
    losses = [float(row["train_loss"]) for row in rows("epochs.csv")]
    assert losses[-1] < 0.9 * losses[0]
    here("embed", "-m", "ae.safetensors", "features.h5", "-o", "codes.h5", "--device", "cpu")
    codes = ("--features", "codes.h5", "--kind", "embedding")
    here("train", "forest", *codes, *DATA[2:], "--cv", "0", "-o", "forest.safetensors")
    table = here("predict", "-m", "forest.safetensors", "codes.h5", "--level", "track").stdout
    right = [
        row["predicted"] == f"Q{int(row['track_id'][1:]) % 4 + 1}"
        for row in csv.DictReader(table.splitlines())
        if int(row["track_id"][1:]) < 4
    ]
    assert len(right) == 4
    assert sum(right) >= 3
    refused = here("predict", "-m", "ae.safetensors", "features.h5", status=2).stderr
    assert "predicts nothing" in refused
    assert "mer embed" in refused


def test_the_target_changes_no_weight_of_an_autoencoder(folder: Path) -> None:
    write_comparison(folder, {"mel": (32, 48)}, 8)
    train = (
        *("train", "autoencoder", *DATA[:4], "--set", "max_epochs=1", "--set", "stop=epochs"),
        *("--device", "cpu", "--jobs", "1"),
    )
    for target in ("quadrant", "arousal"):
        here(*train, "--target", target, "-o", f"{target}.safetensors")
    one, other = load_file("quadrant.safetensors"), load_file("arousal.safetensors")
    for name, weight in one.items():
        np.testing.assert_array_equal(weight, other[name])
    assert "--cv" not in here("train", "autoencoder", "--help").stdout

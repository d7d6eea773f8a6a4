"""Files that mertools wrote before numbers could be learnt (tests/models/old/make_models.py)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from in_process import card_of, here, rows
from made_segments import write_segments

OLD = Path(__file__).with_name("old")
NEW_KEYS = {"scale", "pool"}
NEW_IN_TRAINING = {"n_tracks", "tracks_digest", "track_hashes", "split"}
NEW_IN_SEARCH = {"n_repeats", "method", "nested"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("model", ["svm.skops", "kernel.safetensors", "two/svm.skops"])
def test_old_models_predict_what_they_did(folder: Path, model: str) -> None:
    path = folder / model
    here("validate", path)
    here("predict", "-m", path, path.with_name("features.h5"), "-o", "p.csv")
    old, new = rows(path.with_suffix(".csv")), rows("p.csv")
    assert len(old) == len(new) == 72
    for before, now in zip(old, new, strict=True):
        assert now["scale"] == "ordered"
        for name, value in before.items():
            if name.startswith("p_") or name in ("value", "unlike"):
                assert float(now[name]) == pytest.approx(float(value), abs=2e-9), name
            else:
                assert now[name] == value, name


def test_old_models_are_shown(folder: Path) -> None:
    shown = card_of("svm.skops")
    assert shown["schema_version"] == "1.2"
    assert shown["classes"] == ["weak", "neutral", "strong"]


def test_old_features_and_labels_are_learnt_from(folder: Path) -> None:
    """With the parameters that were chosen then, the same model is learnt."""
    chosen = card_of("svm.skops")["search"]["chosen"]
    parameters = [option for n, v in chosen.items() for option in ("--set", f"{n}={v!r}")]
    data = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
    here("validate", "features.h5", "labels.csv")
    here("train", "svm", *data, "--kind", "note", "--cv", 3, *parameters, "-o", "new.skops")
    here("predict", "-m", "new.skops", "features.h5", "-o", "p.csv")
    for before, now in zip(rows("svm.csv"), rows("p.csv"), strict=True):
        assert float(now["p_1"]) == pytest.approx(float(before["p_1"]), abs=1e-6)


def to_old_card(card: dict[str, Any]) -> dict[str, Any]:
    """Make a card what the version before would have written."""
    old = {name: value for name, value in card.items() if name not in NEW_KEYS}
    for name, new in (("training", NEW_IN_TRAINING), ("search", NEW_IN_SEARCH)):
        old[name] = {key: value for key, value in old[name].items() if key not in new}
    for needed in old["features"]:
        del needed["level"]
    return old | {"schema_version": "1.2"}


@pytest.mark.parametrize("model", ["cnn", "lstm", "dual"])
def test_old_networks_predict_and_begin_others(folder: Path, model: str) -> None:
    write_segments(folder / "new")
    data = ("--features", "new/features.h5", "--labels", "new/labels.csv", "--target", "arousal")
    quick = ("--cv", 0, "--set", "max_epochs=1", "--set", "batch_size=8", "--device", "cpu")
    here("train", model, *data, *quick, "-o", "m.safetensors")
    here("predict", "-m", "m.safetensors", "new/features.h5", "-o", "new.csv")
    with safe_open("m.safetensors", "numpy") as file:
        card = json.loads(file.metadata()["card"])
    weights = load_file("m.safetensors")
    save_file(weights, "m.safetensors", {"card": json.dumps(to_old_card(card))})
    here("validate", "m.safetensors")
    here("predict", "-m", "m.safetensors", "new/features.h5", "-o", "old.csv")
    for before, now in zip(rows("old.csv"), rows("new.csv"), strict=True):
        assert before | {"model": ""} == now | {"model": ""}
    still = ("--set", "learning_rate=1e-30", "--init", "m.safetensors")
    here("train", model, *data, *quick, *still, "-o", "next.safetensors")
    made = load_file("next.safetensors")
    np.testing.assert_array_equal(made["classifier.weight"], weights["classifier.weight"])

"""Nothing made from a track is learnt from while the track is held out, validated on, or tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from in_process import card_of, here, rows
from made_segments import (
    class_label,
    number_label,
    show_class,
    write_images,
    write_labels,
    write_vectors,
)
from mertools.artifacts.model_file import read_model
from mertools.models.registry import ARCHITECTURES

TRACKS = [f"t{i:02}" for i in range(24)]
Y = np.arange(24) % 2
CLASSES = ("low", "high")
COPIES = {f"{name} slower": name for name in TRACKS} | {
    f"{name} slower, louder": f"{name} slower" for name in TRACKS[::2]
}
FILES = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
QUICK = ("--set", "max_epochs=2", "--set", "batch_size=16", "--set", "stop=epochs")
SPLITS = {"t04": "test", "t05": "test", "t10": "validation", "t11": "validation"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


LEARNERS = ("svm", "kernel", "cnn", "lstm", "dual")
"""Architectures of either family that look at the small features here."""


def write_data(names: list[str], splits: dict[str, str] | None = None) -> None:
    """Write features of tracks and some copies, and labels of the tracks alone."""
    y = [int(Y[TRACKS.index(name[:3])]) for name in names]
    kinds = ("mel", "onset", "contour", "note")
    write_images(
        Path("features.h5"), names, show_class(y, 2), np.random.default_rng(0), kinds, COPIES
    )
    labels = [
        class_label(name, k, CLASSES, split=(splits or {}).get(name, "train"))
        for name, k in zip(TRACKS, Y.tolist(), strict=True)
    ]
    write_labels(Path("labels.csv"), labels, 2)


def spoil(*relatives_of: str) -> None:
    """Change the features of copies of some tracks so that learning from them would show."""
    with h5py.File("features.h5", "a", locking=False) as file:
        tracks = file["segments/track_id"].asstr()[...]
        chosen = [i for i, name in enumerate(tracks) if name[:3] in relatives_of and name[3:]]
        assert chosen
        for kind in file["features"].values():
            values = kind[...]
            values[chosen] = values[chosen][:, ::-1] * 3 + 1
            kind[...] = values


def options_of(model: str) -> tuple[object, ...]:
    if ARCHITECTURES[model].is_network:
        return (*QUICK, "--device", "cpu")
    parameters = {"svm": ("C=1", "gamma=0.01"), "kernel": ("gamma=0.3", "ridge=0.5")}[model]
    kinds = ("--kind", "mel", "--kind", "note") if model == "kernel" else ("--kind", "mel")
    return (*kinds, *(option for value in parameters for option in ("--set", value)))


def train(model: str, *options: object) -> str:
    suffix = ARCHITECTURES[model].suffix
    done = here(
        "train", model, *FILES, *options_of(model), "--jobs", 1, *options, "-o", f"m{suffix}"
    )
    return str(done.stderr)


def learnt_of(model: str) -> dict[str, np.ndarray[Any, Any]]:
    return dict(read_model(Path(f"m{ARCHITECTURES[model].suffix}"))[1])


@pytest.mark.parametrize("model", LEARNERS)
def test_copies_of_what_is_held_out_are_not_learnt_from(model: str) -> None:
    """Predictions of a fold's tracks do not change with the copies of these tracks."""
    write_data([*TRACKS, *COPIES])
    options = ("--cv", 2, "--folds", "folds.csv", "--predictions", "p.csv", "--no-refit")
    told = train(model, *options)
    assert "24 tracks to learn from; 36 copies beside" in told
    before = {row["segment_id"] or row["track_id"]: row for row in rows("p.csv")}
    assert {row["track_id"] for row in before.values()} == set(TRACKS)
    in_first = [row["track_id"] for row in rows("folds.csv") if row["fold"] == "1"]
    assert 0 < len(in_first) < 24
    spoil(*in_first)
    train(model, *options)
    after = {row["segment_id"] or row["track_id"]: row for row in rows("p.csv")}
    changed = {name for name, row in before.items() if row != after[name]}
    # Of the fold nothing has changed; the other fold's model has learnt from the copies.
    of_first = {name for name in before if name[:3] in in_first}
    assert not changed & of_first
    assert changed


@pytest.mark.parametrize("model", LEARNERS)
def test_copies_of_test_and_validation_tracks_are_not_learnt_from(model: str) -> None:
    write_data([*TRACKS, *COPIES], SPLITS)
    train(model, "--cv", 0)
    before = learnt_of(model)
    spoil(*SPLITS)
    train(model, "--cv", 0)
    for name, array in learnt_of(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    spoil("t00")
    train(model, "--cv", 0)
    assert any(not np.array_equal(array, before[n]) for n, array in learnt_of(model).items())


@pytest.mark.slow
def test_copies_of_what_is_drawn_for_early_stopping_are_not_learnt_from() -> None:
    write_data([*TRACKS, *COPIES])
    options = ("--cv", 0, "--set", "stop=validation_loss", "--history", "h.csv")
    losses = []
    for track in (None, *TRACKS):
        if track is not None:
            write_data([*TRACKS, *COPIES])
            spoil(track)
        train("cnn", *options, "--set", "max_epochs=1")
        losses.append(rows("h.csv")[0]["train_loss"])
    unchanged = sum(loss == losses[0] for loss in losses[1:])
    assert 2 <= unchanged <= 6  # 15 % of 24 tracks, the classes spread evenly


def test_copies_are_passed_over_and_counted_apart() -> None:
    write_data([*TRACKS, *COPIES], SPLITS)
    train("svm", "--cv", 2, "--predictions", "oof.csv", "--cv-table", "cv.csv")
    training = card_of("m.skops")["training"]
    assert (training["n_tracks"], training["n_rows"]) == (22, 22)
    assert training["tracks"] == {"low": 11, "high": 11}
    here("predict", "-m", "m.skops", "features.h5", "-o", "p.csv")
    assert {row["track_id"] for row in rows("p.csv")} == set(TRACKS)
    assert {row["track_id"] for row in rows("oof.csv")} == set(TRACKS) - set(SPLITS)
    folds = card_of("m.skops")["scores"]["folds"]
    assert sum(fold["n_tracks"] for fold in folds) == 20


def test_a_copy_that_gives_the_answer_away_does_not_help() -> None:
    """The class is chance; a track and its copies look alike, so that a leak would show."""
    rng = np.random.default_rng(1)
    names = [*TRACKS, *(f"{name} slower" for name in TRACKS)]
    X = rng.standard_normal((24, 1, 5)) + np.zeros((24, 2, 1))
    both = np.concatenate([X, X + 0.01 * rng.standard_normal(X.shape)])
    write_vectors(Path("features.h5"), names, both, "mel", COPIES)
    for target in ("classes", "numbers"):
        y = rng.permutation(Y)
        if target == "classes":
            labels = [class_label(n, int(k), CLASSES) for n, k in zip(TRACKS, y, strict=True)]
        else:
            values = rng.uniform(1, 9, 24)
            labels = [
                number_label(n, "arousal", float(v)) for n, v in zip(TRACKS, values, strict=True)
            ]
        write_labels(Path("labels.csv"), labels, 2 if target == "classes" else 0)
        options = ("--kind", "mel", "--set", "C=100", "--set", "gamma=1", "--cv", 4)
        here("train", "svm", *FILES, *options, "-o", "m.skops")
        scores = card_of("m.skops")["scores"]["levels"]["track"]
        if target == "classes":
            assert scores["accuracy"]["pooled"] < 0.8
        else:
            assert scores["r2"]["pooled"] < 0.3


@pytest.mark.parametrize("model", ["svm", "cnn"])
def test_copies_of_a_group_stay_with_it(model: str) -> None:
    write_data([*TRACKS, *COPIES])
    lines = ["track_id,artist", *(f"{t},artist {i // 3}" for i, t in enumerate(TRACKS))]
    Path("artists.csv").write_text("\n".join(lines) + "\n")
    group = ("--group", "artist", "--groups", "artists.csv", "--folds", "folds.csv")
    options = ("--cv", 2, *group, "--predictions", "p.csv", "--no-refit")
    train(model, *options)
    before = rows("p.csv")
    in_first = {row["track_id"] for row in rows("folds.csv") if row["fold"] == "1"}
    spoil(*in_first)
    train(model, *options)
    for one, other in zip(before, rows("p.csv"), strict=True):
        assert one == other or one["track_id"] not in in_first

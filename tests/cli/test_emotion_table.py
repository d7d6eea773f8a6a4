"""What `mer predict` draws on a terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mertools.artifacts.rows import Prediction
from mertools.cli.shared import emotion_table
from mertools.cli.shared.emotion_table import draw_emotions
from mertools.prediction.predict import make_prediction

CLASSES = {
    "arousal": ("weak", "neutral", "strong"),
    "valence": ("negative", "neutral", "positive"),
    "tension": ("low", "high"),
}
TRACK = "a song with a name that is as long as such names are"


def prediction(
    target: str, posterior: tuple[float, ...], track: str = TRACK, unlike: float | None = None
) -> Prediction:
    made = np.array(posterior)
    return make_prediction(target, CLASSES[target], track, None, 0.0, 30.0, made, unlike)


ROWS = [prediction("arousal", (0.05, 0.15, 0.8)), prediction("valence", (0.6, 0.3, 0.1))]


def draw(rows: list[Prediction], width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(emotion_table, "WIDTH_OFF_TERMINAL", width)
    stream = io.StringIO()
    draw_emotions(rows, stream, windows=False)
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    assert "\x1b" not in text
    return text


def test_a_row_says_it_all_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, row = draw(ROWS, 80, monkeypatch).rstrip().splitlines()
    for told in (
        "a song with",
        "···│██· strong",
        "80%",
        "·▐█│··· negative",
        "60%",
        "Q2",
        "distressed",
    ):
        assert told in row


def test_a_narrow_terminal_leaves_out_bars_then_quadrants_then_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [draw(ROWS, width, monkeypatch) for width in (80, 70, 55, 42)]
    assert ["█" in text for text in found] == [True, False, False, False]
    assert ["Q2" in text for text in found] == [True, True, False, False]
    assert ["distressed" in text for text in found] == [True, True, True, False]
    assert all("strong   80%" in text and "negative  60%" in text for text in found)


def test_other_targets_have_a_column_and_tracks_need_not_have_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [prediction("tension", (0.1, 0.9)), prediction("tension", (0.9, 0.1), "second")]
    text = draw([*rows, prediction("arousal", (0.8, 0.2, 0.0), "second")], 80, monkeypatch)
    assert "quadrant" not in text
    assert "high  90%" in text
    assert text.count("weak") == 1


def test_a_note_tells_of_music_unlike_that_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [prediction("arousal", (0.2, 0.2, 0.6), f"track{k}", unlike=k / 20) for k in range(20)]
    *_, note = draw(rows, 80, monkeypatch).rstrip().splitlines()
    assert "track11, " in note.replace("\n", " ") or "track11" in draw(rows, 200, monkeypatch)
    assert "unlike the training music" not in draw(rows[:11], 80, monkeypatch)
    assert "and 3 more" in draw(rows, 200, monkeypatch)

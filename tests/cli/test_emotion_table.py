"""What `mer predict` draws on a terminal."""

from __future__ import annotations

import io

import pytest

from mertools.artifacts.rows import Prediction
from mertools.cli.shared import emotion_table
from mertools.cli.shared.emotion_table import draw_emotions

CLASSES = {
    "arousal": "weak|neutral|strong",
    "valence": "negative|neutral|positive",
    "tension": "low|high",
}
TRACK = "a song with a name that is as long as such names are"


def prediction(
    target: str,
    posterior: tuple[float, ...],
    track: str = TRACK,
    unlike: float | None = None,
    segment: str | None = None,
) -> Prediction:
    classes = CLASSES[target].split("|")
    return Prediction(
        "track" if segment is None else "segment",
        track,
        segment,
        0.0,
        30.0,
        target,
        CLASSES[target],
        posterior,
        classes[posterior.index(max(posterior))],
        sum((k + 1) * p for k, p in enumerate(posterior)),
        unlike,
    )


def number(target: str, value: float, scale: str) -> Prediction:
    return Prediction("track", TRACK, None, 0.0, 30.0, target, value=value, scale=scale)


def genre(*posterior: float) -> Prediction:
    names = ("classical", "rock")
    return Prediction(
        "track",
        TRACK,
        None,
        0.0,
        30.0,
        "genre",
        "|".join(names),
        posterior,
        names[posterior.index(max(posterior))],
        scale="unordered",
    )


ROWS = [prediction("arousal", (0.05, 0.15, 0.8)), prediction("valence", (0.6, 0.3, 0.1))]


def draw(
    rows: list[Prediction], width: int, monkeypatch: pytest.MonkeyPatch, windows: bool = False
) -> str:
    monkeypatch.setattr(emotion_table, "WIDTH_OFF_TERMINAL", width)
    stream = io.StringIO()
    draw_emotions(rows, stream, windows=windows)
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    assert "\x1b" not in text
    return text


def test_a_row_says_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    head, _, row = draw(ROWS, 95, monkeypatch).rstrip().splitlines()
    assert "arousal (-1..1)" in head
    for told in (
        "a song with",
        "···│██· +0.75 strong   80%",
        "·▐█│··· -0.50 negative  60%",
        "Q2",
        "distressed",
    ):
        assert told in row


def test_a_narrow_terminal_leaves_out_bars_then_quadrants_words_and_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [draw(ROWS, width, monkeypatch) for width in (95, 80, 70, 57, 40)]
    assert ["█" in text for text in found] == [True, False, False, False, False]
    assert ["Q2" in text for text in found] == [True, True, False, False, False]
    assert ["distressed" in text for text in found] == [True, True, True, False, False]
    assert ["strong   80%" in text for text in found] == [True, True, True, True, False]
    assert all("+0.75" in text and "-0.50" in text for text in found)


@pytest.mark.parametrize("width", [24, 30, 40, 60, 80, 120])
def test_numbers_and_names_are_never_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [f"emotion{k}" for k in range(9)]
    rows = [number(target, 0.62, "0..1") for target in targets]
    text = draw([*rows, genre(0.3, 0.7)], width, monkeypatch)
    table, _, note = text.partition("no room for ")
    shown = [name for name in targets if name in table]
    assert shown
    *_, rule, row = table.rstrip().splitlines()
    assert set(rule) == {"─"}
    assert row.count("0.62") == len(shown)
    missing = " ".join(note.split())
    assert [name for name in targets if name in missing] == targets[len(shown) :]
    assert ("genre" in missing) != ("rock" in table)


def test_numbers_have_their_scale_and_unordered_classes_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        number("dominance", 0.5, "0..1"),
        number("valence", 7.25, "1..9"),
        number("arousal", 0.62, "0..1"),
        genre(0.3, 0.7),
    ]
    head, _, row = draw(rows, 100, monkeypatch).rstrip().splitlines()
    heads = ["arousal (0..1)", "valence (1..9)", "dominance (0..1)", "genre", "quadrant", "word"]
    assert [head.index(name) for name in heads] == sorted(head.index(name) for name in heads)
    for told in ("0.62", "7.25", "0.50", "rock       70%", "Q1", "excited"):
        assert told in row


def test_other_targets_have_a_column_and_tracks_need_not_have_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [prediction("tension", (0.1, 0.9)), prediction("tension", (0.9, 0.1), "second")]
    text = draw([*rows, prediction("arousal", (0.8, 0.2, 0.0), "second")], 80, monkeypatch)
    assert "quadrant" not in text
    assert "high  90%" in text
    assert text.count("weak") == 1


def test_a_note_names_music_unlike_that_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [prediction("arousal", (0.2, 0.2, 0.6), f"track{k}", unlike=k / 20) for k in range(20)]
    *_, note = draw(rows, 80, monkeypatch).rstrip().splitlines()
    assert "track11, " in note.replace("\n", " ") or "track11" in draw(rows, 200, monkeypatch)
    assert "outside the training music" not in draw(rows[:11], 80, monkeypatch)
    assert "and 3 more" in draw(rows, 200, monkeypatch)


def test_single_windows_do_not_make_a_track_unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = [
        prediction("arousal", (0.2, 0.2, 0.6), "song", unlike, f"song_{k}")
        for k, unlike in enumerate((0.1, 0.9, 0.2))
    ]
    whole = prediction("arousal", (0.2, 0.2, 0.6), "song", 0.4)
    assert "outside" not in draw([*windows, whole], 80, monkeypatch, windows=True)


def test_names_give_a_terminal_no_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [prediction("arousal", (0.2, 0.2, 0.6), "\x1b[31msong\n")]
    assert "\\x1b[31m" in draw(rows, 80, monkeypatch)

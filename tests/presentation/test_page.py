from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from made_tracks import (
    HOSTILE,
    MODELS,
    WriteTone,
    as_numbers,
    made_explanations,
    made_rows,
    shares_rows,
)

from mertools.presentation.output import open_presentation


class Page(HTMLParser):
    """A page as a browser reads it: its elements, and the text of some."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def data(self) -> Any:
        return json.loads(self.texts["script"][0])


def write_page(path: Path, **tracks: tuple[list[float], list[float], Path | None]) -> Page:
    with open_presentation(None, path) as show:
        for name, (arousal, valence, sound) in tracks.items():
            show(made_rows(name, arousal, valence), sound)
    return Page(path)


def test_no_name_breaks_out_of_the_page(tmp_path: Path) -> None:
    made = write_page(tmp_path / "a.html", **{HOSTILE: ([0.1], [0.2], None)})
    plain = write_page(tmp_path / "b.html", a=([0.1], [0.2], None))
    assert [tag for tag, _ in made.elements] == [tag for tag, _ in plain.elements]
    assert "<" not in made.texts["script"][0]
    shown = HOSTILE[:-1] + "\N{REPLACEMENT CHARACTER}"
    assert made.data()["tracks"][0]["name"] == shown
    assert made.texts["title"] == [f"Arousal and valence of {shown}"]
    assert made.texts["button"][-1] == shown


def test_the_page_needs_nothing_else_and_allows_nothing_else(tmp_path: Path) -> None:
    page = write_page(tmp_path / "a.html", a=([0.1], [0.2], None))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for content in (page.texts["script"][1], page.texts["style"][0]):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"-src 'sha256-{digest}';" in policy
    assert not [a for _, a in page.elements if {"src", "href", "style", "onclick"} & a.keys()]
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_table_and_the_curves_hold_what_was_predicted(tmp_path: Path) -> None:
    page = write_page(
        tmp_path / "a.html", a=([0.5, -0.25], [0.1, 0.3], None), b=([-1.0], [0.0], None)
    )
    assert page.texts["title"] == ["Arousal and valence of 2 tracks"]
    heads = page.texts["button"][2:8]
    assert heads == ["Track", "Arousal", "Valence", "Quadrant", "Word", "Length"]
    values = [a["data-value"] for tag, a in page.elements if tag == "td" and "data-value" in a]
    assert [float(v or "nan") for v in values] == [0.125, 0.2, 3.0, -1.0, 0.0, 2.0]
    first = page.data()["tracks"][0]
    assert first["curves"]["arousal"][:2] == [[10, 20], [500, -250]]
    assert first["curves"]["valence"][:2] == [[10, 20], [100, 300]]


def test_a_track_unlike_the_training_music_says_so(tmp_path: Path) -> None:
    with open_presentation(tmp_path / "a.png", tmp_path / "a.html") as show:
        for name, unlike in (("a", 0.25), ("b", 0.75)):
            show([replace(row, unlike=unlike) for row in made_rows(name, [0.1], [0.2])], None)
    page = Page(tmp_path / "a.html")
    assert page.texts["button"][7] == "Unlike"
    likely, unlikely = page.data()["tracks"]
    assert not likely["warning"]
    assert "outside the training music" in unlikely["warning"]
    assert page.texts["span"].count("unlike the training music") == 1


def test_targets_have_their_scales(tmp_path: Path) -> None:
    rows = [
        *as_numbers(made_rows("a", [0.5, -0.25], [0.1, 0.3])),
        *shares_rows("a", (0.7, 0.1, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4)),
    ]
    with open_presentation(None, tmp_path / "a.html", MODELS) as show:
        show(rows, None)
    page = Page(tmp_path / "a.html")
    data = page.data()
    assert data["targets"] == {
        "arousal": {"low": "1", "high": "9", "range": [1, 9], "decimals": 2},
        "valence": {"low": "1", "high": "9", "range": [1, 9], "decimals": 2},
        "quadrant": {"classes": ["Q1", "Q2", "Q3", "Q4"]},
    }
    curves = data["tracks"][0]["curves"]
    assert curves["arousal"] == [[10, 20], [500, -250], None, [125]]
    shares = [[700, 100], [100, 200], [100, 300], [100, 400]]
    assert curves["quadrant"] == [[10, 20], shares, [400, 150, 200, 250]]
    assert page.texts["button"][2:] == ["Track", "Arousal", "Valence", "Quadrant", "Word"] + [
        "Length",
        "a",
    ]
    assert page.texts["td"][2] == "Q1 40%"
    told = " ".join(page.texts["p"])
    assert "Models: calm (svm), glad (cnn). Licence of the models: CC0-1.0." in told
    assert "Windows of 2 s, one every 1 s" in told


def test_what_moved_a_track_is_said_in_words(tmp_path: Path) -> None:
    """Blocks of one word are one, numbers are on the scale of means, kinds without a word stay."""
    known = {"musicnn__tags": 0.1, "musicnn__penultimate": -0.25, "tonal__sustain": 0.05}
    rows = made_rows("a", [0.5, -0.25])
    numbers = as_numbers(made_rows("a", [], [0.1, 0.3]))
    shares = shares_rows("a", (0.7, 0.1, 0.1, 0.1))
    whys = [
        *made_explanations(rows, 0.2, **known, rest=0.025),
        *made_explanations(numbers, 5.8, mine=-0.4, key__minor_logit=0.4, rest=0.0),
        *made_explanations(shares, 0.3, key=0.4, rest=0.0),
    ]
    with open_presentation(None, tmp_path / "a.html") as show:
        show([*rows, *numbers, *shares], None, whys)
        show(made_rows("b", [0.5], [0.1]), None)
    data = Page(tmp_path / "a.html").data()
    assert data["parts"] == {
        "arousal": ["timbre", "how long notes are held", "limits of the scale"],
        "valence": ["mine", "mode", "limits of the scale"],
        "quadrant": ["mode", "limits of the scale"],
    }
    assert [track["whys"] for track in data["tracks"]] == [
        {
            "arousal": [200, [-150, 50, 25]],
            "valence": [200, [-100, 100, 0]],
            "quadrant": [300, [400, 0]],
        },
        {},
    ]


def test_the_length_is_that_of_the_sound(tmp_path: Path, write_tone: WriteTone) -> None:
    sound = write_tone(tmp_path / "a.wav", 3.6)
    page = write_page(tmp_path / "a.html", a=([0.1] * 4, [0.2] * 4, sound))
    assert page.data()["tracks"][0]["duration"] == 36
    assert [a.get("data-value") for t, a in page.elements if t == "td"][-1] == "3.6"


def test_sounds_are_linked_from_where_the_page_lies_and_a_single_one_is_in_it(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    sound = write_tone(tmp_path / "songs" / "a:b #1?%.wav", 3.0)
    (tmp_path / "pages").mkdir()
    tracks = {name: ([0.1, 0.2], [0.3, 0.4], sound) for name in "ab"}
    page = write_page(tmp_path / "pages" / "a.html", **tracks)
    link = page.data()["sounds"][0]
    assert not set(link) & set(":#?")
    assert unquote_to_bytes(link).decode() == "../songs/a:b #1?%.wav"
    alone = write_page(tmp_path / "pages" / "b.html", a=tracks["a"]).data()["sounds"][0]
    kind, content = alone.split(",")
    assert kind == "data:audio/wav;base64"
    assert base64.b64decode(content) == sound.read_bytes()


def test_the_same_tracks_give_the_same_bytes_or_none(tmp_path: Path, write_tone: WriteTone) -> None:
    tracks = {"a": ([0.1], [0.2], write_tone(tmp_path / "a.wav"))}
    write_page(tmp_path / "1.html", **tracks)
    write_page(tmp_path / "2.html", **tracks)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    with (
        pytest.raises(KeyboardInterrupt),
        open_presentation(None, tmp_path / "3.html") as show,
    ):
        show(made_rows("a", [0.1]), None)
        raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.html", "2.html", "a.wav"]


def test_words_can_be_read_in_light_and_dark() -> None:
    style = Path(__file__).parents[2] / "mertools" / "presentation" / "page.css"
    light, dark = re.findall(r":root {(.*?)}", style.read_text(encoding="utf-8"), re.DOTALL)
    for block in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#\w{6});", block))
        for ground in ("ground", "card", "chosen"):
            for ink in ("ink", "soft", "arousal", "valence", "dominance", "other", "accent"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours as WCAG 2 defines it."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

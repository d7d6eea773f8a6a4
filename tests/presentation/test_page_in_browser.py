"""The page in a real browser, used with keys and mouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser, find_browser
from made_tracks import (
    HOSTILE,
    WriteTone,
    as_numbers,
    made_explanations,
    made_rows,
    shares_rows,
)

from mertools.presentation.output import open_presentation

FOCUSED = "document.activeElement.textContent.trim()"
NAMES = "[...document.querySelectorAll('tbody th button')].map(b => b.textContent)"
SHOWN_NAME = HOSTILE[:-1] + "\N{REPLACEMENT CHARACTER}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed (Debian: chromium)")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path, write_tone: WriteTone) -> Browser:
    """A page of three tracks, two of them with a sound of 6 s, that has been opened."""
    sound = write_tone(tmp_path / "songs" / "Ça va? #1.wav", 6.0)
    hidden = [0.6, 0.2, -0.4, -0.8, 0.4]
    with open_presentation(None, tmp_path / "page.html") as show:
        show(made_rows("track 10", [0.0] * 5, [0.5] * 5), sound)
        show(made_rows("track 9", hidden, hidden[::-1]), sound)
        show(made_rows(HOSTILE, [-0.5], [-0.5]), None)
    browser.open(tmp_path / "page.html")
    return browser


def test_it_loads_nothing_but_sound_and_nothing_is_refused(page: Browser, tmp_path: Path) -> None:
    assert page.wait("audio.duration") == pytest.approx(6.0, abs=0.1)
    assert page.problems() == []
    assert {Path(url).parent.name for url in page.requests()} == {tmp_path.name, "songs"}
    # Scripts and styles that are not the page's own do not run.
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{textContent: 'window.broken = 1'}))"
    )
    assert page.evaluate("window.broken === undefined")


def test_rows_are_sorted_and_tracks_chosen_with_keys_alone(page: Browser) -> None:
    assert page.evaluate(NAMES) == ["track 10", "track 9", SHOWN_NAME]
    for _ in range(30):
        page.press("Tab")
        if page.evaluate(FOCUSED) == "Track":
            break
    page.press("Space", " ")
    assert page.evaluate(NAMES)[-2:] == ["track 9", "track 10"]
    page.press("Tab")
    page.press("Enter", "\r")
    assert page.evaluate(NAMES) == ["track 10", "track 9", SHOWN_NAME]
    states = "[...document.querySelectorAll('thead th')].map(h => h.getAttribute('aria-sort'))"
    assert page.evaluate(states) == [None, "descending", None, None, None, None]
    page.press("Enter", "\r")
    assert page.evaluate(NAMES) == [SHOWN_NAME, "track 10", "track 9"]
    for _ in range(5):
        page.press("Tab")
    assert page.evaluate(FOCUSED) == SHOWN_NAME
    page.press("Enter", "\r")
    assert page.evaluate("document.getElementById('name').textContent") == SHOWN_NAME
    assert page.evaluate("document.querySelector('[aria-current]').textContent") == SHOWN_NAME
    assert page.evaluate("document.getElementById('verdict').textContent").startswith("depressed")
    assert page.evaluate("audio.hidden && document.querySelectorAll('b').length === 0")


def test_the_curves_follow_the_sound_and_the_sound_the_curves(page: Browser) -> None:
    page.click("tr[data-track='1'] button")
    value = "Number(document.getElementById('timeline').getAttribute('aria-valuenow'))"
    page.click("#playhead", 0.5)
    assert page.evaluate(value) == pytest.approx(3.0, abs=0.05)
    assert page.evaluate("audio.currentTime") == pytest.approx(3.0, abs=0.05)
    told = page.evaluate("document.getElementById('timeline').getAttribute('aria-valuetext')")
    assert told == "0:03 of 0:06, arousal \N{MINUS SIGN}0.40, valence \N{MINUS SIGN}0.40"
    page.press("ArrowRight")
    assert page.evaluate(value) == pytest.approx(4.0, abs=0.05)
    page.press("Home")
    assert page.evaluate("audio.currentTime") == 0
    page.press("Space", " ")
    page.wait("audio.currentTime > 0.2")
    page.press("Space", " ")
    line = "parseFloat(document.querySelector('#playhead div').style.left)"
    page.wait(f"audio.paused && Math.abs({line} - 100 * audio.currentTime / 6) < 0.5")


def test_what_is_drawn_can_be_read_too_and_fits_a_phone_in_the_dark(page: Browser) -> None:
    page.click("tr[data-track='1'] button")
    summary = page.evaluate("document.getElementById('summary').textContent")
    assert "+0.00 ± " in summary
    assert "between \N{MINUS SIGN}0.80 and +0.60" in summary
    page.click("#values summary", 0.1)
    rows = "[...document.querySelectorAll('#values tbody tr')].map(r => r.innerText)"
    listed = page.wait(f"{rows}.length && {rows}")
    assert [row.split("\t")[0] for row in listed] == ["0:01", "0:02", "0:03", "0:04", "0:05"]
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    screen = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    page.call("Emulation.setDeviceMetricsOverride", **screen)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.call("Emulation.setEmulatedMedia", features=dark)
    assert page.evaluate(ground) != light
    assert page.evaluate("document.documentElement.scrollWidth <= 360")
    assert page.evaluate(  # the whole table, the word included
        "(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#list .scroll'))"
    )
    ends = "[...document.querySelectorAll('.panel.arousal .top, .panel.arousal .bottom')]"
    assert page.evaluate(f"{ends}.map(e => e.offsetHeight > 0)") == [True, True]
    page.call("Emulation.clearDeviceMetricsOverride")
    page.call("Emulation.setEmulatedMedia", features=[])


def test_a_sound_that_has_gone_is_told(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "songs" / "Ça va? #1.wav").unlink()
    page.open(tmp_path / "page.html")
    assert "cannot be played" in page.wait("document.getElementById('trouble').textContent")
    page.click("#playhead", 0.5)
    page.press("Space", " ")
    assert "0:03 of 0:06" in page.evaluate("timeline.getAttribute('aria-valuetext')")
    page.click("tr[data-track='2'] button")
    assert "no sound" in page.evaluate("document.getElementById('trouble').textContent")
    assert not [event for event in page.events if event["method"] == "Runtime.exceptionThrown"]


def test_numbers_classes_and_whole_tracks_can_be_looked_at(
    browser: Browser, tmp_path: Path
) -> None:
    rows = [
        *as_numbers(made_rows("a", [0.5, -0.25], [0.1, 0.3])),
        *shares_rows("a", (0.7, 0.1, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4)),
    ]
    with open_presentation(None, tmp_path / "a.html") as show:
        show(rows, None)
    browser.open(tmp_path / "a.html")
    told = "timeline.getAttribute('aria-valuetext')"
    assert browser.evaluate(told) == "0:00 of 0:03, arousal 7.00, valence 5.40, quadrant Q1 70 %"
    assert browser.evaluate("document.querySelectorAll('.area').length") == 4
    assert browser.evaluate("document.getElementById('list').hidden")
    summary = browser.evaluate("document.getElementById('summary').textContent")
    assert "from 1 to 9: 5.50 for the whole track, over time between 4.00 and 7.00" in summary
    assert browser.problems() == []
    with open_presentation(None, tmp_path / "b.html") as show:
        show([row for row in rows if row.level == "track"], None)
    browser.open(tmp_path / "b.html")
    assert browser.evaluate("document.querySelectorAll('.curve, .area').length") == 0
    assert browser.evaluate("document.querySelectorAll('.whole-track').length") == 3
    assert browser.problems() == []


def test_a_reload_comes_back_to_the_track_and_the_time(page: Browser, tmp_path: Path) -> None:
    page.click("tr[data-track='2'] button")
    page.click("#playhead", 0.5)
    address = page.wait("location.hash.includes('t=') && !location.hash.includes('t=0.0')")
    assert address
    page.call("Page.reload")
    name = "document.getElementById('name')?.textContent"
    page.wait(f"document.readyState === 'complete' && {name} === {json.dumps(SHOWN_NAME)}")
    assert page.wait("Math.abs(timeline.getAttribute('aria-valuenow') - 1) < 0.05")


def test_tracks_are_filtered_and_stepped_through(page: Browser) -> None:
    name = "document.getElementById('name').textContent"
    page.click("#next")
    assert page.evaluate(name) == "track 9"
    page.click("#previous")
    page.click("#previous")
    assert page.evaluate(name) == SHOWN_NAME
    page.evaluate(
        "(() => { const f = document.getElementById('filter'); f.value = 'TRACK';"
        "f.dispatchEvent(new Event('input')); })()"
    )
    visible = "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight).length"
    assert page.evaluate(visible) == 2
    assert page.evaluate("document.getElementById('sorted').textContent") == "2 of 3 tracks."
    page.click("#next")
    assert page.evaluate(name) == "track 10"


def test_page_down_goes_on(page: Browser) -> None:
    page.click("tr[data-track='1'] button")
    page.click("#playhead", 0.25)
    page.press("PageDown")
    assert page.evaluate("Number(timeline.getAttribute('aria-valuenow'))") == 6
    page.press("PageUp")
    assert page.evaluate("Number(timeline.getAttribute('aria-valuenow'))") == 0


def test_a_track_without_a_length_is_shown(browser: Browser, tmp_path: Path) -> None:
    lyrics = [
        replace(row, start=None, duration=None)
        for row in made_rows("a", [0.5], [0.1])
        if row.level == "track"
    ]
    with open_presentation(tmp_path / "a.png", tmp_path / "a.html") as show:
        show(lyrics, None)
    browser.open(tmp_path / "a.html")
    assert browser.evaluate("document.querySelector('.now').getAttribute('cx')") == "10"
    assert browser.problems() == []


def test_what_moved_a_track_is_listed_from_the_strongest(browser: Browser, tmp_path: Path) -> None:
    rows = made_rows("a", [0.5, -0.25])
    numbers = as_numbers(made_rows("a", [], [0.1, 0.3]))
    shares = shares_rows("a", (0.7, 0.1, 0.1, 0.1))
    whys = [
        *made_explanations(rows, 0.2, musicnn=0.05, key=-0.15, **{HOSTILE[:-2]: 0.0}, rest=0.025),
        *made_explanations(numbers, 5.8, tonal__sustain=-0.4, key=0.4, rest=0.001),
        *made_explanations(shares, 0.3, key=-0.4, rest=0.0),
    ]
    with open_presentation(None, tmp_path / "a.html") as show:
        show([*rows, *numbers, *shares], None, whys)
        show(made_rows("b", [0.5], [0.1]), None)
    browser.open(tmp_path / "a.html")
    minus = "\N{MINUS SIGN}"
    told = "[...document.querySelectorAll('#pushes tr')].map(r => r.innerText)"
    assert browser.evaluate(told) == [
        f"mode\t{minus}0.15",
        "timbre\t+0.05",
        "limits of the scale\t+0.03",
        f"{HOSTILE[:-2]}\t+0.00",
        f"how long notes are held\t{minus}0.40",
        "mode\t+0.40",
        f"mode\t{minus}40 %",
    ]
    captions = "[...document.querySelectorAll('#pushes caption')].map(c => c.innerText)"
    assert browser.evaluate(captions) == [
        "arousal +0.20 for the music learnt from, +0.13 here",
        "valence 5.80 for the music learnt from, 5.80 here",
        "quadrant 30 % for the music learnt from, Q1 70 % here",
    ]
    widths = "[...document.querySelectorAll('#pushes .arousal rect')].map(r => r.getAttribute('x'))"
    first, second = (float(x) for x in browser.evaluate(widths)[:2])
    assert (first < 50, second) == (True, 50)
    screen = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **screen)
    assert browser.evaluate("document.documentElement.scrollWidth <= 360")
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.click("#next")
    assert browser.evaluate("document.getElementById('why').hidden")
    assert browser.problems() == []

"""One HTML page of predictions, whole in itself: a player, curves, the plane and a table.

The page loads nothing but the sound: its policy names the digests of its own script and style, and
allows no others. The same tracks give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mertools.artifacts.files import open_output
from mertools.presentation.tracks import (
    QUADRANTS,
    Curve,
    ShownTrack,
    format_time,
    read_outline,
)
from mertools.targets import plane as circumplex
from mertools.version import __version__

OUTLINE_BINS = 240
MAX_EMBEDDED_BYTES = 8 << 20
"""Up to this size the sound of a page of one track is put into the page."""

MEDIA_TYPES = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "audio/webm",
}
"""What browsers play."""

OTHER = "other"
"""The class in page.css of all targets but the axes of the plane."""

PLACEHOLDER = re.compile(r"{{(\w+)}}")


class PageWriter:
    """Writes one page of all tracks that are added; of each only what the page needs is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._classes: dict[str, Sequence[str]] = {}
        self._in_plane = self._tells_unlike = False
        self._tracks: list[str] = []
        self._rows: list[str] = []
        self._links: list[str | None] = []
        self._only: ShownTrack | None = None

    def add(self, track: ShownTrack) -> None:
        """Take a track in. Raises InputError where its sound cannot be decoded."""
        if not self._tracks:
            self._classes = {target: curve.whole.classes for target, curve in track.curves.items()}
            self._in_plane = track.is_in_plane
            self._tells_unlike = track.whole.unlike is not None
        self._only = None if self._tracks else track
        self._rows.append(_format_row(len(self._tracks), track))
        self._links.append(None if track.sound is None else link_sound(track.sound, self._path))
        self._tracks.append(_format_track(track))

    def write(self) -> None:
        """Write the page, if there is a track. Raises UsageError where it cannot be written."""
        if not self._tracks:
            return
        parts = PLACEHOLDER.split(_read_file("template.html"))
        contents = self._contents()
        with open_output(str(self._path)) as stream:
            for literal, name in zip(parts[::2], [*parts[1::2], ""], strict=True):
                stream.write(literal)
                stream.writelines(contents.get(name, ()))

    def _contents(self) -> Mapping[str, Sequence[str] | Iterator[str]]:
        script, style = _read_file("page.js"), _read_file("page.css")
        n = len(self._tracks)
        of_what = self._only.name if self._only is not None else f"{n} tracks"
        title = f"{' and '.join(self._classes)} of {of_what}"
        policy = (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
        )
        return {
            "policy": [policy],
            "title": [escape(title[0].upper() + title[1:])],
            "subtitle": ["As a model expects listeners to rate the music."],
            "style": [style],
            "columns": [_format_head(name, is_text) for name, is_text in self._columns()],
            "rows": self._rows,
            "version": [__version__],
            "data": self._data(),
            "script": [script],
        }

    def _columns(self) -> list[tuple[str, bool]]:
        """Name the table's columns, and tell those of words from those of numbers."""
        of_plane = [("Quadrant", True), ("Word", True)] if self._in_plane else []
        targets = [(target.capitalize(), False) for target in self._classes]
        unlike = [("Unlike", False)] if self._tells_unlike else []
        return [("Track", True), *targets, *of_plane, *unlike, ("Length", False)]

    def _data(self) -> Iterator[str]:
        shared = {
            "classes": self._classes,
            "words": circumplex.WORDS,
            "neutral": circumplex.NEUTRAL,
            "neutralRadius": circumplex.NEUTRAL_RADIUS,
            "sounds": self._sounds(),
            "quadrants": [(name, *corner) for name, corner in QUADRANTS.items()],
        }
        yield format_json(shared)[:-1] + ',"tracks":['
        for place, track in enumerate(self._tracks):
            yield f"{',' if place else ''}\n{track}"
        yield "]}"

    def _sounds(self) -> Sequence[str | None]:
        if self._only is None or self._only.sound is None or not _is_embedded(self._only.sound):
            return self._links
        return [_embed_sound(self._only.sound)]


def format_json(value: object) -> str:
    """Write JSON that can stand in a script element of HTML: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def link_sound(sound: Path, page: Path) -> str:
    """Give a sound file's address relative to the page; any bytes of its name are kept."""
    folder = sound.parent.resolve()
    relative = os.path.relpath(folder / sound.name, page.parent.resolve())
    return quote(os.fsencode(relative))


def _is_embedded(sound: Path) -> bool:
    is_played = sound.suffix.lower() in MEDIA_TYPES
    return is_played and sound.stat().st_size <= MAX_EMBEDDED_BYTES


def _embed_sound(sound: Path) -> str:
    content = base64.b64encode(sound.read_bytes()).decode()
    return f"data:{MEDIA_TYPES[sound.suffix.lower()]};base64,{content}"


def _format_track(track: ShownTrack) -> str:
    outline, duration = None, track.duration
    if track.sound is not None:
        peaks, duration = read_outline(track.sound, OUTLINE_BINS)
        outline = [round(100 * peak) for peak in peaks]
    record: dict[str, Any] = {
        "name": track.name,
        "verdict": _tell(track),
        "warning": track.warning,
        "duration": round(10 * duration),
        "wave": outline,
        "curves": {target: _format_curve(curve) for target, curve in track.curves.items()},
    }
    return format_json(record)


def _format_curve(curve: Curve) -> list[list[int]]:
    """Give times in tenths of a second, means, spreads, and those of the whole, in hundredths."""
    scaled = (10 * curve.times, 100 * curve.means, 100 * curve.spreads)
    whole = [round(100 * curve.whole.mean), round(100 * curve.whole.spread)]
    return [*([round(float(value)) for value in values] for values in scaled), whole]


def _tell(track: ShownTrack) -> str:
    if quadrant := track.whole.quadrant:
        return f"{track.whole.word}, most likely in {quadrant.name} ({quadrant.probability:.0%})"
    ratings = (curve.whole for curve in track.curves.values())
    return ", ".join(f"{rating.predicted} ({rating.probability:.0%})" for rating in ratings)


def _format_head(name: str, is_text: bool) -> str:
    kind = ' class="text"' if is_text else ""
    return f'<th scope="col"{kind}><button type="button">{escape(name)}</button></th>'


def _format_row(place: int, track: ShownTrack) -> str:
    cells = [f'<th scope="row"><button type="button">{escape(track.name)}</button></th>']
    for target, curve in track.curves.items():
        mean = curve.whole.mean
        width = 50 * abs(mean)
        left = 50 - width if mean < 0 else 50
        colour = target if target in circumplex.TARGETS else OTHER
        cells.append(
            f'<td data-value="{mean:.4f}" class="{colour}">'
            '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect x="{left:.1f}" width="{width:.1f}" height="10"/><path d="M50-2v14"/></svg>'
            f"{_format_rating(mean)}</td>"
        )
    if quadrant := track.whole.quadrant:
        cells.append(f'<td class="text">{quadrant.name} {quadrant.probability:.0%}</td>')
        cells.append(f'<td class="text">{track.whole.word}</td>')
    if (unlike := track.whole.unlike) is not None:
        cells.append(f'<td data-value="{unlike:.4f}">{unlike:.2f}</td>')
    cells.append(f'<td data-value="{track.duration:.1f}">{format_time(track.duration)}</td>')
    return f'<tr data-track="{place}">{"".join(cells)}</tr>\n'


def _format_rating(rating: float) -> str:
    return f"{round(rating, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")


def _read_file(name: str) -> str:
    return resources.files("mertools.presentation").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

"""One HTML page of predictions in one file: a player, curves, the plane and a table.

The page loads nothing but the sound: its policy names the digests of its own script and style, and
allows no others. The same tracks give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mertools.artifacts.files import open_output
from mertools.artifacts.rows import Model
from mertools.prediction.emotion import (
    Rating,
    count_decimals,
    format_quadrant,
    order_targets,
    shown_scale,
)
from mertools.presentation.tracks import (
    Curve,
    Shares,
    ShownTrack,
    describe_models,
    describe_windows,
    format_time,
    read_outline,
)
from mertools.targets import plane
from mertools.targets.scale import Range, Scale, format_number
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
"""The class in page.css of all targets but the dimensions of emotion."""

MINOR = "minor"
"""The class in page.css of columns that a phone has no room for."""

PLACEHOLDER = re.compile(r"{{(\w+)}}")


class PageWriter:
    """Writes one page of all tracks that are added; of each only what the page needs is kept."""

    def __init__(self, path: Path, models: Sequence[Model] = ()) -> None:
        self._path, self._models = path, models
        self._first: ShownTrack | None = None
        self._tracks: list[str] = []
        self._rows: list[str] = []
        self._links: list[str | None] = []

    def add(self, track: ShownTrack) -> None:
        """Add a track. Raises InputError where its sound cannot be decoded."""
        outline = None
        if track.sound is not None:
            peaks, duration = read_outline(track.sound, OUTLINE_BINS)
            outline = [round(100 * peak) for peak in peaks]
            # The last window may be filled up beyond the end of the sound.
            track = replace(track, duration=duration)
        self._first = self._first or track
        self._rows.append(_format_row(len(self._tracks), track))
        self._links.append(None if track.sound is None else link_sound(track.sound, self._path))
        self._tracks.append(_format_track(track, outline))

    def write(self) -> None:
        """Write the page, if there is a track. Raises UsageError where it cannot be written."""
        if self._first is None:
            return
        parts = PLACEHOLDER.split(_read_file("template.html"))
        contents = self._contents(self._first)
        with open_output(str(self._path)) as stream:
            for literal, name in zip(parts[::2], [*parts[1::2], ""], strict=True):
                stream.write(literal)
                stream.writelines(contents.get(name, ()))

    def _contents(self, first: ShownTrack) -> Mapping[str, Sequence[str] | Iterator[str]]:
        script = _read_file("drawing.js") + _read_file("page.js")
        style = _read_file("page.css")
        n = len(self._tracks)
        title = f"{_enumerate(list(first.curves))} of {first.name if n == 1 else f'{n} tracks'}"
        # Scripts are named by digest, so that one hidden in a track's name would not run.
        policy = (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
        )
        subtitle = (
            "As a model expects listeners to rate the music.",
            describe_windows(first.window),
            describe_models(self._models),
        )
        return {
            "policy": [policy],
            "title": [escape(title[0].upper() + title[1:])],
            "subtitle": [escape(" ".join(filter(None, subtitle)))],
            "style": [style],
            "columns": _format_heads(first),
            "rows": self._rows,
            "version": [__version__],
            "data": self._data(first),
            "script": [script],
        }

    def _data(self, first: ShownTrack) -> Iterator[str]:
        shared = {
            "targets": {name: _describe(curve.whole) for name, curve in first.curves.items()},
            "words": plane.WORDS,
            "neutral": plane.NEUTRAL,
            "neutralRadius": plane.NEUTRAL_RADIUS,
            "sounds": self._sounds(first),
            "quadrants": [(name, *corner) for name, corner in plane.QUADRANTS.items()],
            "parts": {target: list(why.added) for target, why in first.whys.items()},
        }
        # The object stays open, so that tracks are written one by one and never joined in memory.
        yield format_json(shared)[:-1] + ',"tracks":['
        for index, track in enumerate(self._tracks):
            yield f"{',' if index else ''}\n{track}"
        yield "]}"

    def _sounds(self, first: ShownTrack) -> Sequence[str | None]:
        if len(self._tracks) > 1 or first.sound is None or not _is_embedded(first.sound):
            return self._links
        return [_embed_sound(first.sound)]


def _enumerate(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _describe(rating: Rating) -> dict[str, object]:
    """Describe a target's scale: the names of its ends, its classes or its range of numbers."""
    scale: Scale = rating.scale
    if isinstance(scale, Range):
        ends = (format_number(scale.low), format_number(scale.high))
        numbers = {"range": [scale.low, scale.high], "decimals": count_decimals(scale)}
        return {"low": ends[0], "high": ends[1], **numbers}
    if scale.ordered:
        return {"low": scale.names[0], "high": scale.names[-1]}
    return {"classes": scale.names}


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


def _format_track(track: ShownTrack, outline: Sequence[int] | None) -> str:
    record: dict[str, Any] = {
        "name": track.name,
        "verdict": track.verdict,
        "warning": track.warning,
        "duration": round(10 * track.duration),
        "windows": track.window is not None,
        "wave": outline,
        "curves": {target: _format_curve(curve) for target, curve in track.curves.items()},
        "whys": {
            target: [_thousandths([why.baseline])[0], _thousandths(why.added.values())]
            for target, why in track.whys.items()
        },
    }
    return format_json(record)


def _format_curve(curve: Curve | Shares) -> list[Any]:
    """Give times in tenths of a second, and the rest in thousandths.

    Of a curve: means, spreads, and both of the whole track; of shares: the posteriors of each
    class, and those of the whole track.
    """
    # Whole numbers keep the page small, and finer steps could not be seen.
    times = [round(10 * time) for time in curve.times.tolist()]
    whole = curve.whole
    if isinstance(curve, Shares):
        return [times, [_thousandths(p) for p in curve.posteriors.T], _thousandths(whole.posterior)]
    means, spread = _thousandths(curve.means), whole.spread
    if curve.spreads is None or spread is None:
        return [times, means, None, _thousandths([whole.mean or 0.0])]
    return [times, means, _thousandths(curve.spreads), _thousandths([whole.mean or 0.0, spread])]


def _thousandths(values: Iterable[float]) -> list[int]:
    return [round(1000 * float(value)) for value in values]


def _columns(track: ShownTrack) -> list[str]:
    """Name the targets that have a column: the target `quadrant` is shown as the quadrant."""
    has_quadrant = track.whole.quadrant is not None
    names = order_targets(track.whole.ratings)
    return [name for name in names if not (has_quadrant and name == plane.QUADRANT)]


def _format_heads(track: ShownTrack) -> Iterator[str]:
    yield _format_head("Track", "text")
    for target in _columns(track):
        scale = track.whole[target].scale
        unit = shown_scale(scale).replace("-", "\N{MINUS SIGN}")
        yield _format_head(target[:1].upper() + target[1:], "" if unit else "text", unit)
    if track.whole.quadrant is not None:
        yield _format_head("Quadrant", f"text {MINOR}")
        yield _format_head("Word", "text")
    if track.whole.unlike is not None:
        yield _format_head("Unlike", MINOR)
    yield _format_head("Length", MINOR)


def _format_head(name: str, kind: str, unit: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    unit = f' <span class="unit">{unit}</span>' if unit else ""
    return f'<th scope="col"{kind}><button type="button">{escape(name)}</button>{unit}</th>'


def _format_row(index: int, track: ShownTrack) -> str:
    mark = ' <span class="mark">unlike the training music</span>' if track.is_unlike else ""
    cells = [f'<th scope="row"><button type="button">{escape(track.name)}</button>{mark}</th>']
    cells += [_format_cell(track.whole[target]) for target in _columns(track)]
    if track.whole.quadrant is not None:
        quadrant = format_quadrant(track.whole.quadrant)
        cells.append(f'<td class="text {MINOR}">{quadrant}</td>')
        cells.append(f'<td class="text">{track.whole.word}</td>')
    if (unlike := track.whole.unlike) is not None:
        cells.append(f'<td data-value="{unlike:.4f}" class="{MINOR}">{unlike:.2f}</td>')
    length = format_time(track.duration)
    cells.append(f'<td data-value="{track.duration:.1f}" class="{MINOR}">{length}</td>')
    return f'<tr data-track="{index}">{"".join(cells)}</tr>\n'


def _format_cell(rating: Rating) -> str:
    """Write a rating as a cell: its mean as a bar and a number, or the likeliest class."""
    if rating.mean is None:
        return f'<td class="text">{escape(rating.format_class())}</td>'
    width = 50 * min(1.0, abs(rating.mean))
    left = 50 - width if rating.mean < 0 else 50
    colour = rating.target if rating.target in plane.DIMENSIONS else OTHER
    number = rating.format_mean().replace("-", "\N{MINUS SIGN}")
    return (
        f'<td data-value="{rating.mean:.4f}" class="{colour}">'
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{left:.1f}" width="{width:.1f}" height="10"/><path d="M50-2v14"/></svg>'
        f"{number}</td>"
    )


def _read_file(name: str) -> str:
    return resources.files("mertools.presentation").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

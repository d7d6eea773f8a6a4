"""Reading the tags that listeners gave tracks: tags.csv, JSON, and answers of Last.fm.

JSON may be

- an object of tags by track: `{"t1": {"sad": 56, "happy": 12}, "t2": [["calm", 3]]}`;
- rows: `[{"track_id": "t1", "tag": "sad", "weight": 56}]`, also one a line;
- a track of the Last.fm Dataset (T. Bertin-Mahieux and others, ISMIR 2011):
  `{"track_id": "TR...", "tags": [["rock", "100"]]}`, alone, in an array or one a line;
- an answer of Last.fm's method `track.getTopTags`: `{"toptags": {"tag": [{"name": ..., "count":
  ...}], "@attr": {"artist": ..., "track": ...}}}`, whose track_id is `ARTIST - TRACK`.

A tag without a weight counts 1.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from mertools.artifacts.files import STANDARD_STREAM
from mertools.artifacts.rows import Tag
from mertools.artifacts.tables import open_table, parse_table
from mertools.errors import SchemaError, UsageError

REMEDY = "give tags.csv, or JSON as docs/labels.md describes it"
NAME_KEYS = ("tag", "name")
WEIGHT_KEYS = ("weight", "count")

TrackTags = dict[str, dict[str, float]]
"""The weight of each normalised tag, by track_id."""


def normalise_term(text: str) -> str:
    """Normalise a tag or a lexicon's term: NFKC, lower case, single spaces for `_` and blanks."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.replace("_", " ").split())


def collect_tags(sources: Iterable[str]) -> TrackTags:
    """Read the tags of all tracks. Equal tags of a track add their weights.

    `sources` are files, folders of JSON files, or "-" for standard input. A track whose tags are
    all empty is there without tags. Raises UsageError where a file cannot be read, SchemaError
    naming the line or track that breaks its format.
    """
    tracks: TrackTags = {}
    for source in chain.from_iterable(map(_find_files, sources)):
        for track_id, tag, weight in _read_tags(source):
            weights = tracks.setdefault(track_id, {})
            if term := normalise_term(tag):
                weights[term] = weights.get(term, 0.0) + weight
    return tracks


def _find_files(source: str) -> list[str]:
    folder = Path(source)
    if source == STANDARD_STREAM or not folder.is_dir():
        return [source]
    files = sorted(map(str, folder.rglob("*.json")))
    if not files:
        raise UsageError(source, "has no JSON files", "name tags.csv itself")
    return files


def _read_tags(source: str) -> Iterator[tuple[str, str, float]]:
    """Yield track, tag and weight. A track without tags yields one empty tag."""
    name = "standard input" if source == STANDARD_STREAM else source
    with open_table(source) as stream:
        first = next((line for line in stream if line.strip()), "")
        lines = chain([first] if first else [], stream)
        if first.lstrip().startswith(("[", "{")):
            yield from _read_json("".join(lines), name)
            return
        for row in parse_table(lines, Tag, source):
            yield row.track_id, row.tag, 1.0 if row.weight is None else row.weight


def _read_json(text: str, name: str) -> Iterator[tuple[str, str, float]]:
    try:
        content = _parse_json(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(name, f"is not JSON ({error})", REMEDY) from None
    try:
        yield from _find_tags(content)
    except (ValueError, TypeError) as error:
        raise SchemaError(name, str(error), REMEDY) from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Another value after the first one is how JSON a line begins.
        if error.msg != "Extra data":
            raise
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _find_tags(content: Any) -> Iterator[tuple[str, str, float]]:
    """Yield track, tag and weight from any of the forms. Raises ValueError for another one."""
    if isinstance(content, list):
        for entry in content:
            if not isinstance(entry, Mapping):
                raise ValueError(f"has {_short(entry)} where a track or a tag should be")
            yield from _find_tags(entry)
    elif "toptags" in content:
        yield from _read_answer(content["toptags"])
    elif "error" in content and "message" in content:
        raise ValueError(f"is an error of Last.fm: {_short(content['message'])}")
    elif "track_id" in content:
        track_id = _text(content["track_id"], "track_id")
        if "tags" in content:
            yield from _track_tags(track_id, content["tags"])
        else:
            yield from _track_tags(track_id, [content])
    else:
        for track_id, tags in content.items():
            yield from _track_tags(_text(track_id, "track_id"), tags)


def _read_answer(answer: Any) -> Iterator[tuple[str, str, float]]:
    about = answer.get("@attr") if isinstance(answer, Mapping) else None
    if not isinstance(about, Mapping) or not {"artist", "track"} <= about.keys():
        raise ValueError("has toptags that do not name artist and track")
    track_id = f"{_text(about['artist'], 'artist')} - {_text(about['track'], 'track')}"
    tags = answer.get("tag", [])
    # Last.fm writes a single tag as an object, not as an array of one.
    yield from _track_tags(track_id, [tags] if isinstance(tags, Mapping) else tags)


def _track_tags(track_id: str, tags: Any) -> Iterator[tuple[str, str, float]]:
    if isinstance(tags, Mapping):
        tags = list(tags.items())
    if not isinstance(tags, list):
        raise ValueError(f"has {_short(tags)} for the tags of {_short(track_id)}")
    if not tags:
        yield track_id, "", 0.0
    for entry in tags:
        if isinstance(entry, str):
            yield track_id, entry, 1.0
        elif isinstance(entry, list | tuple) and len(entry) == 2:
            yield track_id, _text(entry[0], "tag"), _number(entry[1], track_id)
        elif isinstance(entry, Mapping) and (key := _first(entry, NAME_KEYS)):
            weight = _first(entry, WEIGHT_KEYS)
            yield (
                track_id,
                _text(entry[key], "tag"),
                _number(entry[weight], track_id) if weight else 1.0,
            )
        else:
            raise ValueError(f"has {_short(entry)} among the tags of {_short(track_id)}")


def _first(entry: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((key for key in keys if entry.get(key) is not None), None)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise ValueError(f"has the {what} {_short(value)}, which is no text")
    return str(value)


def _number(value: Any, track_id: str) -> float:
    """Read a weight; Last.fm writes some as text."""
    if value is None:
        return 1.0
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise ValueError(f"has the weight {_short(value)} of a tag of {_short(track_id)}")
    return weight


def _short(value: Any) -> str:
    return repr(value)[:60]

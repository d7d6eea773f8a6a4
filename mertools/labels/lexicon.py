"""Valence, arousal and dominance of tracks, from the words that listeners tagged them with.

A tag's numbers are those of an affective lexicon, a table of words that people rated: the NRC
lexicon (S. Mohammad, ACL 2018, and version 2, 2025), Warriner's (A. B. Warriner, V. Kuperman and
M. Brysbaert, Behavior Research Methods 45, 2013), or any other. A track's are the mean of its
tags', by their weights (paper 003, chapter 3). Lexicons are the user's: many may not be passed on.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Label, TagCoverage
from mertools.artifacts.tables import NUMBER_DECIMALS, open_table
from mertools.errors import SchemaError
from mertools.labels.aggregate import TargetLabels
from mertools.labels.classes import LabelRule
from mertools.labels.splits import split_at_random
from mertools.labels.tags import normalise_term
from mertools.targets.scale import Range, Target

TARGETS = ("valence", "arousal", "dominance")
UNIT = Range(0, 1)
"""The scale of the labels, whatever the lexicon's is."""

SHIPPED_LIST = Path(__file__).with_name("dropped_tags.txt")

COLUMNS: Mapping[str, Sequence[str]] = {
    "term": ("term", "word", "words", "tag", "lemma", "description", "token"),
    "valence": ("valence", "v_mean_sum", "valence_mean", "mean_valence", "valmn", "v_mean", "v"),
    "arousal": ("arousal", "a_mean_sum", "arousal_mean", "mean_arousal", "aromn", "a_mean", "a"),
    "dominance": (
        "dominance",
        "d_mean_sum",
        "dominance_mean",
        "mean_dominance",
        "dommn",
        "d_mean",
        "d",
    ),
}
"""Names that lexicons give their columns, simplified; the first that a table has counts."""

SIGNED, RATED = Range(-1, 1), Range(1, 9)

WORD_BREAK = re.compile(r"[\s/-]+")

Multiword = Literal["exact", "words"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Lexicon:
    """Words with their valence, arousal and dominance, 0..1: by normalised term, (3,)."""

    terms: Mapping[str, FloatArray]
    multiword: Multiword = "exact"

    def find(self, tag: str) -> FloatArray | None:
        """Give a normalised tag's numbers, (3,); None where it is not known.

        With "words", a tag of several words that the lexicon does not have is the mean of those
        that it has.
        """
        known = self.terms.get(tag)
        if known is not None or self.multiword == "exact":
            return known
        words = [self.terms[word] for word in WORD_BREAK.split(tag) if word in self.terms]
        return np.mean(words, axis=0) if words else None


def read_lexicon(
    source: str,
    scale: Range | None = None,
    columns: Sequence[str] | None = None,
    multiword: Multiword = "exact",
) -> Lexicon:
    """Read a lexicon: CSV, or separated by tabs or semicolons.

    `scale` is that of its numbers. None finds it: -1..1 where one is below 0, 1..9 where one is
    above 1, else 0..1. `columns` names those of term, valence, arousal and dominance; None finds
    them by `COLUMNS`. Terms that are equal once normalised count with their mean.
    Raises UsageError where it cannot be read, SchemaError naming what breaks its format.
    """
    with open_table(source) as stream:
        lines = stream.readlines()
    header = lines[0] if lines else ""
    delimiter = max("\t;,", key=header.count)
    # Quotes are apostrophes or inches in tables separated by tabs, which never quote a cell.
    if delimiter == "\t":
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter)
    try:
        names = next(reader, [])
        places = _find_columns(source, names, columns)
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        problem = f"line {reader.line_num + 1} is not CSV ({error})"
        raise SchemaError(source, problem, "give a table in UTF-8") from None
    parsed = [_parse_row(source, line, row, places) for line, row in rows]
    if not parsed:
        raise SchemaError(source, "has no words", "give a lexicon with rows")
    values = np.array([numbers for _, numbers in parsed])
    scale = scale or _find_scale(values)
    for (line, _), numbers in zip(rows, values, strict=True):
        if any(number not in scale for number in numbers):
            problem = f"line {line} has a number outside {scale}"
            raise SchemaError(source, problem, "give its scale with --lexicon-scale LOW..HIGH")
    by_term: dict[str, list[FloatArray]] = {}
    for (term, _), unit in zip(parsed, scale.to_unit(values), strict=True):
        by_term.setdefault(term, []).append(unit)
    terms = {term: np.mean(rated, axis=0) for term, rated in by_term.items()}
    return Lexicon(terms, multiword)


def _find_columns(source: str, header: Sequence[str], asked: Sequence[str] | None) -> list[int]:
    remedy = "name the columns of term, valence, arousal and dominance with --lexicon-columns"
    found = f"(found: {', '.join(header)[:100]})"
    names = [name.strip() for name in header]
    if asked is not None:
        for name in asked:
            if name not in names:
                raise SchemaError(source, f"has no column {name} {found}", remedy)
        return [names.index(name) for name in asked]
    simple = [re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") for name in names]
    places = []
    for what, candidates in COLUMNS.items():
        place = next((simple.index(name) for name in candidates if name in simple), None)
        if place is None:
            raise SchemaError(source, f"has no column that is a {what} {found}", remedy)
        places.append(place)
    return places


def _parse_row(
    source: str, line: int, row: Sequence[str], places: Sequence[int]
) -> tuple[str, list[float]]:
    try:
        term, *cells = (row[place] for place in places)
        numbers = [float(cell) for cell in cells]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except (IndexError, ValueError):
        raise SchemaError(
            source, f"line {line} lacks a word or one of its three numbers", "remove or correct it"
        ) from None
    return normalise_term(term), numbers


def _find_scale(values: FloatArray) -> Range:
    if (values < UNIT.low).any():
        return SIGNED
    return RATED if (values > UNIT.high).any() else UNIT


def read_dropped_tags(source: str | None) -> frozenset[str]:
    """Read the tags that do not count, one a line; None is the list that is shipped.

    Raises UsageError where it cannot be read.
    """
    with open_table(str(SHIPPED_LIST) if source is None else source) as stream:
        lines = [line.partition("#")[0] for line in stream]
    return frozenset(filter(None, map(normalise_term, lines)))


@dataclass(frozen=True)
class RatedTags:
    """What tags say of tracks.

    coverage: a row a track, by track_id, of what was matched. track_ids: the n tracks that have
    labels. n_matched: (n,). mean, std, mad: (n, 3), weighted over the matched tags.
    """

    coverage: Sequence[TagCoverage]
    track_ids: Sequence[str]
    n_matched: NDArray[np.int64]
    mean: FloatArray
    std: FloatArray
    mad: FloatArray

    def split(self, test: float, validation: float, seed: int) -> NDArray[np.str_]:
        """Name each track's part, drawn at random with an even share of low and high numbers.

        `test` and `validation` are shares of the tracks. Returns (n,).
        """
        n = len(self.track_ids)
        nothing, each = np.zeros((n, 0)), np.arange(n)
        labels = [
            TargetLabels(
                LabelRule(Target(name, UNIT)),
                None,
                each,
                each,
                self.n_matched,
                nothing,
                nothing,
                self.mean[:, k],
                self.mean[:, k],
                self.std[:, k],
                self.mad[:, k],
                np.zeros(n, np.int64),
                np.ones(n, bool),
            )
            for k, name in enumerate(TARGETS)
        ]
        return split_at_random(labels, each, test, validation, seed)

    def label_rows(self, split: NDArray[np.str_] | None = None) -> Iterator[Label]:
        """Yield the rows of labels.csv by track and target. `split`: (n,), or None for none."""
        for row, track_id in enumerate(self.track_ids):
            for name in sorted(TARGETS):
                k = TARGETS.index(name)
                yield Label(
                    track_id=track_id,
                    target=name,
                    n_annotators=int(self.n_matched[row]),
                    mean=float(self.mean[row, k]),
                    std=float(self.std[row, k]),
                    mad=float(self.mad[row, k]),
                    label=None,
                    class_name=None,
                    kept=True,
                    split=None if split is None else str(split[row]),
                    scale=str(UNIT),
                )


def rate_tags(
    tracks: Mapping[str, Mapping[str, float]],
    lexicon: Lexicon,
    dropped: Collection[str],
    min_tags: int = 1,
) -> RatedTags:
    """Rate each track by the weights of its normalised tags, which are by track_id.

    Tags of no positive weight, and the `dropped` ones, do not count. A track with less than
    `min_tags` that the lexicon knows has no label.
    """
    coverage, track_ids, n_matched, statistics = [], [], [], []
    for track_id in sorted(tracks):
        tags = {tag: weight for tag, weight in tracks[track_id].items() if weight > 0}
        rated = [
            (numbers, weight)
            for tag, weight in sorted(tags.items())
            if not _is_dropped(tag, dropped) and (numbers := lexicon.find(tag)) is not None
        ]
        row = TagCoverage(
            track_id,
            n_tags=len(tags),
            n_genre=sum(_is_dropped(tag, dropped) for tag in tags),
            n_matched=len(rated),
            weight_matched=math.fsum(weight for _, weight in rated),
            weight_total=math.fsum(tags.values()),
        )
        row = dataclasses.replace(row, reason=_find_reason(row, min_tags))
        coverage.append(row)
        if row.reason is None:
            track_ids.append(track_id)
            n_matched.append(len(rated))
            statistics.append(_weigh(rated))
    shape = (len(track_ids), 3, len(TARGETS))
    mean, std, mad = np.reshape(statistics, shape).transpose(1, 0, 2)
    return RatedTags(coverage, track_ids, np.array(n_matched, np.int64), mean, std, mad)


def _is_dropped(tag: str, dropped: Collection[str]) -> bool:
    """Return whether a tag does not count; the list has hyphens as blanks, too."""
    return tag in dropped or tag.replace("-", " ") in dropped


def _find_reason(row: TagCoverage, min_tags: int) -> str | None:
    """Say why a track has no label; None where it has one."""
    if not row.n_tags:
        return "no_tags"
    if row.n_genre == row.n_tags:
        return "only_genre"
    if not row.n_matched:
        return "no_known_tag"
    return "too_few_tags" if row.n_matched < min_tags else None


def _weigh(rated: Sequence[tuple[FloatArray, float]]) -> FloatArray:
    """Compute mean, standard deviation and mean absolute deviation by weight: (3, 3)."""
    values = np.array([numbers for numbers, _ in rated])
    weights = np.array([weight for _, weight in rated])
    # Divided by the largest first, as sums of huge weights would overflow.
    weights /= weights.max()
    weights /= weights.sum()
    mean = (weights @ values).clip(values.min(axis=0), values.max(axis=0))
    deviation = values - mean
    std = np.sqrt(weights @ deviation**2)
    return np.round([mean, std, weights @ np.abs(deviation)], NUMBER_DECIMALS)

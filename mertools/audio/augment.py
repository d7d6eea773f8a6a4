"""Augmented copies of tracks and segments: what is done to them, and the files that hold them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mertools.artifacts.files import digest_file
from mertools.artifacts.names import output_path
from mertools.artifacts.rows import Segment, Track
from mertools.audio.float_wav import read_comment, write_float_wav
from mertools.audio.io import probe, read_blocks
from mertools.audio.phase_vocoder import Sound
from mertools.audio.transforms import (
    NOISE,
    TRANSFORMS,
    Span,
    add_noise,
    choose_noise,
    read_noise,
)
from mertools.errors import InputError, UsageError

VERSION = 2
"""Counts up when the same sound, transform and seed would give other samples than before."""

Row = Track | Segment


@dataclass(frozen=True)
class Step:
    """A transform by its name, with the spans that its parameters are drawn from."""

    name: str
    spans: Mapping[str, Span]


@dataclass(frozen=True)
class Chain:
    """Transforms that follow each other: the text that --with gives, and its name in track_ids."""

    text: str
    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Augmentation:
    """What each original gives: `n_copies` copies by each chain, with noise from `noise`."""

    chains: tuple[Chain, ...]
    n_copies: int
    seed: int
    noise: tuple[Path, ...] = ()


def parse_chains(texts: Sequence[str]) -> tuple[Chain, ...]:
    """Parse TRANSFORM[:PARAM=VALUE,...] joined by "+"; a value may be a range, LOW..HIGH.

    Raises UsageError for what is none.
    """
    chains: list[Chain] = []
    for text in texts:
        steps = tuple(_parse_step(text, part) for part in text.split("+"))
        name = "+".join(step.name for step in steps)
        n_same = sum(chain.name.partition("~")[0] == name for chain in chains)
        chains.append(Chain(text, f"{name}~{n_same + 1}" if n_same else name, steps))
    return tuple(chains)


def _parse_step(text: str, part: str) -> Step:
    name, _, settings = part.partition(":")
    if name not in TRANSFORMS:
        raise UsageError(f"--with {text}", f"has no transform {name!r}", f"choose from {_names()}")
    spans = dict(TRANSFORMS[name].spans)
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        if key not in spans:
            known = ", ".join(spans)
            raise UsageError(f"--with {text}", f"{key} is no parameter", f"choose from {known}")
        spans[key] = _parse_span(text, spans[key], value)
    return Step(name, spans)


def _parse_span(text: str, usual: Span, value: str) -> Span:
    low, dots, high = value.partition("..")
    try:
        ends = float(low), float(high if dots else low)
    except ValueError:
        ends = math.nan, math.nan
    if not usual.least <= ends[0] <= ends[1] <= usual.most or not all(map(math.isfinite, ends)):
        bounds = f" from {usual.least:g} to {usual.most:g}" if usual.least > -math.inf else ""
        raise UsageError(
            f"--with {text}", f"{value!r} makes no sense", f"give a number{bounds}, or LOW..HIGH"
        )
    return dataclasses.replace(usual, low=ends[0], high=ends[1])


def _names() -> str:
    return ", ".join(TRANSFORMS)


def group_by_file(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    """Group rows of one file that follow each other, so that it is decoded once."""
    group: list[Row] = []
    for row in rows:
        if group and row.path != group[0].path:
            yield tuple(group)
            group = []
        group.append(row)
    if group:
        yield tuple(group)


def try_augment(
    rows: tuple[Row, ...], wanted: Augmentation, folder: Path, *, force: bool
) -> tuple[tuple[Row, ...], list[Row] | InputError]:
    """Make the copies of one file as `augment` does; an error is given, not raised."""
    try:
        return rows, augment(rows, wanted, folder, force=force)
    except InputError as error:
        return rows, error


def augment(rows: Sequence[Row], wanted: Augmentation, folder: Path, *, force: bool) -> list[Row]:
    """Write the copies of tracks or segments of one file, and give their rows.

    A copy that an earlier run wrote from the same sound in the same way is kept. Raises InputError
    where the file cannot be read, or a track_id leads out of the folder.
    """
    source = Path(rows[0].path)
    info = probe(source)
    digest = digest_file(source)
    copies: list[Row] = []
    whole: Sound | None = None
    for row in rows:
        for chain, number in _list_copies(wanted):
            copy_id = _copy_id(row, chain, number)
            target = output_path(folder, copy_id, "wav")
            rng = _generator(wanted.seed, _id_of(row), chain, number)
            drawn, noise = _draw(chain, wanted, rng)
            made_with = {
                "mer augment": VERSION,
                "source": digest,
                "span": [row.start, row.duration] if isinstance(row, Segment) else None,
                "transform": _describe(drawn),
                "noise": None if noise is None else digest_file(noise),
            }
            comment = json.dumps(made_with, sort_keys=True)
            if force or read_comment(target) != comment:
                if whole is None:
                    whole = np.concatenate(list(read_blocks(source, info)))
                y = _cut(whole, row, info.sample_rate)
                for name, values in drawn:
                    y = TRANSFORMS[name].apply(y, info.sample_rate, values)
                    if name == NOISE and noise is not None:
                        sound = read_noise(noise, info.sample_rate)
                        y = add_noise(y, sound, values["snr"], values["start"])
                try:
                    write_float_wav(target, y, info.sample_rate, comment)
                except ValueError as error:
                    raise InputError(source, str(error), "cut it into segments first") from None
            copies.append(_copy_row(row, copy_id, target, _describe(drawn), info.sample_rate))
    return copies


def _list_copies(wanted: Augmentation) -> Iterator[tuple[Chain, int]]:
    for chain in wanted.chains:
        for number in range(1, wanted.n_copies + 1):
            yield chain, number


def _id_of(row: Row) -> str:
    return row.segment_id if isinstance(row, Segment) else row.track_id


def _copy_id(row: Row, chain: Chain, number: int) -> str:
    """Name a copy: of a track its track_id, of a segment its segment_id."""
    return f"{_id_of(row)}~{chain.name}" + (f"~{number}" if number > 1 else "")


def _generator(seed: int, row_id: str, chain: Chain, number: int) -> np.random.Generator:
    """Seed the random numbers of a copy by what it is of, whatever other copies there are."""
    text = f"{seed}\0{row_id}\0{chain.text}\0{chain.name}\0{number}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


Drawn = list[tuple[str, dict[str, float]]]
"""The transforms of a copy, with the values drawn for their parameters."""


def _draw(
    chain: Chain, wanted: Augmentation, rng: np.random.Generator
) -> tuple[Drawn, Path | None]:
    """Draw the values of all parameters, and the file of noise if one is needed.

    Values are rounded to what the manifest says of them.
    """
    drawn = [
        (step.name, {name: float(f"{span.draw(rng):.6g}") for name, span in step.spans.items()})
        for step in chain.steps
    ]
    needs_noise = any(step.name == NOISE for step in chain.steps)
    return drawn, choose_noise(wanted.noise, rng) if needs_noise else None


def _describe(drawn: Drawn) -> str:
    return "+".join(
        f"{name}:" + ",".join(f"{key}={value:.6g}" for key, value in values.items())
        for name, values in drawn
    )


def _cut(whole: Sound, row: Row, sample_rate: int) -> Sound:
    """Give a track's samples, or a segment's: beyond the end they are silent."""
    if isinstance(row, Track):
        return whole
    first, n_frames = round(row.start * sample_rate), round(row.duration * sample_rate)
    heard = whole[first : first + n_frames]
    return np.pad(heard, ((0, n_frames - len(heard)), (0, 0)))


def _copy_row(row: Row, copy_id: str, target: Path, transform: str, sample_rate: int) -> Row:
    """Give a copy's row of the manifest."""
    original = row.track_id
    if isinstance(row, Segment):
        track_id = original + copy_id[len(row.segment_id) :]
        return dataclasses.replace(
            row,
            segment_id=copy_id,
            track_id=track_id,
            path=str(target),
            start=0.0,
            sample_rate=sample_rate,
            original=original,
            transform=transform,
        )
    return dataclasses.replace(
        row,
        track_id=copy_id,
        path=str(target),
        sample_rate=sample_rate,
        source=row.path,
        original=original,
        transform=transform,
    )

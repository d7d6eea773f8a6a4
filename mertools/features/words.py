"""The one loop over lyrics: from the words of tracks to features, in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mertools.artifacts.feature_rows import FeatureRow, Features
from mertools.artifacts.files import digest_json
from mertools.errors import UsageError
from mertools.features import lyrics
from mertools.features.build import store_features
from mertools.features.extract import FailedInput, FindKept, Kept, Outcome, SegmentFeatures
from mertools.features.registry import KINDS, RequestedKind, find_kind, request_kind
from mertools.pretrained.text_encoder import digest_encoder, longest_text
from mertools.runtime.devices import CPU
from mertools.runtime.parallel import Jobs, map_ordered
from mertools.text.lyrics import Words

TEXTS_AT_ONCE = 32
"""Texts of a task, and of a batch on a GPU."""


def request_lyrics(
    name: str, encoder: Path, settings: Mapping[str, str | int | float], device: str
) -> RequestedKind:
    """Ask for a kind of lyrics by an encoder's folder; `settings` are parameters by name.

    Texts are as long as the encoder reads them, up to the usual length. Raises UsageError for a
    parameter that does not exist or a text longer than the encoder reads.
    """
    limit = longest_text(encoder)
    usual = lyrics.MAX_TOKENS if limit is None else min(limit, lyrics.MAX_TOKENS)
    values = {"max_tokens": usual, **settings, "encoder": digest_encoder(encoder)}
    kind = request_kind(name, settings=values, device=device)
    if limit is not None and kind.params.max_tokens > limit:
        raise UsageError(
            f"{name}.max_tokens={kind.params.max_tokens}",
            f"is more than {encoder} reads",
            f"give {limit} at most",
        )
    return kind


def build_lyrics(
    target: Path,
    words: Iterable[Words],
    kinds: tuple[RequestedKind, ...],
    jobs: Jobs,
    *,
    force: bool,
) -> Iterator[Outcome]:
    """Compute features of lyrics and write them to `target`, yielding each track's outcome.

    What is there already is reused as by `build_features`.
    """
    if any(kind.device != CPU for kind in kinds):
        jobs = 1  # several processes would only take turns on a device
    return store_features(
        target, kinds, lambda kept: extract_lyrics(words, kinds, jobs, kept), lambda: None,
        force=force,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Task:
    """Words of some tracks, with what exists of them."""

    words: list[Words]
    kept: list[Kept]


def extract_lyrics(
    words: Iterable[Words],
    kinds: tuple[RequestedKind, ...],
    jobs: Jobs,
    kept: FindKept = lambda track_id: {},
) -> Iterator[list[Outcome]]:
    """Compute the features of tracks' words by the encoder in use, on `jobs`, in order."""
    source = iter(words)
    tasks = (
        _Task(some, [kept(each.track_id) for each in some])
        for some in iter(lambda: list(itertools.islice(source, TEXTS_AT_ONCE)), [])
    )
    return map_ordered(partial(_extract_task, kinds), tasks, jobs)


def _extract_task(kinds: tuple[RequestedKind, ...], task: _Task) -> list[Outcome]:
    found = [each for each in task.words if each.error is None]
    cut_off = [cut for _, cut in lyrics.encode([each.text for each in found], kinds[0].params)]
    rows = {
        each.track_id: FeatureRow(
            each.track_id,
            each.track_id,
            0.0,
            0.0,
            silent=not each.text.strip(),
            padded=False,
            source_digest=digest_json(each.text),
            truncated=cut,
        )
        for each, cut in zip(found, cut_off, strict=True)
    }
    kept = {each.track_id: known for each, known in zip(task.words, task.kept, strict=True)}
    computed: dict[str, dict[str, Features | None]] = {name: {} for name in rows}
    for kind in kinds:
        new = [
            each
            for each in found
            if (kind.name, each.track_id, 0.0, 0.0, rows[each.track_id].source_digest)
            not in kept[each.track_id]
        ]
        features = compute_lyrics(kind, [each.text for each in new]) if new else []
        known: dict[str, Features | None] = dict.fromkeys(rows)
        known |= dict(zip((each.track_id for each in new), features, strict=True))
        for track_id, part in known.items():
            computed[track_id][kind.name] = part
    return [
        SegmentFeatures(rows[each.track_id], computed[each.track_id])
        if each.error is None
        else FailedInput(each.track_id, None, each.error)
        for each in task.words
    ]


def compute_lyrics(kind: RequestedKind, texts: list[str]) -> list[Features]:
    """Compute a kind of lyrics of each text, by the encoder in use: (*shape)."""
    compute = find_kind(kind.name).of_texts
    assert compute is not None  # noqa: S101
    return compute(texts, kind.params, kind.device)


def are_lyrics(kind: str) -> bool:
    """Return whether a kind is of words; kinds that other programs made are of sound."""
    return kind in KINDS and KINDS[kind].is_of_lyrics

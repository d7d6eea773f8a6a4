"""The words that tracks are predicted from: lyrics by track, and what a model looks at of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.features_file import blank_features
from mertools.artifacts.files import digest_json
from mertools.artifacts.model_card import Input
from mertools.errors import UsageError
from mertools.features.registry import RequestedKind
from mertools.features.words import compute_lyrics
from mertools.models.registry import LYRICS_BRANCH
from mertools.pretrained.text_encoder import Tokenizer, using_encoder
from mertools.text.lyrics import Words

TOKENS = "tokens"


@dataclass(frozen=True)
class TrackWords:
    """The lyrics of tracks: `texts` by track_id. `encoder` names the text encoder, where given."""

    texts: Mapping[str, str] = field(default_factory=dict)
    encoder: str | None = None

    @cached_property
    def digest(self) -> str:
        """Digest all words."""
        return digest_json(dict(self.texts))

    def has(self, track_id: str) -> bool:
        """Return whether a track has words."""
        return bool(self.texts.get(track_id, "").strip())


def gather_words(found: Iterable[Words], encoder: str | None) -> TrackWords:
    """Gather the words of tracks. Raises InputError for those that cannot be read."""
    texts: dict[str, str] = {}
    for words in found:
        if words.error is not None:
            raise words.error
        texts[words.track_id] = words.text
    return TrackWords(texts, encoder)


def blank_lyrics(needed: Input, n_rows: int) -> Features:
    """Give what a model sees of tracks without words: (n_rows, *shape)."""
    return blank_features(n_rows, needed.shape, "int32" if needed.kind == TOKENS else "float32")


def are_blank(kind: str, features: Features) -> bool:
    """Return whether features of words, (n_rows, ...), are of none."""
    return not ((features >= 0) if kind == TOKENS else features).any()


@dataclass(frozen=True)
class WordsReader:
    """Computes what a model looks at of words; the model is as it was loaded from its file."""

    words: TrackWords
    model: Any

    @cached_property
    def _tokenizer_json(self) -> bytes:
        from mertools.models.text_encoder import stored_encoder  # torch, which others do without

        encoder = stored_encoder(self.model.arrays(), LYRICS_BRANCH)
        if encoder is None:
            raise UsageError("the model", "holds no tokenizer", "train it again from tokens")
        return encoder.tokenizer

    def read(self, needed: Input, kind: RequestedKind, track_id: str) -> Features:
        """Compute a track's features of a kind of lyrics: (*shape).

        Raises UsageError where the text encoder of the model's training is not here.
        """
        features: Features = blank_lyrics(needed, 1)[0]
        if not self.words.has(track_id):
            return features
        text = self.words.texts[track_id]
        if needed.kind != TOKENS:
            with using_encoder(kind.params.encoder, self.words.encoder):
                return compute_lyrics(kind, [text])[0]
        numbers, _ = Tokenizer(self._tokenizer_json, kind.params.max_tokens).encode(text)
        features[: len(numbers)] = numbers
        return features

"""Kinds of the words of a track: a vector by a text encoder, or its tokens to fine-tune one with.

Lyrics are computed from text and not from sound, one row a track. A track without words has zeros,
or no token.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import NO_TOKEN
from mertools.errors import UsageError, choose_from
from mertools.features.params import check_least
from mertools.models.architecture import TEXT_POOLS
from mertools.pretrained.text_encoder import VARIABLE, embed_tokens, load_tokenizer

MAX_TOKENS = 512

Texts = list[str]


@dataclass(frozen=True, slots=True)
class TokensParams:
    """How texts are cut: to `max_tokens` of the encoder whose files have the digest `encoder`.

    Raises UsageError for values that have no meaning.
    """

    encoder: str = ""
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        check_least("tokens", self, max_tokens=3)


@dataclass(frozen=True, slots=True)
class LyricsParams:
    """The same, and which vectors of the last layer count: the first one (cls), or their mean.

    Raises UsageError for values that have no meaning.
    """

    encoder: str = ""
    max_tokens: int = MAX_TOKENS
    pool: str = TEXT_POOLS[0]

    def __post_init__(self) -> None:
        check_least("lyrics", self, max_tokens=3)
        if self.pool not in TEXT_POOLS:
            raise UsageError(
                f"lyrics.pool={self.pool}", "is no pooling", choose_from(TEXT_POOLS, self.pool)
            )


def tokens(texts: Texts, params: TokensParams, device: str) -> list[NDArray[np.int32]]:
    """Give the numbers of each text's tokens, filled up with -1: (max_tokens,)."""
    encoded = encode(texts, params)
    filled = np.full((len(texts), params.max_tokens), NO_TOKEN, np.int32)
    for row, (numbers, _) in zip(filled, encoded, strict=True):
        row[: len(numbers)] = numbers
    return list(filled)


def lyrics(texts: Texts, params: LyricsParams, device: str) -> list[NDArray[np.float32]]:
    """Give the encoder's vector of each text: (size,)."""
    numbers = [numbers for numbers, _ in encode(texts, params)]
    return embed_tokens(numbers, os.environ[VARIABLE], params.pool, device)


def encode(texts: Texts, params: TokensParams | LyricsParams) -> list[tuple[list[int], bool]]:
    """Give the tokens of each text, and whether its end is left out."""
    tokenizer = load_tokenizer(os.environ[VARIABLE], params.max_tokens)
    return [tokenizer.encode(text) for text in texts]

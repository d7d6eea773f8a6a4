"""The words alone (paper 004): a vector of the lyrics, or a text encoder that is learnt along.

The two linear layers are as in `bimodal`: 98,690 weights with vectors of 768 columns and two
outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.models.dnn import count_columns
from mertools.models.layers import InputBranch
from mertools.models.network import Build, Network, TrainedNetwork, restore_network
from mertools.models.registry import LYRICS_BRANCH
from mertools.models.text_encoder import (
    EncoderBranch,
    TextEncoder,
    import_transformers,
    stored_encoder,
)

HIDDEN = 128
DROPOUT = 0.5


class LyricsBranch(InputBranch):
    """Vectors of lyrics as they are: n_columns side by side to (n, n_columns).

    In training a share `dropout` of the rows lose theirs, so that the network learns to do without.
    """

    def __init__(self, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.size = size
        self.dropout = dropout

    def forward(self, *vectors: Tensor) -> Tensor:
        """Put vectors of several kinds side by side, (n, ...) each."""
        x = torch.cat([vector.flatten(1) for vector in vectors], dim=1)
        if self.training and self.dropout:
            x = x * (torch.rand(len(x), 1, device=x.device) >= self.dropout)
        return x


def build_branch(
    shapes: Sequence[Sequence[int]], encoder: TextEncoder | None, pool: str, dropout: float = 0.0
) -> LyricsBranch | EncoderBranch:
    """Build the branch of lyrics: of vectors, or of tokens with an encoder that is learnt along."""
    if encoder is None:
        return LyricsBranch(count_columns(shapes), dropout)
    return EncoderBranch(encoder, pool, dropout)


class LyricsNetwork(Network):
    """The branch of lyrics and two linear layers. With an encoder it looks at tokens."""

    form: ClassVar[Mapping[str, Any]] = {"linear": [HIDDEN]}

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        n_outputs: int,
        encoder: TextEncoder | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        self.lyrics = build_branch(shapes, encoder, parameters["encoder.pool"])
        self.head = nn.Sequential(
            nn.Linear(self.lyrics.size, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)
        self.encoder = encoder_form(encoder)

    def describe(self) -> dict[str, Any]:
        """Say which encoder is learnt along, too."""
        return super().describe() | self.encoder

    def embed(self, *features: Tensor) -> Tensor:
        """Embed lyrics: vectors (n, size) or tokens (n, n_tokens) to (n, 128)."""
        embedding: Tensor = self.head(self.lyrics(*features))
        return embedding


def encoder_form(encoder: TextEncoder | None) -> dict[str, Any]:
    """Say for a card which encoder is learnt along."""
    return {} if encoder is None else {"encoder": encoder.name}


def restore_with_encoder(
    build: Build, path: Path, card: ModelCard, learnt: Learnt
) -> TrainedNetwork:
    """Make a file into a network that predicts, with the encoder that it holds, if any.

    Raises UsageError where transformers is not installed, SchemaError as `restore_network` does.
    """
    encoder = stored_encoder(learnt, LYRICS_BRANCH)
    if encoder is None:
        return restore_network(build, path, card, learnt)
    import_transformers()

    def with_encoder(*arguments: Any, **parameters: Any) -> Network:
        return build(*arguments, encoder=encoder, **parameters)

    return restore_network(with_encoder, path, card, learnt)


def restore(path: Path, card: ModelCard, learnt: Learnt) -> TrainedNetwork:
    """Make a file into a network that predicts."""
    return restore_with_encoder(LyricsNetwork, path, card, learnt)


build = LyricsNetwork

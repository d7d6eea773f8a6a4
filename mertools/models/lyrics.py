"""The words alone (paper 004): a vector of the lyrics, or a text encoder that is learnt along.

Two linear layers, as those that follow both towers in `bimodal`: 98,690 weights with vectors of 768
columns and two outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.models.dnn import count_columns
from mertools.models.layers import InputBranch
from mertools.models.network import Network, TrainedNetwork, restore_network
from mertools.models.text_encoder import (
    EncoderBranch,
    TextEncoder,
    import_transformers,
    stored_encoder,
)

HIDDEN = 128
DROPOUT = 0.5
BRANCH = "lyrics"


class VectorsBranch(InputBranch):
    """A vector of each text as it is: (n, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, vectors: Tensor) -> Tensor:
        """Give the vectors."""
        return vectors


class LyricsNetwork(Network):
    """The branch of lyrics, a linear layer and the last one. With an encoder it looks at tokens."""

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        n_outputs: int,
        encoder: TextEncoder | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        self.lyrics: VectorsBranch | EncoderBranch = (
            VectorsBranch(count_columns(shapes))
            if encoder is None
            else EncoderBranch(encoder, parameters["encoder.pool"])
        )
        self.head = nn.Sequential(
            nn.Linear(self.lyrics.size, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)
        self.form: Mapping[str, Any] = {  # type: ignore[misc]
            "linear": [HIDDEN],
            "encoder": "none" if encoder is None else encoder.name,
        }

    @property
    def branches(self) -> dict[str, InputBranch]:
        """The branch of lyrics."""
        return {BRANCH: self.lyrics}

    def embed(self, *features: Tensor) -> Tensor:
        """Embed lyrics: vectors (n, size) or tokens (n, n_tokens) to (n, 128)."""
        embedding: Tensor = self.head(self.lyrics(*features))
        return embedding


def restore(path: Path, card: ModelCard, learnt: Learnt) -> TrainedNetwork:
    """Make a file into a network that predicts, with the encoder that it holds, if any."""
    encoder = stored_encoder(learnt, BRANCH)
    if encoder is not None:
        import_transformers()
    return restore_network(partial(LyricsNetwork, encoder=encoder), path, card, learnt)


build = LyricsNetwork

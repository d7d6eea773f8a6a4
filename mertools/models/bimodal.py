"""Sound and words together (paper 004): the audio tower and a vector of the lyrics, concatenated.

With lyrics of 768 columns the head has 106,882 weights, and all of it 1,804,482 to 4,975,810 by the
tower's variant. A track without lyrics has zeros in their stead, which are no text's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mertools.models import vgg
from mertools.models.dnn import count_columns
from mertools.models.layers import InputBranch
from mertools.models.lyrics import build_branch, encoder_form, restore_with_encoder
from mertools.models.network import Network
from mertools.models.text_encoder import TextEncoder

STANDARDISATION = vgg.STANDARDISATION
HIDDEN = 128
DROPOUT = 0.5
BOTH, AUDIO, LYRICS = "both", "audio", "lyrics"


class Unheard(InputBranch):
    """Zeros for a modality that is left out: to (n, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, *features: Tensor) -> Tensor:
        """Give zeros for features of any shape, (n, ...)."""
        return torch.zeros(len(features[0]), self.size, device=features[0].device)


class Bimodal(Network):
    """The two branches side by side, and two linear layers."""

    form = vgg.FORM | {"linear": [HIDDEN]}

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        n_outputs: int,
        encoder: TextEncoder | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        (n_bands, n_frames), *of_lyrics = shapes
        modality = parameters["modality"]
        self.sound: InputBranch = (
            Unheard(vgg.EMBEDDING)
            if modality == LYRICS
            else vgg.SoundBranch(n_bands, n_frames, parameters)
        )
        dropout = parameters["lyrics_dropout"] if modality == BOTH else 0.0
        self.lyrics = (
            Unheard(count_columns(of_lyrics))
            if modality == AUDIO
            else build_branch(of_lyrics, encoder, parameters["encoder.pool"], dropout)
        )
        self.head = nn.Sequential(
            nn.Linear(vgg.EMBEDDING + self.lyrics.size, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)
        self.encoder = encoder_form(encoder)

    def describe(self) -> dict[str, Any]:
        """Say which encoder is learnt along, too."""
        return super().describe() | self.encoder

    def embed(self, *features: Tensor) -> Tensor:
        """Embed mel spectrograms and lyrics together: to (n, 128)."""
        S, *vectors = features
        both = torch.cat([self.sound(S), self.lyrics(*vectors)], dim=1)
        embedding: Tensor = self.head(both)
        return embedding


build = Bimodal
restore = partial(restore_with_encoder, Bimodal)

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
from mertools.models.network import Network, restore_network

STANDARDISATION = vgg.STANDARDISATION
HIDDEN = 128
DROPOUT = 0.5
BOTH, AUDIO, LYRICS = "both", "audio", "lyrics"


class LyricsBranch(InputBranch):
    """Vectors of lyrics as they are: n_columns side by side to (n, n_columns).

    In training a share `dropout` of the rows lose theirs, so that the network learns to do without.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, *vectors: Tensor) -> Tensor:
        """Put vectors of several kinds side by side, (n, ...) each."""
        x = torch.cat([vector.flatten(1) for vector in vectors], dim=1)
        if self.training and self.dropout:
            x = x * (torch.rand(len(x), 1, device=x.device) >= self.dropout)
        return x


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

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, **parameters: Any) -> None:
        super().__init__()
        (n_bands, n_frames), *of_lyrics = shapes
        n_columns = count_columns(of_lyrics)
        modality = parameters["modality"]
        self.sound: InputBranch = (
            Unheard(vgg.EMBEDDING)
            if modality == LYRICS
            else vgg.SoundBranch(n_bands, n_frames, parameters)
        )
        self.lyrics: InputBranch = (
            Unheard(n_columns)
            if modality == AUDIO
            else LyricsBranch(parameters["lyrics_dropout"] if modality == BOTH else 0.0)
        )
        self.head = nn.Sequential(
            nn.Linear(vgg.EMBEDDING + n_columns, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.classifier = nn.Linear(HIDDEN, n_outputs)

    @property
    def branches(self) -> dict[str, InputBranch]:
        """The branches of mel spectrograms and of lyrics."""
        return {"sound": self.sound, "lyrics": self.lyrics}

    def embed(self, *features: Tensor) -> Tensor:
        """Embed mel spectrograms and lyrics together: to (n, 128)."""
        S, *vectors = features
        both = torch.cat([self.sound(S), self.lyrics(*vectors)], dim=1)
        embedding: Tensor = self.head(both)
        return embedding


build = Bimodal
restore = partial(restore_network, Bimodal)

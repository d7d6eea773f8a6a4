"""Dual-Stream's branch of transcribed notes alone (paper 000, the ablation of section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from mertools.models import layers
from mertools.models.network import Network, restore_network


class Lstm(Network):
    """The sequence branch and a linear layer: posteriorgrams (n, n_frames, ...) to logits."""

    form = layers.SEQUENCE_FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_outputs: int, heads: int) -> None:
        super().__init__()
        self.sequence = layers.SequenceBranch(layers.n_columns(shapes), heads)
        self.hidden = nn.Identity()
        self.classifier = nn.Linear(layers.SEQUENCE_EMBEDDING, n_outputs)


build = Lstm
restore = partial(restore_network, Lstm)

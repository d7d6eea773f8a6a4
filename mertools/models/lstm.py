"""Dual-Stream's sequence branch alone, which looks at notes (the thesis' ablation)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mertools.models import layers
from mertools.models.network import Network, restore_network


class Lstm(Network):
    """The sequence branch and a linear layer: posteriorgrams (n, n_frames, ...) to logits."""

    form = layers.SEQUENCE_FORM

    def __init__(self, shapes: Sequence[Sequence[int]], n_classes: int, heads: int) -> None:
        super().__init__()
        self.sequence = layers.SequenceBranch(layers.n_columns(shapes), heads)
        self.classifier = nn.Linear(layers.SEQUENCE_EMBEDDING, n_classes)

    def forward(self, *features: Tensor) -> Tensor:
        """Give logits: onset, contour, note (n, n_frames, ...) to (n, n_classes)."""
        logits: Tensor = self.classifier(self.sequence(*features))
        return logits


build = Lstm
restore = partial(restore_network, Lstm)

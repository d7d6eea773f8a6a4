"""A Siamese network of sound and lyrics (paper 004): how well words and music go together.

Both are projected to 128 features, and by one layer that they share to 64, of length 1. Their
cosine is the similarity of a pair. With 512 features of sound and 768 of lyrics it has 172,352
weights. Sound is a vector, or a mel spectrogram that the convolutions of a trained `vgg` or
`bimodal` embed, which stay as they are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError, UsageError
from mertools.models.network import BATCH_SIZE, check_weights, copy_weights, to_tensors
from mertools.models.vgg import CHANNELS, Convolutions
from mertools.runtime.devices import find_device

PROJECTION = 128
EMBEDDING = 64
TOWER = ("variant", "floor", "scaling")
"""The parameters of the convolutions, which they have from the network that they come from."""


class Siamese(nn.Module):
    """Two projections and the layer that they share.

    `shapes` are those of a track's sound and of its lyrics. `tower` are the parameters of the
    convolutions where sound is a mel spectrogram, (n_bands, n_frames).
    """

    def __init__(self, shapes: Sequence[Sequence[int]], tower: Mapping[str, str]) -> None:
        super().__init__()
        of_sound, of_lyrics = shapes
        n_sound = CHANNELS[-1] if tower else math.prod(of_sound)
        self.project_sound = nn.Sequential(nn.Linear(n_sound, PROJECTION), nn.ReLU())
        self.project_lyrics = nn.Sequential(nn.Linear(math.prod(of_lyrics), PROJECTION), nn.ReLU())
        self.shared = nn.Linear(PROJECTION, EMBEDDING)
        # Last, so that with a tower the other weights are drawn as they are without one.
        self.sound: nn.Module = nn.Flatten()
        if tower:
            n_bands, n_frames = of_sound
            self.sound = Convolutions(n_bands, n_frames, **tower).requires_grad_(False)

    def embed_sound(self, vectors: Tensor) -> Tensor:
        """Embed vectors of sound, (n, n_sound), as `sound` gives them: to (n, 64) of length 1."""
        return nn.functional.normalize(self.shared(self.project_sound(vectors)), dim=1)

    def embed_lyrics(self, vectors: Tensor) -> Tensor:
        """Embed vectors of lyrics, (n, ...): to (n, 64) of length 1."""
        return nn.functional.normalize(self.shared(self.project_lyrics(vectors.flatten(1))), dim=1)

    def describe(self, parameters: Mapping[str, Any], tower: Mapping[str, str]) -> dict[str, Any]:
        """Say everything that fixes the form, for a card."""
        n_parameters = sum(w.numel() for w in self.parameters() if w.requires_grad)
        sizes = {"linear": [PROJECTION, EMBEDDING], "n_parameters": n_parameters}
        return {**parameters, **tower, **sizes}


@dataclass(frozen=True)
class TrainedSiamese:
    """A Siamese network that compares."""

    network: Siamese
    device: torch.device

    def on_device(self, name: str) -> TrainedSiamese:
        """Take it to a device. Raises UsageError where that is not there."""
        device = torch.device(find_device(name))
        return dataclasses.replace(self, network=self.network.to(device), device=device)

    def pool_sound(self, sound: Features) -> NDArray[np.float32]:
        """Give the vectors of segments' sound, (n, *shape) to (n, n_sound)."""
        return self._in_batches(self.network.sound, sound)

    def embed_sound(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed vectors of sound, as `pool_sound` gives them: (n, n_sound) to (n, 64)."""
        return self._in_batches(self.network.embed_sound, vectors)

    def embed_lyrics(self, lyrics: Features) -> NDArray[np.float32]:
        """Embed lyrics: (n, *shape) to (n, 64)."""
        return self._in_batches(self.network.embed_lyrics, lyrics)

    def _in_batches(self, compute: Any, features: Features) -> NDArray[np.float32]:
        self.network.eval()
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(features), BATCH_SIZE):
                (batch,) = to_tensors([features[begin : begin + BATCH_SIZE]], self.device)
                parts.append(compute(batch).cpu())
        computed: NDArray[np.float32] = torch.cat(parts).numpy()
        return computed

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all weights, by name."""
        return {name: weight.numpy() for name, weight in copy_weights(self.network).items()}


def build(shapes: Sequence[Sequence[int]], tower: Mapping[str, str]) -> Siamese:
    """Build a network, its weights random.

    Raises UsageError where its sound is of several dimensions and there is no tower for them.
    """
    if not tower and len(shapes[0]) != 1:
        raise UsageError(
            "the sound",
            f"is of {len(shapes[0])} dimensions, not vectors",
            "embed it, or give a trained tower for mel: --init sound=MODEL",
        )
    return Siamese(shapes, tower)


def restore(path: Path, card: ModelCard, learnt: Learnt) -> TrainedSiamese:
    """Make a model's file, as `model_file.read_model` gives it, into a model that compares.

    Raises SchemaError where the weights do not fit the card.
    """
    try:
        tower = {name: str(card.form[name]) for name in TOWER if name in card.form}
        with torch.device("meta"):
            network = build([needed.shape for needed in card.inputs], tower)
        check_weights(network, learnt)
        weights = {name: torch.tensor(array) for name, array in learnt.items()}
        network.load_state_dict(weights, assign=True)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, UsageError) as error:
        raise SchemaError(
            path,
            f"holds no siamese network as mer train siamese makes it ({error})",
            "train the model again",
        ) from None
    return TrainedSiamese(network.eval(), torch.device("cpu"))

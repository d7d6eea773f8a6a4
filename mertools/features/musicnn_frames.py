"""MusiCNN's penultimate layer over time: a row for each patch, where `musicnn` has statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mertools.features.excerpt import Excerpt
from mertools.features.musicnn import (
    LAYERS,
    SAMPLE_RATE,
    MusicnnParams,
    cut_patches,
    run_network,
)
from mertools.runtime.devices import CPU

HOP_FRAMES = 60
"""0.96 s, as far as VGGish's patches are apart."""

COLUMN_NAMES = tuple(f"penultimate_{name}" for name in LAYERS["penultimate"])


@dataclass(frozen=True, slots=True)
class MusicnnFramesParams:
    """How patches are cut: as `MusicnnParams` has it, one every 0.96 s unless told otherwise."""

    sample_rate: int = SAMPLE_RATE
    hop_frames: int = HOP_FRAMES

    def __post_init__(self) -> None:
        self.of_patches()

    def of_patches(self) -> MusicnnParams:
        """Give the same as parameters of `musicnn`."""
        return MusicnnParams(self.sample_rate, self.hop_frames)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest segment that fills a patch: 2.98 s."""
        return self.of_patches().least_samples


def feature(
    excerpt: Excerpt, params: MusicnnFramesParams, device: str = CPU
) -> NDArray[np.float32]:
    """Give the penultimate layer of each patch of an excerpt: (n_patches, 200)."""
    layers = run_network(cut_patches(excerpt.y, params.of_patches()), device)
    return layers[list(LAYERS).index("penultimate")]

"""Embeddings of networks whose weights a user brings; here random ones of their shapes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.pairs import Faster, Lap, WarmPair, again_and_again
from benchmarks.setup import SEGMENT_S, Setup
from mertools.features.excerpt import Excerpt
from mertools.features.vggish import SAMPLE_RATE, VggishParams, cut_patches, feature
from mertools.pretrained.user_weights import digest_weights, name_weights, write_weights
from mertools.pretrained.vggish import SHAPES
from mertools.runtime.memory import keep_freed_memory

MOST_SEGMENTS = 12
FULL_SCALE = np.float32(2**15)


def _draw_weights() -> dict[str, np.ndarray]:
    """Draw weights: their values do not change how long it takes."""
    generator = np.random.default_rng(0)
    scale = np.float32(0.01)
    return {n: generator.standard_normal(shape, np.float32) * scale for n, shape in SHAPES.items()}


def _vggish(setup: Setup, lap: Lap) -> None:
    segments = [Excerpt(y) for y in setup.segments(SAMPLE_RATE)[:MOST_SEGMENTS]]
    keep_freed_memory()  # as all commands do
    with tempfile.TemporaryDirectory() as folder:
        name_weights({"vggish": str(write_weights(Path(folder), "vggish", _draw_weights()))})
        params = VggishParams(weights=digest_weights("vggish"))
        again_and_again(lambda: [feature(segment, params) for segment in segments], lap)


def _vggish_in_torch(setup: Setup, lap: Lap) -> None:
    import torch

    from mertools.pretrained.vggish_torch import build_module

    segments = [y / FULL_SCALE for y in setup.segments(SAMPLE_RATE)[:MOST_SEGMENTS]]
    network = build_module(_draw_weights())

    def work() -> None:
        with torch.inference_mode():
            for y in segments:
                network(torch.from_numpy(cut_patches(y.astype(np.float64))))

    again_and_again(work, lap)


PAIRS = (
    WarmPair(
        name="vggish",
        work="VGGish's embedding, one core, warm",
        against="the port to PyTorch, with the same front end",
        goal=Faster(1),
        unit="minute of audio",
        amount=lambda setup: min(MOST_SEGMENTS, len(setup.segments(SAMPLE_RATE))) * SEGMENT_S / 60,
        one_core=True,
        ours=_vggish,
        theirs=_vggish_in_torch,
    ),
)

"""Training with mertools and with a plain PyTorch loop: a round is an epoch over the same data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.pairs import Lap
from benchmarks.setup import Setup
from mertools.artifacts.feature_rows import FeatureRow, Features, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.dataset.stored import StoredFeatures
from mertools.models.network import Network
from mertools.models.registry import NOTES, find_architecture
from mertools.training.loop import TrainingRows, train
from mertools.training.objectives import RowTargets
from mertools.training.recipes import usual_recipe

SEGMENTS_A_TRACK = 3
MOST_SEGMENTS = {
    "cpu": {
        "cnn": 512,
        "dual": 192,
        "dnn": 4096,
        "sample-cnn": 64,
        "seq-cnn": 512,
        "seq-lstm": 128,
        "vgg": 16,
    },
    "cuda": {"cnn": 4096, "dual": 1024, "dnn": 65536, "seq-cnn": 8192, "seq-lstm": 2048},
}
OTHERS_SEGMENTS = {"cpu": 32, "cuda": 512}
"""Of networks of whole clips and of many channels."""
N_CLASSES = 3
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
VALIDATION = 0.15
WITHOUT_END = 10**5
SHAPES = {"mel": (128, 51), "onset": (858, 88), "contour": (858, 264), "note": (858, 88)}
CLIP, CHUNK = (128, 942), (128, 116)
MFCC, VGG_CLIP = (323, 13), (128, 1292)
OTHERS_SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "choi": {"mel": CLIP},
    "cnn-gru": {"mel": CLIP},
    "crnn": {"mel": CLIP},
    "dnn": {"handcrafted": (1714,)},
    "hybrid": {"mel": CLIP, "handcrafted": (1714,)},
    "short-chunk": {"mel": CHUNK},
    "sample-cnn": {"wave": (59_049,)},
    "seq-cnn": {"mfcc": MFCC},
    "seq-lstm": {"mfcc": MFCC},
    "vgg": {"mel": VGG_CLIP},
}
"""What the networks of papers look at that are not of the thesis."""
DIMENSIONS = {
    "mel": ("segment", "band", "frame"),
    "handcrafted": ("segment", "column"),
    "wave": ("segment", "frame"),
    "mfcc": ("segment", "frame", "coefficient"),
}


def _shapes(model: str) -> dict[str, tuple[int, ...]]:
    kinds = find_architecture(model).kinds
    return OTHERS_SHAPES.get(model) or {kind: SHAPES[kind] for kind in kinds}


def _n_segments(model: str, device: str, setup: Setup) -> int:
    most = MOST_SEGMENTS[device].get(model, OTHERS_SEGMENTS[device])
    return min(most, SEGMENTS_A_TRACK * setup.n_tracks)


def _make_features(model: str, n_segments: int) -> dict[str, Features]:
    """Draw random features: their values do not change how long training takes."""
    rng = np.random.default_rng(0)
    features: dict[str, Features] = {}
    for kind, shape in _shapes(model).items():
        values = rng.random((n_segments, *shape), np.float32)
        features[kind] = values.astype(np.float16) if kind in NOTES else values
    return features


def _split(n_segments: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the segments to learn from, and those to validate the loss on."""
    n_validated = max(1, round(VALIDATION * n_segments))
    rows = np.arange(n_segments)
    return rows[n_validated:], rows[:n_validated]


def _build(model: str, device: str) -> Network:
    torch.manual_seed(0)
    architecture = find_architecture(model)
    shapes = list(_shapes(model).values())
    build = architecture.load_module().build
    network: Network = build(shapes, N_CLASSES, **architecture.defaults)
    return network.to(device)


def _store(path: Path, features: dict[str, Features]) -> StoredFeatures:
    """Write the features to a file."""
    n_segments = len(next(iter(features.values())))
    rows = [FeatureRow(f"s{i}", f"s{i}", 0.0, 10.0, False, False, "") for i in range(n_segments)]
    kinds = tuple(
        KindDescription(
            kind,
            values.shape[1:],
            values.dtype.name,
            DIMENSIONS.get(kind, ("segment", "frame", "pitch")),
            tuple(f"{kind}_{i}" for i in range(_count_columns(kind, values.shape[1:]))),
            "1",
            {},
            "",
            "",
        )
        for kind, values in features.items()
    )
    write_features(path, rows, kinds, lambda kind, row: features[kind][row])
    index = tuple((0, row) for row in range(n_segments))
    return StoredFeatures((path,), kinds, (index,) * len(kinds))


def _count_columns(kind: str, shape: tuple[int, ...]) -> int:
    return {"wave": 0, "mel": shape[0], "handcrafted": shape[0]}.get(kind, shape[-1])


def train_ours(model: str, device: str, setup: Setup, lap: Lap) -> None:
    architecture = find_architecture(model)
    n_segments = _n_segments(model, device, setup)
    y = np.arange(n_segments) % N_CLASSES
    classes, weights = np.eye(N_CLASSES, dtype=np.float32)[y], np.ones(N_CLASSES, np.float32)
    recipe = usual_recipe(architecture).replaced(
        {
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "max_epochs": WITHOUT_END,
            "patience": WITHOUT_END,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        features = _make_features(model, n_segments)
        batches = _store(Path(folder) / "features.h5", features).load()
        train(
            _build(model, device),
            (),
            TrainingRows(batches, *_split(n_segments), RowTargets("hard", classes, y, weights)),
            recipe,
            0,
            Path(folder) / "state",
            lambda epoch: lap(),
        )


def train_plainly(model: str, device: str, setup: Setup, lap: Lap) -> None:
    """Train as a PyTorch tutorial does, over float32 features in memory."""
    n_segments = _n_segments(model, device, setup)
    features = _make_features(model, n_segments)
    xs = [torch.from_numpy(values).float() for values in features.values()]
    y = torch.arange(n_segments) % N_CLASSES
    learn, validate = _split(n_segments)
    network = _build(model, device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    loss_of = nn.CrossEntropyLoss(weight=torch.ones(N_CLASSES, device=device))

    def batch_loss(rows: NDArray[np.int64]) -> torch.Tensor:
        logits = network(*(x[rows].to(device) for x in xs))
        loss: torch.Tensor = loss_of(logits, y[rows].to(device))
        return loss

    def batches_of(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(rows, -(-len(rows) // BATCH_SIZE))

    while True:
        network.train()
        for rows in batches_of(np.random.default_rng().permutation(learn)):
            loss = batch_loss(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            sum(batch_loss(rows).item() for rows in batches_of(validate))
        lap()

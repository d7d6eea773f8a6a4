"""Trains an LSTM without dropout: alone, or together with other processes of torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from made_segments import SHAPES
from mertools.dataset.segments import join_segments, open_batches
from safetensors.torch import save_file

from mertools.models.lstm import Lstm
from mertools.models.network import weights_of
from mertools.training import distributed as together
from mertools.training import loop
from mertools.training.recipes import Parameters

KINDS = ("onset", "contour", "note")


def main(folder: Path, result: Path) -> None:
    together.join("cpu")
    torch.set_num_threads(1)
    loop.training_precision = lambda device: "float32"  # bfloat16 rounds before gradients are added
    joined = join_segments(
        [folder / "features.h5"], str(folder / "labels.csv"), "arousal", KINDS, "hard"
    )
    data = joined.training_set
    y = data.y[data.groups]
    rows, targets = np.arange(len(y)), np.eye(3, dtype=np.float32)[y]
    torch.manual_seed(0)
    network = Lstm([SHAPES[kind] for kind in KINDS], 3, heads=2)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # processes drop out otherwise than one alone does
    batches = open_batches(data.stored, 1)
    lesson = loop.Lesson(batches, rows[7:], rows[:7], targets, y, np.ones(3, np.float32))
    state = result.with_name(f"state{together.is_first()}{together.count()}")
    parameters = Parameters(max_epochs=4, batch_size=6, learning_rate=0.003)
    loop.train(network, [], lesson, parameters, 0, state, lambda epoch: None)
    if together.is_first():
        save_file(weights_of(network), result)
    together.leave()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

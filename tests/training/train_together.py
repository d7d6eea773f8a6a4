"""Trains an LSTM without dropout: alone, or together with other processes of torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from made_segments import SHAPES
from mertools.dataset.join import Request, join
from mertools.models.lstm import Lstm
from mertools.models.network import copy_weights
from mertools.models.registry import find_architecture
from mertools.training import distributed as together
from mertools.training import loop
from mertools.training.objectives import row_targets
from mertools.training.recipes import usual_recipe

KINDS = ("onset", "contour", "note")


def main(folder: Path, result: Path) -> None:
    together.join("cpu")
    torch.set_num_threads(1)
    loop.training_precision = lambda device: "float32"  # bfloat16 rounds before gradients are added
    request = Request((folder / "features.h5",), str(folder / "labels.csv"), ("arousal",), KINDS)
    data = join(request).dataset
    rows = np.arange(len(data.row_ids))
    torch.manual_seed(0)
    network = Lstm([SHAPES[kind] for kind in KINDS], 3, heads=2)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # processes drop out otherwise than one alone does
    targets = row_targets(data, "hard", rows[7:], "none")
    training_rows = loop.TrainingRows(data.stored.load(), rows[7:], rows[:7], targets)
    state = result.with_name(f"state{together.is_first()}{together.count()}")
    recipe = usual_recipe(find_architecture("lstm")).replaced(
        {"max_epochs": 4, "batch_size": 6, "learning_rate": 0.003}
    )
    loop.train(network, [], training_rows, recipe, 0, state, lambda epoch: None)
    if together.is_first():
        save_file(copy_weights(network), result)
    together.leave()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

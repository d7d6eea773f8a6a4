"""Train the network of the kind `key` on rendered clips: `train.py clips.npz -o key.safetensors`.

It also prints, as JSON, how well it does on the works that were held out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from mertools.features.key import CONTEXT_STEPS, OCTAVE, VIEWS, key_logits

LAYERS = {
    "chord": (CONTEXT_STEPS * len(VIEWS), 32),
    "harmony": (32, 32),
    "phrase": (64, 32),
    "key": (32, 2),
}
"""Channels in and out of each layer."""
N_STEPS, BATCH = 1000, 96
LEAST_STEPS = 12
RATE, DECAY, DROPOUT = 3e-3, 0.02, 0.1
NOISE = 0.1
"""Of pitch classes, relative to the mean of what sounds, in training."""
SEED = 0
LICENCE = "Apache-2.0, as mertools; trained by examples/key on renderings of its own"
RELATIONS = (("same", 1.0), ("fifth", 0.5), ("relative", 0.3), ("parallel", 0.2))
"""What MIREX' score gives for a key by its relation to the true one."""


class KeyNetwork(nn.Module):
    """`mertools.features.key.key_logits` for batches, in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterDict()
        for name, (n_in, n_out) in LAYERS.items():
            scale = (n_in * OCTAVE) ** -0.5
            self.weights[f"{name}_weight"] = nn.Parameter(torch.randn(n_out, n_in, OCTAVE) * scale)
            self.weights[f"{name}_bias"] = nn.Parameter(torch.zeros(n_out))
        steps = (torch.arange(OCTAVE)[:, None] - torch.arange(OCTAVE)) % OCTAVE
        self.register_buffer("steps", steps)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Give logits, (n, 2, 12), of frames, (n, n_steps, 4, 12)."""
        x = frames.sqrt()
        n, n_steps = x.shape[:2]
        beside = nn.functional.pad(x, (0, 0, 0, 0, CONTEXT_STEPS // 2, CONTEXT_STEPS // 2))
        parts = [beside[:, first : first + n_steps] for first in range(CONTEXT_STEPS)]
        x = torch.cat(parts, dim=2).flatten(0, 1)
        for layer in ("chord", "harmony"):
            x = self.around(x, layer).relu()
        x = x.unflatten(0, (n, n_steps))
        x = self.drop(torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=1))
        return self.around(self.drop(self.around(x, "phrase").relu()), "key")

    def around(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """Convolve around the circle: (n, n_in, 12) to (n, n_out, 12)."""
        weight = self.weights[f"{layer}_weight"]
        n_out, n_in, _ = weight.shape
        matrix = weight[:, :, self.steps].permute(1, 2, 0, 3).reshape(n_in * OCTAVE, -1)
        y = (x.flatten(1) @ matrix).unflatten(1, (n_out, OCTAVE))
        return y + self.weights[f"{layer}_bias"][:, None]


def vary(frames: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Cut a stretch of clips, and disturb views and pitch classes."""
    n, n_steps = frames.shape[:2]
    length = int(torch.randint(LEAST_STEPS, n_steps + 1, (1,), generator=chance))
    first = int(torch.randint(0, n_steps - length + 1, (1,), generator=chance))
    x = frames[:, first : first + length]
    x = x * torch.exp(NOISE * torch.randn(n, 1, *x.shape[2:], generator=chance))
    floor = NOISE * torch.rand(n, 1, 1, 1, generator=chance)
    return x + floor * torch.rand(x.shape, generator=chance)


def train(frames: torch.Tensor, keys: torch.Tensor) -> dict[str, np.ndarray]:
    """Train on clips, (n, n_steps, 4, 12), and the indices of their keys, (n,)."""
    torch.manual_seed(SEED)
    chance = torch.Generator().manual_seed(SEED)
    network = KeyNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=N_STEPS)
    for _ in range(N_STEPS):
        rows = torch.randint(len(frames), (BATCH,), generator=chance)
        logits = network(vary(frames[rows], chance)).flatten(1)
        loss = nn.functional.cross_entropy(logits, keys[rows], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return {name: value.detach().numpy() for name, value in network.weights.items()}


def relation(found: int, true: int) -> str:
    """Say how a key, 12 x mode + tonic, is related to the true one, in MIREX' words."""
    (mode, tonic), (true_mode, true_tonic) = divmod(found, OCTAVE), divmod(true, OCTAVE)
    interval = (tonic - true_tonic) % OCTAVE
    if mode == true_mode:
        return {0: "same", 7: "fifth", 5: "fifth"}.get(interval, "other")
    relative = 3 if true_mode == 1 else 9
    return {0: "parallel", relative: "relative"}.get(interval, "other")


def judge(logits: np.ndarray, keys: np.ndarray) -> dict[str, float]:
    """Score keys: accuracy, MIREX' weighted score, and the accuracy of the mode alone."""
    found = logits.reshape(len(logits), -1).argmax(axis=1)
    relations = [relation(int(a), int(b)) for a, b in zip(found, keys, strict=True)]
    minor = np.logaddexp.reduce(logits[:, 1], axis=1) > np.logaddexp.reduce(logits[:, 0], axis=1)
    return {
        "clips": len(keys),
        "accuracy": relations.count("same") / len(keys),
        "mirex": sum(relations.count(name) * worth for name, worth in RELATIONS) / len(keys),
        "mode": float((minor == keys // OCTAVE).mean()),
    }


def main() -> None:
    """Train, write the weights, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("-o", dest="out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with np.load(options.clips) as clips:
        frames = clips["frames"].astype(np.float32)
        keys = clips["mode"] * OCTAVE + clips["tonic"]
        held_out, sources = clips["held_out"], clips["source"]
    learnt = train(torch.from_numpy(frames[~held_out]), torch.from_numpy(keys[~held_out]))
    options.out.write_bytes(save(learnt, {"mertools": json.dumps({"licence": LICENCE})}))
    logits = np.stack([key_logits(clip, learnt) for clip in frames])
    parts = {"learnt from": ~held_out, "held out": held_out}
    parts |= {f"held out, {s}": held_out & (sources == s) for s in sorted(set(sources))}
    scores = {name: judge(logits[rows], keys[rows]) for name, rows in parts.items()}
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()

"""Weights of networks of others, drawn at random, with the names and shapes of their files."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from made_keras import draw, draw_norm

CHANNELS = (1, 64, 128, 128, 128)


def draw_choi(seed: int = 0) -> list[tuple[str, list[np.ndarray]]]:
    """Draw weights of MusicTaggerCRNN's layers as Keras 1 has them."""
    rng = np.random.default_rng(seed)
    layers = [("input_2", []), ("bn_0_freq", draw_norm(rng, 1440))]
    for k, (n_in, n_out) in enumerate(itertools.pairwise(CHANNELS), 1):
        kernel = draw(rng, n_out, n_in, 3, 3, fan=9 * n_in)
        layers += [(f"conv{k}", [kernel, draw(rng, n_out)]), (f"bn{k}", draw_norm(rng, n_out))]
    for k, n_in in enumerate((128, 32), 1):
        of_gate = [[draw(rng, n_in, 32), draw(rng, 32, 32), draw(rng, 32)] for _ in range(3)]
        layers.append((f"gru{k}", [array for gate in of_gate for array in gate]))
    layers.append(("output", [draw(rng, 32, 50), draw(rng, 50)]))
    return layers


def draw_won() -> dict[str, torch.Tensor]:
    """Draw a state of Won's CRNN, with that of its front end."""
    rng = np.random.default_rng(0)

    def norm(name: str, size: int) -> dict[str, np.ndarray]:
        gamma, beta, mean, variance = draw_norm(rng, size)
        return {
            f"{name}.weight": gamma,
            f"{name}.bias": beta,
            f"{name}.running_mean": mean,
            # Small ones, where the small number that is added matters.
            f"{name}.running_var": variance * 1e-3,
            f"{name}.num_batches_tracked": np.array(7),
        }

    state = {
        "spec.spectrogram.window": np.ones(512, np.float32),
        "spec.mel_scale.fb": np.ones((257, 96), np.float32),
        **norm("spec_bn", 1),
    }
    for k, (n_in, n_out) in enumerate(itertools.pairwise(CHANNELS), 1):
        state[f"layer{k}.conv.weight"] = draw(rng, n_out, n_in, 3, 3, fan=9 * n_in) * 0.02
        state[f"layer{k}.conv.bias"] = draw(rng, n_out)
        state |= norm(f"layer{k}.bn", n_out)
    for k, n_in in enumerate((128, 32)):
        state |= {
            f"layer5.weight_ih_l{k}": draw(rng, 96, n_in),
            f"layer5.weight_hh_l{k}": draw(rng, 96, 32),
            f"layer5.bias_ih_l{k}": draw(rng, 96),
            f"layer5.bias_hh_l{k}": draw(rng, 96),
        }
    state |= {"dense.weight": draw(rng, 50, 32), "dense.bias": draw(rng, 50)}
    return {name: torch.from_numpy(array) for name, array in state.items()}


def draw_artist(seed: int = 0) -> list[tuple[str, list[np.ndarray]]]:
    """Draw weights of Park's siamese network as Keras 2 has them."""
    rng = np.random.default_rng(seed)
    layers: list[tuple[str, list[np.ndarray]]] = [("input_1", []), ("input_2", [])]
    sizes, channels = (4, 4, 4, 2, 1), (128, 128, 128, 128, 128, 256)
    for k, (size, n_in, n_out) in enumerate(zip(sizes, channels, channels[1:], strict=False), 1):
        kernel = draw(rng, size, n_in, n_out, fan=size * n_in)
        layers += [
            (f"conv1d_{k}", [kernel, draw(rng, n_out)]),
            (f"batch_normalization_{k}", draw_norm(rng, n_out)),
            (f"activation_{k}", []),
        ]
    return layers

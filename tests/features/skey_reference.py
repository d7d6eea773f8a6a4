"""S-KEY as its authors write it: nnAudio's kernels and transform, and ChromaNet."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from torch import Tensor, nn

KERNELS = (7, 7, 7, 7, 7, 5, 5)


def make_kernels() -> np.ndarray:
    """nnAudio's `create_cqt_kernels` for the highest octave of 99 bins from A0: (12, 128)."""
    rate, q = 22050, 1 / (2 ** (1 / 12) - 1)
    kernels = np.zeros((12, 128), np.complex64)
    for k in range(12):
        hz = 27.5 * 2 ** ((87 + k) / 12)
        n = int(np.ceil(q * rate / hz))
        start = int(np.ceil(64 - n / 2)) - n % 2
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        steps = np.arange(-n // 2, n // 2 if n % 2 == 0 else -n // 2 + n)
        wave = window * np.exp(2j * np.pi * steps * hz / rate) / n
        kernels[k, start : start + n] = wave / np.abs(wave).sum()
    return kernels


def make_lengths() -> np.ndarray:
    """Samples of each bin's kernel at the full rate: (99,)."""
    hz = 27.5 * 2 ** (np.arange(99) / 12)
    return np.ceil(22050 / (2 ** (1 / 12) - 1) / hz).astype(np.float32)


def make_lowpass() -> np.ndarray:
    """nnAudio's `create_lowpass_filter`: (256,)."""
    from scipy.signal import firwin2

    edge = 0.001
    return firwin2(256, [0, 0.5 / (1 + edge), 0.5 * (1 + edge), 1], [1, 1, 0, 0]).astype(np.float32)


def chroma_net(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """The transform in decibels, (1, 1, 84, n_frames), to logits, (24,)."""
    w = {name.removeprefix("chromanet."): values for name, values in state.items()}
    for i, kernel in enumerate(KERNELS):
        down, block = f"time_downsampling_blocks.{i}.conv", f"convnext_blocks.{i}"
        x = F.layer_norm(x, x.shape[1:])
        x = F.gelu(F.conv2d(x, w[f"{down}.weight"], w[f"{down}.bias"], stride=(1, 2)))
        n = x.shape[1]
        by_channel = nn.Conv2d(
            n, n, kernel, padding=kernel // 2, groups=n, padding_mode="replicate"
        )
        by_channel.load_state_dict(
            {part: w[f"{block}.dwconv.{part}"] for part in ("weight", "bias")}
        )
        h = by_channel(x)
        h = F.layer_norm(h, h.shape[1:]).permute(0, 2, 3, 1)
        h = F.gelu(F.linear(h, w[f"{block}.pwconv1.weight"], w[f"{block}.pwconv1.bias"]))
        h = F.linear(h, w[f"{block}.pwconv2.weight"], w[f"{block}.pwconv2.bias"])
        x = x + (w[f"{block}.gamma"] * h).permute(0, 3, 1, 2)
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // 12, 12, width).mean(dim=2)
    x = F.adaptive_avg_pool2d(x, (12, 1))
    x = F.conv2d(x, w["classifier.weight"], w["classifier.bias"])
    x = F.batch_norm(x, w["batch_norm.running_mean"], w["batch_norm.running_var"])
    return x.flatten()

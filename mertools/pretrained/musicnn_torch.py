"""MusiCNN as a torch module."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from torch import Tensor, nn

from mertools.pretrained.musicnn import LIVE_MIDDLE, N_FRONT, N_MIDDLE, padding
from mertools.pretrained.weight_files import Weights


class Musicnn(nn.Module):
    """Tags and pooled features of patches of a mel spectrogram."""

    def __init__(self, weights: Weights) -> None:
        """Take the weights that `load_weights` gives."""
        super().__init__()
        for name, values in weights.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give tags, mean_pool, max_pool and penultimate: (n, 50), (n, 212), the same, (n, 200).

        `patches` are logarithmic mel spectrograms, (n, 187, 96).
        """
        w = self.get_buffer
        x = (patches * w("input_scale") + w("input_offset"))[:, None]
        front = torch.cat([self._highest(x, index) for index in range(N_FRONT)], dim=1)
        front = torch.clamp(front, w("front_lowest"), w("front_highest"))
        x = front * w("front_scale") + w("front_offset")  # (n, 64, 187)
        layers = [x]
        # The first layer changes the number of channels in the original, so only later ones add x.
        for index in range(N_MIDDLE):
            convolved = self._middle(x, index)
            x = convolved + x if index else convolved
            layers.append(x if index else x[:, list(LIVE_MIDDLE)])
        channels = torch.cat(layers, dim=1)  # (n, 212, 187)
        mean_pool, max_pool = channels.mean(dim=2), channels.amax(dim=2)
        pooled = torch.cat([max_pool, mean_pool], dim=1)
        dense = (pooled @ w("penultimate_weight") + w("penultimate_bias")).relu_()
        penultimate = dense * w("penultimate_scale") + w("penultimate_offset")
        tags = (penultimate @ w("tags_weight") + w("tags_bias")).sigmoid_()
        return tags, mean_pool, max_pool, penultimate

    def _highest(self, x: Tensor, index: int) -> Tensor:
        """Convolve (n, 1, 187, 96) and take the highest of all bands: (n, n_channels, 187)."""
        weight = self.get_buffer(f"front_{index}_weight")
        before, after = padding(weight.shape[2])
        padded = F.pad(x, (0, 0, before, after))
        return F.conv2d(padded, weight, self.get_buffer(f"front_{index}_bias")).amax(dim=3)

    def _middle(self, x: Tensor, index: int) -> Tensor:
        name = f"middle_{index}"
        weight = self.get_buffer(f"{name}_weight")
        x = F.conv1d(x, weight, self.get_buffer(f"{name}_bias"), padding=weight.shape[2] // 2)
        return x.relu_() * self.get_buffer(f"{name}_scale") + self.get_buffer(f"{name}_offset")

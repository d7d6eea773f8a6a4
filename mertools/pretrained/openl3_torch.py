"""OpenL3 as a torch module."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from mertools.pretrained.openl3 import CHANNELS, KERNEL_SIZE, LAST, POOLED_AFTER, fold_norms
from mertools.pretrained.weight_files import Weights


class Openl3(nn.Module):
    """Mel spectrograms of a second, (n, 256, 199), to (n, 512)."""

    scale: Tensor
    offset: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        folded = {name: torch.from_numpy(array) for name, array in fold_norms(weights).items()}
        self.register_buffer("scale", folded["input.scale"])
        self.register_buffer("offset", folded["input.offset"])
        # On no device: the user's weights take the place of random ones that nobody needs.
        with torch.device("meta"):
            self.convolutions = nn.ModuleList(
                nn.Conv2d(n_in, n_out, KERNEL_SIZE, padding=1)
                for n_in, n_out in itertools.pairwise(CHANNELS)
            )
        for k, convolution in enumerate(self.convolutions):
            state = {part: folded[f"convolution.{k}.{part}"] for part in ("weight", "bias")}
            convolution.load_state_dict(state, assign=True)
        self.eval().requires_grad_(False)

    def forward(self, S: Tensor) -> Tensor:
        """Embed spectrograms."""
        x = (S * self.scale + self.offset).unsqueeze(1)
        for k, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if k != LAST:
                x = x.relu()
            if k in POOLED_AFTER:
                x = functional.max_pool2d(x, 2)
        return x.amax(dim=(2, 3))  # (n, 512, 32, 24)


def build_module(weights: Weights) -> Openl3:
    """Build the module from the weights by name."""
    return Openl3(weights)

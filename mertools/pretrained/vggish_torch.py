"""VGGish as a torch module, for accelerators and as the reference of the ONNX model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mertools.pretrained.vggish import CONVOLUTIONS, DENSE, KERNEL_SIZE, POOLED_AFTER, SHAPES
from mertools.pretrained.weight_files import Weights


class Vggish(nn.Module):
    """Patches of the logarithmic mel spectrogram, (n, 96, 64), to (n, 128)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        convolutions: list[nn.Module] = []
        # On no device: the user's weights take the place of random ones that nobody needs.
        with torch.device("meta"):
            for number, (n_in, n_out) in CONVOLUTIONS.items():
                convolutions += [nn.Conv2d(n_in, n_out, KERNEL_SIZE, padding=1), nn.ReLU()]
                if number in POOLED_AFTER:
                    convolutions.append(nn.MaxPool2d(2))
            dense: list[nn.Module] = []
            for n_in, n_out in DENSE.values():
                dense += [nn.Linear(n_in, n_out), nn.ReLU()]
            self.features = nn.Sequential(*convolutions)
            # The last layer is linear, as in the TF-Hub model; the port adds a ReLU.
            self.embeddings = nn.Sequential(*dense[:-1])
        tensors = {name: torch.from_numpy(weights[name]) for name in SHAPES}
        self.load_state_dict(tensors, assign=True)
        self.eval().requires_grad_(False)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches."""
        x = self.features(patches.unsqueeze(1))  # (n, 512, 6, 4)
        embedding: Tensor = self.embeddings(x.permute(0, 2, 3, 1).flatten(1))
        return embedding


def build_module(weights: Weights) -> Vggish:
    """Build the module from the weights by name."""
    return Vggish(weights)

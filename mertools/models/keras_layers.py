"""Layers as Keras has them by default, which papers 001 and 002 are built with.

Convolutions begin as K. He has them ("Delving deep into rectifiers", ICCV 2015), dense layers as
X. Glorot ("Understanding the difficulty of training deep feedforward neural networks", AISTATS
2010), biases at zero. Keras' momentum of 0.99 is torch's 0.01.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-3
NORM_MOMENTUM = 0.01

BatchNorm1d = partial(nn.BatchNorm1d, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
BatchNorm2d = partial(nn.BatchNorm2d, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)


class SameConv2d(nn.Conv2d):
    """A convolution of 3 x 3 with a border of zeros, so that without a stride maps keep their size.

    torch 2.13 on a processor (oneDNN) leaves gradients unwritten, of whatever memory held before,
    for cells of a kernel that never meet anything but the convolution's own padding. That happens
    to maps of one or two cells, which are therefore given their border beforehand.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, stride, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve maps: (n, in_channels, h, w)."""
        if min(input.shape[2:]) > 2:
            return super().forward(input)
        bordered = functional.pad(input, (1, 1, 1, 1))
        return functional.conv2d(bordered, self.weight, self.bias, self.stride)


class ResetFirstGru(nn.Module):
    """A layer of gated recurrent units as Keras had it before 2.3.

    (n, n_steps, in_size) to (n, n_steps, size). Unlike torch's the reset gate works before the
    product with the recurrent weights, each gate has one bias, and gates are 0.2 x + 0.5, cut off
    at 0 and 1. K. Cho and others, "Learning phrase representations using RNN encoder-decoder",
    EMNLP 2014, equations 5 to 8.
    """

    def __init__(self, in_size: int, size: int) -> None:
        super().__init__()
        self.size = size
        # Side by side: update gate, reset gate, candidate.
        self.input = nn.Linear(in_size, 3 * size)
        self.state = nn.Linear(size, 3 * size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Give the state after each step."""
        size = self.size
        of_gates, of_candidate = self.state.weight[: 2 * size], self.state.weight[2 * size :]
        h = x.new_zeros(len(x), size)
        states = []
        for step in self.input(x).unbind(1):
            gates = functional.linear(h, of_gates) + step[:, : 2 * size]
            update, reset = (0.2 * gates + 0.5).clamp(0, 1).chunk(2, dim=1)
            candidate = functional.linear(reset * h, of_candidate) + step[:, 2 * size :]
            h = update * h + (1 - update) * candidate.tanh()
            states.append(h)
        return torch.stack(states, dim=1)


def begin_as_keras(network: nn.Module) -> None:
    """Draw the weights of convolutions (He, normal) and dense layers (Glorot, uniform)."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)

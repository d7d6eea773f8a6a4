"""Basic Pitch as a torch module, for accelerators.

Convolutions that are slow are equal matrix products here. Those of the spectrogram stay
convolutions, which add up in the order of onnxruntime: in bins far below the loudest there is only
rounding left to agree on.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.pretrained.basic_pitch import (
    BELS_PER_NEPER,
    BINS_PER_OCTAVE,
    CONTOUR_BINS_AT_ONCE,
    HARMONIC_SHIFTS,
    HOP_SAMPLES,
    KERNEL_SAMPLES,
    LEAST_POWER,
    N_BINS,
    N_CONTOUR_BINS,
    N_OCTAVES,
    cut_harmonics,
)
from mertools.pretrained.weight_files import Weights


class BasicPitch(nn.Module):
    """Posteriors of notes, onsets and contours in windows of sound."""

    def __init__(self, weights: Weights) -> None:
        """Take the weights that `load_weights` gives."""
        super().__init__()
        for name, values in weights.items():
            self._keep(name, values)
        self._bands: list[slice] = []
        blocks = cut_harmonics(weights["contour_stack_weight"])
        for number, (begin, end, block) in enumerate(blocks):
            self._bands.append(slice(begin, end))
            self._keep(f"contour_block_{number}", block.reshape(3 * (end - begin), -1))

    def _keep(self, name: str, values: NDArray[np.float32]) -> None:
        self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the posteriors of note, onset and contour: (n, 172, 88), the same, (n, 172, 264).

        `y` is sound at 22,050 Hz, (n, 43844).
        """
        w = self.get_buffer
        S = self._spectrogram(y)
        x = self._contour_stack(S)
        contour = self._convolve_to_one(x, "contour")
        x = F.conv2d(
            contour, w("note_stack_weight"), w("note_stack_bias"), stride=(1, 3), padding=(3, 2)
        ).relu_()
        note = self._convolve_to_one(x, "note")
        x = F.conv2d(
            _stack_harmonics(S),
            w("onset_stack_weight"),
            w("onset_stack_bias"),
            stride=(1, 3),
            padding=(2, 1),
        ).relu_()
        onset = self._convolve_to_one(torch.cat([note, x], dim=1), "onset")
        return note[:, 0], onset[:, 0], contour[:, 0]

    def _spectrogram(self, y: Tensor) -> Tensor:
        """Compute the constant-Q spectrogram in decibels, scaled to its range: (n, 172, 309)."""
        w = self.get_buffer
        # One set of kernels serves all octaves, as the sound's rate is halved from one to the next.
        kernels = w("cqt_kernels")[:, None]
        octaves = []
        for octave in range(N_OCTAVES):
            if octave:
                y = self._halve_rate(y)
            padded = F.pad(y[:, None], [KERNEL_SAMPLES // 2] * 2, mode="reflect")
            products = F.conv1d(padded, kernels, stride=HOP_SAMPLES >> octave) ** 2
            octaves.append(products[:, :BINS_PER_OCTAVE] + products[:, BINS_PER_OCTAVE:])
        power = (torch.cat(octaves[::-1], dim=1)[:, -N_BINS:] * w("lengths")).mT
        # In the reference's order, as of a faint signal only the rounding differs between bins.
        decibels = power.add_(LEAST_POWER).log_().mul_(BELS_PER_NEPER).mul_(10)
        decibels -= decibels.amin(dim=(1, 2), keepdim=True)
        loudest = decibels.amax(dim=(1, 2), keepdim=True)
        decibels /= torch.where(loudest == 0, 1, loudest)
        return decibels.mul_(w("scale")).add_(w("offset"))

    def _halve_rate(self, y: Tensor) -> Tensor:
        """Low-pass filter and take every other sample: (n, n_samples) to (n, about half)."""
        lowpass = self.get_buffer("lowpass")
        n_made = y.shape[1] // 2
        n_blocks = -(-n_made // len(lowpass))
        before, step = KERNEL_SAMPLES // 2 - 1, 2 * len(lowpass)
        n_read = step * (n_blocks - 1) + lowpass.shape[1]
        padded = F.pad(y[:, None], (before, n_read - before - y.shape[1]))
        # Each filter yields one of many samples: a convolution with a single output channel is
        # slow.
        blocks = F.conv1d(padded, lowpass[:, None], stride=step)
        return blocks.mT.flatten(1)[:, :n_made]

    def _contour_stack(self, S: Tensor) -> Tensor:
        """Convolve the stacked harmonics, towards contours: (n, 8, 172, 264).

        It is linear in three frames of the spectrogram. As a product with a matrix, which is zero
        beyond a band and so cut into blocks, it takes a quarter of the time.
        """
        n, n_frames, _ = S.shape
        frames = F.pad(S, (0, 0, 1, 1)).unfold(1, 3, 1)  # (n, 172, 309, 3)
        outputs = []
        for number, band in enumerate(self._bands):
            product = frames[:, :, band].reshape(n * n_frames, -1)
            block = self.get_buffer(f"contour_block_{number}")
            outputs.append((product @ block).view(n, n_frames, CONTOUR_BINS_AT_ONCE, -1))
        x = torch.cat(outputs, dim=2).add_(self.get_buffer("contour_stack_bias")).relu_()
        return x.permute(0, 3, 1, 2)

    def _convolve_to_one(self, x: Tensor, name: str) -> Tensor:
        """Convolve (n, channels, t, f) to posteriors of the same size: (n, 1, t, f).

        One product gives what each tap contributes everywhere; then these are shifted and added.
        """
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        n, n_channels, n_frames, n_bins = x.shape
        _, _, n_rows, n_columns = weight.shape
        planes = weight.view(n_channels, -1).T @ x.reshape(n, n_channels, -1)
        planes = planes.view(n, n_rows, n_columns, n_frames, n_bins)
        outputs = bias.expand(n, n_frames + n_rows - 1, n_bins + n_columns - 1).clone()
        for row in range(n_rows):
            for column in range(n_columns):
                down, right = n_rows - 1 - row, n_columns - 1 - column
                outputs[:, down : down + n_frames, right : right + n_bins] += planes[:, row, column]
        top, left = n_rows // 2, n_columns // 2
        return outputs[:, None, top : top + n_frames, left : left + n_bins].sigmoid_()


def _stack_harmonics(S: Tensor) -> Tensor:
    """Shift each harmonic of a pitch to the pitch's own bin: (n, t, 309) to (n, 8, t, 264)."""
    return torch.stack(
        [F.pad(S, (-shift, N_CONTOUR_BINS + shift - N_BINS)) for shift in HARMONIC_SHIFTS], dim=1
    )

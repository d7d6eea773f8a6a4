"""The network of Basic Pitch as a torch module, with the weights that the basic-pitch package has.

R. Bittner and others, *A lightweight instrument-agnostic model for polyphonic note transcription
and multipitch estimation*, ICASSP 2022. The reference is the ONNX model in basic-pitch 0.4.0. Its
convolutions that are slow on a CPU are equal matrix products here. Those of the spectrogram stay
convolutions, which add up in the order of onnxruntime: in bins far below the loudest there is only
rounding left to agree on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, torch's own name for it
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.features.transcription import HOP_SAMPLES, N_CONTOUR_BINS

N_OCTAVES = 9
BINS_PER_OCTAVE = 36
N_BINS = 309  # of the constant-Q transform; the lowest octave has only its upper 21
HARMONIC_SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
"""Bins from a pitch to half of it, to itself, and to two to seven times it."""

KERNEL_SAMPLES = 256
DECIMATED_AT_ONCE = 32
CONTOUR_BINS_AT_ONCE = 44

LEAST_POWER = 1e-10
BELS_PER_NEPER = 0.4342944622039795

CONVOLUTIONS: Mapping[str, tuple[str, str]] = {
    "contour_stack": ("const_fold_opt__727", "model_1/conv2d_1/Conv2D"),
    "contour": ("const_fold_opt__710", "model_1/contours-reduced/BiasAdd/ReadVariableOp"),
    "note_stack": ("const_fold_opt__738", "model_1/conv2d_2/BiasAdd/ReadVariableOp"),
    "note": ("const_fold_opt__702", "model_1/conv2d_3/BiasAdd/ReadVariableOp"),
    "onset_stack": ("const_fold_opt__707", "model_1/conv2d_4/Conv2D"),
    "onset": ("const_fold_opt__680", "model_1/conv2d_5/BiasAdd/ReadVariableOp"),
}
"""What the package's ONNX model calls the weight and the bias of each convolution."""


class BasicPitch(nn.Module):
    """Posteriors of notes, onsets and contours in windows of sound."""

    cqt_kernels: Tensor
    lengths: Tensor
    lowpass: Tensor
    scale: Tensor
    offset: Tensor
    contour_stack_weight: Tensor
    contour_stack_bias: Tensor
    contour_weight: Tensor
    contour_bias: Tensor
    note_stack_weight: Tensor
    note_stack_bias: Tensor
    note_weight: Tensor
    note_bias: Tensor
    onset_stack_weight: Tensor
    onset_stack_bias: Tensor
    onset_weight: Tensor
    onset_bias: Tensor

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Take the weights of the ONNX model, by the last part of their names."""
        super().__init__()
        kernels = [weights[f"const_fold_opt__{n}"].reshape(-1, KERNEL_SAMPLES) for n in (664, 655)]
        self._keep("cqt_kernels", torch.tensor(np.concatenate(kernels)))
        self._keep("lengths", torch.tensor(weights["model_1/cq_t2010v2_1/Sqrt"]).flatten() ** 2)
        self._keep("lowpass", _repeated(torch.tensor(weights["const_fold_opt__734"]).flatten()))
        norm = "model_1/batch_normalization/FusedBatchNormV3"
        self._keep("scale", torch.tensor(weights[norm]))
        self._keep("offset", torch.tensor(weights[f"{norm}1"]))
        for name, (weight, bias) in CONVOLUTIONS.items():
            self._keep(f"{name}_weight", torch.tensor(weights[weight]))
            self._keep(f"{name}_bias", torch.tensor(weights[bias]))
        self._bands: list[slice] = []
        for name, band, block in _banded_blocks(_stacked_convolution(self.contour_stack_weight)):
            self._bands.append(band)
            self._keep(name, block)

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the posteriors of note, onset and contour: (n, 172, 88), the same, (n, 172, 264).

        `y` is sound at 22,050 Hz, (n, 43844).
        """
        S = self._spectrogram(y)
        x = self._contour_stack(S)
        contour = _convolve_to_one(x, self.contour_weight, self.contour_bias).sigmoid_()
        x = F.conv2d(
            contour, self.note_stack_weight, self.note_stack_bias, stride=(1, 3), padding=(3, 2)
        ).relu_()
        note = _convolve_to_one(x, self.note_weight, self.note_bias).sigmoid_()
        x = F.conv2d(
            _stack_harmonics(S),
            self.onset_stack_weight,
            self.onset_stack_bias,
            stride=(1, 3),
            padding=(2, 1),
        ).relu_()
        x = torch.cat([note, x], dim=1)
        onset = _convolve_to_one(x, self.onset_weight, self.onset_bias).sigmoid_()
        return note[:, 0], onset[:, 0], contour[:, 0]

    def _spectrogram(self, y: Tensor) -> Tensor:
        """Compute the constant-Q spectrogram in decibels, scaled to its range: (n, 172, 309)."""
        octaves = []
        for octave in range(N_OCTAVES):
            if octave:
                y = self._halve_rate(y)
            padded = F.pad(y[:, None], [KERNEL_SAMPLES // 2] * 2, mode="reflect")
            parts = F.conv1d(padded, self.cqt_kernels[:, None], stride=HOP_SAMPLES >> octave) ** 2
            octaves.append(parts[:, :BINS_PER_OCTAVE] + parts[:, BINS_PER_OCTAVE:])
        power = torch.cat(octaves[::-1], dim=1)[:, -N_BINS:].mT * self.lengths
        # In the reference's order, as of a faint signal only the rounding differs between bins.
        decibels = power.add_(LEAST_POWER).log_().mul_(BELS_PER_NEPER).mul_(10)
        decibels -= decibels.amin(dim=(1, 2), keepdim=True)
        loudest = decibels.amax(dim=(1, 2), keepdim=True)
        decibels /= torch.where(loudest == 0, 1, loudest)
        return decibels.mul_(self.scale).add_(self.offset)

    def _halve_rate(self, y: Tensor) -> Tensor:
        """Low-pass filter and take every other sample: (n, n_samples) to (n, about half)."""
        n_made = y.shape[1] // 2
        n_blocks = -(-n_made // len(self.lowpass))
        before, step = KERNEL_SAMPLES // 2 - 1, 2 * len(self.lowpass)
        n_read = step * (n_blocks - 1) + self.lowpass.shape[1]
        padded = F.pad(y[:, None], (before, n_read - before - y.shape[1]))
        blocks = F.conv1d(padded, self.lowpass[:, None], stride=step)
        return blocks.mT.flatten(1)[:, :n_made]

    def _contour_stack(self, S: Tensor) -> Tensor:
        """Convolve the stacked harmonics, towards contours: (n, 8, 172, 264).

        It is linear in three frames of the spectrogram. As a product with a matrix, which is zero
        beyond a band and so cut into blocks, it takes a quarter of the time.
        """
        n, n_frames, _ = S.shape
        frames = F.pad(S, (0, 0, 1, 1)).unfold(1, 3, 1)  # (n, 172, 309, 3)
        made = []
        for number, band in enumerate(self._bands):
            part = frames[:, :, band].reshape(n * n_frames, -1)
            block = self.get_buffer(f"contour_block_{number}")
            made.append((part @ block).view(n, n_frames, CONTOUR_BINS_AT_ONCE, -1))
        x = torch.cat(made, dim=2).add_(self.contour_stack_bias).relu_()
        return x.permute(0, 3, 1, 2)


def _repeated(lowpass: Tensor) -> Tensor:
    """Make filters that give neighbouring samples at half the rate: row i is 2 i taps late."""
    rows = [
        F.pad(lowpass, (2 * i, 2 * (DECIMATED_AT_ONCE - 1 - i))) for i in range(DECIMATED_AT_ONCE)
    ]
    return torch.stack(rows)


def _stack_harmonics(S: Tensor) -> Tensor:
    """Shift each harmonic of a pitch to the pitch's own bin: (n, t, 309) to (n, 8, t, 264)."""
    return torch.stack(
        [F.pad(S, (-shift, N_CONTOUR_BINS + shift - N_BINS)) for shift in HARMONIC_SHIFTS], dim=1
    )


def _convolve_to_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve (n, channels, t, f) to a single channel of the same size: (n, 1, t, f).

    One product gives what each tap contributes everywhere; then these are shifted and added.
    """
    n, n_channels, n_frames, n_bins = x.shape
    _, _, n_rows, n_columns = weight.shape
    planes = weight.view(n_channels, -1).T @ x.reshape(n, n_channels, -1)
    planes = planes.view(n, n_rows, n_columns, n_frames, n_bins)
    made = bias.expand(n, n_frames + n_rows - 1, n_bins + n_columns - 1).clone()
    for row in range(n_rows):
        for column in range(n_columns):
            down, right = n_rows - 1 - row, n_columns - 1 - column
            made[:, down : down + n_frames, right : right + n_bins] += planes[:, row, column]
    top, left = n_rows // 2, n_columns // 2
    return made[:, None, top : top + n_frames, left : left + n_bins]


def _banded_blocks(matrix: Tensor) -> Iterator[tuple[str, slice, Tensor]]:
    """Cut the matrix of `_stacked_convolution` into blocks of its contour bins.

    Each comes with a name and with the band of the spectrogram that it draws on.
    """
    for number in range(N_CONTOUR_BINS // CONTOUR_BINS_AT_ONCE):
        block = matrix[:, :, number * CONTOUR_BINS_AT_ONCE :][:, :, :CONTOUR_BINS_AT_ONCE]
        used = block.flatten(1).any(dim=1).nonzero().flatten()
        band = slice(int(used[0]), int(used[-1]) + 1)
        yield f"contour_block_{number}", band, block[band].flatten(2).flatten(0, 1)


def _stacked_convolution(weight: Tensor) -> Tensor:
    """Make the matrix of a convolution of stacked harmonics: what it makes of unit impulses.

    Returns (309, 3, 264, 8): bin and frame of the spectrogram, bin and channel of the result.
    """
    n_out, n_in, n_frames, n_bins = weight.shape
    by_frame = weight.permute(2, 0, 1, 3).reshape(n_frames * n_out, n_in, 1, n_bins)
    impulses = _stack_harmonics(torch.eye(N_BINS)[None])
    made = F.conv2d(impulses, by_frame, padding=(0, n_bins // 2))[0]
    return made.view(n_frames, n_out, N_BINS, N_CONTOUR_BINS).permute(2, 0, 3, 1).contiguous()

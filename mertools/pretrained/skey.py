"""S-KEY: sizes and names of its weights, which its torch module and ONNX model share.

Y. Kong, G. Meseguer-Brocal, V. Lostanlen, M. Lagrange, R. Hennequin, *S-KEY: Self-supervised
Learning of Major and Minor Keys from Audio*, ICASSP 2025. The reference is
https://github.com/deezer/skey (`chromanet.py`, `convnext.py`, `hcqt.py`), whose names the weights
have; its variable-Q transform is that of nnAudio 0.3. No weights come with mertools.
"""

from __future__ import annotations

from itertools import pairwise

from mertools.pretrained.user_network import UserNetwork

N_BINS, N_OCTAVES = 99, 9
"""Semitones of the transform, from A0 (27.5 Hz), and the octaves that they reach into."""

BINS_PER_OCTAVE = 12
N_HEARD = 84
"""The lowest bins, seven octaves, that the network takes; the others count for the loudest only."""

HOP_LENGTH = 512
KERNEL_LENGTH, LOWPASS_LENGTH = 128, 256
LOWEST_MAGNITUDE = 1e-10
RANGE_DB = 80.0
"""Decibels, ten times the logarithm of the magnitude, below the loudest bin; they become 0 to 1."""

CHANNELS = (1, 2, 3, 40, 40, 30, 10, 3)
"""Before the first block and after each; every block halves the time."""

KERNELS = (7, 7, 7, 7, 7, 5, 5)
EXPANSION = 4
NORM_FLOOR = 1e-5  # added to a variance before it is divided by its root
N_MODES = 2
LEAST_FRAMES = 1 << len(KERNELS)

LOWPASS, LENGTHS = "hcqt.lowpass_filter", "hcqt.lenghts"
REAL, IMAGINARY = "hcqt.cqt_kernels_real_0", "hcqt.cqt_kernels_imag_0"
"""Of the highest octave; the file repeats them for each below, whose sound has half the rate."""

CLASSIFIER, NORM = "chromanet.classifier", "chromanet.batch_norm"


def block_name(index: int) -> str:
    """Name a ConvNeXt block."""
    return f"chromanet.convnext_blocks.{index}"


def halving_name(index: int) -> str:
    """Name the convolution before a block, which halves the time."""
    return f"chromanet.time_downsampling_blocks.{index}.conv"


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        LOWPASS: (1, 1, LOWPASS_LENGTH),
        LENGTHS: (N_BINS,),
        REAL: (BINS_PER_OCTAVE, 1, KERNEL_LENGTH),
        IMAGINARY: (BINS_PER_OCTAVE, 1, KERNEL_LENGTH),
    }
    for index, ((n_in, n), kernel) in enumerate(zip(pairwise(CHANNELS), KERNELS, strict=True)):
        block = block_name(index)
        layers = {
            halving_name(index): (n, n_in, 1, 2),
            f"{block}.dwconv": (n, 1, kernel, kernel),
            f"{block}.pwconv1": (EXPANSION * n, n),
            f"{block}.pwconv2": (n, EXPANSION * n),
        }
        for name, shape in layers.items():
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
        shapes[f"{block}.gamma"] = (n,)
    shapes[f"{CLASSIFIER}.weight"] = (N_MODES, CHANNELS[-1], 1, 1)
    for name in (f"{CLASSIFIER}.bias", f"{NORM}.running_mean", f"{NORM}.running_var"):
        shapes[name] = (N_MODES,)
    return shapes


NETWORK = UserNetwork("skey", _shapes())

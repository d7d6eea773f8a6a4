"""VGGish: sizes and names of its weights, which its torch module and ONNX model share.

S. Hershey and others, *CNN Architectures for Large-Scale Audio Classification*, ICASSP 2017. It was
trained to tag YouTube's sound, and gives 128 numbers for each 0.96 s. The names are those of the
port to torch, https://github.com/harritaylor/torchvggish. No weights come with mertools.
"""

from __future__ import annotations

from collections.abc import Mapping

from mertools.pretrained.user_network import UserNetwork

PATCH_FRAMES = 96
N_BANDS = 64
N_VALUES = 128

CONVOLUTIONS = {
    0: (1, 64),
    3: (64, 128),
    6: (128, 256),
    8: (256, 256),
    11: (256, 512),
    13: (512, 512),
}
"""Channels in and out of each convolution, by its number in `features`."""

POOLED_AFTER = (0, 3, 8, 13)
"""The convolutions after which a 2 x 2 pooling comes."""

KERNEL_SIZE = 3
FLAT = (PATCH_FRAMES // 16) * (N_BANDS // 16) * 512
"""What is left of a patch after four poolings: 6 x 4 x 512, in the order time, band, channel."""

DENSE = {0: (FLAT, 4096), 2: (4096, 4096), 4: (4096, N_VALUES)}
"""Values in and out of each dense layer, by its number in `embeddings`."""

PCA_VECTORS, PCA_MEANS = "pca_eigen_vectors", "pca_means"


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (n_in, n_out) in CONVOLUTIONS.items():
        shapes[f"features.{number}.weight"] = (n_out, n_in, KERNEL_SIZE, KERNEL_SIZE)
        shapes[f"features.{number}.bias"] = (n_out,)
    for number, (n_in, n_out) in DENSE.items():
        shapes[f"embeddings.{number}.weight"] = (n_out, n_in)
        shapes[f"embeddings.{number}.bias"] = (n_out,)
    return shapes


SHAPES: Mapping[str, tuple[int, ...]] = _shapes()
"""The shape of each weight: 72,141,184 numbers."""

PCA_SHAPES: Mapping[str, tuple[int, ...]] = {
    PCA_VECTORS: (N_VALUES, N_VALUES),
    PCA_MEANS: (N_VALUES,),
}
"""Of the weights for `vggish.pca`, which a file may lack."""

NETWORK = UserNetwork("vggish", SHAPES, PCA_SHAPES)

"""A convolutional autoencoder of mel spectrograms (paper 001, for DeepSMOTE).

After D. Dablain, B. Krawczyk and N. V. Chawla, "DeepSMOTE: fusing deep learning and SMOTE for
imbalanced data", IEEE Transactions on Neural Networks and Learning Systems 34(9), 2023; the paper
leaves out their penalty. It has 948,481 weights; 942 frames of 128 bands become 60,416 numbers.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from mertools.models.keras_layers import begin_as_keras

CHANNELS = (16, 32, 64, 128)
KERNEL_SIZE = 5
STRIDE = 2
SLOPE = 0.2
"""Of LeakyReLU below zero."""


class Autoencoder(nn.Module):
    """Four convolutions with a stride, and four transposed ones back.

    Spectrograms, (n, n_bands, n_frames), lie between -1 and 1.
    """

    def __init__(self) -> None:
        super().__init__()
        padding = KERNEL_SIZE // 2
        self.encoder = nn.Sequential(
            *itertools.chain.from_iterable(
                (nn.Conv2d(i, o, KERNEL_SIZE, STRIDE, padding), nn.LeakyReLU(SLOPE))
                for i, o in itertools.pairwise((1, *CHANNELS))
            )
        )
        self.decoder = nn.Sequential(
            *itertools.chain.from_iterable(
                (
                    nn.ConvTranspose2d(i, o, KERNEL_SIZE, STRIDE, padding, output_padding=1),
                    nn.LeakyReLU(SLOPE),
                )
                for i, o in itertools.pairwise((CHANNELS[-1], *reversed(CHANNELS)))
            ),
            nn.Conv2d(CHANNELS[0], 1, KERNEL_SIZE, padding=padding),
            nn.Tanh(),
        )
        begin_as_keras(self)

    def encode(self, S: Tensor) -> Tensor:
        """Encode spectrograms: to (n, 128, n_bands / 16, n_frames / 16), rounded up."""
        codes: Tensor = self.encoder(S.unsqueeze(1))
        return codes

    def decode(self, codes: Tensor, n_bands: int, n_frames: int) -> Tensor:
        """Decode to spectrograms of a size, which is up to 15 bands and frames smaller."""
        whole: Tensor = self.decoder(codes)
        return whole[:, 0, :n_bands, :n_frames]

    def forward(self, S: Tensor) -> Tensor:
        """Encode spectrograms and decode them again."""
        return self.decode(self.encode(S), S.shape[1], S.shape[2])

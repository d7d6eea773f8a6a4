"""DeepSMOTE: synthetic mel spectrograms, drawn between the codes of an autoencoder.

The autoencoder learns from the part learnt from alone (recipe of paper 001: mean squared error,
Adam 0.0002, batches of 150, 150 epochs). Rows are drawn between its codes by Borderline-SMOTE2, and
decoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mertools.dataset.stored import Batches
from mertools.models.autoencoder import Autoencoder, find_range
from mertools.runtime.devices import training_precision
from mertools.training.oversample import Draws, ExtendedBatches, Ints, Oversampling, draw_rows

EPOCHS = 150
BATCH_SIZE = 150
LEARNING_RATE = 2e-4

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Scaling:
    """How spectrograms, (n, n_bands, n_frames), are brought to -1..1, each by its own range.

    middles and halves: (n, 1, 1).
    """

    middles: Images
    halves: Images

    @classmethod
    def fit(cls, S: Images) -> Scaling:
        """Find the range of each spectrogram; one without any is left at its middle."""
        middles, halves = find_range(torch.from_numpy(S))
        return cls(middles.numpy(), halves.numpy())

    def apply(self, S: Images) -> Images:
        """Bring the spectrograms to -1..1."""
        return (S - self.middles) / self.halves

    def undo_by_mean(self, scaled: Images) -> Images:
        """Bring others back, by the mean range: theirs is not known."""
        back: Images = (scaled * self.halves.mean() + self.middles.mean()).astype(np.float32)
        return back


def draw_spectrograms(
    wanted: Oversampling, S: Images, y: Ints, seed: int, device: str
) -> tuple[Images, Draws]:
    """Draw synthetic spectrograms like some, (n, n_bands, n_frames) of classes (n,); and how.

    `wanted.n_rows` are drawn of each class.
    """
    scaling = Scaling.fit(S)
    scaled = scaling.apply(S)
    autoencoder = fit_autoencoder(scaled, seed, device)
    with torch.inference_mode():
        codes = torch.cat([autoencoder.encode(part).cpu() for part in _batches(scaled, device)])
        flat = codes.flatten(1).numpy()
        borderline = replace(wanted, method="borderline-smote2", n_rows=wanted.n_of_class)
        draws = draw_rows(borderline, flat, y, seed)
        drawn = draws.apply(flat).reshape(-1, *codes.shape[1:])
        decoded = [autoencoder.decode(part).cpu().numpy() for part in _batches(drawn, device)]
    if not decoded:
        return S[:0], draws
    return scaling.undo_by_mean(np.concatenate(decoded)), draws


def fit_autoencoder(scaled: Images, seed: int, device: str) -> Autoencoder:
    """Fit the autoencoder to spectrograms between -1 and 1: (n, n_bands, n_frames)."""
    torch.manual_seed(seed)
    # In the order and precision of `loop.train`: a third of the time.
    autoencoder = Autoencoder([scaled.shape[1:]]).to(device)
    autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    is_mixed = training_precision(device) == "bfloat16"
    optimiser = torch.optim.Adam(autoencoder.parameters(), LEARNING_RATE, fused=True)
    for _ in range(EPOCHS):
        order = torch.randperm(len(scaled)).numpy()
        for rows in np.array_split(order, math.ceil(len(order) / BATCH_SIZE)):
            S = torch.tensor(scaled[rows], device=device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=is_mixed):
                decoded = autoencoder.decode(autoencoder.encode(S))
            loss = torch.nn.functional.mse_loss(decoded.float(), S)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return autoencoder


def _batches(images: Images, device: str) -> Iterator[torch.Tensor]:
    for begin in range(0, len(images), BATCH_SIZE):
        yield torch.tensor(images[begin : begin + BATCH_SIZE], device=device)


def extend_by_spectrograms(
    wanted: Oversampling,
    batches: Batches,
    n_rows: int,
    learn: Ints,
    y: Ints,
    seed: int,
    device: str,
) -> tuple[ExtendedBatches, Draws]:
    """Add synthetic rows to spectrograms that are learnt from, (n_learn,) with classes `y`.

    Their numbers begin at `n_rows`. Gives the batches and what was drawn.
    """
    S = np.concatenate([part for (part,) in batches.iterate(learn)]).astype(np.float32)
    drawn, draws = draw_spectrograms(wanted, S, y, seed, device)
    return ExtendedBatches(batches, n_rows, [drawn]), draws

"""What networks of frames over time have in common, initialised as Keras does.

The networks of paper 003 were built with TensorFlow 2.4, whose layers begin with other random
weights than torch's, and have one bias where torch's LSTM has two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.errors import UsageError
from mertools.models.layers import InputBranch, Standardise

STANDARDISATION = "zero mean and unit variance of each column over the training part's frames"
DENSE = (128, 128, 64)


class FrameBranch(InputBranch):
    """A branch that looks at one kind with frames: (n, n_frames, n_columns) to (n, 64).

    Columns are standardised over the frames of the training part, unless `standardise` is "no".
    """

    def __init__(self, n_columns: int, standardise: str) -> None:
        super().__init__()
        self.standardise = Standardise(n_columns)
        if standardise == "yes":
            self.statistics = ("standardise.mean", "standardise.scale")

    def fit_statistics(self, batches: Iterable[Sequence[NDArray[Any]]]) -> None:
        """Fit the standardisation of the columns."""
        self.standardise.fit(frames.transpose(0, 2, 1) for (frames,) in batches)

    def standardised(self, frames: Tensor) -> Tensor:
        """Standardise frames, as they are where nothing was fitted."""
        x: Tensor = self.standardise(frames.transpose(1, 2)).transpose(1, 2)
        return x


def frame_shape(shapes: Sequence[Sequence[int]], least: int = 1) -> tuple[int, int]:
    """Give the frames and columns of the one kind that a network looks at.

    Raises UsageError for several kinds, for one without frames, and for less than `least` of each.
    """
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise UsageError(
            "--kind", "is not one kind of frames by columns", "name one, such as mfcc or vggish"
        )
    n_frames, n_columns = shapes[0]
    if min(n_frames, n_columns) < least:
        raise UsageError(
            f"{n_frames} frames x {n_columns} columns",
            "are too few for two poolings",
            f"give at least {least} of each, or longer segments",
        )
    return n_frames, n_columns


def dense_layers(n_inputs: int) -> nn.Sequential:
    """Build the three dense layers before the last one: (n, n_inputs) to (n, 64)."""
    layers: list[nn.Module] = []
    for n_outputs in DENSE:
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
        n_inputs = n_outputs
    return nn.Sequential(*layers)


def initialise(module: nn.Module) -> None:
    """Set a layer's weights as Keras does: Glorot's uniform, biases 0 and an LSTM's forget bias 1.

    Other modules stay as they are. Of the two biases of torch's LSTM, the
    second is fixed at 0: Keras has one, and their sum is all that counts.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LSTM):
        weights = dict(module.named_parameters())
        nn.init.xavier_uniform_(weights["weight_ih_l0"])
        nn.init.orthogonal_(weights["weight_hh_l0"])
        # Torch's gates lie in the order input, forget, cell, output.
        forget = slice(module.hidden_size, 2 * module.hidden_size)
        nn.init.zeros_(weights["bias_ih_l0"])
        nn.init.ones_(weights["bias_ih_l0"][forget])
        nn.init.zeros_(weights["bias_hh_l0"]).requires_grad_(False)

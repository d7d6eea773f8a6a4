"""What networks have in common: their form, and bringing one back from its file."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.model_file import Card, Learnt
from mertools.errors import SchemaError, UsageError
from mertools.models.layers import SpectrogramBranch
from mertools.models.registry import find_model
from mertools.runtime.devices import find_device

SEGMENTS_AT_ONCE = 64


class Network(nn.Module):
    """A network whose last layer, `classifier`, gives the classes' logits.

    Built from the shape of one segment's features, for each of the kinds that the registry names,
    and the number of classes; the registry's `parameters` are keyword arguments.
    """

    form: ClassVar[Mapping[str, Any]]
    """What else there is to tell of the form in a model's card."""

    classifier: nn.Linear

    @abstractmethod
    def forward(self, *features: Tensor) -> Tensor:
        """Give logits: for each kind (n, *shape) to (n, n_classes)."""

    def image_branch(self) -> SpectrogramBranch | None:
        """Give the part that looks at mel spectrograms, where there is one."""
        return None

    def n_parameters(self) -> int:
        """Count what is learnt by gradients."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters())


Build = Callable[..., Network]


def architecture_of(network: Network, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Tell everything that fixes a network's form, for its card."""
    return {**parameters, **network.form, "n_parameters": network.n_parameters()}


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy all that a network has learnt, by name, to the processor."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that predicts."""

    network: Network
    device: torch.device

    def on_device(self, name: str) -> TrainedNetwork:
        """Take it to a device. Raises UsageError where that is not there."""
        device = torch.device(find_device(name))
        return TrainedNetwork(self.network.to(device), device)

    def posteriors(self, features: Sequence[Features]) -> NDArray[np.float64]:
        """Give each segment's posteriors: for each kind (n, *shape) to (n, n_classes)."""
        batches = [
            logits_of(self.network, [part[i : i + SEGMENTS_AT_ONCE] for part in features])
            for i in range(0, len(features[0]), SEGMENTS_AT_ONCE)
        ]
        posteriors: NDArray[np.float64] = torch.cat(batches).softmax(dim=1).numpy()
        return posteriors


def logits_of(network: Network, features: Sequence[Features]) -> Tensor:
    """Give some segments' logits: (n, n_classes) float64 on the processor."""
    network.eval()
    with torch.inference_mode():
        logits: Tensor = network(*to_tensors(features, network.classifier.weight.device))
    return logits.cpu().double()


def to_tensors(features: Sequence[Features], device: torch.device) -> list[Tensor]:
    """Take features to a device, as float32 there."""
    return [torch.tensor(part, device=device).float() for part in features]


def restore_network(build: Build, path: Path, card: Card, learnt: Learnt) -> TrainedNetwork:
    """Make a network's file, as `model_file.read_model` gives it, into a model that predicts.

    The network is built without weights, so that it has none but the file's.
    Raises SchemaError where those do not fit the card.
    """
    spec = find_model(card["model"])
    architecture = card["architecture"]
    kinds = tuple(feature["kind"] for feature in card["features"])
    try:
        if kinds != spec.feature_kinds:
            raise ValueError(f"it needs {', '.join(spec.feature_kinds)}, not {', '.join(kinds)}")
        parameters = {name: architecture[name] for name in spec.parameters}
        shapes = [feature["shape"] for feature in card["features"]]
        with torch.device("meta"):
            network = build(shapes, len(card["classes"]), **parameters)
        if architecture != architecture_of(network, parameters):
            raise ValueError("its architecture is another one than this program's")
        _check_weights(network, learnt)
        weights = {name: torch.tensor(array) for name, array in learnt.items()}
        network.load_state_dict(weights, assign=True)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, UsageError) as error:
        raise SchemaError(
            path,
            f"holds no {spec.name} network as mer train {spec.name} makes it "
            f"({type(error).__name__}: {error})",
            "train the model again",
        ) from None
    return TrainedNetwork(network.eval(), torch.device("cpu"))


def _check_weights(network: Network, learnt: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError where a weight is missing, too many, of another shape, or not finite."""
    expected = network.state_dict()
    for name in sorted(expected.keys() | learnt.keys()):
        if name not in learnt:
            raise ValueError(f"the weight {name} is missing")
        if name not in expected:
            raise ValueError(f"there is no weight {name}")
        found, shape = learnt[name], tuple(expected[name].shape)
        if found.shape != shape:
            raise ValueError(f"{name} has shape {found.shape}, not {shape}")
        dtype = str(expected[name].dtype).removeprefix("torch.")
        if found.dtype.name != dtype:
            raise ValueError(f"{name} is of type {found.dtype.name}, not {dtype}")
        if not np.isfinite(found).all():
            raise ValueError(f"{name} is not finite")

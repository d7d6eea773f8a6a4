"""What networks have in common: branches and a last layer, predicting, and coming from a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import Features
from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError, UsageError
from mertools.models.layers import InputBranch, SelfAttention
from mertools.models.model import are_numbers, scale_numbers
from mertools.models.registry import Value, find_architecture
from mertools.runtime.devices import find_device
from mertools.targets.scale import Target

BATCH_SIZE = 64
"""Segments that are predicted together."""

LAST_LAYER = "classifier"
NOTHING_FROZEN = "S0"
"""The scenario of paper 000 in which all weights are learnt."""


class Network(nn.Module):
    """A network of named branches, whose last layer, `classifier`, gives the outputs.

    Outputs are the logits of classes, or numbers mapped to 0..1, one a target. A network is built
    from the shape of one segment's features, for each kind that its branches look at, the number of
    outputs, and its parameters by name.
    """

    form: ClassVar[Mapping[str, Any]] = {}
    """What else a model's card says of the network's form."""

    classifier: nn.Linear
    hidden: nn.Module
    """What lies between the branch and the last layer, in a network of one branch."""

    @property
    def branches(self) -> dict[str, InputBranch]:
        """The branches by their attributes' names, which are those that the registry has."""
        children = self.named_children()
        return {name: child for name, child in children if isinstance(child, InputBranch)}

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a row."""
        return self.classifier.out_features

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def embed(self, *features: Tensor) -> Tensor:
        """Give what the last layer looks at: for each kind (n, *shape) to (n, size).

        A network of several branches has a method of its own.
        """
        (branch,) = self.branches.values()
        embedding: Tensor = self.hidden(branch(*features))
        return embedding

    def forward(self, *features: Tensor) -> Tensor:
        """Give outputs: for each kind (n, *shape) to (n, n_outputs)."""
        outputs: Tensor = self.classifier(self.embed(*features))
        return outputs

    def describe(self) -> dict[str, Any]:
        """Say what a model's card says of the form, beside the parameters."""
        return dict(self.form)

    def n_parameters(self) -> int:
        """Count what is learnt by gradients."""
        return sum(
            math.prod(parameter.shape) for parameter in self.parameters() if parameter.requires_grad
        )


Build = Callable[..., Network]


def describe_form(network: Network, parameters: Mapping[str, Value]) -> dict[str, Any]:
    """Say everything that fixes a network's form, for its card."""
    return {**parameters, **network.describe(), "n_parameters": network.n_parameters()}


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """Copy all that a network has learnt, by name, to the processor."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that predicts."""

    network: Network
    targets: tuple[Target, ...]
    device: torch.device

    def on_device(self, name: str) -> TrainedNetwork:
        """Take it to a device. Raises UsageError where that is not there."""
        device = torch.device(find_device(name))
        return TrainedNetwork(self.network.to(device), self.targets, device)

    def predict(self, features: Sequence[Features]) -> NDArray[np.float64]:
        """Predict segments: for each kind (n, *shape) to (n, n_outputs)."""
        batches = [
            compute_outputs(self.network, [part[i : i + BATCH_SIZE] for part in features])
            for i in range(0, len(features[0]), BATCH_SIZE)
        ]
        return finish_outputs(torch.cat(batches), self.targets)

    def embed(self, features: Sequence[Features], branch: str | None) -> NDArray[np.float32]:
        """Give what the last layer looks at, or what a branch gives: (n, size).

        `branch` names one of the network's branches, or a layer within one; `features` are those of
        all its branches.
        """
        parts = []
        with torch.inference_mode():
            for i in range(0, len(features[0]), BATCH_SIZE):
                tensors = to_tensors([part[i : i + BATCH_SIZE] for part in features], self.device)
                parts.append(self._embed(tensors, branch).float().cpu())
        embedding: NDArray[np.float32] = torch.cat(parts).flatten(1).numpy()
        return embedding

    def _embed(self, tensors: Sequence[Tensor], branch: str | None) -> Tensor:
        if branch is None:
            return self.network.embed(*tensors)
        seen: list[Tensor] = []
        module = self._find_layer(branch)
        # A branch sees only its own inputs inside the network, so it is listened to there.
        hook = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            self.network.embed(*tensors)
        finally:
            hook.remove()
        return seen[0]

    def has_layer(self, name: str | None) -> bool:
        """Return whether there is such a branch, or layer within one; None is the last layer."""
        try:
            return name is None or bool(self._find_layer(name))
        except AttributeError:
            return False

    def _find_layer(self, name: str) -> nn.Module:
        branch, _, within = name.partition(".")
        return self.network.branches[branch].get_submodule(within)

    @cached_property
    def attending_branch(self) -> str | None:
        """The branch that attends to some frames more than to others; None where none does."""
        return next((name for name, _ in self._attentions()), None)

    def attend(self, features: Sequence[Features]) -> NDArray[np.float64]:
        """Give how much the branch attends to each frame, the mean of its heads: (n, n_frames).

        A row's sum to 1.
        """
        branch, layer = next(self._attentions())
        weights = self.embed(features, f"{branch}.{layer}").astype(np.float64)
        heads = cast(SelfAttention, self._find_layer(f"{branch}.{layer}")).heads.out_features
        means: NDArray[np.float64] = weights.reshape(len(weights), heads, -1).mean(axis=1)
        return means

    def _attentions(self) -> Iterator[tuple[str, str]]:
        """Yield the layers that attend over time: their branches, and their names within these."""
        for branch, module in self.network.branches.items():
            for name, layer in module.named_modules():
                if isinstance(layer, SelfAttention):
                    yield branch, name

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all weights, by name."""
        return {name: weight.numpy() for name, weight in copy_weights(self.network).items()}


def finish_outputs(outputs: Tensor, targets: Sequence[Target]) -> NDArray[np.float64]:
    """Turn outputs, (n, n_outputs), into posteriors, or into numbers on the targets' scales."""
    if are_numbers(targets):
        return scale_numbers(outputs.double().numpy(), targets)
    posteriors: NDArray[np.float64] = outputs.double().softmax(dim=1).numpy()
    return posteriors


def compute_outputs(network: Network, features: Sequence[Features]) -> Tensor:
    """Give some segments' outputs: (n, n_outputs) float64 on the processor."""
    network.eval()
    with torch.inference_mode():
        outputs: Tensor = network(*to_tensors(features, network.device))
    return outputs.cpu().double()


def to_tensors(features: Sequence[Features], device: torch.device) -> list[Tensor]:
    """Take features to a device, as float32 there; integers stay what they are."""
    tensors = (torch.tensor(part, device=device) for part in features)
    return [tensor.float() if tensor.is_floating_point() else tensor for tensor in tensors]


def restore_network(build: Build, path: Path, card: ModelCard, learnt: Learnt) -> TrainedNetwork:
    """Make a network's file, as `model_file.read_model` gives it, into a model that predicts.

    The network is built without weights, so that it has none but the file's.
    Raises SchemaError where those do not fit the card.
    """
    architecture = find_architecture(card.architecture)
    # Cards of before a parameter was added are of its default.
    form = {**architecture.defaults, **card.form}
    try:
        if not architecture.takes_others and card.kinds != architecture.kinds:
            needed = ", ".join(architecture.kinds)
            raise ValueError(f"it needs {needed}, not {', '.join(card.kinds)}")
        parameters = {name: form[name] for name in architecture.defaults}
        shapes = [needed.shape for needed in card.inputs]
        # Built on no device: a card that asks for too large a network takes no memory.
        with torch.device("meta"):
            network = build(shapes, card.n_outputs, **parameters)
        expected = describe_form(network, parameters)
        frozen = card.training.get("parameters", {}).get("freeze", NOTHING_FROZEN)
        if frozen != NOTHING_FROZEN and form["n_parameters"] < expected["n_parameters"]:
            # The card counts what was learnt, and a network is built with all of it to learn.
            expected["n_parameters"] = form["n_parameters"]
        if form != expected:
            raise ValueError("its architecture is another one than this program's")
        check_weights(network, learnt)
        weights = {name: torch.tensor(array) for name, array in learnt.items()}
        network.load_state_dict(weights, assign=True)
        for branch in network.branches.values():
            branch.finish_loading()
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, UsageError) as error:
        raise SchemaError(
            path,
            f"holds no {architecture.name} network as mer train {architecture.name} makes it "
            f"({type(error).__name__}: {error})",
            "train the model again",
        ) from None
    return TrainedNetwork(network.eval(), card.targets, torch.device("cpu"))


def check_weights(network: nn.Module, learnt: Mapping[str, NDArray[Any]]) -> None:
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

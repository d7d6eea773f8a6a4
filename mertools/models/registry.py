"""The models that can be trained: what each learns from, and the modules that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType

from mertools.errors import UsageError

ARRAYS_SUFFIX = ".safetensors"
NETWORK_TRAINER = "mertools.training.search"

NOTES = ("onset", "contour", "note")
"""Basic Pitch's posteriorgrams, in the order in which they lie side by side."""


@dataclass(frozen=True)
class ModelSpec:
    """A model by its name; its modules are imported when they are asked for.

    `module` has `restore(path, card, learnt)`, which makes what `model_file.read_model` gives into
    something with `posteriors(features)`; `trainer` is the module of `mertools.training` that fits
    it. `feature_kinds` are those it learns from; an SVM or a kernel may be asked to learn from
    others. `suffix` is that of its file. `parameters` are what the form of a network can be asked
    for with, and their usual values.
    """

    name: str
    summary: str
    feature_kinds: tuple[str, ...]
    suffix: str
    module: str
    trainer: str
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_network(self) -> bool:
        """Tell whether it is made of torch."""
        return self.trainer == NETWORK_TRAINER

    def load_module(self) -> ModuleType:
        """Import the module that predicts."""
        return import_module(self.module)

    def load_trainer(self) -> ModuleType:
        """Import the module that trains."""
        return import_module(self.trainer)


MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "svm",
            "support vector machine with an RBF kernel and calibrated posteriors",
            ("handcrafted",),
            ".skops",
            "mertools.models.svm",
            "mertools.training.svm",
        ),
        ModelSpec(
            "kernel",
            "kernel ridge regression of the annotators' distributions on several kinds of feature",
            ("musicnn", "tonal"),
            ARRAYS_SUFFIX,
            "mertools.models.kernel",
            "mertools.training.kernel",
        ),
        ModelSpec(
            "cnn",
            "convolutional network that looks at mel spectrograms",
            ("mel",),
            ARRAYS_SUFFIX,
            "mertools.models.cnn",
            NETWORK_TRAINER,
        ),
        ModelSpec(
            "lstm",
            "recurrent network with self-attention that looks at transcribed notes",
            NOTES,
            ARRAYS_SUFFIX,
            "mertools.models.lstm",
            NETWORK_TRAINER,
            {"heads": 8},
        ),
        ModelSpec(
            "dual",
            "Dual-Stream: the convolutional and the recurrent network side by side",
            ("mel", *NOTES),
            ARRAYS_SUFFIX,
            "mertools.models.dual",
            NETWORK_TRAINER,
            {"heads": 8},
        ),
    )
}


def find_model(name: str) -> ModelSpec:
    """Find a model by its name.

    Raises UsageError where there is none.
    """
    if name not in MODELS:
        raise UsageError(name, "is no model", f"choose from {', '.join(MODELS)}")
    return MODELS[name]

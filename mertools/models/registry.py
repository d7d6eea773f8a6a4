"""The models that can be trained: what each learns from, and the modules that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from mertools.errors import UsageError


@dataclass(frozen=True)
class ModelSpec:
    """A model by its name; its modules are imported when they are asked for.

    `module` has `restore(path, card, learnt)`, which makes what `model_file.read_model` gives
    into something with `posteriors(X)`; `trainer` is the module of `mertools.training` that fits
    it. `feature_kinds` are those it learns from unless others are asked for, and `suffix` that of
    its file.
    """

    name: str
    summary: str
    feature_kinds: tuple[str, ...]
    suffix: str
    module: str
    trainer: str

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
    )
}


def find_model(name: str) -> ModelSpec:
    """Find a model by its name.

    Raises UsageError where there is none.
    """
    if name not in MODELS:
        raise UsageError(name, "is no model", f"choose from {', '.join(MODELS)}")
    return MODELS[name]

from __future__ import annotations

import pytest

from mertools.errors import UsageError
from mertools.models.registry import MODELS, find_model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_its_modules(name):
    spec = find_model(name)
    assert callable(spec.load_module().restore)
    assert spec.load_trainer().__name__ == spec.trainer
    assert spec.suffix.startswith(".")
    assert spec.feature_kinds


def test_a_model_that_does_not_exist_names_those_that_do():
    with pytest.raises(UsageError, match="svmm: is no model: choose from svm"):
        find_model("svmm")

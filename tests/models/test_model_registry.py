from __future__ import annotations

from dataclasses import replace

import pytest

from mertools.errors import UsageError
from mertools.models.registry import (
    ARCHITECTURES,
    OF_CLASSES,
    find_architecture,
    parameter_defaults,
)
from mertools.targets.scale import Classes, Range, Target
from mertools.training.recipes import parameters_of

CLASSES = Target("arousal", Classes(("weak", "strong")))
NUMBER = Target("valence", Range(1, 9))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_its_module(name):
    row = find_architecture(name)
    module = row.load_module()
    assert callable(module.restore)
    for function in ("build",) if row.is_network else ("fit", "try_points", "describe_form"):
        assert callable(getattr(module, function))
    assert row.suffix.startswith(".")
    assert row.kinds
    assert len({branch.name for branch in row.branches}) == len(row.branches)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_usual_value_and_every_value_to_try_makes_sense(name):
    for parameter in parameters_of(find_architecture(name)):
        for value in (parameter.default, *parameter.grid, *(parameter.span or ())):
            parameter.check(value)


@pytest.mark.parametrize(
    "name", [name for name, row in ARCHITECTURES.items() if row.has_targets and row.predicts]
)
def test_classes_and_numbers_are_learnt_as_the_scale_suggests(name):
    row = find_architecture(name)
    assert row.choose_objective(CLASSES, None) in OF_CLASSES
    assert row.choose_objective(NUMBER, None) == "mse"
    assert row.choose_objective(NUMBER, "mae") == "mae"
    with pytest.raises(UsageError, match="choose from mse, mae"):
        row.choose_objective(NUMBER, "hard")
    with pytest.raises(UsageError, match=r"--objective mse: is not for .* that is ordered"):
        row.choose_objective(CLASSES, "mse")
    only_classes = replace(row, objectives=OF_CLASSES)
    with pytest.raises(UsageError, match=r"is 1\.\.9, which .* does not learn"):
        only_classes.choose_objective(NUMBER, None)


def test_usual_values_may_follow_the_number_of_columns():
    svm = find_architecture("svm")
    assert parameter_defaults(svm.parameters, 100) == {"C": 1.0, "gamma": 0.005}


def test_an_architecture_that_does_not_exist_names_those_that_do():
    with pytest.raises(UsageError, match="svmm: is no model: did you mean svm"):
        find_architecture("svmm")

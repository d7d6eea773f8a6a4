"""The Siamese network: its size, its losses in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mertools.models.siamese import build
from mertools.training.pairs import contrastive, info_nce


def test_as_many_parameters_as_the_recipe_says() -> None:
    with torch.device("meta"):
        network = build([(512,), (768,)], {})
        tower = {"variant": "M2", "floor": "corpus", "scaling": "unit"}
        with_tower = build([(128, 1292), (768,)], tower)
    assert network.describe({}, {})["n_parameters"] == 172_352
    # The tower of the trained network stays as it is.
    assert with_tower.describe({}, tower)["n_parameters"] == 172_352


def test_similarity_is_of_vectors_of_length_one() -> None:
    network = build([(5,), (7,)], {})
    for embedded in (
        network.embed_sound(torch.randn(3, 5)),
        network.embed_lyrics(torch.ones(3, 7)),
    ):
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
        assert embedded.shape == (3, 64)


def test_contrastive_loss_in_closed_form() -> None:
    angles = torch.tensor([0.3, 1.0, 0.0])
    one = torch.tensor([[1.0, 0.0]] * 3)
    turned = torch.stack([angles.cos(), angles.sin()], dim=1)
    near = 2 - 2 * angles.cos()
    far = (1 - near.clamp(min=1e-12).sqrt()).clamp(min=0) ** 2
    expected = float((near.sum() + far.sum()) / 6)
    assert float(contrastive(one, turned, one, turned)) == pytest.approx(expected, abs=1e-6)
    opposite = contrastive(one, one, one, -one)
    assert float(opposite) == 0
    # Equal vectors are as wrong as can be, and yet have a gradient that is a number.
    weights = one.clone().requires_grad_()
    contrastive(one, one, weights, one).backward()
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()


def test_info_nce_in_closed_form() -> None:
    sound = torch.eye(3)
    texts = np.array([0, 1, 2])
    expected = math.log(math.exp(1 / 0.5) + 2) - 1 / 0.5
    assert float(info_nce(sound, sound, texts, 0.5)) == pytest.approx(expected, abs=1e-6)
    # The same words as one's own are no wrong answer.
    twins = info_nce(sound, sound, np.array([0, 0, 1]), 0.5)
    one_less = math.log(math.exp(1 / 0.5) + 1) - 1 / 0.5
    assert float(twins) == pytest.approx((2 * one_less + expected) / 3, abs=1e-6)

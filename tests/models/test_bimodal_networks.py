"""The networks of paper 004: sizes, decibels, attention and what stands for missing words."""

from __future__ import annotations

import json
from typing import Any

import librosa
import numpy as np
import pytest
import torch

from mertools.errors import UsageError
from mertools.models.network import Network
from mertools.models.registry import find_architecture
from mertools.models.text_encoder import TextEncoder
from mertools.models.vgg import Attention, CorpusDecibels

CLIP = (128, 1292)
SMALL = (32, 40)
BERT = (768,)
TOKENS = (512,)


def build(name: str, *shapes: tuple[int, ...], **changed: Any) -> Network:
    architecture = find_architecture(name)
    parameters = {**architecture.defaults, **changed}
    torch.manual_seed(0)
    network: Network = architecture.load_module().build(shapes, 2, **parameters)
    return network


@pytest.mark.parametrize(
    ("variant", "tower", "fused"),
    [
        ("M1", 1_697_600, 1_804_482),
        ("M2", 1_699_520, 1_806_402),
        ("M3", 1_701_648, 1_808_530),
        ("M4", 4_868_928, 4_975_810),
    ],
)
def test_as_many_parameters_as_the_recipe_says(variant: str, tower: int, fused: int) -> None:
    with torch.device("meta"):
        vgg = build("vgg", CLIP, variant=variant)
        both = build("bimodal", CLIP, BERT, variant=variant)
    assert vgg.n_parameters() == tower + 64 * 2 + 2
    assert both.n_parameters() == fused
    # The tower of one is that of the other, weight by weight: a recipe may train it first.
    expected = {name: weight.shape for name, weight in vgg.branches["sound"].state_dict().items()}
    found = {name: weight.shape for name, weight in both.branches["sound"].state_dict().items()}
    assert found == expected


def test_bert_learnt_along_has_as_many_parameters_as_the_recipe_says() -> None:
    transformers = pytest.importorskip("transformers", reason="the extra lyrics is not installed")
    config = transformers.BertConfig()
    encoder = TextEncoder(json.dumps(config.to_dict()).encode(), b"{}")
    with torch.device("meta"):
        network = build("bimodal", CLIP, TOKENS, variant="M3", encoder=encoder)
    of_encoder = sum(weight.numel() for weight in network.branches["lyrics"].pretrained())
    assert of_encoder == 109_482_240
    assert network.n_parameters() == 111_290_770
    assert all(weight.is_meta for weight in network.parameters())  # it takes no memory


@pytest.mark.parametrize(
    ("at", "more"), [("none", 0), ("64", 2128), ("256", 33_088), ("512", 131_712)]
)
def test_attention_can_be_anywhere(at: str, more: int) -> None:
    with torch.device("meta"):
        plain = build("vgg", CLIP, variant="M2")
        weighed = build("vgg", CLIP, variant="M3", **{"attention.at": at})
    assert weighed.n_parameters() - plain.n_parameters() == more


def test_attention_is_what_the_recipe_says() -> None:
    attention = Attention(64)
    inner, _, outer, _ = attention.weights
    x = torch.randn(3, 64)
    hidden = torch.clamp(x @ inner.weight.T + inner.bias, min=0)
    expected = x * torch.sigmoid(hidden @ outer.weight.T + outer.bias)
    torch.testing.assert_close(attention(x), expected)
    assert inner.out_features == 16


@pytest.mark.parametrize(
    ("variant", "last"), [("M1", (512, 8, 80)), ("M2", (512, 16, 161)), ("M4", (512, 16, 161))]
)
def test_maps_have_the_sizes_of_the_paper(variant: str, last: tuple[int, ...]) -> None:
    shapes = []
    with torch.device("meta"):
        sound: Any = build("vgg", CLIP, variant=variant).branches["sound"]
        x = torch.zeros(1, 1, *CLIP)
        for block in sound.blocks:
            x = block(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(64, 64, 646), (128, 32, 323), (256, 16, 161), last]


def test_decibels_are_relative_to_the_loudest_cell_of_the_training_part() -> None:
    power = 13_400.846
    cells = 10 * np.log10(np.maximum([power, 1e-8 * power, 1e-5 * power, 0.0], 1e-10))
    S = cells.astype(np.float32).reshape(1, 1, 4)
    raw = CorpusDecibels("corpus", "none")
    raw.fit([S, S - 20])
    assert cells[3] - cells[0] == pytest.approx(-141.3, abs=0.03)
    np.testing.assert_allclose(raw(torch.tensor(S))[0, 0], [0, -80, -50, -80], atol=1e-4)
    unit = CorpusDecibels("corpus", "unit")
    unit.fit([S])
    np.testing.assert_allclose(unit(torch.tensor(S))[0, 0], [1, 0, 0.375, 0], atol=1e-5)
    # Other music may be louder than all that was learnt from: it is clipped, too.
    assert float(unit(torch.tensor(S + 30)).max()) == 1


def test_the_floor_of_each_track_is_that_of_librosa() -> None:
    rng = np.random.default_rng(0)
    power = 10.0 ** rng.uniform(-9, 1, size=(16, 20))
    S = 10 * np.log10(power).astype(np.float32)
    decibels = CorpusDecibels("track", "none")
    decibels.fit([np.float32(S.max() + 25)[None]])
    expected = librosa.power_to_db(power, ref=power.max() * 10**2.5, amin=1e-12, top_db=80)
    found = decibels(torch.tensor(S)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.min() < -80  # below the padding that the paper adds
    padded = np.concatenate([S, np.full((16, 3), -100, np.float32)], axis=1)
    np.testing.assert_allclose(decibels(torch.tensor(padded)[None])[0, :, -3:], -80)


@pytest.mark.parametrize("variant", ["M1", "M2"])
def test_too_small_a_spectrogram_is_named(variant: str) -> None:
    with pytest.raises(UsageError, match=r"too small an image for [34] poolings"):
        build("vgg", (128, 7), variant=variant)


def test_the_head_sees_zeros_where_words_are_missing() -> None:
    network = build("bimodal", SMALL, (12,)).eval()
    S, words = torch.randn(2, *SMALL), torch.randn(2, 12)
    heard = network.branches["sound"](S)
    head: Any = network.head
    expected = network.classifier(head(torch.cat([heard, torch.zeros(2, 12)], dim=1)))
    torch.testing.assert_close(network(S, torch.zeros(2, 12)), expected)
    assert not torch.allclose(network(S, words), expected)


@pytest.mark.parametrize("modality", ["audio", "lyrics"])
def test_a_modality_that_is_left_out_changes_nothing(modality: str) -> None:
    network = build("bimodal", SMALL, (12,), modality=modality).eval()
    S, other_S = torch.randn(2, 1, *SMALL)
    words, other_words = torch.randn(2, 1, 12)
    given = network(S, words)
    by_sound, by_words = network(other_S, words), network(S, other_words)
    assert torch.equal(given, by_words) == (modality == "audio")
    assert torch.equal(given, by_sound) == (modality == "lyrics")


def test_rows_lose_their_words_in_training_only() -> None:
    network = build("bimodal", SMALL, (12,), lyrics_dropout=0.3)
    branch, words = network.branches["lyrics"], torch.ones(2000, 12)
    lost = (branch(words) == 0).all(dim=1)
    assert torch.equal(branch.eval()(words), words)
    assert 0.25 < lost.float().mean() < 0.35
    assert set(branch.train()(words).sum(dim=1).tolist()) == {0.0, 12.0}

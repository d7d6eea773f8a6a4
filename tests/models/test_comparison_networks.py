"""The networks of papers 001 and 002: sizes, shapes, and layers against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mertools.errors import UsageError
from mertools.models.keras_layers import SameConv2d
from mertools.models.network import Network
from mertools.models.registry import find_architecture
from mertools.training.recipes import read_recipe

CLIP = (128, 942)
CHUNK = (128, 116)


def build(name: str, *shapes: tuple[int, ...], n_outputs: int = 4, **changed: Any) -> Network:
    architecture = find_architecture(name)
    parameters = {**architecture.defaults, **changed}
    torch.manual_seed(0)
    network: Network = architecture.load_module().build(shapes, n_outputs, **parameters)
    return network


@pytest.mark.parametrize(
    ("name", "shape", "changed", "expected"),
    [
        ("choi", CLIP, {}, 621_264),
        ("choi", CLIP, {"fourth_norm": "yes"}, 621_296),
        ("cnn-gru", CLIP, {}, 261_051),
        ("cnn-gru", CLIP, {"gru.steps": 1, "gru.hidden": 2000}, 48_666_939),
        ("crnn", CLIP, {}, 392_582),
        # Choi's with four classes in the stead of fifty tags: 396,786 with those.
        ("crnn", (96, 1366), {"variant": "choi"}, 396_786 - 46 * 33),
        ("artist", (128, 129), {}, 264_448 + 1_028),
        ("dnn", (1714,), {}, 1_041_732),
        ("dnn", (100,), {}, 231_504),
        ("short-chunk", CHUNK, {}, 12_080_646),
        ("sample-cnn", (59_049,), {}, 1_846_276),
        ("autoencoder", CLIP, {}, 948_481),
    ],
)
def test_as_many_parameters_as_the_recipe_says(
    name: str, shape: tuple[int, ...], changed: dict[str, Any], expected: int
) -> None:
    with torch.device("meta"):
        assert build(name, shape, **changed).n_parameters() == expected


def test_the_parts_of_the_hybrid_are_as_large_as_the_recipe_says() -> None:
    with torch.device("meta"):
        network: Any = build("hybrid", CLIP, (900,), (814,))
        choi, dnn = build("choi", CLIP, fourth_norm="yes"), build("dnn", (1714,))
    of_head = sum(
        weight.numel()
        for module in (network.head, network.classifier)
        for weight in module.parameters()
    )
    assert of_head == 101_504
    network.vectors.requires_grad_(False)
    assert network.n_parameters() == 721_596
    # The branches are those of the networks that a recipe trains first, weight by weight.
    for branch, part in (("spectrogram", choi), ("vectors", dnn)):
        expected = {k: w.shape for k, w in part.branches[branch].state_dict().items()}
        assert {k: w.shape for k, w in network.branches[branch].state_dict().items()} == expected


NETWORKS: dict[str, tuple[int, ...]] = {
    "choi": CLIP,
    "cnn-gru": CLIP,
    "crnn": CLIP,
    "artist": (128, 129),
    "dnn": (100,),
    "short-chunk": CHUNK,
    "sample-cnn": (59_049,),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_does_not_depend_on_the_others(name: str) -> None:
    network = build(name, NETWORKS[name], n_outputs=3).eval()
    x = torch.randn(3, *NETWORKS[name])
    with torch.inference_mode():
        together = network(x)
        assert together.shape == (3, 3)
        torch.testing.assert_close(network(x[1:2]), together[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_is_learnt(name: str) -> None:
    network = build(name, NETWORKS[name]).train()
    network(torch.randn(4, *NETWORKS[name])).square().sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert not without


def test_maps_are_of_the_sizes_that_the_recipe_lists() -> None:
    network = build("choi", CLIP)
    sizes = []
    for block in network.spectrogram.blocks:  # type: ignore[union-attr, operator]
        block.register_forward_hook(lambda m, i, output: sizes.append(tuple(output.shape[2:])))
    network(torch.zeros(1, *CLIP))
    assert sizes == [(469, 62), (233, 29), (77, 13), (25, 5)]


def test_choi_is_the_listing_of_its_recipe() -> None:
    """The recipe's lines written as plain layers, with our weights, give the same outputs."""
    ours = build("choi", CLIP, fourth_norm="yes", dropout=0.3)
    pools = ((2, 2), (2, 2), (3, 2), (3, 2))
    layers: list[nn.Module] = []
    for number, pool in enumerate(pools):
        layers += [
            nn.Conv2d(16 if number else 1, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(pool, ceil_mode=True),
            nn.BatchNorm2d(16, eps=1e-3, momentum=0.01),
            *([nn.Dropout(0.1)] if number < 3 else []),
        ]
    layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(2000, 300), nn.ReLU(), nn.Linear(300, 4)]
    listing = nn.Sequential(*layers)
    listing.load_state_dict(
        dict(zip(listing.state_dict(), ours.state_dict().values(), strict=True))
    )
    S = torch.randn(2, *CLIP)
    for training in (True, False):
        torch.manual_seed(1)
        expected = listing.train(training)(S.transpose(1, 2)[:, None])
        torch.manual_seed(1)
        torch.testing.assert_close(ours.train(training)(S), expected, rtol=1e-4, atol=1e-4)


def test_sizes_on_the_way_of_the_crnn() -> None:
    branch: Any = build("crnn", (96, 1813)).spectrogram
    seen = []
    branch.gru.register_forward_hook(lambda m, i, output: seen.append(tuple(output[0].shape)))
    branch(torch.zeros(2, 96, 1813))
    assert seen == [(2, 18, 32)]  # Won's 18 steps


def test_a_short_chunk_ends_in_one_cell_and_a_waveform_in_one_sample() -> None:
    sizes = []
    for name in ("short-chunk", "sample-cnn"):
        network = build(name, NETWORKS[name])
        branch: Any = next(iter(network.branches.values()))
        branch.blocks[-1].register_forward_hook(lambda m, i, output: sizes.append(output.shape[2:]))
        network.eval()(torch.zeros(1, *NETWORKS[name]))
    assert [tuple(size) for size in sizes] == [(1, 1), (1,)]


def test_steps_of_a_sequence_divide_its_frames() -> None:
    branch: Any = build("cnn-gru", CLIP, **{"gru.steps": 5}).branches["spectrogram"]
    assert branch.steps == 5
    with pytest.raises(UsageError, match="does not divide 25 frames"):
        build("cnn-gru", CLIP, **{"gru.steps": 7})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("choi", (128, 60)),
        ("crnn", (90, 942)),
        ("sample-cnn", (59_048,)),
        ("artist", (128, 127)),
    ],
)
def test_too_small_an_input_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"too s|at least"):
        build(name, shape)


def test_weights_begin_as_in_keras() -> None:
    network = build("choi", CLIP)
    branch: Any = network.branches["spectrogram"]
    convolution = branch.blocks[1][0]
    assert convolution.weight.std().item() == pytest.approx(np.sqrt(2 / (16 * 25)), rel=0.05)
    dense = branch.embedding[1]
    assert dense.weight.abs().max().item() == pytest.approx(np.sqrt(6 / 2300), rel=0.01)
    assert not network.classifier.bias.any()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2), (5, 4)])
def test_a_bordered_convolution_is_a_padded_one(stride: int, size: tuple[int, int]) -> None:
    convolution = SameConv2d(8, 16, stride).double()
    x = torch.randn(3, 8, *size).double()
    expected = nn.functional.conv2d(x, convolution.weight, convolution.bias, stride, padding=1)
    torch.testing.assert_close(convolution(x), expected)
    convolution(x).square().sum().backward()
    if size == (1, 1):  # only the middle of a kernel meets anything
        gradient = convolution.weight.grad.clone()  # type: ignore[union-attr]
        gradient[:, :, 1, 1] = 0
        assert not gradient.any()


RECIPES = Path(__file__).resolve().parents[2] / "examples" / "comparison" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_of_the_comparison_can_be_read(path: Path) -> None:
    recipe = read_recipe(path, find_architecture(path.stem.removesuffix("-transfer")))
    assert recipe["class_weights"] == "none" or path.stem == "autoencoder"
    assert recipe["schedule"] == "none"
    assert {phase.weight_decay for phase in recipe.list_phases()} <= {0, 1e-4}


def test_the_recipe_of_the_crnn_transfer() -> None:
    recipe = read_recipe(RECIPES / "crnn-transfer.toml", find_architecture("crnn"))
    assert recipe["freeze"] == "spectrogram"
    phases = recipe.list_phases()
    assert [phase.optimiser for phase in phases] == ["adam", "sgd", "sgd", "sgd"]
    assert [phase.learning_rate for phase in phases] == [1e-3, 1e-4, 1e-5, 1e-6]
    begins = np.cumsum([0, *(phase.epochs for phase in phases)])
    assert begins.tolist() == [0, 80, 100, 120, 200]
    assert all(phase.nesterov and phase.momentum == 0.9 for phase in phases[1:])
    assert {phase.weight_decay for phase in phases} == {1e-4}


def test_the_common_recipe_of_paper_001() -> None:
    recipe = read_recipe(RECIPES / "choi.toml", find_architecture("choi"))
    (phase,) = recipe.list_phases()
    assert (phase.optimiser, phase.learning_rate, phase.momentum) == ("sgd", 0.01, 0)
    assert (recipe["batch_size"], phase.epochs) == (150, 200)
    assert (recipe["stop"], recipe["stop_accuracy"]) == ("training_accuracy", 0.9)


def test_the_autoencoder_scales_encodes_and_measures_its_error() -> None:
    network: Any = build("autoencoder", CLIP).eval()
    S = torch.rand(3, *CLIP) * torch.tensor([80.0, 10.0, 0.0])[:, None, None] - 60
    with torch.inference_mode():
        codes = network.embed(S)
        assert codes.shape == (3, 60_416)
        # Each spectrogram is scaled by its own range: neither level nor range changes its code.
        torch.testing.assert_close(network.embed(0.3 * S + 7), codes, atol=1e-4, rtol=1e-3)
        low, high = S.amin((1, 2), keepdim=True), S.amax((1, 2), keepdim=True)
        scaled = torch.where(high > low, 2 * (S - low) / (high - low).clamp(1e-9) - 1, 0)
        maps = network.encode(scaled)
        assert maps.shape == (3, 128, 8, 59)
        torch.testing.assert_close(maps.flatten(1), codes, atol=1e-4, rtol=1e-3)
        decoded = network.decode(maps)
        assert decoded.shape == S.shape
        assert decoded.abs().max() <= 1
        error = (decoded - scaled).square().mean((1, 2)).sqrt()
        torch.testing.assert_close(network(S)[:, 0], error, atol=1e-4, rtol=1e-3)
    # A silent clip is given back without an error, whose gradient is zero and no other.
    network(S).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())

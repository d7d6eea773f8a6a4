from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from mertools.artifacts.feature_rows import Cutting
from mertools.artifacts.model_card import Input, ModelCard
from mertools.artifacts.model_file import read_card_json, read_model, write_model
from mertools.errors import SchemaError, UsageError
from mertools.models.cnn import Cnn
from mertools.models.dual import Dual
from mertools.models.layers import SelfAttention
from mertools.models.lstm import Lstm
from mertools.models.network import Network, TrainedNetwork, copy_weights, describe_form
from mertools.models.registry import ARCHITECTURES
from mertools.prediction.predictor import load_predictor
from mertools.targets.scale import Classes, Range, Target

MEL = (128, 51)
NOTES = ((858, 88), (858, 264), (858, 88))
CLASSES = Target("arousal", Classes(("weak", "neutral", "strong")))


IMAGES = {
    "artist": (128, 129),
    "choi": (128, 96),
    "cnn-gru": (128, 96),
    "crnn": (96, 96),
    "hybrid": (128, 96),
    "short-chunk": (32, 16),
    "vgg": (32, 16),
    "bimodal": (32, 16),
}
"""The mel spectrograms that networks with many poolings need; others take smaller ones."""
FURTHER = {"handcrafted": (12,), "wave": (59_049,), "lyrics": (24,)}
"""Kinds without frames by columns."""


def shape_of(
    name: str, kind: str, image: tuple[int, ...], frames: tuple[int, ...]
) -> tuple[int, ...]:
    """Give a shape that a network can look at."""
    return IMAGES.get(name, image) if kind == "mel" else FURTHER.get(kind, frames)


@pytest.fixture(
    params=[
        # Its shortest input is 59,049 samples.
        pytest.param(spec.name, marks=[pytest.mark.slow] if spec.name == "sample-cnn" else [])
        for spec in ARCHITECTURES.values()
        if spec.family == "network" and spec.predicts
    ]
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Counted by hand from crib.md: convolutions and their norms, linear layers with biases; an LSTM has
# two biases for each of four gates, and two directions.
CONVOLUTIONS = sum(i * o * 25 + o + 2 * o for i, o in ((1, 32), (32, 64), (64, 128), (128, 256)))
EMBEDDING = 256 * 8 * 3 * 1024 + 1024


def sequence(heads: int) -> int:
    lstm = 2 * 4 * 128 * (440 + 128 + 2)
    return lstm + 256 * 128 + 128 * heads + 256 * heads * 256 + 256


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Cnn([MEL], 3), CONVOLUTIONS + EMBEDDING + 1024 * 256 + 256 + 256 * 3 + 3),
        (Lstm(NOTES, 3, heads=2), sequence(2) + 256 * 3 + 3),
        (Lstm(NOTES, 3, heads=16), sequence(16) + 256 * 3 + 3),
        (
            Dual([MEL, *NOTES], 2, heads=4),
            CONVOLUTIONS + EMBEDDING + sequence(4) + (1024 + 256) * 128 + 128 + 128 * 2 + 2,
        ),
    ],
)
def test_as_many_parameters_as_the_recipe_says(network: Network, expected: int) -> None:
    assert network.n_parameters() == expected


def test_the_listing_of_the_thesis_gives_the_same_logits() -> None:
    """Its code for the CNN, run beside ours with our weights; without the last LeakyReLU."""

    def block(i: int, o: int) -> nn.Module:
        layers = nn.Conv2d(i, o, kernel_size=5, stride=1, padding=2), nn.BatchNorm2d(o)
        return nn.Sequential(*layers, nn.LeakyReLU(), nn.MaxPool2d(kernel_size=2))

    listing = nn.Sequential(
        *(block(i, o) for i, o in ((1, 32), (32, 64), (64, 128), (128, 256))),
        nn.Flatten(),
        nn.Sequential(nn.Dropout(0.75), nn.Linear(6144, 1024), nn.LeakyReLU()),
        nn.Sequential(nn.Dropout(0.5), nn.Linear(1024, 256), nn.LeakyReLU()),
        nn.Sequential(nn.Dropout(0.2), nn.Linear(256, 3)),
    )
    ours = Cnn([MEL], 3)
    kept = {name: w for name, w in ours.state_dict().items() if "standardise" not in name}
    listing.load_state_dict(dict(zip(listing.state_dict(), kept.values(), strict=True)))
    S = torch.rand(2, *MEL)
    for training in (False, True):
        torch.manual_seed(1)
        expected = listing.train(training)(S[:, None])
        torch.manual_seed(1)
        torch.testing.assert_close(ours.train(training)(S), expected)


def test_attention_looks_at_frames_with_weights_that_add_up() -> None:
    weights = SelfAttention(256, 8)(torch.randn(3, 50, 256))
    assert weights.shape == (3, 8, 50)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 8))


def test_an_image_too_small_to_be_pooled_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        Cnn([(128, 15)], 3)


def features(name: str, n: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    shapes = [shape_of(name, kind, (64, 51), (429, 88)) for kind in ARCHITECTURES[name].kinds]
    parts = [rng.random((n, *shape), np.float32) for shape in shapes]
    # What is louder than all of the training part is clipped, so decibels lie below it.
    return [-80 * parts[0], *parts[1:]] if name in ("vgg", "bimodal") else parts


def test_posteriors_do_not_depend_on_what_else_is_predicted(name: str) -> None:
    parts = features(name, 70)
    shapes = [part.shape[1:] for part in parts]
    form = ARCHITECTURES[name].defaults
    torch.manual_seed(0)
    network = ARCHITECTURES[name].load_module().build(shapes, 3, **form)
    model = TrainedNetwork(network, (CLASSES,), torch.device("cpu"))
    together = model.predict(parts)
    assert together.shape == (70, 3)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    for i in (0, 35, 69):
        alone = model.predict([part[i : i + 1] for part in parts])
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=2e-6)


def test_the_sequence_branch_alone_attends_over_time(name: str) -> None:
    parts = features(name, 3)
    spec = ARCHITECTURES[name]
    network = spec.load_module().build([part.shape[1:] for part in parts], 3, **spec.defaults)
    model = TrainedNetwork(network.eval(), (CLASSES,), torch.device("cpu"))
    assert model.attending_branch == ("sequence" if name in ("lstm", "dual") else None)
    if model.attending_branch is None:
        return
    with torch.no_grad():
        notes = torch.cat([torch.from_numpy(part) for part in parts[-3:]], dim=2)
        states, _ = network.sequence.lstm(notes)
        expected = network.sequence.attention(states).mean(dim=1)
    np.testing.assert_allclose(model.attend(parts), expected, atol=1e-6)


def test_numbers_lie_on_their_targets_scales(name: str) -> None:
    """The outputs are 0..1 of each scale, clipped to its ends."""
    parts = features(name, 70)
    targets = (Target("valence", Range(1, 9)), Target("arousal", Range(-1, 1)))
    torch.manual_seed(0)
    spec = ARCHITECTURES[name]
    network = spec.load_module().build([part.shape[1:] for part in parts], 2, **spec.defaults)
    with torch.no_grad():
        # Outputs of 0.5 on average and a deviation of 1: some lie beyond either end.
        network.classifier.bias.zero_()
        drawn = network.eval()(*(torch.from_numpy(part) for part in parts))
        spread = drawn.std(dim=0)
        network.classifier.weight.div_(spread[:, None])
        network.classifier.bias.copy_(0.5 - drawn.mean(dim=0) / spread)
    model = TrainedNetwork(network, targets, torch.device("cpu"))
    numbers = model.predict(parts)
    with torch.no_grad():
        outputs = network.eval()(*(torch.from_numpy(part) for part in parts)).double().numpy()
    expected = np.clip(outputs, 0, 1) * [8, 2] + [1, -1]
    np.testing.assert_allclose(numbers, expected, rtol=1e-4, atol=1e-4)
    assert ((outputs > 0) & (outputs < 1)).any()


def test_branches_are_those_of_the_registry(name: str) -> None:
    spec = ARCHITECTURES[name]
    shapes = [part.shape[1:] for part in features(name, 1)]
    network = spec.load_module().build(shapes, 3, **spec.defaults)
    assert list(network.branches) == [branch.name for branch in spec.branches]
    parts = [torch.from_numpy(part) for part in features(name, 5)]
    embedding = network.eval().embed(*parts)
    assert embedding.shape == (5, network.classifier.in_features)
    torch.testing.assert_close(network.classifier(embedding), network(*parts))


def card_of(name: str, network: Network) -> ModelCard:
    spec = ARCHITECTURES[name]
    return ModelCard(
        architecture=name,
        targets=(Target("arousal", Classes(("low", "high"))),),
        inputs=tuple(
            Input(kind, {"sample_rate": 8000}, "x", shape_of(name, kind, (16, 17), (9, 88)))
            for kind in spec.kinds
        ),
        sample_rate=8000,
        cutting=Cutting(10.0, 10.0, "auto"),
        unit="segment",
        columns=(),
        standardisation="",
        form=describe_form(network, spec.defaults),
        training={"digest": "", "n_rows": 1, "tracks": {}, "left_out": {}},
        seed=0,
        search={"n_folds": 0, "criterion": "", "grid": {}, "chosen": {}},
        scores={"folds": [], "levels": {}},
        versions={},
    )


@pytest.fixture
def written(name: str, tmp_path: Path) -> Path:
    """A small network's file."""
    spec = ARCHITECTURES[name]
    shapes = [shape_of(name, kind, (16, 17), (9, 88)) for kind in spec.kinds]
    torch.manual_seed(0)
    network = spec.load_module().build(shapes, 2, **spec.defaults)
    weights = {key: tensor.numpy() for key, tensor in copy_weights(network).items()}
    for path in (tmp_path / "net.safetensors", tmp_path / "again.safetensors"):
        write_model(path, card_of(name, network), weights, ".safetensors")
    return tmp_path / "net.safetensors"


def test_a_file_brings_the_same_network_back(written: Path, name: str) -> None:
    assert written.read_bytes() == written.with_name("again.safetensors").read_bytes()
    card, weights = read_model(written)
    restored = load_predictor(written, "cpu").model.network
    for key, tensor in restored.state_dict().items():
        assert tensor.device.type == "cpu"
        np.testing.assert_array_equal(tensor.numpy(), weights[key])
    assert card.form["n_parameters"] == restored.n_parameters()


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    card, weights = read_card_json(path), dict(read_model(path)[1])
    change(card, weights)
    save_file(weights, path, {"card": json.dumps(card)})


CHANGES: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], object], str]] = {
    "a missing weight": (lambda card, w: w.pop("classifier.bias"), "classifier.bias is missing"),
    "an extra weight": (lambda card, w: w.update(x=np.zeros(2, np.float32)), "no weight x"),
    "another shape": (
        lambda card, w: w.update({"classifier.weight": w["classifier.weight"][:, 1:].copy()}),
        "classifier.weight has shape",
    ),
    "another type": (
        lambda card, w: w.update({"classifier.bias": w["classifier.bias"].astype(np.float64)}),
        "float64, not float32",
    ),
    "what is no number": (
        lambda card, w: w["classifier.bias"].fill(np.nan),
        "classifier.bias is not finite",
    ),
    "more classes than it has": (
        lambda card, w: card["classes"].append("third"),
        "architecture",
    ),
    "features it does not take": (
        lambda card, w: card["features"].append(card["features"][0] | {"kind": "handcrafted"}),
        "it needs|is not one kind",
    ),
    "an architecture of its own": (
        lambda card, w: card["architecture"].update(n_parameters=1),
        "architecture",
    ),
    "a shape of no size": (lambda card, w: card["features"][0].update(shape=[7]), "no"),
    "more numbers than it has": (
        lambda card, w: card.update(
            target="arousal,valence,tension", scale="0..1,0..1,0..1", classes=[]
        ),
        "architecture",
    ),
    "columns selected that a network has not": (
        lambda card, w: w.update(selected=np.arange(3)),
        "holds no",
    ),
    "another model's card": (lambda card, w: card.update(model="svm"), "holds no SVM"),
    "a model that is not known": (lambda card, w: card.update(model="vggg"), "vggg: is no model"),
    "a card of another kind": (lambda card, w: card.pop("architecture"), "has no architecture"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_does_not_fit_its_card_is_refused(
    written: Path, name: str, change: str
) -> None:
    rewrite(written, CHANGES[change][0])
    problem = CHANGES[change][1]
    if change == "features it does not take" and ARCHITECTURES[name].takes_vectors:
        problem = "holds no"  # any vectors may be asked for: these weights are of others
    with pytest.raises(UsageError, match=problem):
        load_predictor(written, "cpu")


def test_heads_out_of_all_proportion_are_refused(tmp_path: Path) -> None:
    spec = ARCHITECTURES["lstm"]
    network = spec.load_module().build([(9, 88)] * 3, 2, heads=8)
    path = tmp_path / "net.safetensors"
    weights = {key: tensor.numpy() for key, tensor in copy_weights(network).items()}
    write_model(path, card_of("lstm", network), weights, ".safetensors")
    for heads in (4, 10**9, 10**30, -1, "8", None):
        rewrite(path, lambda card, w, heads=heads: card["architecture"].update(heads=heads))  # type: ignore[misc]
        with pytest.raises(SchemaError, match="holds no lstm network"):
            load_predictor(path, "cpu")


def test_a_file_without_a_card_is_refused(tmp_path: Path) -> None:
    save_file({"w": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(SchemaError, match="has no card"):
        read_model(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999999])
def test_a_file_that_is_cut_off_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SchemaError, match="cut off"):
        read_model(written)


def test_nothing_of_torch_is_needed_to_read_a_file(written: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mertools.artifacts import model_file;"
        f"model_file.read_model(Path({str(written)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert load_file(written).keys() == read_model(written)[1].keys()


def test_a_device_that_is_not_there_is_named_with_those_that_are(written: Path) -> None:
    with pytest.raises(UsageError, match=r"cuda:99: is not there: choose from auto, cpu"):
        load_predictor(written, "cuda:99")

"""`seq-cnn` and `seq-lstm`: the counts of paper 003, Keras' layers, and training through `mer`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import Mer
from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.artifacts.model_file import read_model
from mertools.artifacts.rows import Label, Prediction
from mertools.artifacts.tables import read_table, write_table
from mertools.errors import UsageError
from mertools.models.network import Network
from mertools.models.registry import find_architecture
from mertools.models.seq_cnn import SeqCnn
from mertools.models.seq_lstm import SeqLstm
from mertools.training.recipes import read_recipe

MFCC, VGGISH = (323, 13), (15, 128)
TARGETS = ("arousal", "dominance", "valence")


@pytest.mark.parametrize(
    ("build", "shape", "expected"),
    [
        (SeqLstm, MFCC, 1_167_745),  # as printed
        (SeqLstm, VGGISH, 1_403_265),  # as printed
        (SeqCnn, MFCC, 3_994_433),  # printed: 3,958,344
        (SeqCnn, VGGISH, 1_635_137),  # printed: 1,599,048
    ],
)
def test_as_many_parameters_as_the_recipe_says(
    build: type[Network], shape: tuple[int, int], expected: int
) -> None:
    assert build([shape], 1).n_parameters() == expected
    assert build([shape], 3).n_parameters() == expected + 2 * 65


def test_the_lstm_is_that_of_keras() -> None:
    """The equations of Keras' LSTM cell, written out, with one bias."""
    torch.manual_seed(0)
    network = SeqLstm([(7, 4)], 1)
    lstm = network.frames.lstm
    with torch.no_grad():
        lstm.bias_ih_l0.add_(torch.randn(2048) * 0.1)
    x = torch.randn(3, 7, 4)
    state, cell = torch.zeros(3, 512), torch.zeros(3, 512)
    for t in range(7):
        z = x[:, t] @ lstm.weight_ih_l0.T + state @ lstm.weight_hh_l0.T + lstm.bias_ih_l0
        i, f, g, o = z.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
    expected = network.frames.dense(state)
    torch.testing.assert_close(network.embed(x), expected, rtol=1e-4, atol=1e-5)


def test_weights_begin_as_keras_has_them() -> None:
    network = SeqLstm([MFCC], 1)
    lstm = network.frames.lstm
    limit = np.sqrt(6 / (13 + 4 * 512))
    assert limit * 0.99 < lstm.weight_ih_l0.abs().max() <= limit
    recurrent = lstm.weight_hh_l0
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(512), rtol=0, atol=1e-5)
    expected = torch.zeros(2048)
    expected[512:1024] = 1  # the forget gate
    assert torch.equal(lstm.bias_ih_l0, expected)
    assert not lstm.bias_hh_l0.any()
    for module in SeqCnn([MFCC], 1).modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            assert not module.bias.any()


def test_the_cnn_is_that_of_keras() -> None:
    """Convolution, ReLU and pooling in the order of the paper, on channels of one image."""
    torch.manual_seed(0)
    network = SeqCnn([(22, 13)], 1)
    x = torch.randn(2, 22, 13)
    image = x[:, None]
    for block in network.frames.blocks:
        image = torch.nn.functional.max_pool2d(block[0](image).relu(), 2)
    assert image.shape == (2, 128, 5, 3)
    torch.testing.assert_close(network.embed(x), network.frames.dense(image.flatten(1)))


@pytest.mark.parametrize("build", [SeqCnn, SeqLstm])
def test_columns_are_standardised_by_the_training_part(build: type[Network]) -> None:
    rng = np.random.default_rng(0)
    frames = (rng.normal(size=(9, 8, 5)) * [1, 2, 3, 4, 0] + [5, 6, 7, 8, 9]).astype(np.float32)
    branch = build([(8, 5)], 1).branches["frames"]
    branch.fit_statistics([[frames[:4]], [frames[4:]]])
    standard = branch.standardised(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(standard.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(0, 1)), [1, 1, 1, 1, 0], atol=1e-5)
    assert build([(8, 5)], 1, standardise="no").branches["frames"].statistics == ()


@pytest.mark.parametrize("shapes", [[(3,)], [MFCC, MFCC], [(2, 3, 4)]])
def test_other_inputs_are_refused(shapes: list[tuple[int, ...]]) -> None:
    for build in (SeqCnn, SeqLstm):
        with pytest.raises(UsageError, match="not one kind of frames"):
            build(shapes, 1)


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="too few for two poolings"):
        SeqCnn([(3, 13)], 1)


def write_frames(folder: Path, dimensions: tuple[str, ...] = ("frame", "coefficient")) -> None:
    """Write two segments of 16 tracks whose level follows arousal, and labels of three numbers."""
    rng = np.random.default_rng(0)
    rows, frames, labels = [], [], []
    for k in range(16):
        numbers = dict(zip(TARGETS, (k / 15, 0.5, 1 - k / 15), strict=True))
        for part in range(2):
            rows.append(FeatureRow(f"t{k}_{part}", f"t{k}", 15.0 * part, 15.0, False, False, "x"))
            frames.append(rng.normal(0, 0.1, (12, 5)) + k / 15)
        for target, number in numbers.items():
            split = "test" if k % 4 == 3 else "validation" if k % 8 == 5 else "train"
            labels.append(
                Label(f"t{k}", target, 3, number, 0.1, 0.1, None, None, True, (), split, "0..1")
            )
    description = KindDescription(
        "mfcc", (12, 5), "float32", ("segment", *dimensions), tuple("abcde"), "dB", {}, "d", "made"
    )
    content = np.array(frames, np.float32)
    write_features(folder / "f.h5", rows, [description], lambda _, row: content[row])
    with (folder / "labels.csv").open("w", newline="") as stream:
        write_table(stream, Label, labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seq-cnn", "seq-lstm"])
def test_one_network_learns_three_numbers(mer: Mer, tmp_path: Path, name: str) -> None:
    write_frames(tmp_path)
    mer(
        "train",
        name,
        "--features",
        "f.h5",
        "--labels",
        "labels.csv",
        "--cv",
        0,
        "--target",
        ",".join(TARGETS),
        "--set",
        "max_epochs=25",
        "--set",
        "batch_size=4",
        "--set",
        "clip_norm=1",
        "--set",
        "validation=0.2",
        "--device",
        "cpu",
        "--jobs",
        1,
        "-o",
        "m.safetensors",
        "--history",
        "h.csv",
    )
    mer("predict", "-m", "m.safetensors", "f.h5", "-o", "p.csv")
    rows = list(read_table(str(tmp_path / "p.csv"), Prediction))
    of_tracks = {(row.track_id, row.target): row.value for row in rows if row.level == "track"}
    assert len(of_tracks) == 16 * 3
    for sign, target in ((1, "arousal"), (-1, "valence")):
        values = [of_tracks[f"t{k}", target] for k in range(16)]
        assert sign * np.corrcoef(values, np.arange(16))[0, 1] > 0.8
    card, learnt = read_model(tmp_path / "m.safetensors")
    assert [target.name for target in card.targets] == list(TARGETS)
    assert card.standardisation.startswith("zero mean")
    assert learnt["frames.standardise.scale"].shape == (5, 1)
    if name == "seq-lstm":
        assert not learnt["frames.lstm.bias_hh_l0"].any()
    with (tmp_path / "h.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) > 1
    mer("evaluate", "p.csv", "--labels", "labels.csv", "--json", "m.json", status=None)
    described = json.loads(mer("inspect", "m.safetensors", "--json").stdout)
    assert "n_parameters" in json.dumps(described)


def test_kinds_without_frames_first_are_refused(mer: Mer, tmp_path: Path) -> None:
    write_frames(tmp_path, ("band", "frame"))
    done = mer(
        "train",
        "seq-lstm",
        "--features",
        "f.h5",
        "--labels",
        "labels.csv",
        "--cv",
        0,
        "--target",
        "arousal",
        "-o",
        "m.safetensors",
        status=2,
    )
    assert "band by frame, not frames by columns" in done.stderr
    done = mer(
        "train",
        "seq-lstm",
        "--features",
        "f.h5",
        "--labels",
        "labels.csv",
        "--cv",
        0,
        "--kind",
        "mfcc",
        "--kind",
        "mfcc",
        "--target",
        "arousal",
        "-o",
        "m.safetensors",
        status=2,
    )


@pytest.mark.parametrize("name", ["seq-cnn", "seq-lstm"])
def test_the_recipes_of_the_example_are_read(name: str) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "vad" / "recipes" / f"{name}.toml"
    recipe = read_recipe(path, find_architecture(name))
    assert (recipe["optimiser"], recipe["learning_rate"]) == ("adam", 0.001)
    assert recipe["clip_norm"] == (1 if name == "seq-lstm" else 0)

"""Networks that others trained, as models: each file against its authors' formulas."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner, Result

from conftest import SHARED
from made_keras import write_keras
from made_published import draw_artist, draw_choi, draw_won
from mertools.artifacts.feature_rows import Cutting, FeatureRow
from mertools.artifacts.features_file import write_features
from mertools.audio.convert import read_at_rates
from mertools.cli.app import app
from mertools.errors import SchemaError
from mertools.features.mel import MelParams, mel
from mertools.features.registry import request_kind
from mertools.models import artist
from mertools.models.model import load_model
from mertools.models.network import TrainedNetwork
from mertools.training import networks
from mertools.training.published import (
    CHOI_DEVIATION_DB,
    CHOI_MEAN_DB,
    MSD_TAGS,
    PUBLISHED,
    import_model,
)

CHOI_FILE = SHARED / "weights" / "choi-taggers" / "music_tagger_crnn_weights_tensorflow.h5"
POOLS = (2, 3, 4, 4)


def here(*arguments: object, status: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.stderr
    return done


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs_of(path: Path, S: np.ndarray) -> np.ndarray:
    """Give a model's logits."""
    _card, model = load_model(path)
    assert isinstance(model, TrainedNetwork)
    with torch.inference_mode():
        logits: np.ndarray = model.network(torch.from_numpy(S)).numpy()
    return logits


def normalise(x: torch.Tensor, arrays: list[np.ndarray], axis: int) -> torch.Tensor:
    """Normalise as Keras 1.0 did where it has running averages: by deviations."""
    shape = [1] * x.ndim
    shape[axis] = -1
    gamma, beta, mean, deviation = (torch.from_numpy(array).reshape(shape) for array in arrays)
    return gamma * (x - mean) / (deviation + 1e-6) + beta


def choi_reference(
    weights: dict[str, list[np.ndarray]], x: np.ndarray
) -> tuple[np.ndarray, list[torch.Tensor]]:
    """Compute MusicTaggerCRNN layer by layer: (n, 96, 1366) to logits, and what each norm sees."""
    maps = functional.pad(torch.from_numpy(x)[:, None], (37, 37))
    seen = [maps]
    maps = normalise(maps, weights["bn_0_freq"], 3)
    for k, pool in enumerate(POOLS, 1):
        kernel, bias = map(torch.from_numpy, weights[f"conv{k}"])
        maps = functional.conv2d(maps, kernel, bias, padding="same")
        seen.append(maps)
        maps = functional.max_pool2d(functional.elu(normalise(maps, weights[f"bn{k}"], 1)), pool)
    steps = maps.permute(0, 3, 1, 2).reshape(len(x), 15, 128).numpy()
    for k in (1, 2):
        W_z, U_z, b_z, W_r, U_r, b_r, W_h, U_h, b_h = weights[f"gru{k}"]
        h, states = np.zeros((len(x), 32), np.float32), []
        for t in range(15):
            z = np.clip(0.2 * (steps[:, t] @ W_z + b_z + h @ U_z) + 0.5, 0, 1)
            r = np.clip(0.2 * (steps[:, t] @ W_r + b_r + h @ U_r) + 0.5, 0, 1)
            h = z * h + (1 - z) * np.tanh(steps[:, t] @ W_h + b_h + (r * h) @ U_h)
            states.append(h)
        steps = np.stack(states, 1)
    W, b = weights["output"]
    return steps[:, -1] @ W + b, seen


def test_choi_crnn_gives_the_outputs_of_its_listing(folder: Path) -> None:
    layers = draw_choi()
    write_keras(folder / "choi.h5", layers)
    done = here("import", "weights", "choi-crnn", "choi.h5", "-o", "choi.safetensors")
    assert "396,786 weights" in done.stderr
    here("validate", "choi.safetensors")
    S = np.random.default_rng(1).normal(-13, 8, (2, 96, 1366)).astype(np.float32)
    weights = load_file("choi.safetensors")
    mean, scale = (weights[f"spectrogram.level.{name}"] for name in ("mean", "scale"))
    expected, _seen = choi_reference(dict(layers), (S - mean) / scale)
    np.testing.assert_allclose(outputs_of(folder / "choi.safetensors", S), expected, atol=2e-4)


def test_won_crnn_gives_the_outputs_of_its_listing(folder: Path) -> None:
    state = draw_won()
    torch.save(state, folder / "best_model.pth")
    here("import", "weights", "won-crnn", "best_model.pth", "-o", "won")
    S = np.random.default_rng(1).normal(-20, 15, (2, 96, 1813)).astype(np.float32)

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{name}.{part}"] for part in parts), eps=1e-5)

    with torch.inference_mode():
        x = norm("spec_bn", torch.from_numpy(S)[:, None])
        for k, pool in enumerate(POOLS, 1):
            kernel, bias = (state[f"layer{k}.conv.{part}"] for part in ("weight", "bias"))
            x = functional.conv2d(x, kernel, bias, padding=1)
            x = functional.max_pool2d(norm(f"layer{k}.bn", x).relu(), pool)
        gru = nn.GRU(128, 32, 2, batch_first=True)
        gru.load_state_dict(
            {n.removeprefix("layer5."): w for n, w in state.items() if n.startswith("layer5.")}
        )
        last = gru(x.squeeze(2).permute(0, 2, 1))[0][:, -1]
        expected = functional.linear(last, state["dense.weight"], state["dense.bias"]).numpy()
    found = outputs_of(folder / "won" / "won-crnn.safetensors", S)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_artist_gives_the_embedding_of_its_listing(folder: Path) -> None:
    layers = draw_artist()
    write_keras(folder / "siamese.h5", layers)
    here("import", "weights", "artist", "siamese.h5", "-o", "artist.safetensors")
    magnitudes = np.random.default_rng(1).uniform(0.001, 2, (2, 128, 129)).astype(np.float32)
    x = ((np.log10(1 + 10 * magnitudes) - 0.22620339) / 0.25794547).transpose(0, 2, 1)
    weights = dict(layers)
    for k, pool in enumerate((4, 4, 4, 2, 1), 1):
        kernel, bias = weights[f"conv1d_{k}"]
        size = len(kernel)
        # TensorFlow's "same": of an odd number of zeros one more comes after.
        padded = np.pad(x, ((0, 0), ((size - 1) // 2, size // 2), (0, 0)))
        taps = [padded[:, j : j + x.shape[1]] @ kernel[j] for j in range(size)]
        gamma, beta, mean, variance = weights[f"batch_normalization_{k}"]
        x = np.maximum(gamma * (sum(taps) + bias - mean) / np.sqrt(variance + 1e-3) + beta, 0)
        n = x.shape[1] // pool
        x = x[:, : n * pool].reshape(2, n, pool, -1).max(axis=2)
    assert x.shape == (2, 1, 256)
    _card, model = load_model(folder / "artist.safetensors")
    assert isinstance(model, TrainedNetwork)
    S = (10 * np.log10(magnitudes)).astype(np.float32)
    np.testing.assert_allclose(model.embed([S], None), x.mean(axis=1), rtol=1e-3, atol=1e-3)


def write_mel(published: str, n_tracks: int) -> None:
    """Write features that a published network looks at, and labels of two classes."""
    card, _model = load_model(Path(f"{published}.safetensors"))
    (needed,) = card.inputs
    kind = request_kind("mel", settings=needed.params)
    assert kind.digest == needed.params_digest
    rng = np.random.default_rng(0)
    S = rng.normal(-20, 10, (n_tracks, *needed.shape)).astype(np.float32)
    S[::2, 40:] -= 15
    rows = [FeatureRow(f"t{k}_0", f"t{k}", 0.0, 3.0, False, False, "made") for k in range(n_tracks)]
    write_features(
        Path("features.h5"),
        rows,
        [kind.describe(needed.shape, "float32")],
        lambda _kind, row: S[row],
        Cutting(3.0, 3.0, "auto"),
    )
    lines = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,split,scale"]
    for k in range(n_tracks):
        first = k % 2 == 0
        label = f"{2 - first},{'AB'[not first]},true,{int(first)},{int(not first)}"
        lines.append(f"t{k},letter,,,,,{label},,unordered")
    Path("labels.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "architecture", "n_new"),
    [("choi-crnn", "crnn", 66), ("won-crnn", "crnn", 66), ("artist", "artist", 514)],
)
def test_a_new_last_layer_is_learnt_on_frozen_weights(
    folder: Path, name: str, architecture: str, n_new: int
) -> None:
    if name == "choi-crnn":
        write_keras(folder / "weights.h5", draw_choi(), "model_weights")
    elif name == "artist":
        write_keras(folder / "weights.h5", draw_artist())
    else:
        torch.save(draw_won(), folder / "weights.pth")
    (file,) = folder.glob("weights.*")
    begun = f"{name}.safetensors"
    here("import", "weights", name, file, "-o", begun)
    write_mel(name, 4)
    variant = ("--set", "variant=choi") if name == "choi-crnn" else ()
    here(
        *("train", architecture, "--features", "features.h5", "--labels", "labels.csv"),
        *("--target", "letter", "--init", begun, "--freeze", "spectrogram", *variant),
        *("--set", "max_epochs=1", "--set", "stop=epochs", "--set", "class_weights=none"),
        *("--cv", "0", "--device", "cpu", "--jobs", "1", "-o", "m.safetensors"),
    )
    before, after = load_file(begun), load_file("m.safetensors")
    frozen = [weight for weight in after if not weight.startswith("classifier.")]
    assert all(np.array_equal(before[weight], after[weight]) for weight in frozen)
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert card["architecture"]["n_parameters"] == n_new
    assert card["training"]["init"]["target"] == ("none" if name == "artist" else "tag")
    here("predict", "-m", "m.safetensors", "features.h5")
    here("embed", "-m", begun, "features.h5", "-o", "e.h5")
    with h5py.File("e.h5") as stored:
        assert stored["features/embedding"].shape == (4, 256 if name == "artist" else 32)


def test_a_frozen_branch_is_computed_once_for_all_epochs_and_folds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a training that computes it in every epoch, which ends at the same weights."""
    write_keras(folder / "weights.h5", draw_artist())
    here("import", "weights", "artist", "weights.h5", "-o", "artist.safetensors")
    write_mel("artist", 12)
    seen = []
    forward = artist.SpectrogramBranch.forward

    def count(self: artist.SpectrogramBranch, S: torch.Tensor) -> torch.Tensor:
        seen.append(len(S))
        return forward(self, S)

    monkeypatch.setattr(artist.SpectrogramBranch, "forward", count)

    def train(name: str) -> int:
        seen.clear()
        here(
            *("train", "artist", "--features", "features.h5", "--labels", "labels.csv"),
            *("--target", "letter", "--init", "artist.safetensors", "--freeze", "spectrogram"),
            *("--set", "max_epochs=4", "--cv", "2", "--device", "cpu", "--jobs", "1"),
            *("--predictions", f"{name}.csv", "-o", f"{name}.safetensors"),
        )
        return sum(seen)

    assert train("once") == 12
    monkeypatch.setattr(networks, "compute_once", lambda *given: nullcontext(given[2]))
    assert train("always") > 100
    once, always = load_file("once.safetensors"), load_file("always.safetensors")
    begun = load_file("artist.safetensors")
    assert not np.allclose(once["classifier.weight"], begun["classifier.weight"][:2], atol=1e-3)
    for name, weight in always.items():
        np.testing.assert_allclose(once[name], weight, rtol=1e-4, atol=1e-5, err_msg=name)
    of_both = []
    for name in ("once", "always"):
        table = (folder / f"{name}.csv").read_text()
        of_both.append([float(row["p_1"]) for row in csv.DictReader(table.splitlines())])
    np.testing.assert_allclose(*of_both, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("choi-crnn", (96, 1366)), ("won-crnn", (96, 1813)), ("artist", (128, 129))],
)
def test_segments_have_the_frames_that_the_authors_name(name: str, shape: tuple[int, int]) -> None:
    published = PUBLISHED[name]
    assert published.shape == shape
    params = request_kind("mel", settings={"n_frames": 0, **published.mel}).params
    y = np.zeros(round(published.length_s * params.sample_rate), np.int16)
    assert mel(y, params).shape == shape


def test_other_files_are_refused(folder: Path) -> None:
    choi = PUBLISHED["choi-crnn"]
    write_keras(folder / "artist.h5", draw_artist())
    layers = draw_choi()
    write_keras(folder / "short.h5", layers[:-1])
    layers[2] = ("conv1", [array[..., :2] for array in layers[2][1]])
    write_keras(folder / "narrow.h5", layers)
    layers[2] = ("conv1", [])
    write_keras(folder / "none.h5", [*layers, ("extra", [np.zeros(3)])])
    (folder / "text.h5").write_text("no HDF5")
    for name in ("artist", "short", "narrow", "none", "text"):
        with pytest.raises(SchemaError):
            import_model(choi, folder / f"{name}.h5", folder / "m.safetensors")
    for name in ("choi-crnn", "won-crnn"):
        assert "does not exist" in here("import", "weights", name, "absent.h5", status=2).stderr
    assert "holds no tensors" in here("import", "weights", "won-crnn", "text.h5", status=2).stderr
    here("import", "weights", "choi-crnn", "short.h5", "none.h5", status=2)
    assert (
        "did you mean won-crnn" in here("import", "weights", "won-crn", "short.h5", status=2).stderr
    )
    assert not (folder / "m.safetensors").exists()


def test_a_layer_cannot_lead_to_another_file(folder: Path) -> None:
    layers = draw_choi()
    write_keras(folder / "other.h5", layers)
    with h5py.File(folder / "linked.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, _ in layers:
            file[name] = h5py.ExternalLink("other.h5", f"/{name}")
    with pytest.raises(SchemaError, match="holds no weights of Keras"):
        import_model(PUBLISHED["choi-crnn"], folder / "linked.h5", folder / "m.safetensors")


needs_choi = pytest.mark.skipif(
    not CHOI_FILE.is_file(), reason="Choi's weights are not beside this checkout (../shared)"
)


@needs_choi
@pytest.mark.slow
def test_the_file_remembers_deviations_of_standardised_music(corpus: Path) -> None:
    """What each normalisation sees of real music agrees with what the file says of its training.

    Were the file's numbers variances, they would be off by the deviation itself.
    """
    with h5py.File(CHOI_FILE) as file:
        weights = {
            name.decode(): [
                file[name][each][()].astype(np.float32) for each in file[name].attrs["weight_names"]
            ]
            for name in file.attrs["layer_names"]
        }
    # Frames of the border never change: all that is left there is the small number.
    assert weights["bn_0_freq"][3][:37] == pytest.approx(1e-3)
    mean, scale = CHOI_MEAN_DB, CHOI_DEVIATION_DB
    params = MelParams(12000, 512, 256, 96, 40.0, 0, "absolute")
    with (corpus / "tracks.csv").open() as stream:
        rows = list(csv.DictReader(stream))[::25]
    clips = []
    for row in rows:
        (y,) = read_at_rates(corpus / row["path"], [12000])
        clips.append((mel(y[:349_440], params) - mean) / scale)
    _logits, seen = choi_reference(weights, np.stack(clips))
    for k, (maps, ratio) in enumerate(zip(seen[1:], (0.96, 0.96, 0.95, 0.91), strict=True), 1):
        _gamma, _beta, means, deviations = weights[f"bn{k}"]
        found = maps.std(dim=(0, 2, 3)).numpy()
        assert np.corrcoef(found, deviations)[0, 1] > 0.8
        assert np.median(found / deviations) == pytest.approx(ratio, abs=0.1)
        assert np.corrcoef(maps.mean(dim=(0, 2, 3)).numpy(), means)[0, 1] > 0.7


@needs_choi
@pytest.mark.slow
def test_tags_of_real_music_make_sense(corpus: Path) -> None:
    here("import", "weights", "choi-crnn", CHOI_FILE, "-o", "choi.safetensors")
    with (corpus / "tracks.csv").open() as stream:
        rows = list(csv.DictReader(stream))[3::8]
    lines = [f"{row['genre']}-{row['track_id']},{corpus / row['path']}" for row in rows]
    Path("tracks.csv").write_text("\n".join(["track_id,path", *lines]) + "\n")
    options = ("--level", "track", "--device", "cpu", "--jobs", "1", "-o", "p.csv")
    here("predict", "-m", "choi.safetensors", "tracks.csv", *options)
    with Path("p.csv").open() as stream:
        predicted = list(csv.DictReader(stream))
    by_genre: dict[str, list[dict[str, float]]] = {}
    for row in predicted:
        shares = {tag: float(row[f"p_{k}"]) for k, tag in enumerate(MSD_TAGS, 1)}
        by_genre.setdefault(row["track_id"].split("-")[0], []).append(shares)

    def auc(genre: str, *tags: str) -> float:
        """Give how often a track of a genre has more of some tags than one of another genre."""
        scores = {g: [sum(of[t] for t in tags) for of in each] for g, each in by_genre.items()}
        others = [score for g, each in scores.items() if g != genre for score in each]
        return float(np.mean([a > b for a in scores[genre] for b in others]))

    assert auc("classical", "instrumental", "jazz") > 0.85
    assert auc("electronic", "electronic", "dance", "electronica") > 0.8
    assert auc("rock", "rock", "classic rock", "hard rock") > 0.65
    assert auc("pop", "pop", "indie", "female vocalists") > 0.6

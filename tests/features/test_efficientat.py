"""The kinds `efficientat` and `efficientat-frames`, beside the authors' code and on real sound."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from efficientat_reference import Mn, spectrogram
from made_weights import forget_networks, make_state, save_state

from conftest import SHARED, Mer
from mertools.audio.convert import read_at_rates
from mertools.features.efficientat import SAMPLE_RATE, log_mel_spectrogram
from mertools.features.excerpt import Excerpt
from mertools.features.registry import request_kind
from mertools.pretrained.efficientat import NETWORK
from mertools.pretrained.efficientat_torch import build_module
from mertools.pretrained.publications import find_publication, read_published_weights
from mertools.pretrained.user_weights import name_weights, write_weights

PUBLISHED = SHARED / "weights" / "efficientat-mn04"


def import_file(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = read_published_weights(find_publication("efficientat"), (path,))
    monkeypatch.setenv("MER_WEIGHTS", "")
    name_weights({"efficientat": str(write_weights(folder, "efficientat", weights))})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Weights of the published shapes, with a classifier as the published file has."""
    state = make_state(NETWORK.shapes)
    state["classifier.5.bias"] = np.zeros(527, np.float32)
    save_state(state, tmp_path / "made.pt")
    import_file(tmp_path / "made.pt", tmp_path, monkeypatch)
    yield tmp_path / "made.pt"
    forget_networks()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = PUBLISHED / "mn04_as_mAP_432.pt"
    if not path.is_file():
        pytest.skip("EfficientAT's weights are not beside this checkout (../shared/weights)")
    import_file(path, tmp_path, monkeypatch)
    yield path
    forget_networks()


def noise(seconds: float) -> np.ndarray:
    n = round(seconds * SAMPLE_RATE)
    return np.random.default_rng(0).normal(0, 3000, n).astype(np.int16)


def reference(path: Path) -> Mn:
    network = Mn()
    missing, _ = network.load_state_dict(torch.load(path, weights_only=True), strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return network.eval()


@pytest.mark.parametrize("seconds", [0.96, 1.0, 2.0053])
def test_the_front_end_is_that_of_the_authors(seconds: float) -> None:
    y = noise(seconds) / 2**15
    S = log_mel_spectrogram(y)
    np.testing.assert_allclose(S.T, spectrogram(y).numpy(), atol=1e-4)


def test_a_tone_has_its_band_and_silence_the_offset() -> None:
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    S = log_mel_spectrogram(np.sin(2 * np.pi * 1000 * t))
    assert S.shape == (200, 128)
    edges = np.linspace(0, 1127 * np.log(1 + 15000 / 700), 130)
    band = np.abs(edges[1:-1] - 1127 * np.log(1 + 1000 / 700)).argmin()
    assert (S[2:-2].argmax(axis=1) == band).all()
    np.testing.assert_allclose(log_mel_spectrogram(np.zeros(0)), (np.log(1e-5) + 4.5) / 5)


def test_the_network_is_that_of_the_authors(made: Path) -> None:
    """Normalisations folded in, by torch and by onnxruntime, for sound of any length."""
    network, kind = reference(made), request_kind("efficientat")
    module = build_module(NETWORK.weights(kind.params.weights))
    for n_frames in (96, 250, 1000):
        S = np.random.default_rng(n_frames).normal(0, 1, (n_frames, 128)).astype(np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(S.T.copy())[None, None])[0].numpy()
            by_torch = module(torch.from_numpy(S)).numpy()
        by_onnx = NETWORK.run(S, kind.params.weights, "cpu")
        assert by_onnx.shape == (-(-n_frames // 32), 384)
        scale = np.abs(by_torch).max()
        np.testing.assert_allclose(by_onnx, by_torch, rtol=0, atol=1e-4 * scale)
        np.testing.assert_allclose(by_torch.mean(axis=0), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.usefixtures("made")
def test_a_segment_is_the_mean_of_its_clips_of_10_s() -> None:
    kind, y = request_kind("efficientat"), noise(25)
    whole = kind.compute(Excerpt(y))
    S = log_mel_spectrogram(y / 2**15)
    clips = [NETWORK.run(S[n : n + 1000], kind.params.weights, "cpu") for n in (0, 750, 1500)]
    assert whole.shape == (384,)
    np.testing.assert_allclose(whole, np.mean([clip.mean(axis=0) for clip in clips], axis=0))


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("seconds", "n"), [(15, 15), (30, 31), (10, 10), (1.91, 1), (0.5, 1), (0, 1)]
)
def test_as_many_frames_as_vggish(seconds: float, n: int) -> None:
    assert request_kind("efficientat-frames").compute(Excerpt(noise(seconds))).shape == (n, 384)


@pytest.mark.usefixtures("made")
def test_frames_of_one_stretch_average_to_its_embedding() -> None:
    y = noise(9.6)
    frames = request_kind("efficientat-frames").compute(Excerpt(y))
    whole = request_kind("efficientat").compute(Excerpt(y))
    np.testing.assert_allclose(frames.mean(axis=0), whole, rtol=1e-4, atol=1e-5)


def test_the_way_by_commands(
    mer: Mer, tmp_path: Path, made: Path, write_tone: Callable[..., Path]
) -> None:
    mer("import", "weights", "efficientat", made, "-o", "w")
    write_tone(tmp_path / "a.wav", 4.0, 22050)
    kinds = ("--kind", "efficientat", "--kind", "efficientat-frames")
    file = "efficientat=w/efficientat.safetensors"
    mer("featurize", "a.wav", *kinds, "--weights", file, "--length", 4, "-o", "f.h5", "-j", 1)
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as stored:
        assert stored["features/efficientat"].shape == (1, 384)
        frames = stored["features/efficientat-frames"]
        assert frames.shape == (1, 4, 384)
        assert '"sample_rate": 22050' not in frames.attrs["params"]


def sounds_like(path: Path, seconds: float, weights: dict[str, torch.Tensor]) -> list[str]:
    """Name the likeliest of AudioSet's sounds in a file, by the published classifier."""
    with (PUBLISHED / "class_labels_indices.csv").open(encoding="utf-8") as stream:
        names = [row["display_name"] for row in csv.DictReader(stream)]
    (y,) = read_at_rates(path, [SAMPLE_RATE])
    y = y[: round(seconds * SAMPLE_RATE)]
    x = torch.from_numpy(request_kind("efficientat").compute(Excerpt(y)))
    hidden = weights["classifier.2.weight"] @ x + weights["classifier.2.bias"]
    hidden = torch.nn.functional.hardswish(hidden)
    logits = weights["classifier.5.weight"] @ hidden + weights["classifier.5.bias"]
    return [names[n] for n in logits.argsort(descending=True)[:5]]


@pytest.mark.corpus
def test_the_published_weights_hear_music(published: Path, corpus: Path) -> None:
    weights = torch.load(published, weights_only=True)
    for track, sound in (("001", "Classical music"), ("100", "Violin, fiddle"), ("300", "Techno")):
        heard = sounds_like(corpus / "audio" / f"{track}.ogg", 30, weights)
        assert heard[0] == "Music"
        assert sound in heard
    network, y = reference(published), noise(10)
    with torch.inference_mode():
        expected = network(spectrogram(y / 2**15)[None, None])[0].numpy()
    found = request_kind("efficientat").compute(Excerpt(y))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)

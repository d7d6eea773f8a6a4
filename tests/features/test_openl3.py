"""The kind `openl3`: the front end by the authors' formulas, the network with drawn weights."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import h5py
import librosa
import numpy as np
import pytest
import torch
from torch.nn import functional

from conftest import Mer
from made_keras import draw_norm, write_keras
from mertools.errors import SchemaError, UsageError
from mertools.features import openl3
from mertools.features.excerpt import Excerpt
from mertools.features.mel import mel_spectrogram_db
from mertools.features.openl3 import FRONT_END, Openl3Params, cut_windows, pool_windows
from mertools.features.registry import request_kind
from mertools.pretrained.openl3 import CHANNELS, SHAPES
from mertools.pretrained.openl3_torch import build_module
from mertools.pretrained.publications import find_publication, read_published_weights
from mertools.pretrained.user_weights import VARIABLE

Layers = list[tuple[str, list[np.ndarray]]]


def test_as_many_weights_as_published() -> None:
    assert sum(math.prod(shape) for shape in SHAPES.values()) == 4_689_860


@pytest.mark.parametrize(
    ("seconds", "hop_s", "n"), [(30.125, 0.1, 298), (30, 0.1, 296), (1, 0.1, 6), (0.2, 0.1, 1)]
)
def test_as_many_windows_as_the_authors_have(seconds: float, hop_s: float, n: int) -> None:
    """core.py, _get_num_windows: half a second of zeros before, and no sample left over."""
    y = np.arange(round(seconds * 48000), dtype=np.float32) + 1
    windows = cut_windows(y, Openl3Params(hop_s=hop_s).hop_length)
    assert windows.shape == (n, 48000)
    assert not windows[0, :24000].any()
    assert windows[0, 24000] == 1
    assert windows[-1].max() == len(y)
    if n > 1:
        np.testing.assert_array_equal(windows[1, : 48000 - 4800], windows[0, 4800:])


def test_the_front_end_is_the_authors() -> None:
    """core.py, _librosa_mel_frontend: magnitudes, Slaney's bands, decibels below the loudest."""
    rng = np.random.default_rng(0)
    for y in (rng.normal(0, 0.1, 48000), np.sin(np.arange(48000) / 9), np.zeros(48000)):
        samples = (y * 2**15).astype(np.float32)
        S = librosa.feature.melspectrogram(
            y=samples.astype(np.float64) / 2**15,
            sr=48000,
            n_fft=2048,
            hop_length=242,
            n_mels=256,
            power=1.0,
            dtype=np.float64,
        )
        expected = librosa.power_to_db(S, ref=1.0, amin=1e-10, top_db=80.0)
        expected -= expected.max()
        found = mel_spectrogram_db(samples, FRONT_END)
        assert found.shape == (256, 199)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_pooling() -> None:
    embedding = np.random.default_rng(0).normal(size=(5, 512)).astype(np.float32)

    def pooled(**params: Any) -> np.ndarray:
        found = pool_windows(embedding, Openl3Params(**params))
        assert len(Openl3Params(**params).columns) == len(found)
        return found

    np.testing.assert_allclose(pooled(), embedding.mean(axis=0))
    both = pooled(pool="meanstd")
    np.testing.assert_allclose(both[512:], np.std(embedding, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(pooled(pool="first"), embedding[0])
    flat = pooled(pool="flatten", n_windows=7)
    np.testing.assert_array_equal(flat[: 5 * 512], embedding.reshape(-1))
    assert not flat[5 * 512 :].any()
    np.testing.assert_array_equal(pooled(pool="flatten", n_windows=2), embedding[:2].reshape(-1))


@pytest.mark.parametrize("params", [{"pool": "max"}, {"hop_s": 0.0}, {"hop_s": math.nan}])
def test_what_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"openl3\."):
        Openl3Params(**params)


def draw_layers() -> Layers:
    """Draw weights as the authors' file has them, with the filters of its old front end."""
    rng = np.random.default_rng(0)

    layers: Layers = [
        ("input_1", []),
        ("melspectrogram_1", [np.zeros((1025, 256))]),
        ("batch_normalization_1", draw_norm(rng, 1)),
    ]
    for k, (n_in, n_out) in enumerate(itertools.pairwise(CHANNELS), 1):
        name = f"conv2d_{k}" if k < 8 else "audio_embedding_layer"
        kernel = rng.normal(0, math.sqrt(2 / (9 * n_in)), (3, 3, n_in, n_out))
        layers.append((name, [kernel, rng.normal(0, 0.1, n_out)]))
        if k < 8:
            layers += [
                (f"batch_normalization_{k + 1}", draw_norm(rng, n_out)),
                (f"activation_{k}", []),
            ]
    layers[2][1][3][:] = 400.0  # of decibels
    return layers


def embed_by_listing(layers: Layers, S: np.ndarray) -> np.ndarray:
    """Compute models.py, _construct_mel256_audio_network, with a last pooling to 512 values."""
    weights = {name: [torch.from_numpy(a).float() for a in each] for name, each in layers}

    def norm(k: int, x: torch.Tensor) -> torch.Tensor:
        gamma, beta, mean, variance = weights[f"batch_normalization_{k}"]
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    x = norm(1, torch.from_numpy(S)[:, None])
    for k in range(1, 9):
        kernel, bias = weights[f"conv2d_{k}" if k < 8 else "audio_embedding_layer"]
        x = functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding="same")
        if k < 8:
            x = norm(k + 1, x).relu()
        if k in (2, 4, 6):
            x = functional.max_pool2d(x, 2, 2)
    assert x.shape[1:] == (512, 32, 24)
    return functional.max_pool2d(x, (32, 24)).flatten(1).numpy()


@pytest.mark.slow
def test_the_whole_way_with_drawn_weights(
    mer: Mer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = draw_layers()
    write_keras(tmp_path / "openl3_audio_mel256_music.h5", layers)
    mer("import", "weights", "openl3", "openl3_audio_mel256_music.h5", "-o", "w")
    file = tmp_path / "w" / "openl3.safetensors"
    monkeypatch.setenv(VARIABLE, f'{{"openl3": "{file}"}}')
    y = (3000 * np.random.default_rng(1).normal(size=30000)).astype(np.int16)
    params = request_kind("openl3", settings={"hop_s": 0.2, "pool": "flatten", "n_windows": 2})
    found = params.compute(Excerpt(y)).reshape(2, 512)
    windows = cut_windows(y.astype(np.float32), 9600)
    S = np.stack([mel_spectrogram_db(window, FRONT_END) for window in windows])
    by_torch = build_module(openl3.NETWORK.weights(params.params.weights))(torch.from_numpy(S))
    np.testing.assert_allclose(found, by_torch.numpy(), atol=2e-5 * np.abs(found).max())
    expected = embed_by_listing(layers, S)
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())
    import soundfile

    soundfile.write(tmp_path / "a.wav", y[:12000], 24000)
    options = ("a.wav", "--kind", "openl3", "--weights", f"openl3={file}", "--length", 0.5)
    mer("featurize", *options, "--set", "openl3.pool=meanstd", "-o", "f.h5", "--jobs", 1)
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as stored:
        assert stored["features/openl3"].shape == (1, 1024)


def test_other_files_are_refused(tmp_path: Path) -> None:
    publication = find_publication("openl3")
    layers = draw_layers()
    write_keras(tmp_path / "short.h5", layers[:-1])
    # The network of 128 bands has the same layers; that of another input has another first one.
    layers[3] = ("conv2d_1", [np.zeros((3, 3, 2, 64)), np.zeros(64)])
    write_keras(tmp_path / "wide.h5", layers)
    for name in ("short.h5", "wide.h5"):
        with pytest.raises(SchemaError):
            read_published_weights(publication, (tmp_path / name,))
    (tmp_path / "vggish.h5").touch()
    with pytest.raises(UsageError, match="no known form"):
        read_published_weights(find_publication("vggish"), (tmp_path / "vggish.h5",))

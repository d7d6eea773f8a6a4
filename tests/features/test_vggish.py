"""The kind `vggish`: the front end by its own formula, the network with made weights."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_weights import forget_networks

from conftest import Mer
from mertools.artifacts import safetensors_file
from mertools.errors import SchemaError, UsageError
from mertools.features import vggish
from mertools.features.excerpt import Excerpt
from mertools.features.registry import request_kind
from mertools.features.vggish import (
    PATCH_SAMPLES,
    VggishParams,
    cut_patches,
    log_mel_spectrogram,
    mel_filters,
    quantise,
)
from mertools.pretrained.publications import find_publication, read_published_weights
from mertools.pretrained.user_weights import (
    VARIABLE,
    data_folder,
    digest_weights,
    find_weights,
    load_weights,
)
from mertools.pretrained.vggish import NETWORK, PCA_MEANS, PCA_SHAPES, PCA_VECTORS, SHAPES
from mertools.pretrained.vggish_torch import build_module

RATE = 16000


def sine(seconds: float, hz: float = 1000.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def test_the_filters_are_those_of_the_authors() -> None:
    """mel_features.spectrogram_to_mel_matrix, written out for single bins."""

    def mel(hz: float) -> float:
        return 1127.0 * math.log(1.0 + hz / 700.0)

    edges = [mel(125) + k * (mel(7500) - mel(125)) / 65 for k in range(66)]
    filters = mel_filters()
    assert filters.shape == (257, 64)
    assert not filters[0].any()
    for k in (1, 3, 4, 17, 100, 240, 256):
        m = mel(k * 8000 / 256)
        for band in range(64):
            low, centre, high = edges[band : band + 3]
            expected = max(0.0, min((m - low) / (centre - low), (high - m) / (high - centre)))
            assert filters[k, band] == pytest.approx(expected, abs=1e-12)


def test_a_frame_is_the_formula_of_the_authors() -> None:
    """Nothing is centred or padded: a discrete Fourier transform of 400 windowed samples."""
    y = np.random.default_rng(0).normal(0, 0.1, 1000)
    S = log_mel_spectrogram(y)
    assert S.shape == (1 + (1000 - 400) // 160, 64)
    frame = y[320:720] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))
    k, n = np.arange(257)[:, None], np.arange(400)
    magnitude = np.abs((frame * np.exp(-2j * np.pi * k * n / 512)).sum(axis=1))
    np.testing.assert_allclose(S[2], np.log(magnitude @ mel_filters() + 0.01), atol=1e-9)


def test_silence_is_the_offset() -> None:
    np.testing.assert_allclose(log_mel_spectrogram(np.zeros(800)), math.log(0.01))


@pytest.mark.parametrize(
    ("seconds", "n"), [(152.137, 158), (15, 15), (30, 31), (14.4, 14), (0.975, 1), (0.5, 1), (0, 1)]
)
def test_as_many_patches_as_published(seconds: float, n: int) -> None:
    assert PATCH_SAMPLES == 15600
    assert cut_patches(np.zeros(round(seconds * RATE))).shape == (n, 96, 64)


def test_patches_follow_each_other() -> None:
    y = np.random.default_rng(1).normal(0, 0.1, 3 * RATE)
    S = log_mel_spectrogram(y)
    np.testing.assert_allclose(cut_patches(y)[1], S[96:192].astype(np.float32))


def test_quantising_ends_at_0_and_255() -> None:
    embedding = np.array([[3.0, -3.0, 0.0, 0.999]], np.float32)
    found = quantise(embedding, np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
    assert found.tolist() == [[255, 0, 127, 191]]


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("MER_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.mark.usefixtures("no_weights")
def test_weights_are_looked_for_where_a_user_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="mer import weights vggish"):
        request_kind("vggish")
    for folder in (data_folder(), tmp_path / "models" / "weights"):
        folder.mkdir(parents=True)
        path = folder / "vggish.safetensors"
        path.write_bytes(folder.name.encode())
        monkeypatch.setenv("MER_MODELS", str(tmp_path / "models"))
        assert find_weights("vggish") == path
    params = request_kind("vggish").params
    assert params.weights == digest_weights("vggish")
    path.write_bytes(b"others")
    assert request_kind("vggish").params.weights != params.weights
    with pytest.raises(UsageError, match="holds other weights"):
        load_weights("vggish", params.weights, {}, {})


@pytest.mark.usefixtures("no_weights")
def test_without_weights_nothing_is_computed(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    write_tone(tmp_path / "a.wav", 2.0, RATE)
    done = mer("featurize", "a.wav", "--kind", "vggish", "-o", "f.h5", status=2)
    assert "has no weights here" in done.stderr
    mer("featurize", "a.wav", "--kind", "vggish", "--weights", "vggish=no", "-o", "f.h5", status=2)
    mer("featurize", "a.wav", "--kind", "mel", "--weights", "vggish=a.wav", "-o", "f.h5", status=2)


def test_other_files_are_refused(tmp_path: Path) -> None:
    publication = find_publication("vggish")
    np.savez(tmp_path / "few.npz", **{"features.0.bias": np.zeros(64, np.float32)})
    (tmp_path / "bad.pth").write_bytes(b"\x80\x02N.")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04")
    for name in ("few.npz", "bad.pth", "bad.npz"):
        with pytest.raises(SchemaError):
            read_published_weights(publication, (tmp_path / name,))
    for name in ("absent.npz", "few.txt"):
        (tmp_path / "few.txt").touch()
        with pytest.raises(UsageError):
            read_published_weights(publication, (tmp_path / name,))
    with pytest.raises(UsageError, match="did you mean vggish"):
        find_publication("vgish")


class Payload:
    """Pickles as a call that creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_what_a_state_names_is_not_run(tmp_path: Path) -> None:
    import torch

    torch.save({"features.0.bias": Payload(tmp_path / "run")}, tmp_path / "zipped.pth")
    # As torch saved before 1.6: pickles behind each other, and a plain pickle of protocol 2.
    torch.save(
        {"features.0.bias": Payload(tmp_path / "run")},
        tmp_path / "old.pth",
        _use_new_zipfile_serialization=False,
    )
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Payload(tmp_path / "run"), protocol=2))
    for name in ("zipped.pth", "old.pth", "plain.pth"):
        with pytest.raises(SchemaError, match="holds no tensors"):
            read_published_weights(find_publication("vggish"), (tmp_path / name,))
    assert not (tmp_path / "run").exists()
    with (tmp_path / "plain.pth").open("rb") as stream:
        pickle.load(stream)  # noqa: S301, the payload does what is feared
    assert (tmp_path / "run").exists()


def make_weights(path: Path) -> None:
    """Write random weights of the published shapes, as the port to torch saves them."""
    import torch

    rng = np.random.default_rng(0)
    state = {}
    for name, shape in SHAPES.items():
        scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.01
        state[name] = torch.from_numpy(rng.standard_normal(shape, np.float32) * np.float32(scale))
    vectors, _ = np.linalg.qr(rng.normal(size=PCA_SHAPES[PCA_VECTORS]))
    state[PCA_VECTORS] = torch.from_numpy(vectors.astype(np.float32))
    state[PCA_MEANS] = torch.zeros(128, 1)
    torch.save(state, path)


@pytest.mark.slow
@pytest.mark.usefixtures("no_weights")
def test_the_whole_way_with_made_weights(
    mer: Mer, tmp_path: Path, write_tone: Callable[..., Path]
) -> None:
    """Imported, run by onnxruntime and by torch, featurized: 72 million weights, 288 MB."""
    import torch

    assert sum(math.prod(shape) for shape in SHAPES.values()) == 72_141_184
    make_weights(tmp_path / "made.pth")
    mer("import", "weights", "vggish", "made.pth", "-o", "w")
    (tmp_path / "made.pth").unlink()
    file = tmp_path / "w" / "vggish.safetensors"
    write_tone(tmp_path / "a.wav", 4.0, 22050)
    options = ("a.wav", "--kind", "vggish", "--weights", f"vggish={file}", "--length", 4)
    mer("featurize", *options, "-o", "f.h5", "--jobs", 1)
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as stored:
        dataset = stored["features/vggish"]
        embedding = dataset[0]
        assert dataset.shape == (1, 4, 128)
    os.environ[VARIABLE] = f'{{"vggish": "{file}"}}'
    try:
        params = request_kind("vggish").params
        from mertools.audio.convert import read_at_rates

        (y,) = read_at_rates(tmp_path / "a.wav", [RATE])
        np.testing.assert_array_equal(vggish.feature(Excerpt(y), params), embedding)
        patches = cut_patches(y / 2**15)
        with torch.inference_mode():
            module = build_module(NETWORK.weights(params.weights))
            by_torch = module(torch.from_numpy(patches)).numpy()
        scale = np.abs(by_torch).max()
        np.testing.assert_allclose(embedding, by_torch, rtol=0, atol=2e-5 * scale)
        few = VggishParams(n_frames=3, pca="yes", weights=params.weights)
        quantised = vggish.feature(Excerpt(y), few)
        assert quantised.shape == (3, 128)
        assert set(np.unique(quantised)) <= set(range(256))
    finally:
        del os.environ[VARIABLE]
        forget_networks()


@pytest.mark.skipif(
    "VGGISH_WEIGHTS" not in os.environ,
    reason="VGGish's weights are not passed on: name those that mer import weights wrote, with "
    "the PCA, in VGGISH_WEIGHTS",
)
def test_the_published_weights_give_the_published_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """vggish_smoke_test.py: three seconds of a sine of 1 kHz, within 10 %."""
    monkeypatch.setenv(VARIABLE, f'{{"vggish": "{os.environ["VGGISH_WEIGHTS"]}"}}')
    digest = digest_weights("vggish")
    embedding = NETWORK.run(cut_patches(sine(3.0)), digest, "cpu")
    assert embedding.mean() == pytest.approx(0.000657, abs=0.01)
    assert embedding.std() == pytest.approx(0.343, rel=0.1)
    weights = safetensors_file.read_learnt(find_weights("vggish"))
    quantised = quantise(embedding, weights[PCA_VECTORS], weights[PCA_MEANS])
    assert quantised.mean() == pytest.approx(126.0, rel=0.1)
    assert quantised.std() == pytest.approx(89.3, rel=0.1)

"""The kind `skey`: its transform by nnAudio's formulas, its network by the authors' code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from made_weights import forget_networks, make_state, save_state
from skey_reference import chroma_net, make_kernels, make_lengths, make_lowpass

from conftest import SHARED, Mer
from mertools.errors import SchemaError
from mertools.features.excerpt import Excerpt
from mertools.features.registry import request_kind
from mertools.features.skey import COLUMN_NAMES, TONICS
from mertools.pretrained.publications import find_publication, read_published_weights
from mertools.pretrained.skey import IMAGINARY, LENGTHS, LOWPASS, NETWORK, REAL
from mertools.pretrained.skey_torch import Skey, build_module
from mertools.pretrained.user_weights import name_weights, write_weights

RATE = 22050
PUBLISHED = SHARED / "weights" / "skey" / "skey.pt"


def import_file(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = read_published_weights(find_publication("skey"), (path,))
    monkeypatch.setenv("MER_WEIGHTS", "")
    name_weights({"skey": str(write_weights(folder, "skey", weights))})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The transform's own kernels, a random network, and what else the published file has."""
    kernels = make_kernels()
    state = make_state(NETWORK.shapes)
    state |= {REAL: kernels.real[:, None], IMAGINARY: kernels.imag[:, None]}
    state |= {LOWPASS: make_lowpass()[None, None], LENGTHS: make_lengths()}
    state["hcqt.cqt_kernels_real_8"] = state[REAL]
    save_state(state, tmp_path / "made.pt", "stone")
    import_file(tmp_path / "made.pt", tmp_path, monkeypatch)
    yield tmp_path / "made.pt"
    forget_networks()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, np.ndarray]]:
    if not PUBLISHED.is_file():
        pytest.skip("S-KEY's weights are not beside this checkout (../shared/weights)")
    import_file(PUBLISHED, tmp_path, monkeypatch)
    yield dict(NETWORK.weights(request_kind("skey").params.weights))
    forget_networks()


def module() -> Skey:
    return build_module(NETWORK.weights(request_kind("skey").params.weights))


def tones(*hz: float, seconds: float = 1.0) -> np.ndarray:
    """Sound like a piano's: six overtones that die away."""
    t = np.arange(round(seconds * RATE)) / RATE
    overtones = [np.sin(2 * np.pi * f * h * t) / h for f in hz for h in range(1, 7)]
    return np.sum(overtones, axis=0) * np.exp(-1.5 * t)


@pytest.mark.usefixtures("made")
def test_a_tone_is_in_its_semitone() -> None:
    """A closed form: bin 0 is A0, and each of the 99 a semitone above the one before."""
    transform = module()._transform
    for bin_ in (3, 15, 40, 61, 95):
        t = np.arange(6 * RATE) / RATE
        y = np.sin(2 * np.pi * 27.5 * 2 ** (bin_ / 12) * t).astype(np.float32)
        S = transform(torch.from_numpy(y)).numpy()
        assert S.shape == (99, 1 + len(y) // 512)
        assert S[:, len(S[0]) // 2].argmax() == bin_


@pytest.mark.usefixtures("made")
def test_a_bin_is_the_formula_at_the_full_rate() -> None:
    """The highest octave is not filtered: a product with the kernel, mirrored at the ends."""
    y = np.random.default_rng(0).normal(0, 0.1, 70_000).astype(np.float32)
    S = module()._transform(torch.from_numpy(y)).numpy()
    around = np.pad(y, 64, mode="reflect")
    magnitude = np.abs(make_kernels()[5] @ around[512 * 40 : 512 * 40 + 128])
    decibels = 10 * np.log10(magnitude * np.sqrt(make_lengths()[92]))
    assert S[92, 40] == pytest.approx(decibels / 80 + 1, abs=1e-5)


def test_the_network_is_that_of_the_authors(made: Path) -> None:
    """By torch and by onnxruntime, for sound of any length."""
    del made
    digest, network = request_kind("skey").params.weights, module()
    state = {name: torch.from_numpy(values) for name, values in NETWORK.weights(digest).items()}
    for n_samples in (65_024, 100_003):
        y = np.random.default_rng(1).normal(0, 0.1, n_samples).astype(np.float32)
        with torch.inference_mode():
            S = network._transform(torch.from_numpy(y))[None, None, :84]
            expected = chroma_net(S, state).numpy()
            by_torch = network(torch.from_numpy(y)).numpy().ravel()
        by_onnx = NETWORK.run(y, digest, "cpu").ravel()
        np.testing.assert_allclose(by_torch, expected, atol=1e-4)
        np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)


@pytest.mark.usefixtures("made")
def test_posteriors_sum_to_1_and_level_counts_nothing() -> None:
    kind = request_kind("skey")
    y = (3000 * tones(220, 277, 330, seconds=4)).astype(np.int16)
    found = kind.compute(Excerpt(y))
    assert found.shape == (len(COLUMN_NAMES),) == (25,)
    assert found[:24].sum() == pytest.approx(1, abs=1e-5)
    logit = np.log(found[12:24].sum() / found[:12].sum())
    assert found[24] == pytest.approx(logit, abs=1e-4)
    np.testing.assert_allclose(kind.compute(Excerpt(2 * y)), found, atol=1e-4)
    for n in (0, 100, RATE):
        assert np.isfinite(kind.compute(Excerpt(np.zeros(n, np.int16)))).all()


def test_the_way_by_commands(
    mer: Mer, tmp_path: Path, made: Path, write_tone: Callable[..., Path]
) -> None:
    mer("import", "weights", "skey", made, "-o", "w")
    write_tone(tmp_path / "a.wav", 4.0, 44100)
    file = "skey=w/skey.safetensors"
    mer("featurize", "a.wav", "--kind", "skey", "--weights", file, "-o", "f.h5", "-j", 1)
    mer("validate", "f.h5")
    with h5py.File(tmp_path / "f.h5") as stored:
        assert stored["features/skey"].shape == (1, 25)
        assert list(stored["features/skey"].attrs["columns"])[-1] == "minor_logit"
    words = ("featurize", "a.wav", "--kind", "skey", "-o", "g.h5", "--weights")
    for wrong, said in (
        ("w/skey.safetensors", "give KIND=w/skey.safetensors"),
        ("openl3=w/skey.safetensors", "is for no kind asked for"),
        ("skey=w", "names no file"),
    ):
        assert said in mer(*words, wrong, status=2).stderr


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    publication = find_publication("skey")
    save_state(make_state(NETWORK.shapes), tmp_path / "flat.pt")
    with pytest.raises(SchemaError, match="holds no stone"):
        read_published_weights(publication, (tmp_path / "flat.pt",))
    save_state({"a": np.zeros(1, np.float32)}, tmp_path / "few.pt", "stone")
    with pytest.raises(SchemaError, match="lacks the weight"):
        read_published_weights(publication, (tmp_path / "few.pt",))


@pytest.mark.corpus
def test_the_published_kernels_are_those_of_the_formulas(
    published: dict[str, np.ndarray],
) -> None:
    kernels = make_kernels()
    np.testing.assert_allclose(published[REAL][:, 0], kernels.real, atol=1e-6)
    np.testing.assert_allclose(published[IMAGINARY][:, 0], kernels.imag, atol=1e-6)
    np.testing.assert_array_equal(published[LENGTHS], make_lengths())
    np.testing.assert_allclose(published[LOWPASS][0, 0], make_lowpass(), atol=1e-6)


@pytest.mark.corpus
@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("root", range(0, 12, 5))
def test_the_published_weights_hear_keys(root: int) -> None:
    """I IV V I and i iv V i."""
    kind = request_kind("skey")
    for mode, third in (("major", 4), ("minor", 3)):
        steps = [(0, third), (5, third), (7, 4), (0, third)] * 4
        chords = [
            tones(*(440 * 2 ** ((root + step + k - 9) / 12 - 1) for k in (0, above, 7)))
            for step, above in steps
        ]
        y = np.concatenate(chords)
        found = kind.compute(Excerpt((y / np.abs(y).max() * 20_000).astype(np.int16)))
        assert COLUMN_NAMES[int(found[:24].argmax())] == f"{TONICS[root]}_{mode}"
        assert (found[24] > 0) == (mode == "minor")

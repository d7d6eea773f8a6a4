"""MusiCNN against frozen values of the original network in TensorFlow, and what is made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mertools.errors import UsageError
from mertools.features import musicnn
from mertools.features.excerpt import Excerpt
from mertools.features.musicnn import (
    CHANGE_COLUMN_NAMES,
    COLUMN_NAMES,
    LAYERS,
    SAMPLE_RATE,
    TAGS,
    MusicnnParams,
    cut_patches,
    run_network,
)
from mertools.features.registry import request_kind
from mertools.pretrained.musicnn import LIVE_CHANNELS, N_BANDS, PATCH_FRAMES
from tools.musicnn_weights import DATA, INDEX, PACKAGE
from tools.packages import open_package, read_files
from tools.tensor_bundle import read_variables

REFERENCE = Path(__file__).with_name("musicnn_reference.npz")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    """What the original gives for five patches (see make_musicnn_reference.py)."""
    with np.load(REFERENCE) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def checkpoint() -> dict[str, bytes]:
    with open_package(PACKAGE) as site:
        return read_files(PACKAGE, site)


def music(seconds: float, rate: int = SAMPLE_RATE, level: float = 0.2) -> np.ndarray:
    """Chords that change every second, over a beat."""
    t = np.arange(round(seconds * rate)) / rate
    root_hz = 220 * 2 ** (np.array([0, 5, 7, -3, 2])[t.astype(int) % 5] / 12)
    y = sum(np.sin(2 * np.pi * root_hz * ratio * t) for ratio in (1, 1.26, 1.5, 4))
    y += 2 * np.sin(2 * np.pi * 60 * t) * np.exp(-12 * (t % 0.5))
    return np.clip(level * 32767 / 4 * y, -32768, 32767).astype(np.int16)


def run_torch(patches: np.ndarray) -> tuple[np.ndarray, ...]:
    """Run what runs on GPUs, on the processor."""
    made = musicnn._run_on("cpu", patches)
    return tuple(np.concatenate(parts) for parts in zip(*made, strict=True))


@pytest.mark.parametrize("run", [run_network, run_torch])
def test_equals_the_original_network(run, reference: dict[str, np.ndarray]) -> None:
    made = dict(zip(LAYERS, run(reference["patches"]), strict=True))
    live = np.array(LIVE_CHANNELS)
    for pool in ("mean_pool", "max_pool"):
        left_out = np.delete(reference[pool], live, axis=1)
        assert np.ptp(left_out, axis=0).max() < 1e-6
        reference = reference | {pool: reference[pool][:, live]}
    for name, values in made.items():
        assert values.dtype == np.float32
        # The highest are over 100, where rounding in float32 is what differs.
        np.testing.assert_allclose(values, reference[name], rtol=1e-5, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(made["tags"], reference["tags"], rtol=0, atol=1e-5)


def test_channels_left_out_cannot_move() -> None:
    """Bounds of what each channel can be, for any sound from silence to beyond full scale."""
    files = checkpoint()
    v = read_variables(files[INDEX], files[DATA])

    def bounds(layer: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel = v[f"conv2d_{layer}/kernel" if layer else "conv2d/kernel"][:, :, 0]
        weight = kernel.astype(np.float64).transpose(2, 0, 1)  # (n_out, n_frames, n_in)
        up, down = np.maximum(weight, 0), np.minimum(weight, 0)
        bias = v[f"conv2d_{layer}/bias" if layer else "conv2d/bias"]
        least = np.maximum((up * low + down * high).sum((1, 2)) + bias, 0)
        most = np.maximum((up * high + down * low).sum((1, 2)) + bias, 0)
        return normalise(layer + 1, least, most)

    def normalise(place: int, *values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        name = f"batch_normalization_{place}" if place else "batch_normalization"
        scale = v[f"{name}/gamma"] / np.sqrt(v[f"{name}/moving_variance"] + 1e-3)
        made = [(x - v[f"{name}/moving_mean"]) * scale + v[f"{name}/beta"] for x in values]
        return np.minimum(*made), np.maximum(*made)

    low, high = normalise(0, np.array(0.0), np.array(8.0))
    assert low < 0 < high  # zeros are put before and after
    fronts = zip(*(bounds(layer, low, high) for layer in range(5)), strict=True)
    front = np.array([np.concatenate(parts) for parts in fronts])
    middle = bounds(5, np.minimum(front[0], 0), np.maximum(front[1], 0))
    moves = np.concatenate([front[1] - front[0], middle[1] - middle[0]])
    left_out = sorted(set(range(len(moves))) - set(LIVE_CHANNELS))
    assert len(left_out) == 541
    assert moves[left_out].max() < 1e-7 < 0.01 < np.delete(moves, left_out).min()
    loudest = cut_patches(np.full(60_000, -32768, np.int16), MusicnnParams()).max()
    noise = cut_patches(RNG.choice([-32768, 32767], 60_000).astype(np.int16), MusicnnParams())
    assert max(loudest, noise.max()) < 8


def test_every_patch_has_its_own_penultimate_layer() -> None:
    patches = cut_patches(music(10), MusicnnParams())
    assert patches.shape == (3, PATCH_FRAMES, N_BANDS)
    together = run_network(patches)
    for place in range(3):
        for of_all, of_one in zip(together, run_network(patches[place : place + 1]), strict=True):
            assert of_all[place].tobytes() == of_one[0].tobytes()
    penultimate = together[-1]
    assert (np.abs(np.diff(penultimate, axis=0)).max(axis=1) > 0.01).all()


@pytest.mark.parametrize(
    "y",
    [music(8), np.zeros(60_000, np.int16), RNG.choice([-32768, 32767], 60_000).astype(np.int16)],
    ids=["music", "silence", "full-scale noise"],
)
def test_front_end_is_that_of_librosa_in_float32(y: np.ndarray) -> None:
    S = librosa.feature.melspectrogram(
        y=y / np.float32(32768), sr=16000, n_fft=512, hop_length=256, n_mels=96
    )
    expected = np.log10(10000 * S.T + 1)
    made = cut_patches(y, MusicnnParams())
    n_patches = len(expected) // PATCH_FRAMES
    assert made.shape == (n_patches, PATCH_FRAMES, N_BANDS)
    for place, patch in enumerate(made):
        frames = slice(place * PATCH_FRAMES, (place + 1) * PATCH_FRAMES)
        np.testing.assert_allclose(patch, expected[frames], rtol=0, atol=1e-4)


def test_loud_music_stays_finite() -> None:
    """Ten thousand times the power of a square wave at full scale is no number in float16."""
    y = np.where(np.arange(80_000) % 160 < 80, 32767, -32768).astype(np.int16)
    patches = cut_patches(y, MusicnnParams())
    assert patches.max() > np.log10(float(np.finfo(np.float16).max))
    values = request_kind("musicnn", SAMPLE_RATE).compute(Excerpt(y))
    assert np.isfinite(values).all()


def test_columns_are_statistics_of_layers() -> None:
    y = music(10)
    kind = request_kind("musicnn", SAMPLE_RATE)
    values = kind.compute(Excerpt(y))
    assert values.shape == (len(COLUMN_NAMES),) == (924,)
    assert len(set(COLUMN_NAMES)) == 924
    assert kind.describe(values.shape, values.dtype.name).columns == COLUMN_NAMES
    named = dict(zip(COLUMN_NAMES, values.tolist(), strict=True))
    layers = dict(zip(LAYERS, run_network(cut_patches(y, MusicnnParams())), strict=True))
    happy = layers["tags"][:, TAGS.index("happy")]
    for name, expected in {
        "tags_happy_mean": happy.mean(),
        "tags_happy_std": happy.std(),
        "mean_pool_753_mean": layers["mean_pool"][:, -1].mean(),
        "max_pool_13_max": layers["max_pool"][:, 0].max(),
        "penultimate_1_mean": layers["penultimate"][:, 0].mean(),
        "penultimate_200_std": layers["penultimate"][:, 199].std(),
    }.items():
        assert named[name] == pytest.approx(float(expected), abs=1e-6), name


def test_change_is_how_far_pools_of_patches_differ() -> None:
    """Of steady sound there is little; both kinds are made of one run of the network."""
    y = music(10)
    excerpt, kind = Excerpt(y), request_kind("musicnn-change", SAMPLE_RATE)
    request_kind("musicnn", SAMPLE_RATE).compute(excerpt)
    (made,) = excerpt._results.values()
    changes = kind.compute(excerpt)
    assert len(excerpt._results) == 1
    assert changes.shape == (len(CHANGE_COLUMN_NAMES),) == (424,)
    assert kind.describe(changes.shape, changes.dtype.name).columns == CHANGE_COLUMN_NAMES
    layers = dict(zip(LAYERS, made, strict=True))
    expected = [np.log(layers[pool].std(axis=0) + 0.01) for pool in ("mean_pool", "max_pool")]
    np.testing.assert_allclose(changes, np.concatenate(expected), rtol=1e-6)
    assert changes.dtype == np.float32
    assert CHANGE_COLUMN_NAMES[212] == "max_pool_13_log_std"
    of_one_patch = kind.compute(Excerpt(y[: 5 * SAMPLE_RATE]))
    np.testing.assert_allclose(of_one_patch, np.log(0.01), rtol=1e-6)
    hum = (3000 * np.sin(2 * np.pi * 220 * np.arange(len(y)) / SAMPLE_RATE)).astype(np.int16)
    assert kind.compute(Excerpt(hum)).mean() < changes.mean() - 0.5


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("n_samples", [0, 1, 400, 23_807, 23_808, 47_615, 47_616, 95_744])
def test_segments_shorter_than_a_patch_are_repeated(rate: int, n_samples: int) -> None:
    kind = request_kind("musicnn", rate)
    excerpt = Excerpt(music(12, rate)[:n_samples])
    patches = cut_patches(excerpt.y, kind.params)
    n_frames = 1 + n_samples * SAMPLE_RATE // rate // 256
    assert patches.shape == (max(1, n_frames // PATCH_FRAMES), PATCH_FRAMES, N_BANDS)
    assert kind.fills_up(excerpt.y) == (n_frames < PATCH_FRAMES)
    if 1 < n_frames < PATCH_FRAMES // 2:
        np.testing.assert_array_equal(patches[0, n_frames : 2 * n_frames], patches[0, :n_frames])
    assert np.isfinite(kind.compute(excerpt)).all()


def test_sound_is_heard_at_no_more_than_16_khz() -> None:
    assert [request_kind("musicnn", rate).sample_rate for rate in (8000, 16000, 44100)] == [
        8000,
        16000,
        16000,
    ]
    assert len({request_kind("musicnn", rate).digest for rate in (8000, 16000, 44100)}) == 2


def test_sound_at_another_rate_is_resampled() -> None:
    low = cut_patches(music(6, 8000), MusicnnParams(sample_rate=8000))
    full = cut_patches(music(6), MusicnnParams())
    assert low.shape == full.shape
    below_3_khz = slice(0, 60)
    assert np.median(np.abs(low - full)[..., below_3_khz]) < 0.01


def test_patches_may_overlap() -> None:
    y = music(6)
    patches = cut_patches(y, MusicnnParams(hop_frames=50))
    assert len(patches) == (1 + len(y) // 256 - PATCH_FRAMES) // 50 + 1
    np.testing.assert_array_equal(patches[0, 50:], patches[1, :-50])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100_000), st.floats(-5, 0), st.integers(0, 99))
def test_any_sound_has_tags_between_0_and_1(n_samples: int, exponent: float, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, n_samples) * 10**exponent
    tags, *others = run_network(cut_patches((32767 * noise).astype(np.int16), MusicnnParams()))
    assert ((tags >= 0) & (tags <= 1)).all()
    assert all(np.isfinite(values).all() for values in others)


@pytest.mark.parametrize("name", ["sample_rate", "hop_frames"])
def test_senseless_parameters_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        MusicnnParams(**{name: 0})


def test_variables_of_the_checkpoint_have_names_and_shapes() -> None:
    files = checkpoint()
    index, data = files[INDEX], files[DATA]
    variables = read_variables(index, data)
    assert variables["conv2d_1/kernel"].shape == (7, 67, 1, 204)
    assert variables["dense_1/bias"].shape == (50,)
    assert variables["beta1_power"].shape == ()
    assert sum(values.size for values in variables.values()) * 4 == len(data)
    for broken in (b"", index[:-1], index[1:], data):
        with pytest.raises(ValueError, match="table"):
            read_variables(broken, data)


@pytest.mark.parametrize("holds", ["nothing", "another checkpoint"])
def test_another_package_is_refused(
    holds: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "musicnn" / PACKAGE.folder
    folder.mkdir(parents=True)
    (tmp_path / "musicnn" / "__init__.py").touch()
    if holds != "nothing":
        for name in (INDEX, DATA):
            (folder / name).write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with (
        pytest.raises(UsageError, match=r"is not that of musicnn==0\.1\.0") as refused,
        open_package(PACKAGE) as site,
    ):
        read_files(PACKAGE, site)
    assert refused.value.remedy == "pip install --no-deps musicnn==0.1.0"


def test_onnxruntime_and_numpy_suffice() -> None:
    script = (
        "import sys, numpy\n"
        "from mertools.features.excerpt import Excerpt\n"
        "from mertools.features.registry import request_kind\n"
        "request_kind('musicnn', 16000).compute(Excerpt(numpy.zeros(30000, numpy.int16)))\n"
        "heavy = {'musicnn', 'tensorflow', 'torch', 'onnx', 'librosa', 'sklearn'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_frames_are_the_penultimate_layer_of_patches(corpus: Path) -> None:
    """With the hop of `musicnn`, their mean and deviation are that kind's columns."""
    from mertools.audio.convert import read_at_rates
    from mertools.features import musicnn_frames
    from mertools.features.excerpt import Excerpt
    from mertools.features.musicnn import COLUMN_NAMES, MusicnnParams
    from mertools.features.musicnn import feature as statistics_of

    (y,) = read_at_rates(corpus / "audio" / "001.ogg", [16000])
    excerpt = Excerpt(y[: 15 * 16000])
    assert musicnn_frames.feature(excerpt, musicnn_frames.MusicnnFramesParams()).shape == (13, 200)
    same_hop = musicnn_frames.MusicnnFramesParams(hop_frames=MusicnnParams().hop_frames)
    frames = musicnn_frames.feature(excerpt, same_hop)
    expected = dict(zip(COLUMN_NAMES, statistics_of(excerpt, MusicnnParams()), strict=True))
    for name, column in zip(musicnn_frames.COLUMN_NAMES, frames.T, strict=True):
        assert column.mean() == pytest.approx(expected[f"{name}_mean"], rel=1e-5, abs=1e-6)
        assert column.std() == pytest.approx(expected[f"{name}_std"], rel=1e-4, abs=1e-6)

"""Posteriorgrams against the basic-pitch package, and against what is known of the sound."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from basic_pitch_reference import transcribe_with_package
from hypothesis import given, settings
from hypothesis import strategies as st

from mertools.errors import UsageError
from mertools.features import transcription
from mertools.features.excerpt import Excerpt
from mertools.features.registry import request_kind
from mertools.features.transcription import (
    CONTOUR_COLUMNS,
    NOTE_COLUMNS,
    SAMPLE_RATE,
    WINDOW_HOP_SAMPLES,
    TranscriptionParams,
    transcribe,
)
from mertools.pretrained.basic_pitch import WEIGHTS
from mertools.pretrained.weight_files import load_weights
from tools.basic_pitch_weights import MODEL_FILE, PACKAGE
from tools.onnx_weights import read_weights
from tools.packages import open_package, read_files

KINDS = ("note", "onset", "contour")
RNG = np.random.default_rng(0)


def sine(hz: float, seconds: float, rate: int = SAMPLE_RATE, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def to_pcm(y: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(y * 32768), -32768, 32767).astype(np.int16)


def impulse(n: int, place: int, level: float) -> np.ndarray:
    y = np.zeros(n, np.float32)
    y[place] = level
    return y


AWKWARD = {
    "one sample": np.ones(1, np.float32),
    "one sample, the last bit": np.full(1, 2.0**-15, np.float32),
    "a frame": np.full(257, 0.5, np.float32),
    "short silence": np.zeros(400, np.float32),
    "silence": np.zeros(50_000, np.float32),
    "noise": RNG.normal(0, 0.1, 100_000).astype(np.float32),
    "full-scale noise": RNG.choice([-1, 1], 60_000).astype(np.float32),
    "last-bit noise": (RNG.integers(-1, 2, 80_000) / 32768).astype(np.float32),
    "constant": np.full(60_000, 0.5, np.float32),
    "last-bit impulse": impulse(70_000, 30_000, 2.0**-15),
    "full-scale tone": sine(440, 3, level=1.0),
    "tone shorter than a window": sine(351, 1.2),
    "a window's hop": sine(97, 2)[: WINDOW_HOP_SAMPLES - 3840],
    "a window's hop and a sample": sine(97, 2)[: WINDOW_HOP_SAMPLES - 3839],
    "silence, then a tone": np.concatenate([np.zeros(60_000, np.float32), sine(220, 2)]),
    "above the network's range": sine(10_900, 3),
}


def assert_as_package(y: np.ndarray, folder: Path) -> None:
    made, expected = transcribe(y), transcribe_with_package(y, folder)
    for name in KINDS:
        actual = getattr(made, name)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, getattr(expected, name), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", AWKWARD)
def test_equals_the_package_on_awkward_sound(name: str, tmp_path: Path) -> None:
    assert_as_package(AWKWARD[name], tmp_path)


def test_the_torch_module_gives_the_same() -> None:
    import torch

    from mertools.pretrained.basic_pitch_torch import BasicPitch

    y = np.concatenate([*AWKWARD.values()][-6:])
    windows = np.stack([*transcription._cut_windows(y)])
    with torch.inference_mode():
        made = BasicPitch(load_weights(WEIGHTS))(torch.from_numpy(windows))
    expected = transcribe(y)
    for name, part in zip(KINDS, made, strict=True):
        inner = part[:, 15:-15].flatten(0, 1).numpy()[: len(expected.note)]
        np.testing.assert_allclose(inner, getattr(expected, name), rtol=0, atol=1e-4)


@pytest.mark.parametrize("first", [0, 4])
def test_company_does_not_change_a_window(first: int) -> None:
    y = np.concatenate(list(AWKWARD.values()))
    windows = [*transcription._cut_windows(y)]
    whole = transcribe(y)
    made = next(transcription._run_on_cpu(windows[first:]))
    for name, part in zip(KINDS, made, strict=True):
        expected = getattr(whole, name)[142 * first :][:142]
        assert part.tobytes() == expected.tobytes()


@pytest.mark.corpus
@pytest.mark.slow
def test_equals_the_package_on_music(corpus: Path, tmp_path: Path) -> None:
    originals = sorted((corpus / "originals").glob("*.mp3"))
    assert len(originals) == 12
    for path in originals:
        y, rate = soundfile.read(path, dtype="float32")
        assert_as_package(soxr.resample(y.mean(axis=1), rate, SAMPLE_RATE), tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3 * WINDOW_HOP_SAMPLES), st.floats(-6, 0), st.integers(0, 99))
def test_any_sound_gives_probabilities(n_samples: int, exponent: float, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, n_samples) * 10**exponent
    made = transcribe(noise.astype(np.float32))
    n_frames = n_samples * 86 // 22050
    for name, n_bins in zip(KINDS, (88, 88, 264), strict=True):
        values = getattr(made, name)
        assert values.shape == (n_frames, n_bins)
        assert np.isfinite(values).all() and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(("pitch", "hz"), [(45, 110.0), (69, 440.0), (81, 880.0)])
def test_a_tone_is_heard_at_its_pitch(pitch: int, hz: float) -> None:
    tone = np.concatenate([np.zeros(SAMPLE_RATE // 2, np.float32), sine(hz, 1.5)])
    made = transcribe(tone)
    sounding = slice(60, 120)
    assert (made.note[sounding].argmax(axis=1) == NOTE_COLUMNS.index(f"pitch_{pitch}")).all()
    assert (made.contour[sounding].argmax(axis=1) // 3 == pitch - 21).all()
    begins = made.onset[:, pitch - 21].argmax()
    assert abs(begins - 0.5 * SAMPLE_RATE / 256) <= 3
    assert made.note[:35].max() < 0.3


def test_level_does_not_matter() -> None:
    y = sine(440, 2) + sine(660, 2)
    loud, faint = transcribe(y), transcribe(y / 8)
    np.testing.assert_allclose(faint.note, loud.note, atol=0.1)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
@pytest.mark.parametrize(("seconds", "n_frames"), [(10.0, 858), (5.0, 429), (2.5, 214)])
def test_features_have_858_frames_in_ten_seconds(rate: int, seconds: float, n_frames: int) -> None:
    excerpt = Excerpt(to_pcm(sine(440, seconds, rate)))
    for name, columns in zip(KINDS, (NOTE_COLUMNS, NOTE_COLUMNS, CONTOUR_COLUMNS), strict=True):
        kind = request_kind(name, settings={"sample_rate": rate})
        values = kind.compute(excerpt)
        assert values.dtype == np.float16
        assert values.shape == (n_frames, len(columns))
        assert kind.describe(values.shape, values.dtype.name).columns == columns
        assert not kind.fills_up(excerpt.y)


def test_features_are_the_posteriorgrams() -> None:
    y = to_pcm(sine(440, 10) + sine(330, 10) / 3)
    made = transcribe(y / np.float32(32768))
    for name in KINDS:
        expected = getattr(made, name)[:858].astype(np.float16)
        np.testing.assert_array_equal(request_kind(name, 22050).compute(Excerpt(y)), expected)


@pytest.mark.parametrize("n_samples", [0, 1, 93, 94])
def test_segments_too_short_for_a_frame_have_one(n_samples: int) -> None:
    kind = request_kind("note", 8000)
    excerpt = Excerpt(np.zeros(n_samples, np.int16))
    assert kind.compute(excerpt).shape == (1, 88)
    assert kind.fills_up(excerpt.y) == (n_samples < 94)


def test_one_run_of_the_network_makes_all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    run = transcription._transcribe_whole
    monkeypatch.setattr(
        transcription, "_transcribe_whole", lambda y, device: runs.append(1) or run(y, device)
    )
    excerpt = Excerpt(to_pcm(sine(440, 3)))
    for name in KINDS:
        request_kind(name, 22050).compute(excerpt)
    assert len(runs) == 1


def piece() -> np.ndarray:
    """A tone of half a second every second, an octave's notes up."""
    notes = [np.concatenate([sine(220 * 2 ** (k / 12), 0.5), np.zeros(11025)]) for k in range(30)]
    return to_pcm(np.concatenate(notes))


def in_context(context: str, start_s: float, y: np.ndarray) -> np.ndarray:
    kind = request_kind("onset", 22050, {"context": context})
    first = round(start_s * 22050)
    whole = Excerpt(y)
    return kind.compute(Excerpt(y[first : first + 220500], start_s, lambda: whole))


def test_context_matters_little_but_where_a_segment_begins_and_ends() -> None:
    y = piece()
    of_segment, of_track = in_context("segment", 0.0, y), in_context("track", 0.0, y)
    # The same windows, up to the one that the segment's end falls in.
    np.testing.assert_allclose(of_track[:700], of_segment[:700], atol=1e-3)
    for start_s in (10.0, 17.3):
        of_segment, of_track = in_context("segment", start_s, y), in_context("track", start_s, y)
        assert of_track.shape == (858, 88)
        pitches = of_track.max(axis=0) > 0.5
        assert pitches.sum() >= 9
        for pitch in np.flatnonzero(pitches & (of_segment.max(axis=0) > 0.5)):
            places = [values[:, pitch].argmax() for values in (of_segment, of_track)]
            assert abs(places[0] - places[1]) <= 3


def test_a_segment_that_reaches_beyond_its_track_is_filled_up() -> None:
    y = piece()[: 15 * 22050]
    made = in_context("track", 10.0, np.pad(y, (0, 5 * 22050)))
    kind = request_kind("onset", 22050, {"context": "track"})
    padded = Excerpt(np.pad(y[220500:], (0, 5 * 22050)), 10.0, lambda: Excerpt(y))
    filled = kind.compute(padded)
    assert filled.shape == made.shape == (858, 88)
    np.testing.assert_allclose(filled[:400], made[:400], atol=1e-3)
    assert not filled[700:].any()


def test_repeated_runs_give_the_same_bytes() -> None:
    y = AWKWARD["noise"]
    first = transcribe(y)
    transcribe(AWKWARD["full-scale tone"])
    again = transcribe(y.copy())
    for name in KINDS:
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()


@pytest.mark.parametrize(
    ("options", "subject"),
    [({"sample_rate": 0}, "sample_rate"), ({"context": "album"}, "context")],
)
def test_senseless_parameters_are_refused(options: dict[str, object], subject: str) -> None:
    with pytest.raises(UsageError, match=subject):
        TranscriptionParams(**options)


@cache
def package_model() -> bytes:
    with open_package(PACKAGE) as site:
        return read_files(PACKAGE, site)[MODEL_FILE]


def test_weights_are_those_that_onnxruntime_reads() -> None:
    weights = read_weights(package_model())
    shapes = sorted(values.shape for values in weights.values() if values.ndim == 4)
    assert shapes == [
        (1, 1, 1, 256),
        (1, 8, 5, 5),
        (1, 32, 7, 3),
        (1, 33, 3, 3),
        (8, 8, 3, 39),
        (32, 1, 7, 7),
        (32, 8, 5, 5),
        (36, 1, 1, 256),
        (36, 1, 1, 256),
    ]
    assert all(values.dtype == np.float32 for values in weights.values())


def test_weights_of_a_message_by_hand() -> None:
    """A model with one constant of shape (1, 2), its dimensions packed, and one of integers."""
    data = np.array([1.5, -2.0], "<f4").tobytes()
    floats = b"\x0a\x02\x01\x02" + b"\x10\x01" + b"\x42\x01w" + b"\x4a\x08" + data
    integers = b"\x08\x01" + b"\x10\x07" + b"\x42\x01n" + b"\x4a\x08" + bytes(8)
    tensors = b"".join(b"\x2a" + bytes([len(t)]) + t for t in (floats, integers))
    model = b"\x08\x09" + b"\x3a" + bytes([len(tensors)]) + tensors
    weights = read_weights(model)
    assert list(weights) == ["w"]
    np.testing.assert_array_equal(weights["w"], [[1.5, -2.0]])


@given(st.binary(max_size=60) | st.integers(1, 500).map(lambda n: package_model()[:-n]))
def test_what_is_no_model_is_refused_or_holds_nothing(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read_weights(content), dict)


def test_onnxruntime_and_numpy_suffice() -> None:
    script = (
        "import sys, numpy\n"
        "import mertools.cli.app\n"
        "from mertools.runtime import devices\n"
        "from mertools.features.excerpt import Excerpt\n"
        "from mertools.features.notes import notes_in\n"
        "from mertools.features.registry import request_kind\n"
        "sound, kind = Excerpt(numpy.zeros(30000, numpy.int16)), request_kind('note', 22050)\n"
        "devices.DRIVERS = ()\n"  # as on a machine without a GPU
        "device = devices.find_device('auto' if sys.platform == 'linux' else 'cpu')\n"
        "kind.compute(sound), notes_in(sound, 9, kind.params, device)\n"
        "heavy = {'basic_pitch', 'tensorflow', 'torch', 'onnx', 'librosa', 'resampy', 'sklearn'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")

"""Transcription by Basic Pitch's network."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import soundfile
import soxr

from benchmarks.pairs import (
    MER,
    ColdPair,
    Cost,
    Faster,
    Lap,
    WarmPair,
    again_and_again,
    find_program,
    module,
    program,
)
from benchmarks.setup import Setup
from mertools.features.transcription import SAMPLE_RATE, WINDOW_HOP_SAMPLES, transcribe
from mertools.pretrained.basic_pitch import (
    KERNEL_SAMPLES,
    N_CONTOUR_BINS,
    N_NOTES,
    N_OCTAVES,
    WEIGHTS,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    cut_harmonics,
)
from mertools.pretrained.weight_files import load_weights
from tools.basic_pitch_weights import MODEL_FILE, PACKAGE

MOST_SONGS = 2
OF_NOTES = ("note_stack", "note", "onset_stack", "onset")

NEEDS = (module("basic_pitch"), module("onnxruntime"), module("librosa"))


def _songs(setup: Setup) -> list[Path]:
    return setup.songs()[:MOST_SONGS]


def _minutes(setup: Setup) -> float:
    return sum(float(soundfile.info(path).duration) for path in _songs(setup)) / 60


def _with_each_song(setup: Setup, work: Callable[[Path], object], lap: Lap) -> None:
    """Do some work with songs that need not be resampled any more."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, path in enumerate(_songs(setup)):
            y, rate = soundfile.read(path, dtype="float32", always_2d=True)
            paths.append(Path(folder) / f"{number}.wav")
            resampled = soxr.resample(y.mean(axis=1), rate, SAMPLE_RATE)
            soundfile.write(paths[-1], resampled, SAMPLE_RATE, "FLOAT")
        again_and_again(lambda: [work(path) for path in paths], lap)


def _transcribe(setup: Setup, lap: Lap) -> None:
    def work(path: Path) -> None:
        transcribe(soundfile.read(path, dtype="float32")[0])

    _with_each_song(setup, work, lap)


def _cost(setup: Setup) -> Cost:
    """Count the products of our own graph."""
    w = load_weights(WEIGHTS)
    n_windows = _minutes(setup) * 60 * SAMPLE_RATE / WINDOW_HOP_SAMPLES
    n_samples = WINDOW_SAMPLES  # each octave has half the rate: this many in sum
    products = n_samples * KERNEL_SAMPLES + WINDOW_FRAMES * (
        N_OCTAVES * w["cqt_kernels"].size
        + sum(matrix.size for _, _, matrix in cut_harmonics(w["contour_stack_weight"]))
        + N_CONTOUR_BINS * w["contour_weight"].size
        + N_NOTES * sum(w[f"{name}_weight"].size for name in OF_NOTES)
    )
    return Cost(flops=2.0 * n_windows * products, precision="float32")


def _run_inference(setup: Setup, lap: Lap) -> None:
    logging.disable(logging.WARNING)  # it complains of every runtime that is not installed
    warnings.simplefilter("ignore")
    import onnxruntime
    from basic_pitch import inference

    path = Path(inference.__file__).parent / PACKAGE.folder / MODEL_FILE
    model = inference.Model(path)
    # By itself it starts a thread for each core of the machine, on the one that it has here.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.model = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    _with_each_song(setup, lambda path: inference.run_inference(path, model), lap)


def _from_the_shell(setup: Setup) -> list[list[str]]:
    # A whole song at once, as the peer takes it.
    options = ["--context", "track", "-o", "notes.h5", "--midi", ".", "--notes", "notes.csv"]
    return [[*MER, "transcribe", str(setup.songs()[0]), *options]]


def _basic_pitch_from_the_shell(setup: Setup) -> list[list[str]]:
    options = ["--model-serialization", "onnx"]
    wanted = ["--save-model-outputs", "--save-midi", "--save-note-events"]
    command = find_program("basic-pitch") or "basic-pitch"
    return [[command, *options, *wanted, ".", str(setup.songs()[0])]]


PAIRS = (
    WarmPair(
        name="transcribe",
        work="transcription, one core, warm",
        against="basic-pitch's run_inference with ONNX",
        goal=Faster(2),
        unit="minute of audio",
        amount=_minutes,
        one_core=True,
        needs=NEEDS,
        ours=_transcribe,
        theirs=_run_inference,
        cost=_cost,
    ),
    ColdPair(
        name="transcribe-shell",
        work="transcription of a song, from the shell",
        against="the basic-pitch program with ONNX",
        goal=Faster(2.5),
        unit="song",
        needs=(*NEEDS, program("basic-pitch")),
        ours=_from_the_shell,
        theirs=_basic_pitch_from_the_shell,
    ),
)

"""Features of all kinds as one would make them without mertools: `chain.py JOBS TRACK...`.

Writes an .npz a track, with features of its segments of 10 s, into the current folder.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import warnings
from pathlib import Path

# A thread a process: more would only be in each other's way.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from basic_pitch import ICASSP_2022_MODEL_PATH, inference  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402
from pyAudioAnalysis import ShortTermFeatures  # noqa: E402

RATE = 8000
SEGMENT_S = 10
WINDOW = 400
WINDOWS_A_SECOND = RATE // WINDOW
FRAMES = 858


def load_model() -> None:
    global model  # of this process, for all its tracks
    path = Path(ICASSP_2022_MODEL_PATH).with_name("nmp.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = inference.Model(path)
    model.model = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


def handcrafted(y: NDArray[np.float32]) -> NDArray[np.float32]:
    # The parts of pyAudioAnalysis' mid_feature_extraction that can be imported everywhere.
    short, _ = ShortTermFeatures.feature_extraction(y, RATE, WINDOW, WINDOW)
    seconds = short[:, : short.shape[1] // WINDOWS_A_SECOND * WINDOWS_A_SECOND]
    seconds = seconds.reshape(len(short), -1, WINDOWS_A_SECOND)
    return np.concatenate([seconds.mean(axis=2).mean(axis=1), seconds.std(axis=2).mean(axis=1)])


def mel(y: NDArray[np.float32]) -> NDArray[np.float32]:
    S = librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=WINDOW, hop_length=WINDOW)
    image = Image.fromarray(librosa.power_to_db(S, ref=np.max).astype(np.float32))
    return np.asarray(image.resize((51, 128), Image.Resampling.BILINEAR))


def make(track: Path) -> None:
    y, _ = librosa.load(track, sr=RATE)
    n_segments = max(1, round(len(y) / RATE / SEGMENT_S))
    y = librosa.util.fix_length(y, size=n_segments * SEGMENT_S * RATE)
    segments = y.reshape(n_segments, -1)
    notes = {}
    for name, values in inference.run_inference(track, model).items():
        missing = max(0, n_segments * FRAMES - len(values))
        filled = np.pad(values, ((0, missing), (0, 0)))[: n_segments * FRAMES]
        notes[name] = filled.reshape(n_segments, FRAMES, -1).astype(np.float16)
    np.savez(
        f"{track.stem}.npz",
        handcrafted=np.stack([handcrafted(segment) for segment in segments]),
        mel=np.stack([mel(segment) for segment in segments]),
        **notes,
    )


def main(jobs: str, *tracks: str) -> None:
    with multiprocessing.Pool(int(jobs), load_model) as pool:
        pool.map(make, map(Path, tracks), chunksize=1)


if __name__ == "__main__":
    main(*sys.argv[1:])

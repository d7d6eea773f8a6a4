"""Freeze what MusiCNN gives in TensorFlow, in musicnn_reference.npz, which tests compare with.

For a throw-away environment, from the root of a checkout (Python 3.11, TensorFlow 2.21 made it):

    pip install tensorflow-cpu tf-keras soundfile soxr
    pip install --no-deps musicnn==0.1.0
    PYTHONPATH=. python tests/features/make_musicnn_reference.py

The network is the package's own `models.py` with its own checkpoint, and the same patches are its
input there and in the tests: rounded to float16, which is how they are stored.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the layers of TensorFlow 1, which the package is built of

import numpy as np
import tensorflow as tf
from musicnn import models

from mertools.audio.convert import read_converted
from mertools.features.musicnn import SAMPLE_RATE, TAGS, MusicnnParams, cut_patches
from mertools.pretrained.musicnn import N_BANDS, PATCH_FRAMES
from tools.musicnn_weights import PACKAGE

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
TARGET = Path(__file__).with_name("musicnn_reference.npz")


def make_patches() -> np.ndarray:
    """Make five: of three clips, full-scale noise and silence."""
    noise = np.random.default_rng(0).choice(np.array([-32768, 32767], np.int16), 3 * SAMPLE_RATE)
    sounds = [
        read_converted(CLIPS / f"piece0{n}", SAMPLE_RATE) for n in ("1.ogg", "3.flac", "8.wav")
    ]
    sounds += [noise, np.zeros_like(noise)]
    return np.stack([cut_patches(y, MusicnnParams())[0] for y in sounds]).astype(np.float16)


def run_reference(patches: np.ndarray) -> dict[str, np.ndarray]:
    """Run the package's network on patches, a session for all."""
    tf.compat.v1.disable_eager_execution()
    x = tf.compat.v1.placeholder(tf.float32, [None, PATCH_FRAMES, N_BANDS])
    is_training = tf.compat.v1.placeholder(tf.bool)
    logits, *_, mean_pool, max_pool, penultimate = models.define_model(
        x, is_training, "MSD_musicnn", len(TAGS)
    )
    wanted = {
        "tags": tf.nn.sigmoid(logits),
        "mean_pool": mean_pool,
        "max_pool": max_pool,
        "penultimate": penultimate,
    }
    with tf.compat.v1.Session() as session:
        # The files of the checkpoint have no name but a suffix.
        tf.compat.v1.train.Saver().restore(
            session, f"{Path(models.__file__).parent / PACKAGE.folder}/"
        )
        made: dict[str, np.ndarray] = session.run(wanted, {x: patches, is_training: False})
    return made


if __name__ == "__main__":
    patches = make_patches()
    np.savez_compressed(TARGET, patches=patches, **run_reference(patches.astype(np.float32)))

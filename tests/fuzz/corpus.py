"""Whole files of every kind that mer reads, small, and the commands that read them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

AUDIO_COMMANDS = (
    "segment {f}",
    "convert {f} -o w",
    "convert {f} -o w --keep-channels --format flac",
    "featurize {f} --kind mel --kind handcrafted -o out.h5",
    "segment {f} --write-audio w",
    "predict {f} -m model.skops --format csv",
    "augment {f} --with gain --with time-shift -o w",
    "transcribe {f} -o out.h5",
)
TRAIN = "train svm --features features.h5 --labels labels.csv --target arousal --cv 2 -o out.skops"
KERNEL = (
    "train kernel --features features.h5 --labels labels.csv --target arousal --cv 0 "
    "--kind handcrafted --share handcrafted.mfcc=1 --linear handcrafted.energy=0.5 "
    "--set gamma=0.5 --set ridge=0.1 -o kernel.safetensors"
)
NETWORK = (
    "train cnn --features features.h5 --labels labels.csv --target arousal --cv 0 "
    "--set max_epochs=1 --device cpu"
)
CHECKS = ("validate {f}", "inspect {f}")
COMMANDS: dict[str, tuple[str, ...]] = {
    "a.wav": (*AUDIO_COMMANDS, "featurize segments.csv -o out.h5"),
    "b.flac": (*AUDIO_COMMANDS, "featurize segments.csv -o out.h5"),
    "c.mp3": AUDIO_COMMANDS,
    "d.ogg": AUDIO_COMMANDS,
    "e.aiff": AUDIO_COMMANDS,
    "f.opus": AUDIO_COMMANDS,
    "tracks.csv": (
        *CHECKS,
        "segment {f}",
        "convert {f} -o w",
        "featurize {f} -o out.h5",
        "segment {f} --write-audio w",
        "predict {f} -m model.skops --format csv",
        "annotate {f} --target arousal -o out.json --config out.xml",
    ),
    "segments.csv": (
        *CHECKS,
        "featurize {f} -o out.h5",
        "featurize {f} --kind mel -o out.h5",
        "predict {f} -m model.skops --format csv",
    ),
    "annotations.csv": (*CHECKS, "aggregate-labels {f}", "align predictions.csv --annotations {f}"),
    "export.json": (*CHECKS, "aggregate-labels {f}"),
    "labels.csv": (
        *CHECKS,
        "evaluate predictions.csv --labels {f} --bootstrap 20",
        "align predictions.csv --labels {f} --bootstrap 20",
        "rank-features features.h5 --labels {f} --target arousal",
        TRAIN.replace("labels.csv", "{f}"),
    ),
    "folds.csv": (f"{TRAIN} --folds {{f}}",),
    "tags.csv": (*CHECKS, "rate-tags {f} --lexicon lexicon.csv --report out.csv"),
    "lexicon.csv": ("rate-tags tags.csv --lexicon {f}",),
    "lyrics.csv": CHECKS,
    "predictions.csv": (
        *CHECKS,
        "evaluate {f} --labels labels.csv --bootstrap 20",
        "align {f} --labels labels.csv --bootstrap 20",
    ),
    "metrics.json": CHECKS,
    "features.h5": (
        *CHECKS,
        "predict {f} -m model.skops --format csv",
        "merge {f} -o out.h5",
        "merge {f} --copy -o out.h5",
        "rank-features {f} --labels labels.csv --target arousal",
        TRAIN.replace("features.h5", "{f}"),
        "featurize tracks.csv --kind mel --kind handcrafted -o {f}",
    ),
    "model.skops": (*CHECKS, "predict -m {f} features.h5 --format csv", "models {f} --format csv"),
    "explanations.csv": CHECKS,
    "kernel.safetensors": (
        *CHECKS,
        "predict -m {f} features.h5 --format csv --explain out.csv",
        "models {f} --format csv",
    ),
    "network.safetensors": (
        *CHECKS,
        "predict -m {f} features.h5 --format csv --device cpu",
        "models {f} --format csv",
        "embed -m {f} features.h5 -o out.h5 --device cpu",
    ),
    "network.toml": (f"{NETWORK} --recipe {{f}} -o out.safetensors",),
}
"""Commands by the file that is damaged; all others are whole."""


def make_corpus(folder: Path, *, network: bool) -> None:
    """Make all files that `COMMANDS` name in a folder."""
    chance = np.random.default_rng(7)
    names = [*(name for name in COMMANDS if name[1:2] == "."), *(f"{c}.wav" for c in "ghijkl")]
    for i, name in enumerate(names):
        t = np.arange(2 * 22050) / 22050
        y = 0.2 * np.sin(2 * np.pi * 110 * (i + 1) * t) + 0.02 * chance.normal(size=len(t))
        form = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
        rate = 24000 if form else 22050
        soundfile.write(folder / name, np.stack([y, 0.5 * y], 1), rate, **form)
    ids = [Path(name).stem for name in names]
    _write(
        folder / "tracks.csv",
        "track_id,path",
        (f"{i},{n}" for i, n in zip(ids, names, strict=True)),
    )
    # Two of three annotators agree, on each class for a third of the tracks.
    ratings = [
        f"{i},{who},arousal,{2 if who == 'z' else 1 + k % 3}"
        for k, i in enumerate(ids)
        for who in "xyz"
    ]
    _write(folder / "annotations.csv", "track_id,annotator_id,target,value", ratings)
    words = ("joyful", "sad", "rock", "late night")
    rated = [f"{word},{0.1 + k / 5},{0.9 - k / 5},0.5" for k, word in enumerate(words)]
    _write(folder / "lexicon.csv", "word,valence,arousal,dominance", rated)
    tagged = [f"{i},{words[k % 4]},{k + 1}" for k, i in enumerate(ids)]
    _write(folder / "tags.csv", "track_id,tag,weight", tagged)
    sung = [f'{i},"Some {words[k % 4]} words, and\n{k} more"' for k, i in enumerate(ids)]
    _write(folder / "lyrics.csv", "track_id,text", sung)
    (folder / "network.toml").write_text('optimiser = "adam"\nlearning_rate = 0.001\n')
    tasks = [
        {
            "id": k,
            "data": {"audio": name, "track_id": i},
            "annotations": [
                {
                    "id": k,
                    "completed_by": 1,
                    "result": [
                        {
                            "from_name": "arousal",
                            "to_name": "audio",
                            "type": "choices",
                            "value": {"choices": ["weak" if k % 2 else "strong"]},
                        }
                    ],
                }
            ],
        }
        for k, (i, name) in enumerate(zip(ids, names, strict=True))
    ]
    (folder / "export.json").write_text(json.dumps(tasks))
    for command in (
        "segment tracks.csv --length 1 -o segments.csv",
        "featurize segments.csv --kind mel --kind handcrafted -o features.h5",
        "aggregate-labels annotations.csv -o labels.csv",
        TRAIN.replace("out.skops", "model.skops --folds folds.csv"),
        "predict features.h5 -m model.skops -o predictions.csv",
        "evaluate predictions.csv --labels labels.csv --bootstrap 20 -o metrics.json",
        KERNEL,
        "predict features.h5 -m kernel.safetensors -o kernel.csv --explain explanations.csv",
    ):
        _run(folder, command)
    if network:
        _run(folder, f"{NETWORK} -o network.safetensors")


def _write(path: Path, header: str, rows: object) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")  # type: ignore[misc]


def _run(folder: Path, command: str) -> None:
    words = [sys.executable, "-m", "mertools", *command.split()]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")

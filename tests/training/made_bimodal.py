"""Songs whose valence shows in their words and whose arousal shows in how loud they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mertools.artifacts.feature_rows import Cutting, FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features

SHAPE = (32, 24)
N_WORDS = 12


def write_songs(
    folder: Path,
    n_tracks: int = 60,
    *,
    without_words: int = 0,
    reference: str = "absolute",
    seed: int = 0,
) -> None:
    """Write mel.h5, lyrics.h5 and labels.csv, with a split of 60, 20 and 20 %.

    Words tell valence and, less so, arousal; sound tells arousal and, less so, valence: so pairs
    can be told from each other. Of the last `without_words` tracks there are no lyrics.
    """
    rng = np.random.default_rng(seed)
    plane = rng.uniform(0.05, 0.95, size=(n_tracks, 2))
    names = [f"t{k:03}" for k in range(n_tracks)]
    rows = [FeatureRow(f"{name}_0", name, 0.0, 4.0, False, False, "made") for name in names]
    mel = []
    for valence, arousal in plane:
        S = rng.normal(-40, 2, size=SHAPE) + 30 * arousal
        S[:16] += 20 * valence
        mel.append(S.astype(np.float32))
    params = {"sample_rate": 22050, "reference": reference}
    write_features(
        folder / "mel.h5",
        rows,
        [describe("mel", SHAPE, ("segment", "band", "frame"), params)],
        lambda _kind, row: mel[row],
        Cutting(4.0, 4.0, "pad"),
    )
    mixing = np.random.default_rng(1).normal(size=(2, N_WORDS))
    words = (plane - 0.5) @ mixing + rng.normal(0, 0.05, size=(n_tracks, N_WORDS))
    texts = [FeatureRow(name, name, 0.0, 0.0, False, False, "") for name in names]
    write_features(
        folder / "lyrics.h5",
        texts[: n_tracks - without_words],
        [describe("lyrics", (N_WORDS,), ("segment", "column"), {"encoder": "made"}, "track")],
        lambda _kind, row: words[row].astype(np.float32),
    )
    lines = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,split,scale"]
    for k, name in enumerate(names):
        part = ("train", "train", "train", "validation", "test")[k % 5]
        for target, value in zip(("valence", "arousal"), plane[k], strict=True):
            lines.append(f"{name},{target},,{value},,,,,true,{part},0..1")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def describe(
    kind: str,
    shape: tuple[int, ...],
    dimensions: tuple[str, ...],
    params: dict[str, object],
    level: str = "segment",
) -> KindDescription:
    """Describe a kind of feature that no program computed."""
    return KindDescription(
        kind,
        shape,
        "float32",
        dimensions,
        tuple(f"{kind}_{i}" for i in range(1, shape[0] + 1)),
        "1",
        params,
        f"digest of {kind}",
        "made",
        level=level,
        source="lyrics" if level == "track" else "sound",
    )

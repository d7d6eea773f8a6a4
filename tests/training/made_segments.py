"""Small features and labels that a network can learn from: the class shows in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.artifacts.rows import Label
from mertools.artifacts.tables import write_table

CLASSES = ("weak", "neutral", "strong")
SHAPES = {"mel": (16, 17), "onset": (9, 88), "contour": (9, 264), "note": (9, 88)}


def describe(kind: str, params: dict[str, object] | None = None) -> KindDescription:
    shape = SHAPES[kind]
    n_columns = shape[0] if kind == "mel" else shape[1]
    return KindDescription(
        kind,
        shape,
        "float32" if kind == "mel" else "float16",
        ("segment", "band", "frame") if kind == "mel" else ("segment", "frame", "pitch"),
        tuple(f"{kind}_{i}" for i in range(1, n_columns + 1)),
        "1",
        {"sample_rate": 8000, **(params or {})},
        f"digest of {kind}",
        "made",
    )


def write_segments(
    folder: Path,
    n_tracks: int = 24,
    seed: int = 0,
    kinds: tuple[str, ...] = tuple(SHAPES),
    classes: tuple[str, ...] = CLASSES,
    target: str = "arousal",
) -> None:
    """Write features.h5 with two segments a track, and labels.csv, of which every sixth is test.

    Every fifth track is not kept.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    tracks = [f"t{i:02}" for i in range(n_tracks)]
    y = np.arange(n_tracks) % len(classes)
    rows, content = [], {kind: [] for kind in kinds}
    for track, k in zip(tracks, y, strict=True):
        for segment in range(2):
            name = f"{track}_{segment}"
            rows.append(FeatureRow(name, track, 10.0 * segment, 10.0, False, False, "made"))
            for kind in kinds:
                values = rng.random(SHAPES[kind])
                by_height = values if kind == "mel" else values.T
                third = len(by_height) // len(classes)
                by_height[k * third : (k + 1) * third] += 0.7
                if kind == "mel":
                    values = 80 * (values - 2)
                content[kind].append(values.astype(describe(kind).dtype))
    write_features(
        folder / "features.h5", rows, [describe(kind) for kind in kinds], lambda k, i: content[k][i]
    )
    labels = []
    for i, (track, k) in enumerate(zip(tracks, y, strict=True)):
        distribution = rng.dirichlet(1 + 8 * np.eye(len(classes))[k])
        mean = float(distribution @ np.arange(1, len(classes) + 1))
        kept = i % 5 != 4
        split = "test" if i % 6 == 5 else "train"
        labels.append(
            Label(
                track, target, 5, mean, 0.5, 0.4, int(k) + 1, classes[k], kept,
                tuple(distribution.tolist()), split,
            )
        )  # fmt: skip
    with (folder / "labels.csv").open("w") as stream:
        write_table(stream, Label, labels, len(classes))

"""Small features of several kinds, and quadrants or numbers that show in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mertools.artifacts.feature_rows import Cutting, FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features

CLASSES = ("Q1", "Q2", "Q3", "Q4")


def write_comparison(
    folder: Path,
    shapes: dict[str, tuple[int, ...]],
    n_tracks: int = 24,
    n_segments: int = 1,
    seed: int = 0,
    classes: tuple[str, ...] = CLASSES,
) -> None:
    """Write features.h5, and labels.csv with the target `quadrant` and the number `arousal`.

    In a vector the class shows in the first columns; in an image or a wave by its size in one
    quarter. The number is the class' index over the number of classes.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n_tracks) % len(classes)
    rows, content = [], {kind: [] for kind in shapes}
    for track, k in enumerate(y):
        for segment in range(n_segments):
            name = f"t{track:03}"
            rows.append(
                FeatureRow(f"{name}_{segment}", name, 4.0 * segment, 4.0, False, False, "made")
            )
            for kind, shape in shapes.items():
                values = rng.normal(size=shape)
                if len(shape) == 1 and shape[0] < 1000:
                    values[k] += 4
                else:
                    part = shape[0] // len(classes)
                    values[k * part : (k + 1) * part] *= 4
                content[kind].append(values.astype(np.float32))
    write_features(
        folder / "features.h5",
        rows,
        [_describe(kind, shape) for kind, shape in shapes.items()],
        lambda kind, row: content[kind][row],
        Cutting(4.0, 4.0, "drop"),
    )
    lines = [
        "track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,p_3,p_4,split,scale"
    ]
    for track, k in enumerate(y):
        shares = ",".join("1" if k == other else "0" for other in range(len(classes)))
        name = f"t{track:03}"
        lines.append(f"{name},quadrant,,,,,{k + 1},{classes[k]},true,{shares},,unordered")
        lines.append(f"{name},arousal,,{k / len(classes)},,,,,true,,,,,,0..1")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def _describe(kind: str, shape: tuple[int, ...]) -> KindDescription:
    dimensions = {
        "wave": ("segment", "frame"),
        "mel": ("segment", "band", "frame"),
    }.get(kind, ("segment", "column"))
    n_columns = 0 if kind == "wave" else shape[0]
    return KindDescription(
        kind,
        shape,
        "float32",
        dimensions,
        tuple(f"{kind}_{i}" for i in range(1, n_columns + 1)),
        "1",
        {"sample_rate": 16000},
        f"digest of {kind}",
        "made",
    )

"""Small features and labels to learn from: the class or number shows in the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.artifacts.rows import Label
from mertools.artifacts.tables import write_table

CLASSES = ("weak", "neutral", "strong")
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
SHAPES = {"mel": (16, 17), "onset": (9, 88), "contour": (9, 264), "note": (9, 88)}

Show = Callable[[NDArray[np.float64], int], None]
"""Makes what a track is show in features of it, (n_heights, n_frames) from 0 to 1, in place; given
the track's index."""


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


def describe_vectors(kind: str, n_columns: int, level: str = "segment") -> KindDescription:
    return KindDescription(
        kind,
        (n_columns,),
        "float32",
        ("segment", "column"),
        tuple(f"{kind}_{i}" for i in range(1, n_columns + 1)),
        "1",
        {"sample_rate": 8000},
        f"digest of {kind}",
        "made",
        level=level,
    )


def write_images(
    path: Path,
    tracks: Sequence[str],
    show: Show,
    rng: np.random.Generator,
    kinds: Sequence[str] = tuple(SHAPES),
    originals: Mapping[str, str] | None = None,
) -> None:
    """Write features of the kinds of `SHAPES` with two segments a track."""
    rows: list[FeatureRow] = []
    content: dict[str, list[NDArray[Any]]] = {kind: [] for kind in kinds}
    for i, track in enumerate(tracks):
        for segment in range(2):
            rows.append(make_row(track, segment, (originals or {}).get(track, "")))
            for kind in kinds:
                values = rng.random(SHAPES[kind])
                show(values if kind == "mel" else values.T, i)
                if kind == "mel":
                    values = 80 * (values - 2)
                content[kind].append(values.astype(describe(kind).dtype))
    write_features(path, rows, [describe(kind) for kind in kinds], lambda k, i: content[k][i])


def write_vectors(
    path: Path,
    tracks: Sequence[str],
    X: NDArray[Any],
    kind: str = "vectors",
    originals: Mapping[str, str] | None = None,
) -> None:
    """Write a kind of vectors: X is (n_tracks, n_segments, n_columns)."""
    rows = [
        make_row(track, segment, (originals or {}).get(track, ""))
        for track in tracks
        for segment in range(X.shape[1])
    ]
    flat = X.reshape(len(rows), -1).astype(np.float32)
    write_features(path, rows, [describe_vectors(kind, X.shape[2])], lambda _, i: flat[i])


def write_track_vectors(
    path: Path, tracks: Sequence[str], X: NDArray[Any], kind: str = "words"
) -> None:
    """Write a kind of level track: X is (n_tracks, n_columns)."""
    rows = [FeatureRow(track, track, 0.0, 0.0, False, False, "made") for track in tracks]
    flat = X.astype(np.float32)
    write_features(path, rows, [describe_vectors(kind, X.shape[1], "track")], lambda _, i: flat[i])


def make_row(track: str, segment: int, original: str = "") -> FeatureRow:
    name, start = f"{track}_{segment}", 10.0 * segment
    return FeatureRow(name, track, start, 10.0, False, False, "made", original)


def show_class(classes: Sequence[int], n_classes: int) -> Show:
    """Lift the share of the heights that belongs to a track's class."""

    def show(by_height: NDArray[np.float64], track: int) -> None:
        share = len(by_height) // n_classes
        k = classes[track]
        by_height[k * share : (k + 1) * share] += 0.7

    return show


def show_numbers(units: NDArray[np.float64]) -> Show:
    """Lift as many parts of the heights as there are numbers, 0..1 in (n_tracks, n_numbers)."""

    def show(by_height: NDArray[np.float64], track: int) -> None:
        for part, unit in zip(np.array_split(by_height, units.shape[1]), units[track], strict=True):
            part += 1.4 * unit

    return show


def write_labels(path: Path, labels: Sequence[Label], n_classes: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        write_table(stream, Label, labels, n_classes)


def write_segments(
    folder: Path,
    n_tracks: int = 24,
    seed: int = 0,
    kinds: tuple[str, ...] = tuple(SHAPES),
    classes: tuple[str, ...] = CLASSES,
    target: str = "arousal",
    scale: str | None = None,
) -> None:
    """Write features.h5 with two segments a track, and labels.csv, of which every sixth is test.

    Every fifth track is not kept. `scale` is ordered (None) or unordered.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    tracks = [f"t{i:02}" for i in range(n_tracks)]
    y = np.arange(n_tracks) % len(classes)
    write_images(folder / "features.h5", tracks, show_class(y.tolist(), len(classes)), rng, kinds)
    labels = []
    for i, (track, k) in enumerate(zip(tracks, y, strict=True)):
        distribution = rng.dirichlet(1 + 8 * np.eye(len(classes))[k])
        mean: float | None = float(distribution @ np.arange(1, len(classes) + 1))
        std: float | None = 0.5
        mad: float | None = 0.4
        if scale == "unordered":
            mean = std = mad = None
        kept = i % 5 != 4
        split = "test" if i % 6 == 5 else "train"
        labels.append(
            Label(
                track, target, 5, mean, std, mad, int(k) + 1, classes[k], kept,
                tuple(distribution.tolist()), split, scale,
            )
        )  # fmt: skip
    write_labels(folder / "labels.csv", labels, len(classes))


def number_label(
    track: str, target: str, value: float, split: str = "train", scale: str = "1..9"
) -> Label:
    return Label(track, target, 5, value, 0.5, 0.4, None, None, True, (), split, scale)


def class_label(
    track: str,
    k: int,
    classes: Sequence[str] = CLASSES,
    target: str = "arousal",
    split: str = "train",
    scale: str | None = None,
) -> Label:
    """Label a track with a class, of which all annotators are sure."""
    shares = tuple(float(j == k) for j in range(len(classes)))
    mean = None if scale == "unordered" else k + 1.0
    return Label(track, target, 5, mean, None, None, k + 1, classes[k], True, shares, split, scale)


def write_numbers(
    folder: Path,
    targets: tuple[str, ...] = ("valence",),
    n_tracks: int = 24,
    seed: int = 0,
    kinds: tuple[str, ...] = tuple(SHAPES),
) -> NDArray[np.float64]:
    """Write features.h5 and labels.csv of numbers from 1 to 9; every sixth track is test.

    Returns the numbers: (n_tracks, n_targets).
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    tracks = [f"t{i:02}" for i in range(n_tracks)]
    steps = np.arange(n_tracks) / (n_tracks - 1)
    units = np.stack([rng.permutation(steps) for _ in targets], axis=1)
    write_images(folder / "features.h5", tracks, show_numbers(units), rng, kinds)
    numbers = 1 + 8 * units
    labels = [
        number_label(track, target, float(value), "test" if i % 6 == 5 else "train")
        for i, track in enumerate(tracks)
        for target, value in zip(targets, numbers[i], strict=True)
    ]
    write_labels(folder / "labels.csv", labels, 0)
    return numbers

"""The row types of CSV tables: one a table, frozen, whose attributes are its columns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from mertools.artifacts.schema import REPEATED

CLASS_SEPARATOR = "|"

COLUMN = "column"
"""In a field's metadata: the name of its column, where that is not the attribute's."""

EXTRA = "extra"
"""In a field's metadata: its column is written only where a writer is told to."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of some table; each table has a type of its own, whose attributes are its columns.

    `any_size` tells that its numbers may be of any size, as features and p-values are.
    """

    table: ClassVar[str]
    any_size: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Track(Row):
    """A row of tracks.csv: a sound file. Only track_id and path are sure to be known."""

    table: ClassVar[str] = "tracks"
    track_id: str
    path: str
    sample_rate: int | None = None
    channels: int | None = None
    frames: int | None = None
    duration: float | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Segment(Row):
    """A row of segments.csv: a stretch of a sound file, in seconds."""

    table: ClassVar[str] = "segments"
    segment_id: str
    track_id: str
    path: str
    start: float
    duration: float
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Annotation(Row):
    """A row of annotations.csv: one annotator's rating of a track for a target."""

    table: ClassVar[str] = "annotations"
    track_id: str
    annotator_id: str
    target: str
    value: float


@dataclass(frozen=True, slots=True)
class Label(Row):
    """A row of labels.csv: what all annotators together say of a track for a target."""

    table: ClassVar[str] = "labels"
    track_id: str
    target: str
    n_annotators: int
    mean: float
    std: float
    mad: float
    label: int
    class_name: str = dataclasses.field(metadata={COLUMN: "class"})
    kept: bool
    distribution: tuple[float, ...] = dataclasses.field(metadata={COLUMN: f"p_{REPEATED}"})
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction(Row):
    """A row of predictions.csv: the posterior of a segment or track for a target."""

    table: ClassVar[str] = "predictions"
    level: str
    track_id: str
    segment_id: str | None
    start: float
    duration: float
    target: str
    classes: str
    posteriors: tuple[float, ...] = dataclasses.field(metadata={COLUMN: f"p_{REPEATED}"})
    predicted: str
    value: float | None
    unlike: float | None = dataclasses.field(default=None, metadata={EXTRA: True})

    def class_names(self) -> tuple[str, ...]:
        """Name the classes in the order of the posteriors."""
        return tuple(self.classes.split(CLASS_SEPARATOR))


@dataclass(frozen=True, slots=True)
class Alignment(Row):
    """A row of alignment.csv: how near a posterior is to the annotators' distribution."""

    table: ClassVar[str] = "alignment"
    track_id: str
    target: str
    jsd: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Ranking(Row):
    """A row of ranking.csv: how far a feature's means differ between classes."""

    table: ClassVar[str] = "ranking"
    any_size: ClassVar[bool] = True
    rank: int
    target: str
    kind: str
    feature: str
    f: float | None
    p: float | None
    classes: str
    means: tuple[float, ...] = dataclasses.field(metadata={COLUMN: f"mean_{REPEATED}"})


@dataclass(frozen=True, slots=True)
class Note(Row):
    """A row of notes.csv: a note of a track, its times in seconds from the start of the file."""

    table: ClassVar[str] = "notes"
    track_id: str
    segment_id: str | None
    start_s: float
    end_s: float
    pitch_midi: int
    velocity: int
    bends: str | None


@dataclass(frozen=True, slots=True)
class Fold(Row):
    """A row of the table that --folds names: the part of cross-validation that a track is in."""

    table: ClassVar[str] = "folds"
    track_id: str
    fold: int


@dataclass(frozen=True, slots=True)
class History(Row):
    """A row of the table that --history names: an epoch of one training of a network."""

    table: ClassVar[str] = "history"
    any_size: ClassVar[bool] = True
    point: int
    fold: int | None
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    best: bool


@dataclass(frozen=True, slots=True)
class CrossValidation(Row):
    """A row of the table that --cv-table names: how well a point of a grid does over folds."""

    table: ClassVar[str] = "cv"
    model: str
    target: str
    objective: str
    seed: int
    point: int
    parameters: str
    n_folds: int
    n_tracks: int
    segment_accuracy: float
    segment_accuracy_std: float
    segment_accuracy_low: float
    segment_accuracy_high: float
    segment_macro_f1: float
    segment_macro_f1_std: float
    segment_macro_f1_low: float
    segment_macro_f1_high: float
    track_accuracy: float
    track_accuracy_std: float
    track_accuracy_low: float
    track_accuracy_high: float
    track_macro_f1: float
    track_macro_f1_std: float
    track_macro_f1_low: float
    track_macro_f1_high: float
    epochs: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Model(Row):
    """A row of the table that `mer models` makes: a model file, and what its card says of it."""

    table: ClassVar[str] = "models"
    name: str
    target: str
    model: str
    features: str
    classes: str
    licence: str | None
    bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class Failure(Row):
    """A row of the table that --failures names: an input that could not be processed."""

    table: ClassVar[str] = "failures"
    command: str
    path: str
    track_id: str | None
    segment_id: str | None
    problem: str
    remedy: str

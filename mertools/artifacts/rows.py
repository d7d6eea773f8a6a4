"""The row types of CSV tables: one a table, frozen, whose attributes are its columns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from mertools.artifacts.schema import REPEATED
from mertools.targets.scale import Classes, Range, Scale, parse_scale

CLASS_SEPARATOR = "|"
SHARES_TOLERANCE = 1e-3
"""How far the shares or posteriors of a row may sum from 1; other programs round them."""

COLUMN = "column"
"""In a field's metadata: the name of its column, where that is not the attribute's."""

OPTIONAL = "optional"
"""In a field's metadata: its column is written only where a writer asks for it by its name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of some table; each table has a type of its own, whose attributes are its columns.

    `any_size` tells that its numbers may be of any size, as features and p-values are. `known_by`
    names columns that a table of this type is known by, beside those that its schema requires.
    """

    table: ClassVar[str]
    any_size: ClassVar[bool] = False
    known_by: ClassVar[tuple[str, ...]] = ()

    def find_problem(self) -> str | None:
        """Say what is wrong between columns, which no column's own constraint can tell."""
        return None


def _optional() -> Any:
    """Declare an attribute whose column is written only where it is asked for."""
    return dataclasses.field(default=None, metadata={OPTIONAL: True})


@dataclass(frozen=True, slots=True)
class Track(Row):
    """A row of tracks.csv: a sound file. Only track_id and path are sure to be known.

    `peak` is the level in dBFS that its largest sample was brought to, where it was.
    """

    table: ClassVar[str] = "tracks"
    track_id: str
    path: str
    sample_rate: int | None = None
    channels: int | None = None
    frames: int | None = None
    duration: float | None = None
    source: str | None = None
    original: str | None = _optional()
    transform: str | None = _optional()
    peak: float | None = _optional()


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
    original: str | None = _optional()
    transform: str | None = _optional()
    peak: float | None = _optional()


@dataclass(frozen=True, slots=True)
class Annotation(Row):
    """A row of annotations.csv: one annotator's rating of a track for a target.

    `value` is a number, or a word where the target's classes are words. `start` and `duration`, in
    seconds, are there where a stretch of the track was rated.
    """

    table: ClassVar[str] = "annotations"
    track_id: str
    annotator_id: str
    target: str
    value: str | None
    start: float | None = _optional()
    duration: float | None = _optional()

    def find_problem(self) -> str | None:
        """Say that a stretch is given by half."""
        if (self.start is None) == (self.duration is None):
            return None
        return "has only one of start and duration, which a stretch of a track needs"


@dataclass(frozen=True, slots=True)
class Label(Row):
    """A row of labels.csv: what all annotators together say of a track for a target.

    Which columns are filled follows from the scale: classes have `label`, `class_name` and
    `distribution`; ordered classes and numbers have `mean`, and where they are known `std` and
    `mad`. `start` and `duration`, in seconds, are there where a stretch of the track was rated.
    """

    table: ClassVar[str] = "labels"
    track_id: str
    target: str
    n_annotators: int | None
    mean: float | None
    std: float | None
    mad: float | None
    label: int | None
    class_name: str | None = dataclasses.field(metadata={COLUMN: "class"})
    kept: bool
    distribution: tuple[float, ...] = dataclasses.field(
        default=(), metadata={COLUMN: f"p_{REPEATED}"}
    )
    split: str | None = None
    scale: str | None = None
    start: float | None = _optional()
    duration: float | None = _optional()

    def number_range(self) -> Range | None:
        """Give the range of the target's numbers; None where it has classes."""
        scale = parse_scale(self.scale)
        return scale if isinstance(scale, Range) else None

    def find_problem(self) -> str | None:
        """Say what the scale asks for and the row does not have."""
        try:
            scale = parse_scale(self.scale)
        except ValueError as error:
            return f"column scale {error}"
        if isinstance(scale, Range):
            if self.mean is None:
                return f"has no mean, which a target of the scale {scale} needs"
            return None if self.mean in scale else f"has a mean of {self.mean:g}, outside {scale}"
        if self.label is None or self.class_name is None or not self.distribution:
            return f"lacks label, class or p_1, which a target of the scale {scale} needs"
        if self.label > len(self.distribution):
            return f"has the label {self.label} of {len(self.distribution)} classes"
        if scale.ordered and self.mean is None:
            return "has no mean, which ordered classes need"
        return _sum_problem(self.distribution)


@dataclass(frozen=True, slots=True)
class Prediction(Row):
    """A row of predictions.csv: what a model says of a segment or track for a target.

    Classes have `classes`, `posteriors` and `predicted`; ordered classes and numbers have `value`.
    Where level is track, `start` and `duration` may be unknown.
    """

    table: ClassVar[str] = "predictions"
    level: str
    track_id: str
    segment_id: str | None
    start: float | None
    duration: float | None
    target: str
    classes: str | None = None
    posteriors: tuple[float, ...] = dataclasses.field(
        default=(), metadata={COLUMN: f"p_{REPEATED}"}
    )
    predicted: str | None = None
    value: float | None = None
    unlike: float | None = _optional()
    scale: str | None = None
    model: str | None = _optional()
    repeat: int | None = _optional()
    fold: int | None = _optional()
    path: str | None = _optional()

    def class_names(self) -> tuple[str, ...]:
        """Name the classes in the order of the posteriors; none where the target is a number."""
        return tuple(self.classes.split(CLASS_SEPARATOR)) if self.classes else ()

    def parse_scale(self) -> Scale:
        """Give the target's scale with the classes' names."""
        return parse_scale(self.scale, self.class_names())

    def find_problem(self) -> str | None:
        """Say what the scale asks for and the row does not have."""
        if self.level == "segment" and (self.start is None or self.duration is None):
            return "is of a segment without start and duration"
        try:
            scale = self.parse_scale()
        except ValueError as error:
            return f"column scale {error}"
        if isinstance(scale, Range):
            if self.value is None:
                return f"has no value, which a target of the scale {scale} needs"
            return None
        return self._class_problem(scale)

    def _class_problem(self, scale: Classes) -> str | None:
        names = scale.names
        if not names:
            return "has no classes, which a target without a range of numbers needs"
        if len(set(names)) != len(names):
            return f"has a class twice ({self.classes})"
        if len(self.posteriors) != len(names):
            return (
                f"has {len(self.posteriors)} posteriors for the {len(names)} classes {self.classes}"
            )
        if self.predicted not in names:
            return f"predicts {self.predicted!r}, which is none of its classes {self.classes}"
        return _sum_problem(self.posteriors)


def _sum_problem(shares: tuple[float, ...]) -> str | None:
    if abs(sum(shares) - 1) > SHARES_TOLERANCE:
        return f"has p_1 to p_{len(shares)} that sum to {sum(shares):g}, not 1"
    return None


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
    """A row of ranking.csv: how well a feature tells classes apart, or goes with a number.

    `f` and `p` are of an analysis of variance, or of a regression where the target is a number,
    which has no classes. `weight` is ReliefF's, where features are ranked by that.
    """

    table: ClassVar[str] = "ranking"
    any_size: ClassVar[bool] = True
    rank: int
    target: str
    kind: str
    feature: str
    f: float | None
    p: float | None
    classes: str | None
    means: tuple[float, ...] = dataclasses.field(default=(), metadata={COLUMN: f"mean_{REPEATED}"})
    weight: float | None = _optional()


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
    repeat: int | None = _optional()


@dataclass(frozen=True, slots=True)
class History(Row):
    """A row of the table that --history names: an epoch of one training of a network.

    Scores of the validation part are there where there is one: accuracy and macro F1 for classes,
    R2 for numbers. `point` numbers the parameters tried; `fold` is the one held out.
    """

    table: ClassVar[str] = "history"
    any_size: ClassVar[bool] = True
    point: int
    fold: int | None
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    validation_macro_f1: float | None
    best: bool
    repeat: int | None = None
    train_accuracy: float | None = None
    validation_r2: float | None = None


@dataclass(frozen=True, slots=True)
class CrossValidation(Row):
    """A row of the table that --cv-table names: one score of one fold at one point of a search."""

    table: ClassVar[str] = "cv"
    any_size: ClassVar[bool] = True
    model: str
    target: str
    point: int
    parameters: str
    repeat: int
    fold: int
    level: str
    score: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Model(Row):
    """A row of the table that `mer models` makes: a model file, and what its card says of it."""

    table: ClassVar[str] = "models"
    name: str
    target: str
    model: str
    features: str
    classes: str | None
    licence: str | None
    bytes: int
    path: str
    scale: str | None = None
    needs: str | None = None


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


@dataclass(frozen=True, slots=True)
class Congruence(Row):
    """A row of congruence.csv: how well a track's sound and some lyrics go together.

    `lyrics_track_id` and `matched` are there where lyrics of other tracks are compared, too;
    `agreement` is of what sound alone and lyrics alone predict.
    """

    table: ClassVar[str] = "congruence"
    track_id: str
    similarity: float
    lyrics_track_id: str | None = _optional()
    matched: bool | None = _optional()
    agreement: float | None = _optional()


@dataclass(frozen=True, slots=True)
class Lyrics(Row):
    """A row of lyrics.csv: the words of a track, or the text file that they are in, or neither."""

    table: ClassVar[str] = "lyrics"
    known_by: ClassVar[tuple[str, ...]] = ("text",)
    track_id: str
    text: str | None
    path: str | None
    artist: str | None = None
    title: str | None = None

    def find_problem(self) -> str | None:
        """Say that the words are given twice; a track may have none, as music without a singer."""
        return "has both text and path" if self.text and self.path else None


@dataclass(frozen=True, slots=True)
class Tag(Row):
    """A row of tags.csv: a tag that listeners gave a track, and how strongly it counts."""

    table: ClassVar[str] = "tags"
    any_size: ClassVar[bool] = True
    track_id: str
    tag: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class TagCoverage(Row):
    """A row of the table that `mer rate-tags --report` names: how much of a track's tags counted.

    `reason` says why the track has no label; it is empty where it has one.
    """

    table: ClassVar[str] = "tag_coverage"
    any_size: ClassVar[bool] = True
    track_id: str
    n_tags: int
    n_genre: int
    n_matched: int
    weight_matched: float
    weight_total: float
    reason: str | None = None

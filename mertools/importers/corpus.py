"""What an importer finds in a corpus, and how importers find its files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mertools.artifacts.rows import Annotation, Label, Lyrics, Tag
from mertools.audio.sources import AUDIO_SUFFIXES
from mertools.errors import InputError, UsageError
from mertools.importers.published import read_text
from mertools.targets.scale import Range

PARTS = ("train", "validation", "test")

N_NAMED = 3
"""How many of the files that are missing a message names."""


@dataclass(frozen=True, slots=True)
class ImportedTrack:
    """A track whose sound is there; `further` are columns of tracks.csv that a corpus adds."""

    track_id: str
    path: Path
    further: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Imported:
    """What an importer found: rows of the tables that it fills, and what failed.

    `labels` are of whole tracks; `dynamic` are labels of stretches of tracks, which may have
    another scale.
    """

    tracks: list[ImportedTrack] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    dynamic: list[Label] = field(default_factory=list)
    lyrics: list[Lyrics] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    failures: list[InputError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What a person should know of it, a line each."""

    def track_ids(self) -> set[str]:
        """Give the tracks of which anything was found."""
        rated = {row.track_id for row in (*self.labels, *self.dynamic)}
        return rated.union(
            (track.track_id for track in self.tracks),
            (annotation.track_id for annotation in self.annotations),
            (lyrics.track_id for lyrics in self.lyrics),
        )


def number_label(
    track_id: str,
    target: str,
    mean: float,
    std: float | None,
    scale: Range,
    split: str | None,
    start: float | None = None,
    duration: float | None = None,
) -> Label:
    """Build the label of a target that is a number."""
    return Label(
        track_id,
        target,
        n_annotators=None,
        mean=mean,
        std=std,
        mad=None,
        label=None,
        class_name=None,
        kept=True,
        split=split,
        scale=str(scale),
        start=start,
        duration=duration,
    )


def class_label(
    track_id: str, target: str, name: str, names: tuple[str, ...], split: str | None
) -> Label:
    """Build the label of a target with unordered classes, of which only the class is known."""
    return Label(
        track_id,
        target,
        n_annotators=None,
        mean=None,
        std=None,
        mad=None,
        label=names.index(name) + 1,
        class_name=name,
        kept=True,
        distribution=tuple(float(name == other) for other in names),
        split=split,
        scale="unordered",
    )


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Find files by their name's pattern in a folder and below, sorted."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def find_sounds(folder: Path) -> Iterator[Path]:
    """Find the sound files in a folder and below, in sorted order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()  # os.walk goes on in this order, so that results are the same everywhere
        for name in sorted(names):
            if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith("."):
                yield Path(parent) / name


def sounds_by_name(folder: Path, subfolder: str, failures: list[InputError]) -> dict[str, Path]:
    """Find the sound files in a corpus' folder of sound, by name without suffix.

    It is searched for below `folder`; where there is none, all of `folder` is. Of two files with
    one name neither is taken.
    """
    named = sorted(path for path in folder.rglob(subfolder) if path.is_dir())
    sounds: dict[str, list[Path]] = {}
    for path in find_sounds(named[0] if named else folder):
        sounds.setdefault(path.stem, []).append(path)
    # Which of two is the published one cannot be known: a copy may be cut or resampled.
    failures += [
        InputError(paths[0], f"has the same name as {paths[1]}", "keep one of them")
        for paths in sounds.values()
        if len(paths) > 1
    ]
    return {name: paths[0] for name, paths in sounds.items() if len(paths) == 1}


def missing_files(folder: Path, missing: list[str], n_expected: int, source: str) -> InputError:
    """Describe files that a corpus lacks, and where they are published."""
    named = ", ".join(missing[:N_NAMED]) + (", ..." if len(missing) > N_NAMED else "")
    return InputError(
        folder, f"lacks {len(missing)} of {n_expected} sound files ({named})", f"see {source}"
    )


def read_split(folder: Path, corpus: str) -> dict[str, str]:
    """Read a corpus' fixed split, where it lies in its folder: a part by track_id.

    The parts are lists of track_ids, one a line: train.txt, validation.txt and test.txt, or with
    the corpus' name before them (deam-train.txt).
    Raises UsageError where a track is in two parts.
    """
    split: dict[str, str] = {}
    for part in PARTS:
        for path in (folder / f"{part}.txt", folder / f"{corpus}-{part}.txt"):
            if not path.is_file():
                continue
            for track_id in read_text(path).split():
                if split.setdefault(track_id, part) != part:
                    raise UsageError(
                        path, f"has track {track_id} of part {split[track_id]}", "keep it in one"
                    )
    return split

"""What the work is done on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.audio.convert import read_converted

SOUNDS = {".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"}
MOST_SONGS = 12
MOST_TRACKS_IN_MEMORY = 60
SEGMENT_S = 10


@dataclass(frozen=True)
class Setup:
    """A folder with sound files, how many tracks of it are used at most, and in how many processes.

    In the folder, `originals` are the whole songs and `audio` the tracks; where there are no such
    folders, all its files are both.
    """

    folder: Path
    n_tracks: int
    jobs: int

    def tracks(self) -> list[Path]:
        """List the tracks: `n_tracks` of all, evenly spread."""
        return self._spread("audio", self.n_tracks)

    def halves(self) -> tuple[list[Path], list[Path]]:
        """Cut the tracks in two; a single one is both."""
        tracks = self.tracks()
        return tracks[::2], tracks[1::2] or tracks

    def songs(self) -> list[Path]:
        """List the songs, twelve at most."""
        return self._spread("originals", min(self.n_tracks, MOST_SONGS))

    def _spread(self, name: str, most: int) -> list[Path]:
        folder = self.folder / name if (self.folder / name).is_dir() else self.folder
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
        if not paths:
            raise SystemExit(f"benchmarks: {folder}: there are no sound files: name another folder")
        chosen = np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)
        return [paths[index] for index in chosen]

    def segments(self, sample_rate: int) -> list[NDArray[np.int16]]:
        """Read segments of 10 s of some tracks."""
        n_samples = SEGMENT_S * sample_rate
        some = self._spread("audio", min(self.n_tracks, MOST_TRACKS_IN_MEMORY))
        tracks = [read_converted(path, sample_rate) for path in some]
        cuts: list[Any] = [
            y[start : start + n_samples]
            for y in tracks
            for start in range(0, len(y) - n_samples + 1, n_samples)
        ]
        if not cuts:
            raise SystemExit(f"benchmarks: {self.folder}: no track lasts {SEGMENT_S} s")
        return cuts

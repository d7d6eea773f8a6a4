"""EMOPIA: clips of pop piano music, as MIDI or sound, each of one quadrant of emotion.

H.-T. Hung and others, EMOPIA: a multi-modal pop piano dataset for emotion recognition and
emotion-based music generation, ISMIR 2021. A clip's name says its quadrant, its song (the video it
comes from) and its number: Q1_0vLPYiPN7qY_0.
"""

from __future__ import annotations

import re
from pathlib import Path

from mertools.errors import InputError, UsageError
from mertools.importers.corpus import (
    Imported,
    ImportedTrack,
    class_label,
    find_files,
    missing_files,
    read_split,
    sounds_by_name,
)

SOURCE = "https://zenodo.org/records/5090631"

CLIP = re.compile(r"(Q[1-4])_(.{11})_\d+")
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")


def read(folder: Path) -> Imported:
    """Read the quadrants from the clips' names, and the sound of the clips that have any.

    Raises UsageError where there is no clip.
    """
    imported = Imported()
    sounds = {
        name: path
        for name, path in sounds_by_name(folder, "audio", imported.failures).items()
        if CLIP.fullmatch(name)
    }
    midi = {path.stem for path in find_files(folder, "*.mid") if CLIP.fullmatch(path.stem)}
    split = read_split(folder, "emopia")
    # Labels come with the names, so clips without sound have them, too.
    clips = sorted(sounds.keys() | midi)
    if not clips:
        raise UsageError(folder, "has no clip such as Q1_0vLPYiPN7qY_0.mid", f"see {SOURCE}")
    for clip in clips:
        quadrant, song = _parse_name(clip)
        imported.labels.append(class_label(clip, "quadrant", quadrant, QUADRANTS, split.get(clip)))
        if clip in sounds:
            imported.tracks.append(ImportedTrack(clip, sounds[clip], {"song": song}))
    if missing := [f"{clip}.mid" for clip in clips if clip not in sounds]:
        imported.failures.append(_unrendered(folder, missing, len(clips)))
    return imported


def _parse_name(clip: str) -> tuple[str, str]:
    match = CLIP.fullmatch(clip)
    assert match is not None  # noqa: S101, as the callers look at nothing else
    return match[1], match[2]


def _unrendered(folder: Path, missing: list[str], n_clips: int) -> InputError:
    """Say that MIDI files have no sound beside them, and how it is rendered."""
    lacking = missing_files(folder, missing, n_clips, SOURCE)
    return InputError(
        lacking.subject,
        lacking.problem,
        f"render the MIDI into {folder / 'audio'} under the same names (fluidsynth -ni -F "
        "audio/CLIP.wav SOUNDFONT midis/CLIP.mid)",
    )

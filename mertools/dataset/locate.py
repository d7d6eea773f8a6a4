"""Finding the features of segments that lie in several files: different kinds, or segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mertools.artifacts.feature_rows import ABSENT, FeatureRow
from mertools.artifacts.features_file import FeaturesFile
from mertools.errors import SchemaError


@dataclass(frozen=True)
class Located:
    """A segment's row, and where its features of a kind lie: the file, and the index there."""

    row: FeatureRow
    file: FeaturesFile
    index: int


def locate_rows(
    files: Iterable[FeaturesFile], kind: str, is_wanted: Callable[[FeatureRow], bool]
) -> dict[str, Located]:
    """Find the features of a kind of all wanted segments, by segment_id.

    Every file holds the kind. Raises SchemaError where a segment's are there twice.
    """
    found: dict[str, Located] = {}
    for file in files:
        for index, row in enumerate(file.rows):
            if not is_wanted(row):
                continue
            if row.segment_id in found:
                raise SchemaError(
                    file.path,
                    f"holds {kind} of the segment {row.segment_id} again",
                    "give each segment once",
                )
            found[row.segment_id] = Located(row, file, index)
    return found


def spread_over_segments(
    of_tracks: Mapping[str, Located], segments: Mapping[str, Located]
) -> dict[str, Located]:
    """Give each segment what its track has as a whole; segments of other tracks are left out."""
    by_track = {located.row.track_id: located for located in of_tracks.values()}
    return {
        name: Located(segment.row, track.file, track.index)
        for name, segment in segments.items()
        if (track := by_track.get(segment.row.track_id)) is not None
    }


def fill_lyrics(
    kinds: Sequence[tuple[str, dict[str, Located]]],
) -> list[dict[str, Located]]:
    """Let segments of sound whose track has no lyrics have `ABSENT` ones, which read as no words.

    Each kind is given with its source, "sound" or "lyrics", keyed by segment. Where all are of
    lyrics, or no track has any, nothing is filled.
    """
    of_sound = [located for source, located in kinds if source == "sound"]
    filled = []
    for source, located in kinds:
        if source == "lyrics" and of_sound and located:
            file = next(iter(located.values())).file
            missing = {
                name: Located(segment.row, file, ABSENT)
                for name, segment in of_sound[0].items()
                if name not in located
            }
            filled.append({**located, **missing})
        else:
            filled.append(located)
    return filled


def align_levels(kinds: Sequence[tuple[str, dict[str, Located]]]) -> list[dict[str, Located]]:
    """Key all kinds by segment: each is given with its level, "segment" or "track".

    Where all are of tracks, a track is a segment.
    """
    segments = next((located for level, located in kinds if level == "segment"), None)
    return [
        located
        if level == "segment" or segments is None
        else spread_over_segments(located, segments)
        for level, located in kinds
    ]

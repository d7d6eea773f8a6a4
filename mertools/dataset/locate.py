"""Finding the features of segments that lie in several files: different kinds, or segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mertools.artifacts.feature_rows import FeatureRow
from mertools.artifacts.features_file import MISSING, FeaturesFile
from mertools.errors import SchemaError


@dataclass(frozen=True)
class Located:
    """A segment's row, and where its features of a kind lie: the file, and the index there.

    The index is `MISSING` where a track has none of them.
    """

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


class KindRows(NamedTuple):
    """Where a kind's features lie, by segment_id; its level is "segment" or "track".

    A segment whose track lacks an `optional` kind of level track has zeros for it.
    """

    level: str
    located: dict[str, Located]
    optional: bool = False


def spread_over_segments(
    of_tracks: KindRows, segments: Mapping[str, Located]
) -> dict[str, Located]:
    """Give each segment what its track has as a whole; an augmented copy has its original's.

    Segments of tracks that have none are left out, unless the kind is optional.
    """
    by_track = {located.row.track_id: located for located in of_tracks.located.values()}
    any_file = next(iter(by_track.values())).file if by_track else None
    spread = {}
    for name, segment in segments.items():
        row = segment.row
        track = by_track.get(row.track_id) or by_track.get(row.original)
        if track is not None:
            spread[name] = Located(row, track.file, track.index)
        elif of_tracks.optional and any_file is not None:
            spread[name] = Located(row, any_file, MISSING)
    return spread


def align_levels(kinds: Sequence[KindRows]) -> list[dict[str, Located]]:
    """Key all kinds by segment. Where all are of tracks, a track is a segment."""
    segments = next((kind.located for kind in kinds if kind.level == "segment"), None)
    return [
        kind.located
        if kind.level == "segment" or segments is None
        else spread_over_segments(kind, segments)
        for kind in kinds
    ]

"""Writing the tables of an imported corpus into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mertools.artifacts.files import make_folder, open_output
from mertools.artifacts.rows import Annotation, Label, Lyrics, Row, Tag
from mertools.artifacts.tables import write_cells, write_table
from mertools.importers.corpus import Imported, ImportedTrack


def write_corpus(imported: Imported, folder: Path) -> list[tuple[Path, int]]:
    """Write tracks.csv, and the other tables of which there are rows; give each one's length.

    Raises UsageError where the folder cannot be written to.
    """
    make_folder(folder)
    _write_tracks(imported.tracks, folder / "tracks.csv")
    tables: tuple[tuple[str, type[Row], Sequence[Row]], ...] = (
        ("annotations.csv", Annotation, imported.annotations),
        ("labels.csv", Label, imported.labels),
        ("dynamic.csv", Label, imported.dynamic),
        ("lyrics.csv", Lyrics, imported.lyrics),
        ("tags.csv", Tag, imported.tags),
    )
    written = [(folder / "tracks.csv", len(imported.tracks))]
    for name, row_type, rows in tables:
        if rows:
            n_classes = max(len(getattr(row, "distribution", ())) for row in rows)
            optional = ("start", "duration") if rows is imported.dynamic else ()
            with open_output(str(folder / name)) as stream:
                write_table(stream, row_type, rows, n_classes, optional)
            written.append((folder / name, len(rows)))
    return written


def _write_tracks(tracks: Sequence[ImportedTrack], path: Path) -> None:
    """Write tracks.csv, with the columns that the corpus adds."""
    further = list(dict.fromkeys(column for track in tracks for column in track.further))
    with open_output(str(path)) as stream:
        write_cells(stream, [["track_id", "path", *further]])
        write_cells(
            stream,
            (
                [track.track_id, str(track.path), *(track.further.get(c, "") for c in further)]
                for track in tracks
            ),
        )

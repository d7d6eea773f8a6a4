"""`mer augment`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from pathlib import Path

    from mertools.artifacts.rows import Segment, Track
    from mertools.audio.augment import Chain


def augment(
    inputs: options.Inputs,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the copies.")
    ],
    with_: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="TRANSFORM[:PARAM=VALUE,...]",
            help="What to do; repeatable, each makes copies of its own. Several joined by + make "
            "one. A value may be a range, LOW..HIGH.",
        ),
    ],
    copies: Annotated[int, typer.Option(min=1, metavar="N", help="Copies by each --with.")] = 1,
    noise: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Sound files for background-noise.", show_default=False),
    ] = None,
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    seed: options.Seed = 0,
    failures: options.FailuresFile = None,
    force: options.Force = False,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
) -> None:
    """Make augmented copies of tracks or segments.

    The manifest, originals first, goes to standard output. Copies are float WAV at their original's
    rate, with its length and channels; the level is left as it is and nothing is clipped. Each has
    a track_id of its own, and the manifest's columns original and transform say what it is. What is
    drawn hangs on the seed, the track and the transform alone. Copies are only learnt from, with
    their original.

    \b
    time-shift (seconds -5..5), pitch-shift (semitones -2..2), time-stretch (rate 0.5..1.5),
    power (db -10..10), gain (db -12..12), distortion (amount 0.01..0.7), mask (share, start,
    centre, width, slope), equaliser (hz_N, db_N, q_N of seven bands), background-noise (snr 3..30)

    \b
    Examples:
      mer augment tracks.csv --with pitch-shift --with gain:db=-6..6 -o copies > augmented.csv
      mer augment tracks.csv --with time-shift+power --copies 2 -o copies > augmented.csv
    """
    from functools import partial
    from pathlib import Path

    from mertools.artifacts.files import make_folder, remove_stale_parts
    from mertools.audio.augment import Augmentation, group_by_file, parse_chains, try_augment
    from mertools.audio.sources import PROVENANCE
    from mertools.cli.shared.console import track_progress
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.inputs import gather_sources
    from mertools.cli.shared.tables import open_table_output
    from mertools.errors import InputError
    from mertools.runtime.parallel import map_ordered

    chains = parse_chains(with_)
    wanted = Augmentation(chains, copies, seed, _find_noise(chains, noise))
    folder = Path(output)
    make_folder(folder)
    remove_stale_parts(folder)
    sources = list(gather_sources(inputs, null_separated=null, id_from=id_from))
    rows = [source for source in sources if not isinstance(source, InputError)]
    row_type = _row_type(rows)
    with (
        Failures("augment", failures) as failed,
        open_table_output("-", row_type, optional=PROVENANCE) as write,
    ):
        for source in sources:
            if isinstance(source, InputError):
                failed.add(source)
            else:
                write(source)
        # What is a copy already is handed on, and not changed a second time.
        originals = [row for row in rows if not row.original]
        groups = list(group_by_file(originals))
        work = partial(try_augment, wanted=wanted, folder=folder, force=force)
        outcomes = map_ordered(work, groups, cluster or jobs)
        for group, made in track_progress(outcomes, "augment", len(groups)):
            if isinstance(made, InputError):
                failed.add(made, group[0].track_id)
                continue
            failed.count_done()
            for row in made:
                write(row)


def _row_type(rows: Sequence[Track | Segment]) -> type[Track] | type[Segment]:
    """Tell whether the manifest is of tracks or of segments; raise UsageError for both."""
    from mertools.artifacts.rows import Segment, Track
    from mertools.errors import UsageError

    kinds = {type(row) for row in rows}
    if len(kinds) > 1:
        raise UsageError("the inputs", "are tracks and segments", "give one sort of them")
    return Segment if Segment in kinds else Track


def _find_noise(chains: Sequence[Chain], folder: str | None) -> tuple[Path, ...]:
    """Find the files of noise, where a transform needs them, in sorted order."""
    from pathlib import Path

    from mertools.audio.sources import AUDIO_SUFFIXES
    from mertools.audio.transforms import NOISE
    from mertools.errors import UsageError

    is_needed = any(step.name == NOISE for chain in chains for step in chain.steps)
    if not is_needed:
        if folder is not None:
            raise UsageError(f"--noise {folder}", "is for background-noise", f"add --with {NOISE}")
        return ()
    if folder is None:
        raise UsageError(f"--with {NOISE}", "needs sound to add", "give --noise DIR")
    found = sorted(
        path for path in Path(folder).rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES
    )
    if not found:
        raise UsageError(f"--noise {folder}", "holds no sound file", "give a folder of noises")
    return tuple(found)

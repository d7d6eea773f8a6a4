"""How well curves follow music that changes: pieces joined from clips that are known.

`over_time.py join-piano FOLDER OUT --quadrants FILE` joins clips of EMOPIA from either side of a
target, of the songs that choose (`piano.py`).
`over_time.py join-rated FOLDER OUT --labels FILE --folds FOLDER` joins excerpts of Emotify, each
piece of one fold, so that a model of the other folds has not learnt from it.
`over_time.py score OUT/LENGTH ...` compares curves of windows of some lengths in s, which
`mer predict --over-time` wrote into tables in these folders, in Markdown.

Both write pieces into OUT, with truth.csv: what is heard from when on, and its rating, or 1 and 0
where only its side is known.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from piano import HIGH, SEED, Piano

N_PIANO, N_RATED = 20, 4
"""Pieces of piano for each target, and of each fold of rated excerpts."""
N_CLIPS = 4
"""Clips in a piece, of either side in turns."""
CLIP_S, FADE_S = 15.0, 1.0
"""Of a clip so much is heard, the fade to the next one included."""
LARGEST_LAG_S = 8
HOPS = (1, 2, 5)
"""Seconds from window to window: what is between is interpolated."""
SMOOTHED = (1, 3, 5, 9)
"""Windows of a second each that a mean is taken over; 1 is the curve as it is."""

COLUMNS = (
    "window, s",
    "hop, s",
    "mean of",
    "target",
    "r, mean",
    "r, median",
    "lag, s",
    "r at each one's lag",
    "strays",
)

Floats = NDArray[np.float64]
Clip = tuple[Path, float]
"""The sound of a clip, and its rating."""


@dataclass(frozen=True)
class Piece:
    """What is heard in a piece: from when on, in seconds, and its rating."""

    starts: Floats
    ratings: Floats

    def heard_at(self, times: Floats) -> Floats:
        """Give the rating of what is heard at some times."""
        turns = np.searchsorted(self.starts, times, "right") - 1
        return self.ratings[np.clip(turns, 0, None)]

    @property
    def middles(self) -> Floats:
        """When the middle of each clip is heard."""
        return self.starts + (CLIP_S - FADE_S) / 2


def join_piano(folder: Path, out: Path, piano: Piano) -> None:
    """Join clips of piano of either side of each target."""
    chance = np.random.default_rng(SEED)
    drawn: dict[str, list[Clip]] = {}
    for target, quadrants in HIGH.items():
        is_high = np.isin(piano.quadrants, quadrants)
        sides = [
            [(folder / f"{piano.track_ids[n]}.wav", side) for n in np.flatnonzero(chosen)]
            for side, chosen in enumerate((piano.choose & ~is_high, piano.choose & is_high))
        ]
        drawn |= _draw(target, sides, N_PIANO, chance)
    _write(out, drawn)


def join_rated(folder: Path, out: Path, labels: Path, folds: Path) -> None:
    """Join excerpts of each fold: of the third with the highest ratings, and with the lowest."""
    chance = np.random.default_rng(SEED)
    drawn: dict[str, list[Clip]] = {}
    for target in HIGH:
        fold_of = {row["track_id"]: row["fold"] for row in _read(folds / f"folds-{target}.csv")}
        rated = sorted(
            (float(row["mean"]), row["track_id"])
            for row in _read(labels)
            if row["target"] == target
        )
        for fold in sorted(set(fold_of.values())):
            clips = [
                (next(folder.glob(f"{name}.*")), rating)
                for rating, name in rated
                if fold_of[name] == fold
            ]
            third = len(clips) // 3
            drawn |= _draw(f"{target}{fold}-", [clips[:third], clips[-third:]], N_RATED, chance)
    _write(out, drawn)


def _draw(
    name: str, sides: Sequence[list[Clip]], n_pieces: int, chance: np.random.Generator
) -> dict[str, list[Clip]]:
    """Draw the clips of pieces, of either side in turns."""
    return {
        f"{name}{number:02}": [
            sides[side][chance.choice(len(sides[side]))]
            for side in ((number + turn) % 2 for turn in range(N_CLIPS))
        ]
        for number in range(n_pieces)
    }


def _write(out: Path, pieces: dict[str, list[Clip]]) -> None:
    """Write the pieces, and `track_id,start,rating` of each of their clips."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "truth.csv").open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("track_id", "start", "rating"))
        for name, clips in pieces.items():
            y, starts = _crossfade([path for path, _ in clips])
            soundfile.write(out / f"{name}.wav", *y)
            table.writerows(
                (name, f"{start:g}", f"{rating:g}")
                for start, (_, rating) in zip(starts, clips, strict=True)
            )


def _crossfade(paths: list[Path]) -> tuple[tuple[NDArray[np.float32], int], list[float]]:
    """Join the middles of files, one rate for all; say when the middle of each fade is, in s."""
    whole = np.zeros(0, np.float32)
    starts = [0.0]
    for path in paths:
        y, rate = soundfile.read(path, dtype="float32", always_2d=True)
        n, fade = round(CLIP_S * rate), round(FADE_S * rate)
        mono = y.mean(axis=1)
        first = max(0, (len(mono) - n) // 2)
        clip = mono[first : first + n]
        if len(whole):
            # Powers add up to one, as the clips have nothing in common.
            rising = np.sqrt(np.linspace(0, 1, fade, dtype=np.float32))
            whole[-fade:] = whole[-fade:] * rising[::-1] + clip[:fade] * rising
            starts.append((len(whole) - fade / 2) / rate)
            clip = clip[fade:]
        whole = np.concatenate([whole, clip])
    return (whole, rate), starts


def score(folder: Path) -> Iterator[str]:
    """Yield a row for each target, hop and smoothing of how curves follow their pieces."""
    pieces = {
        name: Piece(*np.array([[float(row["start"]), float(row["rating"])] for row in rows]).T)
        for name, rows in _by_track(_read(folder.parent / "truth.csv")).items()
    }
    windows = [row for table in sorted(folder.glob("*.csv")) for row in _read(table)]
    for target in HIGH:
        own = _by_track(row for row in windows if row["target"] == target)
        own = {name: rows for name, rows in own.items() if name.startswith(target)}
        for hop, smoothed in [*((hop, 1) for hop in HOPS), *((1, n) for n in SMOOTHED[1:])]:
            figures = np.array(
                [_follow(pieces[name], *_curve(rows, hop, smoothed)) for name, rows in own.items()]
            )
            r, lag, at_lag, strays = figures.T
            shown = (r.mean(), np.median(r), np.median(lag), at_lag.mean(), strays.mean())
            cells = (folder.name, hop, smoothed, target, *(f"{x:.2f}" for x in shown))
            yield "| " + " | ".join(map(str, cells)) + " |"


def _curve(rows: Sequence[dict[str, str]], hop: int, smoothed: int) -> tuple[Floats, Floats]:
    """Give times and values, from -1 to 1, of a curve; a window is taken to tell of its middle."""
    times = np.array([float(row["start"]) + float(row["duration"]) / 2 for row in rows])
    values = np.array([float(row["value"]) for row in rows]) - 2
    if smoothed > 1:
        window = np.ones(smoothed)
        n_heard = np.convolve(np.ones_like(values), window, "same")
        values = np.convolve(values, window, "same") / n_heard
    return times, np.interp(times, times[::hop], values[::hop])


def _follow(piece: Piece, times: Floats, values: Floats) -> tuple[float, float, float, float]:
    """Give r, the lag in s at which it is highest, r there, and how far the curve strays.

    It strays as far as it goes, from the middle of one clip to that of the next, beyond what it
    says of both middles: the mean over the changes.
    """
    shifted = {
        lag: float(np.corrcoef(values, piece.heard_at(times - lag))[0, 1])
        for lag in range(-LARGEST_LAG_S, LARGEST_LAG_S + 1)
    }
    best = max(shifted, key=lambda lag: shifted[lag])
    settled = np.interp(piece.middles, times, values)
    strays = []
    for k in range(len(settled) - 1):
        between = values[(times >= piece.middles[k]) & (times <= piece.middles[k + 1])]
        low, high = sorted(settled[k : k + 2])
        strays.append(max(0.0, between.max() - high, low - between.min()))
    return shifted[0], best, shifted[best], float(np.mean(strays))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _by_track(rows: Iterable[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["track_id"], []).append(row)
    return found


def main() -> None:
    """Join pieces, or print a table of curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    joining = {name: commands.add_parser(name) for name in ("join-piano", "join-rated")}
    for parsed in joining.values():
        parsed.add_argument("folder", type=Path)
        parsed.add_argument("out", type=Path)
    joining["join-piano"].add_argument("--quadrants", type=Path, required=True)
    joining["join-rated"].add_argument("--labels", type=Path, required=True)
    joining["join-rated"].add_argument("--folds", type=Path, required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "join-piano":
        join_piano(given.folder, given.out, Piano.read(given.quadrants))
    elif given.command == "join-rated":
        join_rated(given.folder, given.out, given.labels, given.folds)
    else:
        print(f"| {' | '.join(COLUMNS)} |")
        print("|" + " --- |" * len(COLUMNS))
        for folder in given.folders:
            print("\n".join(score(folder)))


if __name__ == "__main__":
    main()

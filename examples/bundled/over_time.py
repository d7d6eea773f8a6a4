"""How well curves follow music that changes: pieces joined from clips whose sides are known.

`over_time.py join PIANO OUT --quadrants FILE` writes pieces of pop piano into OUT, with truth.csv.
`over_time.py score OUT CURVES.csv ...` compares `mer predict --over-time` of them, in Markdown.

The songs are those that choose (`piano.py`). Emotify's excerpts would not do: the bundled models
have learnt from all of them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from piano import HIGH, SEED, Piano

N_PIECES, N_CLIPS = 20, 4
"""Pieces for each target, and clips in each, of either side in turns."""
CLIP_S, FADE_S = 15.0, 1.0
"""Of a clip so much is heard, the fade to the next one included."""
LARGEST_LAG_S = 8


def join(folder: Path, out: Path, piano: Piano) -> None:
    """Write the pieces, and when each side begins: `track_id,target,start,high`."""
    chance = np.random.default_rng(SEED)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "truth.csv").open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("track_id", "target", "start", "high"))
        for target, quadrants in HIGH.items():
            is_high = np.isin(piano.quadrants, quadrants)
            sides = [np.flatnonzero(piano.choose & (is_high == high)) for high in (False, True)]
            for number in range(N_PIECES):
                name, first = f"{target}{number:02}", number % 2
                turns = [(first + turn) % 2 for turn in range(N_CLIPS)]
                clips = [piano.track_ids[chance.choice(sides[side])] for side in turns]
                y, starts = _crossfade([folder / f"{clip}.wav" for clip in clips])
                soundfile.write(out / f"{name}.wav", *y)
                table.writerows(
                    (name, target, f"{start:g}", side)
                    for start, side in zip(starts, turns, strict=True)
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


def score(folder: Path, curves: Path) -> Iterator[str]:
    """Yield a row for each target of how its curves follow its pieces."""
    with (folder / "truth.csv").open(newline="") as stream:
        truth = list(csv.DictReader(stream))
    with curves.open(newline="") as stream:
        windows = [row for row in csv.DictReader(stream) if row["level"] == "segment"]
    for target in HIGH:
        r, best, lags = [], [], []
        for name in dict.fromkeys(row["track_id"] for row in truth if row["target"] == target):
            steps = [row for row in truth if row["track_id"] == name]
            own = [row for row in windows if (row["track_id"], row["target"]) == (name, target)]
            values = np.array([float(row["value"]) for row in own])
            # A window is taken to tell of its middle.
            middles = np.array([float(row["start"]) + float(row["duration"]) / 2 for row in own])
            shifted = {
                lag: _follow(values, middles - lag, steps)
                for lag in range(-LARGEST_LAG_S, LARGEST_LAG_S + 1)
            }
            r.append(shifted[0])
            lags.append(max(shifted, key=lambda lag: shifted[lag]))
            best.append(shifted[lags[-1]])
        figures = (np.mean(r), np.median(r), np.median(lags), np.mean(best))
        yield f"| {curves.stem} | {target} | " + " | ".join(f"{x:.2f}" for x in figures) + " |"


def _follow(
    values: NDArray[np.float64], times: NDArray[np.float64], steps: list[dict[str, str]]
) -> float:
    """Correlate a curve with the sides that the music has at these times, in s."""
    starts = [float(step["start"]) for step in steps]
    sides = np.array([float(step["high"]) for step in steps])
    side = sides[np.clip(np.searchsorted(starts, times, "right") - 1, 0, None)]
    return float(np.corrcoef(values, side)[0, 1])


def main() -> None:
    """Join pieces, or print a table of curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    joining = commands.add_parser("join")
    joining.add_argument("piano", type=Path)
    joining.add_argument("out", type=Path)
    joining.add_argument("--quadrants", type=Path, required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("out", type=Path)
    scoring.add_argument("curves", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "join":
        join(options.piano, options.out, Piano.read(options.quadrants))
        return
    print("| window, s | target | r, mean | r, median | lag, s | r at each one's lag |")
    print("|" + " --- |" * 6)
    for curves in options.curves:
        print("\n".join(score(options.out, curves)))


if __name__ == "__main__":
    main()

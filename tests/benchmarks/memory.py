"""Peak memory of each command, by the number of segments and by the length of a file.

`PYTHONPATH=.:tests python -m benchmarks.memory` prints the table of docs/speed.md. Commands run one
after the other in a temporary folder: on ten files of 30 s, from which any number of segments of
half a second is cut, three for each track; on random features of as many segments of 10 s; and on a
song that is repeated for hours.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.__main__ import CLIPS, CORPUS
from benchmarks.pairs import MER
from benchmarks.runner import environment
from benchmarks.setup import Setup
from mertools.artifacts.feature_rows import FeatureRow, Features, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.artifacts.rows import Annotation, Segment, Track
from mertools.artifacts.tables import write_table
from mertools.features.excerpt import Excerpt
from mertools.features.registry import request_kind
from mertools.prediction.installed import choose_models
from mertools.prediction.predictor import load_predictors

N_FILES = 10
FILE_S, SEGMENT_S, TRACK_S = 30, 0.5, 1
SEGMENTS_A_TRACK = 3
LENGTH_S = 10.0
SAMPLE_RATE, SONG_RATE = 8000, 44100
N_ANNOTATORS, N_RATINGS = 3, 3
LONG = "long.wav", "long.mp3"
MIB = 1 << 20

OF_CHILDREN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""
"""Run by a Python that is small itself: what it starts begins with its memory."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table: commands for {n} segments or tracks, and for a long {sound}.

    `after` names the rows whose output it needs, `most` the segments beyond which it takes too
    much time or memory. Where a network takes minutes for the long sound, it is but one format.
    """

    name: str
    of_many: str | None = None
    of_long: str | None = None
    after: tuple[str, ...] = ()
    most: int | None = None

    def command(self, scale: int | str) -> str | None:
        """Give the command for so many segments, or for a sound file."""
        if isinstance(scale, int):
            return self.of_many and self.of_many.format(n=scale)
        if self.most is not None and scale != LONG[0]:
            return None
        return self.of_long and self.of_long.format(sound=scale)


def _from_sound(name: str, command: str, most: int | None = None, after: str = "") -> Row:
    """A command that takes segments in two processes, and sound in one."""
    return Row(
        name=name,
        of_many=command.format("{n}.csv", "{n}") + " -j 2",
        of_long=command.format("{sound}", "{sound}") + " -j 1",
        after=(after,) if after else (),
        most=most,
    )


FEWER = 3000
"""Segments, where more would take an hour, or more memory than there is."""

LEARN = "--labels labels-{n}.csv --target arousal -j 1"
COMMANDS = (
    Row(
        name="convert",
        of_many="convert tracks-{n}.csv -o converted-{n} -j 2",
        of_long="convert {sound} -o converted -j 1",
    ),
    Row(
        name="segment",
        of_many="segment tracks-{n}.csv -o cut-{n}.csv -j 2",
        of_long="segment {sound} -o cut.csv -j 1",
    ),
    _from_sound("featurize --kind handcrafted", "featurize {0} -o {1}.hand.h5"),
    _from_sound("featurize --kind mel", "featurize {0} --kind mel -o {1}.mel.h5"),
    _from_sound(
        "featurize --kind mel, again",
        "featurize {0} --kind mel -o {1}.mel.h5",
        after="featurize --kind mel",
    ),
    _from_sound(
        "featurize --kind musicnn", "featurize {0} --kind musicnn -o {1}.musicnn.h5", FEWER
    ),
    _from_sound("transcribe", "transcribe {0} -o {1}.notes.h5", FEWER),
    _from_sound(
        "transcribe --context track --notes",
        "transcribe {0} --context track --notes {1}.notes.csv -o {1}.track.h5",
        FEWER,
    ),
    _from_sound("predict, from sound", "predict {0} -o {1}.predictions.csv", FEWER),
    Row(
        name="predict --over-time, from sound",
        of_long="predict {sound} --over-time -o curve.csv -j 1",
        most=FEWER,
    ),
    Row(
        name="predict, from features",
        of_many="predict bundled-{n}-0.h5 bundled-{n}-1.h5 -o predictions-{n}.csv",
    ),
    Row(name="merge", of_many="merge mel-{n}-0.h5 mel-{n}-1.h5 -o merged-{n}.h5"),
    Row(name="merge --copy", of_many="merge mel-{n}-0.h5 mel-{n}-1.h5 --copy -o whole-{n}.h5"),
    Row(name="validate", of_many="validate mel-{n}-0.h5 mel-{n}-1.h5"),
    Row(name="inspect", of_many="inspect merged-{n}.h5", after=("merge",)),
    Row(name="aggregate-labels", of_many="aggregate-labels ratings-{n}.csv -o labels-{n}.csv"),
    Row(
        name="evaluate",
        of_many="evaluate predictions-{n}.csv --labels labels-{n}.csv -o metrics-{n}.json",
        after=("aggregate-labels", "predict, from features"),
    ),
    Row(
        name="align",
        of_many="align predictions-{n}.csv --labels labels-{n}.csv -o alignment-{n}.csv",
        after=("aggregate-labels", "predict, from features"),
    ),
    Row(
        name="train svm",
        of_many=f"train svm --features hand-{{n}}-0.h5 --features hand-{{n}}-1.h5 {LEARN}"
        " --cv 2 --grid C=1 --grid gamma=0.005 -o {n}.skops",
        after=("aggregate-labels",),
    ),
    Row(
        name="train kernel",
        of_many=f"train kernel --features bundled-{{n}}-0.h5 --features bundled-{{n}}-1.h5 {LEARN}"
        " --cv 2 --grid gamma=0.25 --grid ridge=0.4 -o {n}.kernel.safetensors",
        after=("aggregate-labels",),
        most=FEWER,
    ),
    Row(
        name="train cnn",
        of_many=f"train cnn --features mel-{{n}}-0.h5 --features mel-{{n}}-1.h5 {LEARN}"
        " --cv 0 --set max_epochs=1 --device cpu -o {n}.cnn.safetensors",
        after=("aggregate-labels",),
    ),
)


class Bench:
    """A folder with what the commands work on, and what they were measured to take."""

    def __init__(self, folder: Path, song: Path, seconds: int) -> None:
        self._folder, self._song, self._seconds = folder, song, seconds
        self._peaks: dict[tuple[str, int | str], float | None] = {}
        noise = np.random.default_rng(0)
        for name, rate, length_s in (("file", SAMPLE_RATE, FILE_S), ("short", SONG_RATE, TRACK_S)):
            for number in range(N_FILES):
                y = noise.normal(0, 0.1, rate * length_s)
                soundfile.write(folder / f"{name}-{number}.wav", y, rate)

    def peak(self, row: Row, scale: int | str) -> float | None:
        """Measure a row once: MiB of the largest process; None where there is no such command."""
        key = row.name, scale
        if key in self._peaks or (command := row.command(scale)) is None:
            return self._peaks.get(key)
        self._provide(scale)
        for other in COMMANDS:
            if other.name in row.after:
                self.peak(other, scale)
        line = [sys.executable, "-c", OF_CHILDREN, *MER, *shlex.split(command), "-q"]
        done = subprocess.run(
            line,
            cwd=self._folder,
            env=environment(one_core=False),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"benchmarks: mer {command}: {done.stderr}")
        unit = 1 if sys.platform == "darwin" else 1 << 10
        self._peaks[key] = int(done.stdout.split()[-1]) * unit / MIB
        print(f"{self._peaks[key]:8.0f} MiB  mer {command}", file=sys.stderr, flush=True)
        return self._peaks[key]

    @cache  # noqa: B019, there is one bench
    def _provide(self, scale: int | str) -> None:
        """Make what commands of a scale work on."""
        if isinstance(scale, int):
            self._write_tables(scale)
            self._write_shards(scale)
            return
        if shutil.which("ffmpeg") is None:
            sys.exit("benchmarks: the ffmpeg program is not installed")
        line = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(self._song)]
        line += ["-t", str(self._seconds), "-ar", str(SONG_RATE), "-ac", "2", scale]
        subprocess.run(line, cwd=self._folder, check=True, stdin=subprocess.DEVNULL)

    def _write_tables(self, n: int) -> None:
        hop_s = (FILE_S - SEGMENT_S) / (n // N_FILES)
        ratings = np.random.default_rng(n).integers(1, N_RATINGS + 1, (n, N_ANNOTATORS))
        tables = {
            f"tracks-{n}.csv": (
                Track,
                (Track(f"{i}", f"short-{i % N_FILES}.wav") for i in range(n)),
            ),
            f"{n}.csv": (
                Segment,
                (
                    Segment(f"{i}", f"{i // SEGMENTS_A_TRACK}", path, start, SEGMENT_S, SAMPLE_RATE)
                    for i in range(n)
                    for path in [f"file-{i * N_FILES // n}.wav"]
                    for start in [round(i % (n // N_FILES) * hop_s, 3)]
                ),
            ),
            f"ratings-{n}.csv": (
                Annotation,
                (
                    Annotation(f"{track}", f"{annotator}", "arousal", str(rating))
                    for track in range(n // SEGMENTS_A_TRACK)
                    for annotator, rating in enumerate(ratings[track])
                ),
            ),
        }
        for name, (row_type, rows) in tables.items():
            with (self._folder / name).open("w", encoding="utf-8") as stream:
                write_table(stream, row_type, rows)

    def _write_shards(self, n: int) -> None:
        """Write random features to two files, each with half the tracks."""
        noise = np.random.default_rng(n)
        half = n // SEGMENTS_A_TRACK // 2 * SEGMENTS_A_TRACK
        for name, kinds in _described().items():
            shapes = {kind.name: kind.shape for kind in kinds}

            def draw(kind: str, _: int, shapes: dict[str, tuple[int, ...]] = shapes) -> Features:
                return noise.random(shapes[kind], np.float32)

            for shard, numbers in enumerate((range(half), range(half, n))):
                rows = [
                    FeatureRow(
                        f"{i}",
                        f"{i // SEGMENTS_A_TRACK}",
                        LENGTH_S * (i % SEGMENTS_A_TRACK),
                        LENGTH_S,
                        silent=False,
                        padded=False,
                        source_digest="",
                    )
                    for i in numbers
                ]
                write_features(self._folder / f"{name}-{n}-{shard}.h5", rows, kinds, draw)


def _described() -> dict[str, list[KindDescription]]:
    """Describe the kinds of feature that are drawn, and those that the bundled models need."""
    sound = Excerpt(np.zeros(round(LENGTH_S * SAMPLE_RATE), np.int16))
    kinds = {"hand": "handcrafted", "mel": "mel"}
    requested = {name: request_kind(kind, SAMPLE_RATE) for name, kind in kinds.items()}
    described = {
        name: [kind.describe(kind.compute(sound).shape, "float32")]
        for name, kind in requested.items()
    }
    needed = {
        kind.name: kind.describe(wanted.shape, "float32")
        for predictor in load_predictors(choose_models([]).paths)
        for kind, wanted in zip(predictor.recipe().kinds, predictor.card.inputs, strict=True)
    }
    described["bundled"] = list(needed.values())
    return described


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.memory", description="Measure the peak memory of each command."
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="row to measure, * for any; repeatable"
    )
    parser.add_argument(
        "--segments", type=int, nargs=2, default=(300, 30_000), help="(default: 300 30000)"
    )
    parser.add_argument("--hours", type=float, default=3.0, help="of the long file (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON, not the table")
    return parser.parse_args()


def _to_markdown(
    measured: dict[str, list[tuple[int | str, float | None]]], scales: Sequence[int | str]
) -> str:
    """Write the table as docs/speed.md has it; where a cell has fewer segments, it says so."""
    columns = [f"{scale:,}" if isinstance(scale, int) else scale for scale in scales]
    lines = [["command", *columns], ["---"] * (1 + len(columns))]
    for name, cells in measured.items():
        shown = ["" if peak is None else f"{peak:.0f}" for _, peak in cells]
        for column, (scale, _) in enumerate(cells):
            if scale != scales[column]:
                shown[column] += f" ({scale:,})"
        lines.append([f"`{name}`", *shown])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    options = _options()
    song = Setup(CORPUS if CORPUS.is_dir() else CLIPS, 1, 1).songs()[0]
    scales = (*options.segments, *LONG)
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), song, round(options.hours * 3600))
        for row in COMMANDS:
            if not any(fnmatch(row.name, pattern) for pattern in options.only or ["*"]):
                continue
            least = [min(s, row.most) if isinstance(s, int) and row.most else s for s in scales]
            measured[row.name] = [(scale, bench.peak(row, scale)) for scale in least]
    print(json.dumps(measured) if options.json else _to_markdown(measured, scales))


if __name__ == "__main__":
    main()

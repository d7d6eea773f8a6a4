"""The examples in the help of every command, run as written on the clips of examples/."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mertools.artifacts.rows import Segment
from mertools.artifacts.tables import read_table
from mertools.cli.app import app
from mertools.importers.emotify import EMOTIONS
from mertools.runtime import parallel

ROOT = Path(__file__).resolve().parents[2]

ORDER = (
    "convert",
    "augment",
    "segment",
    "import emotify",
    "import features",
    "match",
    "annotate",
    "merge",
    "featurize",
    "aggregate-labels",
    "rate-tags",
    "train svm",
    "train kernel",
    "train cnn",
    "embed",
    "predict",
    "models list",
    "evaluate",
    "align",
    "rank-features",
    "validate",
    "inspect",
    "transcribe",
)
"""The commands in an order in which each finds what it reads; the last needs few songs only."""

NOT_RUN = {
    "mer featurize lyrics.csv": "needs a text encoder",
    "mer train lyrics": "the help of mer train cnn, word for word, for another network",
    "mer import emopia": "the help of mer import emotify, word for word, for another corpus",
    "mer import deam": "the help of mer import emotify, word for word, for another corpus",
    "mer import 4qaed": "the help of mer import emotify, word for word, for another corpus",
    "mer import merge": "the help of mer import emotify, word for word, for another corpus",
    "mer import pmemo": "the help of mer import emotify, word for word, for another corpus",
    "mer transcribe segments.csv -o notes.h5 --device cuda": "needs a GPU",
    "mer train lstm": "the help of mer train cnn, word for word, for another network",
    "mer import weights": "the weights are the user's",
    "mer models fetch": "fetches from elsewhere; tests/cli/test_models_fetch.py has a server",
    "mer train seq-cnn": "the help of mer train cnn, word for word, for another network",
    "mer train seq-lstm": "the help of mer train cnn, word for word, for another network",
    "mer train choi": "the help of mer train cnn, word for word, for another network",
    "mer train cnn-gru": "the help of mer train cnn, word for word, for another network",
    "mer train crnn": "the help of mer train cnn, word for word, for another network",
    "mer train artist": "the help of mer train cnn, word for word, for another network",
    "mer train dnn": "the help of mer train cnn, word for word, for another network",
    "mer train short-chunk": "the help of mer train cnn, word for word, for another network",
    "mer train sample-cnn": "the help of mer train cnn, word for word, for another network",
    "mer train hybrid": "the help of mer train cnn, word for word, for another network",
    "mer train vgg": "the help of mer train cnn, word for word, for another network",
    "mer train bimodal": "the help of mer train cnn, word for word, for another network",
    "mer train siamese": "needs lyrics; tests/training/test_train_bimodal.py trains one",
    "mer congruence": "needs lyrics; tests/training/test_train_bimodal.py runs it",
    "mer train forest": "the help of mer train svm, word for word, for another estimator",
    "mer train dual": "the help of mer train cnn, word for word, for another network",
}
"""Why an example is not run, by how it begins."""

SHORTER = {"mer train cnn": " --cv 2 --set max_epochs=1"}
"""What is added to examples that would take minutes, by how they begin."""


def examples() -> dict[str, list[str]]:
    """Collect each command's examples from its help."""
    found = {}
    waiting: list[tuple[str, object]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            _, _, text = getattr(command, "help", "").partition("Examples:\n")
            lines = re.sub(r" *\\\n *", " ", text).splitlines()
            found[name] = [line.strip() for line in lines if line.strip()]
        else:
            waiting += [(f"{name} {key}".strip(), sub) for key, sub in below.items()]
    return found


EXAMPLES = examples()


def test_every_command_has_examples_and_none_is_forgotten() -> None:
    for name, lines in EXAMPLES.items():
        assert lines, f"mer {name} --help has no examples"
        assert all(f"mer {name} " in f"{line} " for line in lines)
        assert name in ORDER or all(line.startswith(tuple(NOT_RUN)) for line in lines)
    assert set(ORDER) <= set(EXAMPLES)
    for begin in (*NOT_RUN, *SHORTER):
        assert any(line.startswith(begin) for lines in EXAMPLES.values() for line in lines)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds what the examples begin with, and in this process alone."""
    clips = ROOT / "examples" / "clips"
    shutil.copytree(clips, tmp_path / "songs")
    shutil.copy(clips / "piece02.mp3", tmp_path / "song.mp3")
    shutil.copy(ROOT / "examples" / "annotations.csv", tmp_path)
    header, *ratings = (tmp_path / "annotations.csv").read_text().splitlines(keepends=True)
    for k, day in enumerate(("monday", "tuesday")):
        (tmp_path / f"{day}.csv").write_text(header + "".join(ratings[k::2]))
    genres = ("piece01,classical", "piece02,rock", "piece03,rock", "piece04,pop")
    (tmp_path / "genres.csv").write_text("\n".join(["track_id,genre", *genres]) + "\n")
    shutil.copy(ROOT / "tests" / "labels" / "exports" / "project.json", tmp_path)
    lay_out_emotify(tmp_path / "emotify")
    (tmp_path / "tags.csv").write_text("track_id,tag,weight\npiece01,Sad,56\npiece02,happy,12\n")
    lexicon = "Word\tValence\tArousal\tDominance\nsad\t.225\t.333\t.149\nhappy\t1\t.735\t.772\n"
    (tmp_path / "lexicon.txt").write_text(lexicon)
    (tmp_path / "warriner.csv").write_text(
        "Word,V.Mean.Sum,A.Mean.Sum,D.Mean.Sum\nsad,2.1,3.49,3.84\nhappy,8.47,6.05,7.21\n"
    )
    (tmp_path / "genres.txt").write_text("rock\n")
    (tmp_path / "charts.csv").write_text("file,weeks\npiece02.mp3,7\npiece99.mp3,1\n")
    (tmp_path / "vectors.csv").write_text("track_id,x,y\npiece01,0.5,1\npiece02,0.25,2\n")
    (tmp_path / "shards").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MER_MODELS", "models")
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)


def lay_out_emotify(folder: Path) -> None:
    """Lay out one clip and a rating of it as the corpus Emotify is published."""
    (folder / "pop").mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "clips" / "piece02.mp3", folder / "pop" / "1.mp3")
    columns = " track id, genre" + "".join(f", {emotion}" for emotion in EMOTIONS)
    (folder / "data.csv").write_text(f"{columns}\n301, pop{', 1' * len(EMOTIONS)}\n")


def embed_segments() -> None:
    """Write vectors of segments.csv, as another program would."""
    keys = [row.segment_id for row in read_table("segments.csv", Segment)]
    np.savez("embedded.npz", segment_id=np.array(keys), vectors=np.eye(len(keys)))


def run(line: str) -> None:
    """Run a line of shell: commands that are piped into each other, and then into a file."""
    parser = shlex.shlex(line, posix=True, punctuation_chars="|>")
    parser.whitespace_split = True
    *words, arrow, target = [*parser, "", ""] if ">" not in line else list(parser)
    assert arrow in ("", ">")
    data = b""
    for is_pipe, stage in groupby(words, key="|".__eq__):
        if not is_pipe:
            data = answer(list(stage), data, line)
    if target:
        Path(target).write_bytes(data)


def answer(words: list[str], data: bytes, line: str) -> bytes:
    """Give what one command prints that reads `data`."""
    program, *arguments = words
    if program == "mer":
        expanded = [path for word in arguments for path in expand(word)]
        done = CliRunner().invoke(app, expanded, input=data, prog_name="mer")
        assert done.exit_code == 0, f"{line}\n{done.stderr}"
        return done.stdout_bytes
    if program == "jq" and not shutil.which("jq"):
        return data
    return subprocess.run(words, input=data, stdout=subprocess.PIPE, check=True).stdout


def expand(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_examples_run() -> None:
    for name in ORDER:
        if name == "import features":
            embed_segments()
        if name == "merge":
            for part, day in (("songs/piece0*", "monday"), ("songs/piece1*", "tuesday")):
                run(f"mer featurize {part} -o {day}.h5")
                shutil.copy(f"{day}.h5", "shards")
        if name == "train kernel":
            Path("features.h5").rename("kept.h5")
            run("mer featurize songs --kind musicnn --kind tonal -o features.h5")
        if name == "train cnn":
            Path("kept.h5").replace("features.h5")
        if name == "predict":
            Path("models").mkdir()
            for target in ("arousal", "valence"):
                shutil.copy(f"{target}.skops", "models")
        if name == "evaluate":
            rows = (f"piece{n:02d},{('radio', 'film')[n % 2]}\n" for n in range(1, 25))
            Path("songs.csv").write_text("track_id,source\n" + "".join(rows))
        if name == "transcribe":
            for song in sorted(Path("songs").iterdir())[2:]:
                song.unlink()
        for line in EXAMPLES[name]:
            if not line.startswith(tuple(NOT_RUN)):
                added = [more for begin, more in SHORTER.items() if line.startswith(begin)]
                run(line + "".join(added))
